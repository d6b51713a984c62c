"""Transactions carry the tenant; connections are not shared; errors have our nouns."""

import ast
import threading
from pathlib import Path
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from shared.platform import settings as module
from shared.platform.background import jobs
from shared.platform.errors import BridgeError, SlugTaken, Unavailable
from shared.platform.ids import new_id
from shared.platform.postgres import pool
from shared.platform.postgres.session import Session
from tests.shared.losing import wire

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


def test_a_transaction_sees_only_the_rows_of_its_teams(two_teams: dict[str, Any]) -> None:
    """A statement without any team predicate still finds nothing of a stranger's: the policy holds it back."""
    ours, theirs = two_teams["ours"], two_teams["theirs"]
    with pool.transaction(ours["team"]) as tx:
        jobs.open_job(tx, id=(job := new_id()), team=ours["team"], kind="scan", user=ours["user"])
    with pool.transaction(theirs["team"]) as tx:
        assert tx.all("SELECT id FROM jobs WHERE id = :id", id=job) == []
    with pool.transaction() as tx:
        assert tx.all("SELECT id FROM jobs WHERE id = :id", id=job) == []
    with pool.transaction([theirs["team"], ours["team"]]) as tx:
        assert [row["id"] for row in tx.all("SELECT id FROM jobs WHERE id = :id", id=job)] == [job]


def test_a_row_cannot_be_written_into_a_strangers_team(two_teams: dict[str, Any]) -> None:
    """The policy also checks what is written."""
    with (
        pytest.raises(RuntimeError, match="row-level security"),
        pool.transaction(two_teams["ours"]["team"]) as tx,
    ):
        jobs.open_job(tx, id=new_id(), team=two_teams["theirs"]["team"], kind="scan", user=None)


def test_one_connection_serving_two_teams_in_turn_never_mixes_them(
    two_teams: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pool of one, the visibility ends with its transaction, also when that was rolled back."""
    from shared.platform.settings import settings

    monkeypatch.setenv("BRIDGE_POOL_SIZE", "1")
    settings.cache_clear()
    pool._pool.cache_clear()
    made = {}
    for name, who in two_teams.items():
        with pool.transaction(who["team"]) as tx:
            jobs.open_job(tx, id=(job := new_id()), team=who["team"], kind="k", user=None)
        made[name] = job
    for _ in range(3):
        for name, who in two_teams.items():
            with pool.transaction(who["team"]) as tx:
                found = {row["id"] for row in tx.all("SELECT id FROM jobs")}
                assert made[name] in found
                assert not found & (set(made.values()) - {made[name]})
            with pytest.raises(ZeroDivisionError), pool.transaction(who["team"]):
                raise ZeroDivisionError
            with pool.transaction() as tx:
                assert tx.all("SELECT id FROM jobs") == []


def test_an_error_inside_the_block_rolls_everything_back(two_teams: dict[str, Any]) -> None:
    """Nothing of a failed block is kept, and the connection is usable again."""
    team = two_teams["ours"]["team"]
    job = new_id()
    with pytest.raises(KeyError), pool.transaction(team) as tx:
        jobs.open_job(tx, id=job, team=team, kind="k", user=None)
        raise KeyError
    with pool.transaction(team) as tx:
        assert tx.all("SELECT id FROM jobs WHERE id = :id", id=job) == []


def test_a_broken_connection_is_dropped_and_the_next_transaction_works(directory: dict[str, str]) -> None:
    """A connection that the server ended is not handed out again."""
    with pytest.raises(Unavailable), pool.transaction() as tx:
        tx.all("SELECT pg_terminate_backend(pg_backend_pid())")
    with pool.transaction() as tx:
        assert tx.one("SELECT 1 AS one")["one"] == 1


def test_a_connection_that_broke_while_it_was_idle_is_replaced_unnoticed(directory: dict[str, str]) -> None:
    """After a restart of Postgres the first request works: nothing was done on the connection that broke."""
    with pool.transaction() as killer, pool.transaction() as victim:
        pid = victim.one("SELECT pg_backend_pid() AS pid")["pid"]
        mine = killer.one("SELECT pg_backend_pid() AS pid")["pid"]
    with pool.transaction() as tx:
        assert tx.one("SELECT pg_backend_pid() AS pid")["pid"] == mine, "the pool is last in, first out"
        tx.all("SELECT pg_terminate_backend(:pid)", pid=pid)
        with pool.transaction() as replaced:
            assert replaced.one("SELECT pg_backend_pid() AS pid")["pid"] not in (pid, mine)


def test_a_process_that_freezes_in_a_transaction_does_not_keep_its_locks(
    two_teams: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends its session, others go on, and should it wake up it is told that nothing of it was kept."""
    monkeypatch.setattr(pool, "IDLE_TIMEOUT_MS", 100)
    team = two_teams["ours"]["team"]
    with pool.transaction(team) as tx:
        jobs.open_job(tx, id=(job := new_id()), team=team, kind="k", user=None)
    with pytest.raises(Unavailable), pool.transaction(team) as frozen:
        jobs.start(frozen, id=job, team=team)
        with pool.transaction(team) as tx:
            assert jobs.finish(tx, id=job, team=team)
        jobs.expect(frozen, id=job, team=team, total=5)
    with pool.transaction(team) as tx:
        assert jobs.get(tx, job).state == "completed"


def test_a_request_does_not_wait_for_ever_for_a_connection(
    directory: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all of them busy it is told to come back, and the next one finds them free again."""
    from shared.platform.settings import settings

    monkeypatch.setenv("BRIDGE_POOL_SIZE", "1")
    monkeypatch.setattr(pool, "BUSY_SECONDS", 0.01)
    settings.cache_clear()
    pool._pool.cache_clear()
    with pool.transaction():
        with pytest.raises(Unavailable, match="busy") as caught, pool.transaction():
            pass
        assert caught.value.retry_after == 1
    with pool.transaction() as tx:
        assert tx.one("SELECT 1 AS one")["one"] == 1


def twice(email: str) -> None:
    """Insert two people with one address."""
    with pool.transaction() as tx:
        for _ in range(2):
            tx.run("INSERT INTO users (id, email) VALUES (:id, :email)", id=new_id(), email=email)


def test_a_duplicate_key_names_its_constraint(two_teams: dict[str, Any]) -> None:
    """So the code that knows the constraint can say what it means."""
    with pytest.raises(pool.UniqueViolation) as caught:
        twice("twice@example.com")
    assert caught.value.constraint == "users_email_key"


def test_a_duplicate_key_means_what_its_constraint_stands_for(two_teams: dict[str, Any]) -> None:
    """The one that is named becomes its error; another one, in the same block, does not."""
    with pytest.raises(SlugTaken), pool.meaning(users_email_key=SlugTaken()):
        twice("thrice@example.com")
    with pytest.raises(pool.UniqueViolation), pool.meaning(users_pkey=SlugTaken()):
        twice("thrice@example.com")


def test_a_duplicate_key_that_nobody_expected_is_no_answer_to_a_caller() -> None:
    """It is a fault of ours: what is not a BridgeError is answered as INTERNAL, and logged."""
    assert not issubclass(pool.UniqueViolation, BridgeError)


def test_a_commit_whose_answer_is_lost_is_told_and_repeated_with_its_ids(
    directory: dict[str, str], two_teams: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is there, though its writer was told that nobody knows; a repetition with its id meets it."""
    team, jobs_made = two_teams["ours"]["team"], [new_id(), new_id()]

    def open_job(id: str) -> bool:
        with pool.transaction(team) as tx:
            return jobs.open_job(tx, id=id, team=team, kind="k", user=None)

    with wire(directory["DATABASE_URL"]) as (line, url):
        monkeypatch.setenv("DATABASE_URL", url)
        module.settings.cache_clear()
        pool._pool.cache_clear()
        line.lose(1)
        with pytest.raises(pool.OutcomeUnknown):
            open_job(jobs_made[0])
        assert open_job(jobs_made[0]) is False, "it was kept"
        line.lose(1)
        assert pool.surely(lambda: open_job(jobs_made[1])) is False, "the first try made it"
        assert line.lost == 1
        line.lose(1, 2)
        with pytest.raises(pool.OutcomeUnknown):
            pool.surely(lambda: open_job(jobs_made[1]))
        line.lose()
        with pool.transaction(team) as tx:
            rows = tx.all("SELECT id FROM jobs WHERE team_id = :team ORDER BY id", team=team)
    assert [row["id"] for row in rows] == sorted(jobs_made)


@pytest.mark.parametrize(
    ("error", "in_doubt"),
    [
        (DatabaseError({"C": "40001", "M": "could not serialize access"}), False),
        (DatabaseError({"C": "40P01", "M": "deadlock detected"}), False),
        (DatabaseError({"C": "57014", "M": "canceling statement"}), False),
        (DatabaseError({"C": "57P01", "M": "terminating connection"}), True),
        (DatabaseError({"C": "08006", "M": "connection failure"}), True),
        (InterfaceError("network error"), True),
        (TimeoutError("timed out"), True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_only_the_servers_own_refusal_says_that_nothing_was_kept(error: Exception, in_doubt: bool) -> None:
    """Both may be tried again; only one of them may have happened."""
    found = pool._unkept(error, Session(None))
    assert isinstance(found, Unavailable)
    assert isinstance(found, pool.OutcomeUnknown) is in_doubt


def test_every_constraint_that_has_a_meaning_exists(owner: Any) -> None:
    """A constraint that was renamed would lose its meaning without a sign."""
    known = {name for (name,) in owner.run("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")}
    named: dict[str, str] = {}
    for path in sorted((ROOT / "shared").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pool.meaning", "meaning"):
                named |= {str(word.arg): path.name for word in node.keywords}
    assert {"turns_one_running", "connections_team_id_name_key"} <= set(named)
    assert set(named) - known == set()


def test_many_threads_get_their_own_answers(directory: dict[str, str]) -> None:
    """Eight threads over a pool of four read back what they asked for."""
    wrong: list[object] = []

    def ask(number: int) -> None:
        for turn in range(50):
            with pool.transaction() as tx:
                if tx.one("SELECT :n::int AS n", n=number * 1000 + turn)["n"] != number * 1000 + turn:
                    wrong.append((number, turn))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_application_role_can_neither_own_nor_bypass(owner: Any) -> None:
    """Every tenant table forces its policies, and the application role has no way around them."""
    rows = owner.run("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'bridge_app'")
    assert rows == [[False, False]]
    unforced = owner.run(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'team_id' "
        "WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
    )
    assert unforced == []
