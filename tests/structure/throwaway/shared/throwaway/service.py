"""What can be done: throw a thing away."""

from pydantic import BaseModel, ConfigDict
from shared.throwaway.declared import BUCKET, NothingToThrow
from shared.throwaway.flow import ThrowThing

from shared.platform.background import jobs, ledger, outbox
from shared.platform.background.jobs import JobAccepted
from shared.platform.background.messages import Finalized, Part
from shared.platform.cloud import documents, objects
from shared.platform.ids import TeamId, UserId, new_id
from shared.platform.limits import budgets, flags
from shared.platform.postgres import pool


class Thing(BaseModel):
    """What is thrown."""

    model_config = ConfigDict(extra="forbid")

    team_id: str
    thing: str


def start(team: TeamId, thing: str, *, user: UserId) -> JobAccepted:
    """Promise the throw. Raises FeatureDisabled, QuotaExceeded, NothingToThrow."""
    flags.require(team, "throwaway_open")
    if not thing:
        raise NothingToThrow
    job = new_id()
    with pool.transaction(team) as tx:
        budgets.take(tx, team, "throws", 1, key=job, lease_seconds=budgets.JOB_SECONDS)
        jobs.open_job(tx, id=job, team=team, kind="throw", user=user)
        outbox.send(tx, ThrowThing(team=team, job=job, thing=thing))
    return JobAccepted(job_id=job)


def work(step: ThrowThing) -> None:
    """Mark it, and leave it in the bucket."""
    documents.put("throwaway_marks", step.job, {"thing": step.thing}, ttl_seconds=60)
    objects.put_once(BUCKET.name, objects.safe_name(step.team, f"{step.job}.txt"), step.thing.encode())


def finish(event: Finalized) -> None:
    """The thing has landed: the job ends with what was marked."""
    team, job = TeamId(event.names["team"]), event.names["job"]
    ledger.part_of(Part(team, job))
    mark = documents.get("throwaway_marks", job) or {}
    with ledger.finishing(team) as tx:
        jobs.finish(tx, id=job, team=team, result={"thrown": mark.get("thing")})
