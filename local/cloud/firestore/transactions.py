"""Transactions with shared read locks and wound-wait, as the service's pessimistic mode documents them.

    read in T          T holds a shared lock on the document
    T commits writes   younger readers of what T changes are wounded (their commit answers ABORTED);
                       T waits for older ones, for a bounded time, and then answers ABORTED itself
    plain write        waits for every reader

A retried transaction keeps the age of its first attempt (`retry_transaction`), so the oldest always wins and
nobody starves. A document whose readers were just wounded is `contended` for some seconds: transactions then
read it one after the other when it is their first read, which turns a crowd of retries into a queue. That wait
is bounded too and only saves attempts; what makes updates safe is the lock check at commit.

A wounded transaction goes on reading the moment before it was wounded, because the client library repeats a
transaction only when its commit is refused: it must neither fail in a read nor see a mixture of two states. For this
it keeps what each document was, of those that change while it is open: no other past is kept.
"""

import asyncio
import itertools
import os
import struct
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.cloud.firestore.paths import invalid
from local.cloud.serving.grpc_server import Code, Refused

MOST_ENDED = 10_000
CONTENDED_FOR = 5.0
QUEUE_WAIT = 3.0


@dataclass
class Transaction:
    """One open transaction. `age` is smaller for older ones."""

    id: bytes
    database: str
    age: int
    began: float
    used: float
    names: set[str] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    wounded: bool = False
    past: dict[str, Any | None] = field(default_factory=dict)
    """What documents were when it was wounded, of those that changed then or later."""

    def holds(self, names: Collection[str]) -> bool:
        """Whether this transaction has read one of these documents and still counts."""
        return not self.wounded and not self.names.isdisjoint(names)


class Transactions:
    """All open transactions of one server."""

    def __init__(self, idle: float = 60.0, longest: float = 270.0, lock_wait: float = 5.0) -> None:
        self.idle = idle
        self.longest = longest
        self.lock_wait = lock_wait
        self._open: dict[bytes, Transaction] = {}
        self._ages: OrderedDict[bytes, int] = OrderedDict()
        self._contended: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._epoch = os.urandom(4)

    def begin(self, database: str, options: Any) -> Transaction:
        """Open a transaction; a retried one keeps its place in line."""
        number = next(self._numbers)
        key = self._epoch + struct.pack(">Q", number)
        age = self._ages.get(bytes(options.read_write.retry_transaction), number)
        clock = time.monotonic()
        self._open[key] = Transaction(key, database, age, clock, clock)
        self._ages[key] = age
        while len(self._ages) > MOST_ENDED:
            self._ages.popitem(last=False)
        return self._open[key]

    def get(self, key: bytes, database: str) -> Transaction:
        """The open transaction, or the refusal that tells why there is none."""
        self.expire()
        found = self._open.get(key)
        if found is not None:
            if found.database != database:
                raise invalid("The transaction belongs to another database.")
            found.used = time.monotonic()
            return found
        if len(key) == 12 and key[:4] != self._epoch:
            raise Refused(Code.ABORTED, "The transaction was lost by a restart of the server. Please retry.")
        raise invalid("Transaction is invalid or closed." if key in self._ages else "Invalid transaction.")

    def end(self, transaction: Transaction) -> None:
        self._open.pop(transaction.id, None)
        transaction.over.set()

    def expire(self) -> None:
        """Close what has been open or idle for too long, so that it blocks nobody."""
        clock = time.monotonic()
        for one in list(self._open.values()):
            if clock - one.began > self.longest or clock - one.used > self.idle:
                self.end(one)

    async def read(self, transaction: Transaction, names: list[str]) -> None:
        """Take shared locks on documents; queue behind other readers of contended ones."""
        deadline = time.monotonic() + QUEUE_WAIT
        # Who holds a lock never queues, so two transactions can't wait for each other here.
        while not (transaction.wounded or transaction.names):
            ahead = self._ahead(transaction, names)
            left = deadline - time.monotonic()
            if ahead is None or left <= 0:
                break
            await _wait(ahead, left)
        transaction.names.update(names)

    def _ahead(self, transaction: Transaction, names: list[str]) -> Transaction | None:
        if not self._contended:
            return None
        clock = time.monotonic()
        contended = {name for name in names if self._contended.get(name, 0.0) > clock}
        if not contended:
            return None
        for other in self._open.values():
            if other is not transaction and not other.wounded and not contended.isdisjoint(other.names):
                return other
        return None

    async def settle(self, transaction: Transaction | None, names: Collection[str], deadline: float) -> bool:
        """Make way for a commit. True: nothing is in the way now. False: something ended, plan again."""
        self.expire()
        age = float("inf") if transaction is None else transaction.age
        holders = [one for one in self._open.values() if one is not transaction and one.holds(names)]
        older = [one for one in holders if one.age < age]
        if not older:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            raise Refused(Code.ABORTED, "Too much contention on these documents. Please try again.")
        await _wait(older[0], min(left, 1.0))
        return False

    def wound(self, transaction: Transaction | None, before: Mapping[str, Any | None]) -> None:
        """Refuse the commits of everyone else who has read what is about to change; `before` is what it was."""
        clock = time.monotonic()
        for other in self._open.values():
            if other is transaction:
                continue
            if other.holds(before):
                other.wounded = True
                for name in other.names.intersection(before):
                    self._contended[name] = clock + CONTENDED_FOR
                other.over.set()
            if other.wounded:
                for name, document in before.items():
                    other.past.setdefault(name, document)
        for name in [name for name, until in self._contended.items() if until < clock]:
            del self._contended[name]


async def _wait(other: Transaction, seconds: float) -> None:
    try:
        await asyncio.wait_for(other.over.wait(), seconds)
    except TimeoutError:
        return
