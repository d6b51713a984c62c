"""Is the directory reachable, and does it have the schema that this code needs?"""

from shared.platform.postgres import pool, sql

Q = sql.load(__file__)

VERSION = "0.1.0"


def directory() -> str:
    """The newest migration's id; raises Unavailable when Postgres can't be reached."""
    with pool.transaction() as tx:
        return str(tx.one(Q.newest_migration)["id"])
