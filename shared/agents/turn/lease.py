"""A process's hold on a turn: the lease it keeps, the fence it names, and when it must let go."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from shared.agents import store
from shared.agents.declared import AccessEnded
from shared.agents.store import LostTurn
from shared.platform import clock, threads
from shared.platform.errors import DeadlineExceeded, Unavailable
from shared.platform.ids import TeamId, new_id
from shared.platform.limits import budgets
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry

LEASE_SECONDS = 15.0
BEAT_SECONDS = 1.0
OVERDUE_SECONDS = 60.0
"""How long after its deadline a turn may still be writing its end."""
PROMISE_SECONDS = 180.0
"""How long what a turn holds of the team's limits outlives its last beat: longer than a takeover takes."""


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
    _stopped: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise LostTurn, TurnCancelled, AccessEnded or DeadlineExceeded when the turn must not go on here."""
        if self.lost.is_set():
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
        self._beat()

    def keep(self) -> None:
        """Keep the lease in a thread of its own until `stop`."""
        threads.start("lease", self._keep)

    def stop(self) -> None:
        """Keep it no longer."""
        self._stopped.set()

    def release(self) -> None:
        """Give the turn back at once, for another process to continue."""
        self.stop()
        with pool.transaction(self.team) as tx:
            store.release_turn(tx, self.team, self.turn_id, self.owner)

    def _keep(self) -> None:
        sure_until = clock.monotonic() + LEASE_SECONDS
        while not clock.wait(self._stopped, BEAT_SECONDS):
            began = clock.monotonic()
            if began > self.deadline + OVERDUE_SECONDS:
                # Whatever this process hangs in, another one must be able to end the turn.
                self.lost.set()
                return
            try:
                self._beat()
                sure_until = began + LEASE_SECONDS
            except LostTurn:
                self.lost.set()
                return
            except Unavailable:
                # Without the directory nobody can take over either, until the lease has ended.
                if clock.monotonic() > sure_until:
                    telemetry.log("the lease of a turn could not be kept", "ERROR")
                    self.lost.set()
                    return

    def _beat(self) -> None:
        with pool.transaction(self.team) as tx:
            told = store.beat(tx, self.team, self.turn_id, self.owner, LEASE_SECONDS)
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
