"""How one kind of warehouse writes SQL: the seam between a vendor and all that reads or makes SQL.

    text     name ── strings, quoted names, comments ── parameters ── the clock's words ── quoting
    types    the vendor's names ◄──► Kind
    trees    day, start of a step, part of a date, counting, median … as expressions of the parser

Bridge's sessions run in UTC. Who makes SQL asks the dialect for each piece that vendors write differently, and never names a vendor. A
piece that all write alike is left to the parser's writer.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from shared.warehouses.types import Field, Kind, Parameter

Grain = Literal["hour", "day", "week", "month", "quarter", "year"]
Part = Literal["hour", "month"]


@dataclass(frozen=True)
class Bound:
    """A statement as the vendor's driver takes it, with the parameters in the order of their places."""

    sql: str
    parameters: tuple[Parameter, ...]


class Dialect(ABC):
    """One kind of SQL. Instances have no state and are shared."""

    name: ClassVar[str]
    """As connections, tools and documents call it."""
    quiet: ClassVar[re.Pattern[str]]
    """Strings, quoted names and comments, in which nothing is SQL: each alternative consumes one whole."""
    comment_starts: ClassVar[tuple[str, ...]]
    """What comments among them begin with."""
    nested_comments: ClassVar[bool] = False
    """Whether /* … */ may stand inside another."""
    reserved: ClassVar[frozenset[str]]
    """Words in capitals that can't be a name without quotes: their case carries no meaning."""
    clock_words: ClassVar[frozenset[str]]
    """Words in capitals that ask what time it is."""
    usd_per_tebibyte: ClassVar[float | None] = None
    """List price of a scanned tebibyte (2^40 bytes), where the vendor bills by bytes."""

    def __repr__(self) -> str:
        return f"Dialect({self.name!r})"

    # Text ---------------------------------------------------------------------------------------------

    @abstractmethod
    def engine(self) -> str:
        """The parser's name of the dialect, once its module is there from its first line to its last.

        sqlglot registers a dialect's class before it has set it up, and a second thread that asks for it by
        name meanwhile gets it half made: it reads r'…' as a column and a text. An import waits for whoever
        is importing the module.
        """

    @abstractmethod
    def quoted(self, *names: str) -> str:
        """A path of names, each in quotes; raises ValueError for what can't be a name."""

    @abstractmethod
    def text(self, value: str) -> str:
        """A text as a literal."""

    @abstractmethod
    def clock(self, word: str, argument: str | None, *, called: bool) -> str | None:
        """What stands for a word of the clock: @today, @now (an instant) and @now_local (date and time in the
        zone of the document) as the moment. None where the word, so written, does not ask for the time.

        `argument` is the text between its brackets, `called` whether it has brackets.
        """

    def bound(self, sql: str, parameters: Sequence[Parameter]) -> Bound:
        """The statement in the form of the vendor's driver. Here: parameters by their names, as documents do."""
        return Bound(sql, tuple(parameters))

    # Types --------------------------------------------------------------------------------------------

    @abstractmethod
    def kind(self, type_name: str) -> Kind:
        """What a type of this name holds."""

    @abstractmethod
    def type_name(self, kind: Kind, *, array: bool = False) -> str:
        """The vendor's name for a kind that a parameter can have."""

    def field(self, name: str, type_name: str) -> Field:
        """A column of a result from the vendor's name of its type."""
        return Field(name, type_name, self.kind(type_name))

    # Trees --------------------------------------------------------------------------------------------

    def read(self, sql: str) -> Any:
        """The tree of a statement or an expression of our own making; authors' texts go through the guard."""
        from sqlglot import parse_one

        return self.adopted(parse_one(sql, dialect=self.engine()))

    def adopted(self, tree: Any) -> Any:
        """A tree that the parser made of a document's text, so that `write` puts it as documents do."""
        return tree

    def write(self, tree: Any, *, pretty: bool = False) -> str:
        """The text of a tree."""
        return str(tree.sql(dialect=self.engine(), pretty=pretty))

    @abstractmethod
    def identifier(self, name: str) -> Any:
        """A column's name, in quotes where it needs them."""

    def inside(self, value: Any, name: str, *, quoted: bool = False) -> Any:
        """A field of a record."""
        from sqlglot import exp

        field = exp.to_identifier(name, quoted=True) if quoted else self.identifier(name)
        return exp.Dot(this=value, expression=field)

    def column(self, path: str, table: str | None = None, *, quoted: bool = False) -> Any:
        """A column by its path (`a`, `a.b` for a field of a record); all its names in quotes, or those that need them."""
        from sqlglot import exp

        first, *rest = path.split(".")
        name = exp.to_identifier(first, quoted=True) if quoted else self.identifier(first)
        value: Any = exp.column(name, table=table)
        for part in rest:
            value = self.inside(value, part, quoted=quoted)
        return value

    @abstractmethod
    def parameter(self, name: str) -> Any:
        """A parameter as documents write it in this dialect."""

    @abstractmethod
    def bounds(self, kind: Kind, start: str, end: str) -> tuple[Any, Any]:
        """The ends of a range for a column of this kind, from two DATE parameters that may be NULL (open).

        For a date the second end belongs to the range; for a datetime or timestamp it is the first moment
        after it. An open end becomes a bound that is never reached.
        """

    @abstractmethod
    def day_of(self, moment: Any) -> Any:
        """The day (DATE) of a datetime, or of a timestamp in UTC."""

    @abstractmethod
    def start_of(self, grain: Grain, day: Any) -> Any:
        """The first day of the week (Monday), month, quarter or year of a DATE, as a DATE."""

    @abstractmethod
    def hour_of(self, moment: Any) -> Any:
        """The start of the hour of a datetime or timestamp."""

    @abstractmethod
    def day_in(self, step: Any) -> Any:
        """The DATE from which a step of time was made: what `start_of` or `hour_of` cut, else the tree itself."""

    @abstractmethod
    def part(self, part: Part, value: Any) -> Any:
        """A number out of a moment or DATE: the hour (0 to 23) or the month (1 to 12)."""

    @abstractmethod
    def weekday(self, day: Any) -> Any:
        """The weekday of a DATE as a number from 1 (Sunday) to 7 (Saturday)."""

    @abstractmethod
    def count_where(self, condition: Any) -> Any:
        """How many rows the condition is true for; 0 for none."""

    @abstractmethod
    def count_distinct_roughly(self, value: Any) -> Any:
        """How many different values there are, exact or within a few percent, as the vendor does it cheaply."""

    @abstractmethod
    def median(self, value: Any) -> Any:
        """The middle value, exact or nearly so."""
