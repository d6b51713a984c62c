"""A process's hold on a turn: the lease it keeps, the fence it names, and when it must let go."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from shared.agents import store
from shared.agents.declared import AccessEnded
from shared.agents.store import LostTurn
from shared.platform import clock
from shared.platform.errors import DeadlineExceeded, Unavailable
from shared.platform.ids import TeamId, new_id
from shared.platform.leases.contract import Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.limits import budgets
from shared.platform.postgres import pool

TERMS = Terms(seconds=15.0, heartbeat=1.0, at_most=600.0)
OVERDUE_SECONDS = 60.0
"""How long after its deadline a turn may still be writing its end."""
PROMISE_SECONDS = 180.0
"""How long what a turn holds of the team's limits outlives its last heartbeat: longer than a takeover takes."""


class TurnCancelled(Exception):
    """The user asked the turn to stop."""


@dataclass
class Hold:
    """One process's hold on one turn."""

    team: TeamId
    turn_id: str
    owner: str = field(default_factory=new_id)
    epoch: int = 1
    deadline: float = field(default_factory=lambda: clock.monotonic() + 540.0)
    cancelled: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    gone: str | None = None
    """What of the user's right to go on is gone: their membership, or the credential that they came with."""
    _heartbeat: Heartbeat | None = None

    def check(self) -> None:
        """Raise LostTurn, TurnCancelled, AccessEnded or DeadlineExceeded when the turn must not go on here."""
        if self.lost.is_set() or not self._is_sure():
            raise LostTurn
        if self.cancelled.is_set():
            raise TurnCancelled
        if self.gone is not None:
            raise AccessEnded(reason=self.gone)
        self.remaining()

    def remaining(self) -> float:
        """Seconds left; raises DeadlineExceeded when there are none."""
        left = self.deadline - clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded("The turn took longer than it may.")
        return left

    def mine(self) -> None:
        """Ask the directory, not the memory: raises LostTurn when another process has the turn."""
        if not self._renew():
            raise LostTurn

    def keep(self) -> None:
        """Keep the lease by a heartbeat until `stop`.

        Whatever this process hangs in, another one must be able to end the turn: soon after its deadline it lets go.
        """
        self._heartbeat = Heartbeat(
            self._renew, TERMS, "a turn", lost=self.lost, ends=lambda: self.deadline + OVERDUE_SECONDS
        )
        self._heartbeat.start()

    def stop(self) -> None:
        """Keep it no longer."""
        if self._heartbeat is not None:
            self._heartbeat.stop()

    def release(self) -> None:
        """Give the turn back at once, for another process to continue."""
        self.stop()
        with pool.transaction(self.team) as tx:
            store.release_turn(tx, self.team, self.turn_id, self.owner)

    def _is_sure(self) -> bool:
        """Whether this process has the turn; asks where its last renewal is too long ago to be sure."""
        if self._heartbeat is None or self._heartbeat.held:
            return True
        try:
            return self._heartbeat.assure()
        except Unavailable:
            # Another process may reach the directory, and the lease is over.
            return False

    def _renew(self) -> bool:
        with pool.transaction(self.team) as tx:
            try:
                told = store.beat(tx, self.team, self.turn_id, self.owner, TERMS.seconds)
            except LostTurn:
                return False
            budgets.keep(
                tx,
                self.team,
                self.turn_id,
                below=f"{self.turn_id}/{self.epoch}/",
                lease_seconds=PROMISE_SECONDS,
            )
        self.gone = told["gone"]
        if told["cancelled"]:
            self.cancelled.set()
        return True
