"""Prepared statements: faster, and never a stranger's rows, an old plan or a full server."""

from typing import Any

import pytest

from shared.platform.background import jobs
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from shared.platform.postgres import session as pg_session
from shared.platform.settings import settings

pytestmark = pytest.mark.slow

JOBS_OF_KIND = "SELECT id, team_id FROM jobs WHERE kind = :kind"


@pytest.fixture
def one_connection(directory: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transaction gets the same connection."""
    monkeypatch.setenv("BRIDGE_POOL_SIZE", "1")
    settings.cache_clear()
    pool._pool.cache_clear()


def prepared(tx: pool.Tx) -> int:
    """How many statements this connection has prepared, as the server counts them."""
    return int(tx.one("SELECT count(*) AS n FROM pg_prepared_statements")["n"])


def test_a_prepared_statement_sees_the_team_of_its_transaction(
    two_teams: dict[str, Any], one_connection: None
) -> None:
    """Also after so many runs that the server plans it once for all: the policy is asked at each run."""
    kind = f"k-{new_id()}"
    for who in two_teams.values():
        with pool.transaction(who["team"]) as tx:
            jobs.open_job(tx, id=new_id(), team=who["team"], kind=kind, user=None)
    for _ in range(10):
        for who in two_teams.values():
            with pool.transaction(who["team"]) as tx:
                assert [row["team_id"] for row in tx.all(JOBS_OF_KIND, kind=kind)] == [who["team"]]
        with pool.transaction() as tx:
            assert tx.all(JOBS_OF_KIND, kind=kind) == []


def test_a_statement_is_prepared_once_for_a_connection(one_connection: None) -> None:
    """Later runs bind other values to the same statement."""
    with pool.transaction() as tx:
        before = prepared(tx)
        assert [tx.one("SELECT :n::int AS n", n=n)["n"] for n in range(20)] == list(range(20))
        assert prepared(tx) == before + 1


def test_statements_beyond_the_bound_run_unprepared(
    one_connection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQL that is made up at run time can't fill the server's memory, and its answers are the same."""
    monkeypatch.setattr(pg_session, "MOST", 3)
    with pool.transaction() as tx:
        for n in range(12):
            assert tx.one(f"SELECT :value::int + {n} AS sum", value=1)["sum"] == 1 + n
        assert prepared(tx) == 3


def test_a_schema_change_costs_one_repetition(one_connection: None, owner: Any) -> None:
    """The first use after it is refused as retryable; the next one has the new columns."""
    owner.run("CREATE TABLE changing (id int); GRANT SELECT ON changing TO bridge_app")
    everything = "SELECT * FROM changing WHERE id = :id OR :id = 0"
    try:
        with pool.transaction() as tx:
            tx.all(everything, id=0)
        owner.run("ALTER TABLE changing ADD COLUMN added text; INSERT INTO changing VALUES (1, 'new')")
        with pytest.raises(Unavailable), pool.transaction() as tx:
            tx.all(everything, id=0)
        with pool.transaction() as tx:
            assert tx.all(everything, id=0) == [{"id": 1, "added": "new"}]
    finally:
        owner.run("DROP TABLE changing")


@pytest.mark.parametrize("forged", ["x', true); DROP TABLE jobs; --", "a'b", "a b", "a\\b", "é"])
def test_only_ids_can_name_what_a_transaction_sees(one_connection: None, forged: str) -> None:
    """The team and the user stand in the statement's text, so nothing else is let in."""
    with pytest.raises(ValueError, match="not made of ids"), pool.transaction(forged):
        pass
    with pytest.raises(ValueError, match="not made of ids"), pool.transaction(user=forged):
        pass
    with pool.transaction() as tx:
        assert tx.one("SELECT 1 AS one")["one"] == 1


def test_the_number_of_touched_rows_is_the_statements_own(two_teams: dict[str, Any]) -> None:
    """Prepared or not, `run` answers what this statement touched."""
    team = two_teams["ours"]["team"]
    with pool.transaction(team) as tx:
        ids = [new_id() for _ in range(3)]
        for id in ids:
            jobs.open_job(tx, id=id, team=team, kind="counted", user=None)
        touched = [tx.run("DELETE FROM jobs WHERE id = ANY(:ids::uuid[])", ids=ids[:2])]
        touched.append(tx.run("DELETE FROM jobs WHERE id = ANY(:ids::uuid[])", ids=ids))
        assert touched == [2, 1]
