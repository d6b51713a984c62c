"""Try the credentials of one connection by using every permission that Bridge needs."""

from shared.connections import service
from shared.connections.flow import ValidateConnection
from shared.platform.steps import task


@task(ValidateConnection, once="{job}", timeout=120, retry_seconds=120, gave_up=service.validation_failed)
def validate_connection(step: ValidateConnection) -> None:
    service.validate(step)
