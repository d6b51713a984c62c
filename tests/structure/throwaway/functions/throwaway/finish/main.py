"""End the job of a thing that has landed."""

from shared.throwaway import service

from shared.platform.steps import Finalized, finalized


@finalized("throwaway/{team}/{job}.txt", timeout=30)
def finish(event: Finalized) -> None:
    service.finish(event)
