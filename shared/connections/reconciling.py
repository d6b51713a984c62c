"""Remove sealed credentials that no connection points at: what a creation left that died before its row.

A day is given to whoever may still be at work. The bucket keeps earlier versions, so a removal can be taken
back for as long as they are kept. Many orphans at once are not the traces of crashes but of a directory that
is not the bucket's (restored, or another environment's): then nothing is removed, and an alarm is logged.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from shared.connections import store
from shared.platform.background import ledger
from shared.platform.cloud.objects import Stored
from shared.platform.ids import TeamId
from shared.platform.ops.sweep import Stretch, is_settled, remove, sweep
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

BUCKET = "credentials"
PATIENCE_SECONDS = 86_400.0
MOST_REMOVED = 20
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = re.compile(rf"(?P<team>{_ID})/(?P<connection>{_ID})\.json\.enc\Z")


def reconcile() -> Counter[str]:
    """Visit the next stretch of credentials; answers what was found."""
    with ledger.apart():
        return sweep("credentials", BUCKET, _visit)


def _visit(stretch: Stretch) -> Counter[str]:
    orphans = _orphans(stretch.objects)
    if len(orphans) > MOST_REMOVED:
        telemetry.log(
            "too many credentials without a connection: none is removed", "ERROR", orphans=len(orphans)
        )
        return Counter(orphans=len(orphans))
    removed = sum(remove(BUCKET, stored) for stored in orphans)
    if removed:
        telemetry.log("credentials without a connection were removed", "WARNING", removed=removed)
    return Counter(orphans=len(orphans), changed=removed)


def _orphans(objects: list[Stored]) -> list[Stored]:
    by_team: dict[TeamId, dict[str, Stored]] = defaultdict(dict)
    for stored in objects:
        match = _NAME.match(stored.name)
        if match is not None and is_settled(stored, PATIENCE_SECONDS):
            by_team[TeamId(match["team"])][match["connection"]] = stored
    orphans: list[Stored] = []
    for team, found in by_team.items():
        with pool.transaction(team) as tx:
            known = store.existing(tx, team, list(found))
        orphans += [stored for id, stored in found.items() if id not in known]
    return orphans
