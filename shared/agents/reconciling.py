"""Remove what conversations left in the lake and nobody will read: a purge that was lost, a turn's own piece.

    {session}/…                        the session is gone ─► removed, as chat/purge_session would have
    {session}/turns/{turn}-{n}.jsonl   the turn is over: its lines are in the log ─► removed

A day is given to whoever may still be at work. Many orphans at once are not the traces of crashes but of a
directory that is not the bucket's: then nothing is removed, and an alarm is logged.
"""

from __future__ import annotations

import re
from collections import Counter

from shared.agents import store
from shared.platform.background import ledger
from shared.platform.ops.sweep import Stretch, is_settled, remove, sweep
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

BUCKET = "sessions"
PATIENCE_SECONDS = 86_400.0
MOST_SESSIONS = 50
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = re.compile(rf"(?P<session>{_ID})/(?:messages-[0-9]{{4,}}|turns/(?P<turn>{_ID})-[0-9]+)\.jsonl\Z")


def reconcile() -> Counter[str]:
    """Visit the next stretch of conversations; answers what was found."""
    with ledger.apart():
        return sweep("sessions", BUCKET, _visit)


def _visit(stretch: Stretch) -> Counter[str]:
    found = [
        (stored, match["session"], match["turn"])
        for stored in stretch.objects
        if (match := _NAME.match(stored.name)) and is_settled(stored, PATIENCE_SECONDS)
    ]
    sessions = {session for _, session, _ in found}
    turns = {turn for _, _, turn in found if turn}
    with pool.transaction() as tx:
        gone = sessions - store.known_sessions(tx, sorted(sessions))
        over = turns - store.running_turns(tx, sorted(turns))
    if len(gone) > MOST_SESSIONS:
        telemetry.log(
            "too many conversations without a session: none is removed", "ERROR", sessions=len(gone)
        )
        return Counter(orphans=len(gone))
    removed = sum(
        remove(BUCKET, stored) for stored, session, turn in found if session in gone or turn in over
    )
    return Counter(orphans=len(gone), changed=removed)
