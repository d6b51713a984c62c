"""What conversations add to the platform: errors of turns and of providers, what models may cost, where messages lie."""

from shared.platform.errors import BadInput, BridgeError, Conflict, Forbidden, Unavailable
from shared.platform.registry.kinds import Bucket, Doors, Limit, Queue, Retention, counted


class TurnInProgress(Conflict):
    """This conversation is still answering; wait for it or cancel it."""

    code, retryable = "TURN_IN_PROGRESS", True


class SessionArchived(Conflict):
    """This conversation is archived; begin a new one."""

    code = "SESSION_ARCHIVED"


class BadMessage(BadInput):
    """The message is empty or longer than a conversation takes."""

    code = "MESSAGE_LENGTH"


class AccessEnded(Forbidden):
    """The access with which this was begun has ended, and the work with it."""

    code = "ACCESS_ENDED"


class ProviderError(BridgeError):
    """The model provider refused or failed."""

    code, status, retryable = "PROVIDER_ERROR", 502, False


class ProviderUnavailable(Unavailable):
    """The model provider is not reachable now."""

    code = "PROVIDER_UNAVAILABLE"


COST = (
    Limit("model_cost", "model_cost", "day", "micro_usd", 50_000_000, "Cost of model calls"),
    Limit("model_cost_turn", "model_cost", "turn", "micro_usd", 1_000_000, "Cost of one chat turn"),
    Limit("model_cost_session", "model_cost", "session", "micro_usd", 10_000_000, "Cost of one conversation"),
    Limit("model_cost_month", "model_cost", "month", "micro_usd", 1_000_000_000, "Cost of model calls in a month"),
)  # fmt: skip
GENERATIONS = counted("generations", 2_000, 50, "Chat turns and generated dashboards")
CHAT = Queue("chat", "Turns to look after, conversations to remove")
SESSIONS = Bucket("sessions", "The messages of conversations", versioned=True, archive_after_days=90)
JOURNALS = Retention(
    "journals of turns", 1, "the turn's end", "a turn that ends in order drops its own; this is for abandoned ones",
    "purge_turn_journal",
)  # fmt: skip
DOORS = Doors("chat", "Conversations with the agent, as server-sent events.")
