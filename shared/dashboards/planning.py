"""The compiled plan as people see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.dashboards.compiling import filters
from shared.dashboards.compiling.filters import Clock
from shared.dashboards.results.sources import source_of
from shared.dashboards.store import Head
from shared.dashboards.views import PlanView
from shared.platform import clock
from shared.platform.ids import TeamId


def show(team: TeamId, head: Head, given: Mapping[str, str | Sequence[str]]) -> PlanView:
    """Stages, statements, parameters and keys for these filters; nothing is run."""
    source = source_of(team, head)
    dialect = source.prepared.dialect
    at = Clock.at(clock.now(), head["timezone"])
    plan = source.plan(filters.read(source.prepared.document, given, at), at)
    return PlanView(
        version=head["version"],
        stages=[list(stage) for stage in plan.stages],
        queries=[
            {
                "id": query.id,
                "sql": query.sql,
                "parameters": [
                    {
                        "name": parameter.name,
                        "type": dialect.type_name(parameter.kind, array=parameter.array),
                        "value": list(parameter.value)
                        if isinstance(parameter.value, tuple)
                        else parameter.value,
                    }
                    for parameter in query.parameters
                ],
                "query_hash": query.query_hash,
                "tables": list(query.tables),
                "max_bytes": query.max_bytes,
                "timeout_seconds": query.timeout_seconds,
                "ttl_seconds": query.ttl_seconds,
            }
            for query in plan.queries
        ],
        errors=[
            {"query": id, "code": error.code, "message": error.message} for id, error in plan.failed.items()
        ],
    )
