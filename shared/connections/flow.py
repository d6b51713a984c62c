"""The chain of a validation.

POST /v1/onboarding/connections/{connection_id}/validate
  └─ ValidateConnection ► connections/validate_connection
       └─ connections.status = validated | failed, the job ends
"""

from shared.platform.background.messages import Message
from shared.platform.ids import TeamId


class ValidateConnection(Message, step="connections-validate-connection", queue="connections", job="job"):
    """Try the stored credentials of a connection."""

    team: TeamId
    connection: str
    job: str
