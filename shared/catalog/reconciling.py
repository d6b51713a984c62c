"""Compare the bucket of snapshots with the ledger, because a queue may forget an event for good.

A snapshot that no step has indexed is told again to catalog/index_snapshot. Older ones than the ledger
remembers are left alone: the next scan says more than they do.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

from shared.catalog import store
from shared.platform import clock
from shared.platform.background import ledger
from shared.platform.background.messages import Part
from shared.platform.cloud.objects import Stored
from shared.platform.ids import TeamId
from shared.platform.ops.sweep import Stretch, is_settled, sweep, tell_again
from shared.platform.postgres import pool

STEP = "catalog-index-snapshot"
OLDEST_DAYS = 30
"""Attempts are kept for 35 days (platform.ops.retention): before that, none means that it was not indexed."""
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = re.compile(rf"(?P<connection>{_ID})/(?P<dataset>[^/]+)/(?P<scan>{_ID})\.json\.gz\Z")


def reconcile() -> Counter[str]:
    """Visit the next stretch of snapshots; answers what was found."""
    with ledger.apart():
        return sweep("catalog", "catalog", _visit)


def _visit(stretch: Stretch) -> Counter[str]:
    oldest = clock.now() - timedelta(days=OLDEST_DAYS)
    found = [
        stored
        for stored in stretch.objects
        if _NAME.match(stored.name)
        and is_settled(stored)
        and stored.written_at
        and stored.written_at > oldest
    ]
    return tell_again(STEP, found, part_of=_part)


def _part(stored: Stored) -> Part | None:
    """The scan's job, while the connection is there."""
    match = _NAME.match(stored.name)
    if match is None:
        return None
    with pool.transaction() as tx:
        team: TeamId | None = store.team_of_scan(tx, id=match["scan"], connection=match["connection"])
    return Part(team, match["scan"], match["dataset"]) if team is not None else None
