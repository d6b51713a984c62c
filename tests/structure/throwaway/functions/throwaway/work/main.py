"""Leave one thing in the bucket."""

from shared.throwaway import service
from shared.throwaway.flow import ThrowThing

from shared.platform.steps import task


@task(ThrowThing, once="{job}", timeout=30)
def work(step: ThrowThing) -> None:
    service.work(step)
