"""What connections add to the platform: errors, the queue of validations, the sealed credentials."""

from shared.platform.errors import Conflict
from shared.platform.registry.kinds import Bucket, Doors, Queue


class ConnectionNotValidated(Conflict):
    """Validate the connection first."""

    code = "CONNECTION_NOT_VALIDATED"


class CredentialsRotated(Conflict):
    """The credentials were replaced while they were tried; validate the connection again."""

    code = "CREDENTIALS_ROTATED"


VALIDATION = Queue("connections", "Connections to validate")
CREDENTIALS = Bucket("credentials", "Sealed credentials", versioned=True, delete_versions_after_days=365)
DOORS = Doors("connections", "Named, validated ways into a warehouse.")
