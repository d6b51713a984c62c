"""The append-only record of changes to membership, connections, credentials, policies and links."""

import hashlib
from typing import Any

from shared.platform import pg, sql, strict_json, telemetry
from shared.platform.ids import new_id

Q = sql.load(__file__)


def write(
    tx: pg.Tx, *, team: str, actor: str, action: str, target: str, before: Any = None, after: Any = None
) -> None:
    """Add one line in the transaction of the change. Values are kept as hashes only."""
    tx.run(
        Q.write_audit,
        id=new_id(),
        team=team,
        actor=actor,
        action=action,
        target=target,
        before=_sha(before),
        after=_sha(after),
        correlation_id=telemetry.context().correlation_id,
    )


def _sha(value: Any) -> str | None:
    return None if value is None else hashlib.sha256(strict_json.canonical(value)).hexdigest()
