"""Look after a running turn, and continue it where its process has died."""

from shared.agents.flow import ResumeTurn
from shared.agents.turns import service as turns
from shared.analyst import service
from shared.platform.steps import task


@task(ResumeTurn, once="{turn}/{check}", timeout=600, gave_up=turns.gave_up)
def resume_turn(step: ResumeTurn) -> None:
    service.resume(step)
