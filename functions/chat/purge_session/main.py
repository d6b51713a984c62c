"""Remove the objects of a deleted conversation from the lake."""

from shared.agents.conversation import sessions
from shared.agents.flow import PurgeSession
from shared.platform.steps import task


@task(PurgeSession, once="{session}", timeout=300)
def purge_session(step: PurgeSession) -> None:
    sessions.purge(step)
