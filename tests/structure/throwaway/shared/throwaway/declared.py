"""What the throw-away area adds to the platform: one of each kind."""

from shared.platform.errors import Conflict
from shared.platform.registry.kinds import Bucket, Collection, Doors, Flag, Limit, Queue, Retention, counted


class NothingToThrow(Conflict):
    """There is nothing to throw away."""

    code = "NOTHING_TO_THROW"


THROWS = counted("throws", 5, 2, "Things thrown away")
RATES = (
    Limit("rate_throwaway", "throwaway", "minute", "requests", 600, "Requests to throw things away, by one user"),
    Limit("rate_team_throwaway", "throwaway", "minute", "requests", 900, "The same, by one team"),
)  # fmt: skip
FLAG = Flag("throwaway_open", True, "Throwing things away")
QUEUE = Queue("throwaway", "Things on their way out")
BUCKET = Bucket("throwaway", "Things that were thrown away", queue="throwaway", delete_after_days=1)
MARKS = Collection("throwaway_marks", "What was thrown a moment ago", 600)
LETTERS = Retention(
    "thrown letters", 3, "they died", "nobody asks for what was thrown away", "purge_thrown_letters"
)
DOORS = Doors("throwaway", "Throwing things away.")
