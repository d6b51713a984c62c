"""What is spent is taken once, never more than there is, and given back when its holder dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.patience import until
from shared.platform.background import jobs, ledger
from shared.platform.background.messages import Part
from shared.platform.errors import BudgetExceeded, QuotaExceeded
from shared.platform.ids import new_id
from shared.platform.limits import budgets
from shared.platform.postgres import pool as pg

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def limited(directory: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set limits of the environment."""
    from shared.platform import settings as module

    def set_limits(**limits: int) -> None:
        monkeypatch.setenv("BRIDGE_LIMITS", str(limits).replace("'", '"'))
        module.settings.cache_clear()

    return set_limits


@pytest.fixture
def team(two_teams: dict[str, Any]) -> str:
    return str(two_teams["ours"]["team"])


def counters(owner: Any, team: str) -> dict[tuple[str, str], tuple[int, int]]:
    """(name, window) to (used, reserved), for what is not zero."""
    rows = owner.run("SELECT name, window_key, used, reserved FROM spend_counters WHERE team_id = :t", t=team)
    return {(name, window): (used, reserved) for name, window, used, reserved in rows if used or reserved}


def of(owner: Any, team: str, name: str) -> tuple[int, int]:
    """Used and reserved of the one counter of that name."""
    return next((value for (known, _), value in counters(owner, team).items() if known == name), (0, 0))


def end_lease(owner: Any, team: str, key: str) -> None:
    owner.run(
        "UPDATE reservations SET lease_until = now() - interval '1 second' WHERE team_id = :t AND key = :k",
        t=team,
        k=key,
    )


def test_a_reservation_is_held_then_settled_with_what_it_cost(team: str, owner: Any) -> None:
    """Every window of the resource holds the amount, and has used the real cost afterwards."""
    scopes = {"turn": "turn-1", "session": "session-1"}
    budgets.reserve(team, "warehouse_bytes", 1_000, key="a", scopes=scopes)
    held = {name: value for (name, _), value in counters(owner, team).items()}
    names = ("warehouse_bytes", "warehouse_bytes_month", "warehouse_bytes_session", "warehouse_bytes_turn")
    assert held == dict.fromkeys(names, (0, 1_000))
    assert budgets.settle(team, "warehouse_bytes", "a", 1_200)
    assert {name: value for (name, _), value in counters(owner, team).items()} == dict.fromkeys(
        names, (1_200, 0)
    )


def test_what_would_overspend_is_refused_and_takes_nothing(
    team: str, owner: Any, limited: Callable[..., None]
) -> None:
    """The error names the limit, the use, the limit's value and when it begins anew; no other window keeps a part."""
    limited(warehouse_bytes=1_000, warehouse_bytes_month=10_000)
    budgets.reserve(team, "warehouse_bytes", 700, key="first")
    before = counters(owner, team)
    with pytest.raises(QuotaExceeded) as caught:
        budgets.reserve(team, "warehouse_bytes", 301, key="second")
    details = caught.value.details or {}
    assert (details["name"], details["usage"], details["limit"]) == ("warehouse_bytes", 700, 1_000)
    assert details["resets_at"].endswith("T00:00:00.000Z")
    assert counters(owner, team) == before
    budgets.reserve(team, "warehouse_bytes", 300, key="third")


@pytest.mark.parametrize(
    ("name", "scopes"),
    [
        ("model_cost_turn", {"turn": "t", "session": "s"}),
        ("model_cost_session", {"turn": "t", "session": "s"}),
        ("model_cost_month", {}),
    ],
)
def test_a_budget_that_is_used_up_is_a_budget_error(
    team: str, limited: Callable[..., None], name: str, scopes: dict[str, str]
) -> None:
    """Turn, conversation and month are budgets: 403 BUDGET_EXCEEDED with the same details."""
    limited(**{name: 10})
    with pytest.raises(BudgetExceeded) as caught:
        budgets.reserve(team, "model_cost", 11, key="a", scopes=scopes)
    assert (caught.value.code, caught.value.status) == ("BUDGET_EXCEEDED", 403)
    assert (caught.value.details or {})["name"] == name


def test_a_repeated_reserve_finds_the_first(team: str, owner: Any) -> None:
    """The same key takes once, whether the first is still held or already settled."""
    budgets.reserve(team, "exports", 1, key="a")
    again = budgets.reserve(team, "exports", 1, key="a")
    assert (again.found, again.state) == (True, "held")
    assert of(owner, team, "exports") == (0, 1)
    budgets.settle(team, "exports", "a", 1)
    assert budgets.reserve(team, "exports", 1, key="a").state == "settled"
    assert of(owner, team, "exports") == (1, 0)


def test_ending_twice_changes_nothing(team: str, owner: Any) -> None:
    """A settle after a settle, or a refund after it, finds nothing to end."""
    budgets.reserve(team, "warehouse_bytes", 500, key="a")
    assert budgets.settle(team, "warehouse_bytes", "a", 400)
    assert not budgets.settle(team, "warehouse_bytes", "a", 400)
    assert not budgets.refund(team, "warehouse_bytes", "a")
    assert of(owner, team, "warehouse_bytes") == (400, 0)


def test_a_refunded_attempt_takes_anew_under_its_key(team: str, owner: Any) -> None:
    """The queue repeats a step whose work did not begin: its second attempt pays."""
    budgets.reserve(team, "warehouse_bytes", 500, key="a")
    assert budgets.refund(team, "warehouse_bytes", "a")
    assert of(owner, team, "warehouse_bytes") == (0, 0)
    assert not budgets.reserve(team, "warehouse_bytes", 600, key="a").found
    assert of(owner, team, "warehouse_bytes") == (0, 600)


def test_a_settle_beyond_the_reservation_stops_the_next_reserve(
    team: str, owner: Any, limited: Callable[..., None]
) -> None:
    """What was really spent counts even above the limit; nothing further fits."""
    limited(warehouse_bytes=1_000)
    budgets.reserve(team, "warehouse_bytes", 900, key="a")
    budgets.settle(team, "warehouse_bytes", "a", 1_500)
    assert of(owner, team, "warehouse_bytes") == (1_500, 0)
    with pytest.raises(QuotaExceeded):
        budgets.reserve(team, "warehouse_bytes", 1, key="b")


def test_a_slot_is_free_again_when_its_holder_ends(team: str, limited: Callable[..., None]) -> None:
    """The concurrent quota counts what runs now; the daily one what has run."""
    limited(scans_concurrent=1, scans=2)
    budgets.reserve(team, "scans", 1, key="a")
    with pytest.raises(QuotaExceeded) as caught:
        budgets.reserve(team, "scans", 1, key="b")
    assert (caught.value.details or {})["name"] == "scans_concurrent"
    budgets.settle(team, "scans", "a", 1)
    budgets.reserve(team, "scans", 1, key="b")
    budgets.settle(team, "scans", "b", 1)
    with pytest.raises(QuotaExceeded) as caught:
        budgets.reserve(team, "scans", 1, key="c")
    assert (caught.value.details or {})["name"] == "scans"


def test_a_dead_holder_frees_its_amount_after_its_lease(
    team: str, owner: Any, limited: Callable[..., None]
) -> None:
    """An abandoned reservation ends by its lease; a late settle still counts what was spent, once."""
    limited(warehouse_bytes=1_000)
    budgets.reserve(team, "warehouse_bytes", 1_000, key="dead")
    with pytest.raises(QuotaExceeded):
        budgets.reserve(team, "warehouse_bytes", 800, key="next")
    end_lease(owner, team, "dead")
    budgets.reserve(team, "warehouse_bytes", 800, key="next")
    assert of(owner, team, "warehouse_bytes") == (0, 800)
    assert budgets.settle(team, "warehouse_bytes", "dead", 1_000)
    assert of(owner, team, "warehouse_bytes") == (1_000, 800)


def lease_left(team: str, key: str) -> float:
    """Seconds until the lease of a reservation ends."""
    asked = "SELECT bridge_lease_left(lease_until) AS left FROM reservations WHERE team_id = :t AND key = :k"
    with pg.transaction(team) as tx:
        return float(tx.one(asked, t=team, k=key)["left"])


def test_a_slow_holder_that_lives_keeps_its_amount(
    team: str, owner: Any, limited: Callable[..., None], pass_time: Any
) -> None:
    """However short the lease: it is begun anew while the block works, so nobody takes it for dead."""
    limited(warehouse_bytes=1_000)
    seconds = budgets.TERMS.seconds
    with budgets.held(team, "warehouse_bytes", 1_000, key="slow"):
        for _ in range(3):
            pass_time(seconds * 2 / 3)
            until(lambda: lease_left(team, "slow") > seconds / 2, "a heartbeat begins the lease anew")
        with pytest.raises(QuotaExceeded):
            budgets.reserve(team, "warehouse_bytes", 1, key="next")
    assert of(owner, team, "warehouse_bytes") == (1_000, 0)


def test_what_is_kept_is_what_its_key_names(team: str, owner: Any) -> None:
    """The key itself and what stands below it; another key that begins alike is not, and what ended stays ended."""
    for key in ("turn", "turn/1/1", "turn/2/1", "turn2"):
        budgets.reserve(team, "scans", 1, key=key, lease_seconds=60)
    budgets.settle(team, "scans", "turn/2/1", 1)
    with pg.transaction(team) as tx:
        budgets.keep(tx, team, "turn", below="turn/1/", lease_seconds=600)
    assert [lease_left(team, key) > 500 for key in ("turn", "turn/1/1", "turn/2/1", "turn2")] == [
        True,
        True,
        False,
        False,
    ]
    assert budgets.settle(team, "scans", "turn/2/1", 1) is False


def test_a_job_keeps_what_it_holds_while_its_steps_go_on(team: str, owner: Any) -> None:
    """A scan of hours has its slot to the end: each step that begins holds it anew."""
    job = new_id()
    with pg.transaction(team) as tx:
        jobs.open_job(tx, id=job, team=team, kind="catalog_scan", user=None)
        budgets.take(tx, team, "scans", 1, key=job, lease_seconds=60)
    assert ledger.claim("step", new_id(), 30, part=Part(team, job)) is not None
    assert lease_left(team, job) > 0.9 * budgets.JOB_SECONDS


def test_an_attempt_that_comes_back_keeps_its_reservation(team: str, owner: Any) -> None:
    """The same key after the lease, before anybody freed it, is held again and not taken twice."""
    budgets.reserve(team, "warehouse_bytes", 1_000, key="slow")
    end_lease(owner, team, "slow")
    assert budgets.reserve(team, "warehouse_bytes", 1_000, key="slow").found
    assert budgets.end_leases(team) == 0
    assert of(owner, team, "warehouse_bytes") == (0, 1_000)


def test_a_killed_process_frees_what_it_held(
    team: str, owner: Any, directory: dict[str, str], limited: Callable[..., None]
) -> None:
    """SIGKILL between reserve and settle: after the lease the amount is there again."""
    limited(warehouse_bytes=1_000)
    script = (
        "import sys, time\n"
        "from shared.platform.limits import budgets\n"
        f"with budgets.held({team!r}, 'warehouse_bytes', 1000, key='killed'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **directory},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with pytest.raises(QuotaExceeded):
        budgets.reserve(team, "warehouse_bytes", 1, key="next")
    end_lease(owner, team, "killed")
    budgets.reserve(team, "warehouse_bytes", 1_000, key="next")


def test_a_block_settles_what_it_said_and_refunds_what_failed(team: str, owner: Any) -> None:
    """`held` ends its reservation on every way out."""
    with budgets.held(team, "warehouse_bytes", 100, key="a") as spending:
        spending.settle(70)
    with pytest.raises(RuntimeError), budgets.held(team, "warehouse_bytes", 100, key="b"):
        raise RuntimeError
    with pytest.raises(RuntimeError), budgets.held(team, "warehouse_bytes", 100, key="c") as spending:
        spending.settle(30)
        raise RuntimeError
    assert of(owner, team, "warehouse_bytes") == (100, 0)


def test_what_had_begun_elsewhere_is_paid_for_though_it_failed(team: str, owner: Any) -> None:
    """A query that was cancelled may be billed; one that the warehouse refused is not, nor one that never began."""

    def billed(error: BaseException) -> bool:
        return isinstance(error, TimeoutError)

    for key, error in (("cancelled", TimeoutError()), ("refused", ValueError())):
        with pytest.raises(type(error)):
            with budgets.held(team, "warehouse_bytes", 100, key=key, billed=billed) as spending:
                spending.begin()
                raise error
    with pytest.raises(TimeoutError), budgets.held(team, "warehouse_bytes", 100, key="early", billed=billed):
        raise TimeoutError
    assert of(owner, team, "warehouse_bytes") == (100, 0)


def test_what_the_ledger_can_not_be_told_now_is_told_later(
    team: str, owner: Any, limited: Callable[..., None]
) -> None:
    """The result of the work stands; the next reservation that ends on this instance ends this one, too."""
    with budgets.held(team, "warehouse_bytes", 1_000, key="unlucky") as spending:
        owner.run("REVOKE UPDATE ON reservations FROM bridge_app")
        spending.settle(700)
    owner.run("GRANT UPDATE ON reservations TO bridge_app")
    assert of(owner, team, "warehouse_bytes") == (0, 1_000)
    end_lease(owner, team, "unlucky")
    assert budgets.end_leases(team) == 1
    assert of(owner, team, "warehouse_bytes") == (0, 0)
    with budgets.held(team, "warehouse_bytes", 10, key="lucky") as spending:
        spending.settle(5)
    assert of(owner, team, "warehouse_bytes") == (705, 0)
    assert not budgets._owed


def test_one_teams_spending_is_not_the_others(
    two_teams: dict[str, Any], owner: Any, limited: Callable[..., None]
) -> None:
    """Two teams with the same keys have counters of their own, and neither sees or ends the other's."""
    limited(exports=1, exports_concurrent=1)
    ours, theirs = two_teams["ours"]["team"], two_teams["theirs"]["team"]
    budgets.reserve(ours, "exports", 1, key="a")
    budgets.reserve(theirs, "exports", 1, key="a")
    budgets.settle(theirs, "exports", "a", 1)
    assert of(owner, ours, "exports") == (0, 1)
    with pg.transaction(theirs) as tx:
        assert not tx.all("SELECT 1 AS one FROM reservations WHERE team_id = :team", team=ours)
        assert tx.run("UPDATE spend_counters SET used = 0 WHERE team_id = :team", team=ours) == 0


def test_many_at_once_never_take_more_than_there_is(
    team: str, owner: Any, directory: dict[str, str], limited: Callable[..., None]
) -> None:
    """Twelve takers of 100 on a limit of 1,000: exactly ten get it, whatever the order of their commits."""
    limited(warehouse_bytes=1_000)
    barrier = threading.Barrier(4)

    def work(number: int) -> list[bool]:
        barrier.wait()
        found = []
        for step in range(3):
            try:
                budgets.reserve(team, "warehouse_bytes", 100, key=f"{number}/{step}")
                found.append(True)
            except QuotaExceeded:
                found.append(False)
        return found

    with ThreadPoolExecutor(4) as pool:
        taken = sum(sum(results) for results in pool.map(work, range(4)))
    assert taken == 10
    assert of(owner, team, "warehouse_bytes") == (0, 1_000)


# Any interleaving --------------------------------------------------------------------------------

LIMIT = 100
Steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "refund", "die"]),
        st.integers(0, 5),
        st.integers(0, 60),
    ),
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(actors=st.lists(Steps, min_size=2, max_size=3))
def test_no_interleaving_of_actors_overspends(
    actors: list[Any], owner: Any, directory: dict[str, str], limited: Callable[..., None]
) -> None:
    """Reserve, settle within the reservation, refund and die, by several at once: never above the limit."""
    limited(warehouse_bytes=LIMIT)
    team = new_id()
    owner.run("INSERT INTO teams (id, name, slug) VALUES (:id, 'Any', :slug)", id=team, slug=f"any-{team}")
    worst: list[int] = []

    def act(steps: list[Any]) -> None:
        for action, number, amount in steps:
            key = f"key-{number}"
            if action == "reserve":
                try:
                    budgets.reserve(team, "warehouse_bytes", amount, key=key)
                except QuotaExceeded:
                    continue
            elif action == "settle":
                with pg.transaction(team) as tx:
                    row = tx.find(
                        "SELECT amount, state FROM reservations WHERE team_id = :team AND key = :key FOR UPDATE",
                        team=team,
                        key=key,
                    )
                    if row is not None and row["state"] == "held":
                        budgets.end(tx, team, "warehouse_bytes", key, min(amount, int(row["amount"])))
            elif action == "refund":
                budgets.refund(team, "warehouse_bytes", key)
            else:
                with pg.transaction(team) as tx:
                    tx.run(
                        "UPDATE reservations SET lease_until = now() - interval '1 second'"
                        " WHERE team_id = :team AND key = :key",
                        team=team,
                        key=key,
                    )
            with pg.transaction(team) as tx:
                rows = tx.all(
                    "SELECT used + reserved AS total FROM spend_counters WHERE team_id = :team AND name = 'warehouse_bytes'",
                    team=team,
                )
            worst.extend(int(row["total"]) for row in rows)

    with ThreadPoolExecutor(len(actors)) as pool:
        list(pool.map(act, actors))
    assert max(worst, default=0) <= LIMIT
    used, reserved = of(owner, team, "warehouse_bytes")
    rows = owner.run(
        "SELECT coalesce(sum(actual) FILTER (WHERE state = 'settled'), 0)::int8,"
        "       coalesce(sum(amount) FILTER (WHERE state = 'held'), 0)::int8"
        "  FROM reservations WHERE team_id = :t",
        t=team,
    )
    assert (used, reserved) == tuple(rows[0])
