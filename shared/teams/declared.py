"""What teams add to the platform: an error, how long a browser's session is remembered."""

from shared.platform.errors import Conflict
from shared.platform.registry.kinds import Doors, Limit, Retention


class LastAdmin(Conflict):
    """A team keeps at least one admin."""

    code = "LAST_ADMIN"


TEAMS = Limit("teams_per_person", "teams", "lasting", "count", 10, "Teams made by one person")
SESSIONS = Retention(
    "browser sessions", 7, "they expired or were revoked", "to tell an expired one from an unknown one",
    "purge_auth_sessions",
)  # fmt: skip
DOORS = (
    Doors("auth", "Sign-in, sessions and personal access tokens."),
    Doors("teams", "Teams and their members."),
)
