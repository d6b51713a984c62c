"""The chain of a throw.

POST /v1/throwaway
  └─ ThrowThing ► throwaway/work
       └─ throwaway/{team}/{job}.txt
            └─ finalized ► throwaway/finish
"""

from shared.platform.background.messages import Message
from shared.platform.ids import TeamId


class ThrowThing(Message, step="throwaway-work", queue="throwaway", job="job"):
    """Throw one thing away."""

    team: TeamId
    job: str
    thing: str
