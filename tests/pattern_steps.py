"""A backtracking matcher that counts its steps: what `re` does, one step at a time.

It runs the same tree that `re` compiles, with the same order of choices, so its count grows as the time of `re` does,
and it is the same on every machine. `attacks` makes strings from a pattern that such matchers are slow on: what leads
to a repetition, many times what it repeats, and an end that does not fit.
"""

from __future__ import annotations

import random
import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

FAR = 40
"""Bounded repetitions count no further than this here: a bound is a bound."""
_ENDLESS = 10**9

Fits = Callable[[str], bool]


class TooManySteps(Exception):
    """The count has passed the limit that was set."""


@dataclass
class Program:
    """A pattern as instructions: char, split, jump, at, look, atomic, save, same, loop, done."""

    code: list[tuple[Any, ...]] = field(default_factory=list)
    steps: int = 0
    most: int = 10**9

    @classmethod
    def of(cls, pattern: re.Pattern[str]) -> Program:
        """The program of a compiled pattern."""
        program = cls()
        tree = parser.parse(pattern.pattern, pattern.flags)
        program.write(tree, pattern.flags)
        program.code.append(("done",))
        return program

    def search(self, text: str, *, anchored: bool = False) -> list[tuple[int, int]]:
        """The matches of the text, from left to right; only one at its start where it is anchored."""
        found: list[tuple[int, int]] = []
        start = 0
        while start <= len(text):
            end = self._run(0, text, start)
            if end is not None:
                found.append((start, end))
                start = end if end > start else start + 1
            else:
                start += 1
            if anchored:
                break
        return found

    def _run(
        self, at: int, text: str, start: int, saves: dict[int, tuple[int, int]] | None = None
    ) -> int | None:
        stack: list[tuple[int, int, dict[int, Any]]] = [(at, start, dict(saves or {}))]
        while stack:
            at, place, saved = stack.pop()
            while True:
                self.steps += 1
                if self.steps > self.most:
                    raise TooManySteps
                match self.code[at]:
                    case ("char", fits):
                        if place >= len(text) or not fits(text[place]):
                            break
                        at, place = at + 1, place + 1
                    case ("split", first, second):
                        stack.append((second, place, saved))
                        at = first
                    case ("jump", to):
                        at = to
                    case ("at", holds):
                        if not holds(text, place):
                            break
                        at += 1
                    case ("look", ahead, wanted, width, then):
                        begin = place if ahead else place - width
                        holds_here = begin >= 0 and self._run(at + 1, text, begin, saved) is not None
                        if holds_here is not wanted:
                            break
                        at = then
                    case ("atomic", then):
                        end = self._run(at + 1, text, place, saved)
                        if end is None:
                            break
                        at, place = then, end
                    case ("save", key, opened):
                        before = saved.get(key, (place, place))
                        saved = {**saved, key: (place, place) if opened else (before[0], place)}
                        at += 1
                    case ("same", key):
                        begin, end = saved.get(key, (0, -1))
                        if end < begin or not text.startswith(text[begin:end], place):
                            break
                        at, place = at + 1, place + end - begin
                    case ("mark", key):
                        saved = {**saved, key: place}
                        at += 1
                    case ("moved", key):
                        if saved[key] == place:
                            break
                        at += 1
                    case ("done",):
                        return place
        return None

    def write(self, tree: Any, flags: int) -> None:
        """Append the instructions of a tree."""
        for op, argument in tree:
            self._write_one(op, argument, flags)

    def _write_one(self, op: Any, argument: Any, flags: int) -> None:
        code = self.code
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            code.append(("char", fits_of(op, argument, flags)))
        elif op is sre.AT:
            code.append(("at", _place(argument, flags)))
        elif op is sre.SUBPATTERN:
            group, added, removed, inner = argument
            inside = (flags | added) & ~removed
            if group is not None:
                code.append(("save", group, True))
            self.write(inner, inside)
            if group is not None:
                code.append(("save", group, False))
        elif op is sre.BRANCH:
            self._choose(argument[1], flags)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            self._repeat(argument, flags, greedy=op is sre.MAX_REPEAT)
        elif op is sre.POSSESSIVE_REPEAT:
            self._atomic(lambda: self._repeat(argument, flags, greedy=True))
        elif op is sre.ATOMIC_GROUP:
            self._atomic(lambda: self.write(argument, flags))
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            direction, inner = argument
            at = len(code)
            code.append(())
            self.write(inner, flags)
            code.append(("done",))
            code[at] = ("look", direction > 0, op is sre.ASSERT, inner.getwidth()[0], len(code))
        elif op is sre.GROUPREF:
            code.append(("same", argument))
        else:
            raise NotImplementedError(str(op))

    def _choose(self, branches: Sequence[Any], flags: int) -> None:
        ends = []
        for index, branch in enumerate(branches):
            last = index == len(branches) - 1
            at = len(self.code)
            if not last:
                self.code.append(())
            self.write(branch, flags)
            if not last:
                ends.append(len(self.code))
                self.code.append(())
                self.code[at] = ("split", at + 1, len(self.code))
        for end in ends:
            self.code[end] = ("jump", len(self.code))

    def _repeat(self, argument: Any, flags: int, *, greedy: bool) -> None:
        least, most, inner = int(argument[0]), int(argument[1]), argument[2]
        if least > FAR:
            most, least = (most if most >= _ENDLESS else FAR), FAR
        for _ in range(least):
            self.write(inner, flags)
        if most >= int(sre.MAXREPEAT):
            start = len(self.code)
            self.code += [(), ("mark", -start - 1)]
            self.write(inner, flags)
            self.code += [("moved", -start - 1), ("jump", start)]
            ways = (start + 1, len(self.code))
            self.code[start] = ("split", *(ways if greedy else reversed(ways)))
            return
        opened = []
        for _ in range(min(most, FAR) - least):
            opened.append(len(self.code))
            self.code.append(())
            self.write(inner, flags)
        for at in opened:
            ways = (at + 1, len(self.code))
            self.code[at] = ("split", *(ways if greedy else reversed(ways)))

    def _atomic(self, write: Callable[[], None]) -> None:
        at = len(self.code)
        self.code.append(())
        write()
        self.code.append(("done",))
        self.code[at] = ("atomic", len(self.code))


_CATEGORIES: dict[Any, Fits] = {
    sre.CATEGORY_DIGIT: str.isdecimal,
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_WORD: lambda one: one.isalnum() or one == "_",
}
_NOT = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
}


def fits_of(op: Any, argument: Any, flags: int) -> Fits:
    """Whether a character fits a literal, a set or a dot."""
    if op is sre.ANY:
        return (lambda _one: True) if flags & re.DOTALL else (lambda one: one != "\n")
    if op is sre.LITERAL:
        return _cased(lambda one: ord(one) == argument, flags)
    if op is sre.NOT_LITERAL:
        fits = _cased(lambda one: ord(one) == argument, flags)
        return lambda one: not fits(one)
    items = list(argument)
    negated = bool(items) and items[0][0] is sre.NEGATE
    inside = _cased(_one_of(items[1:] if negated else items), flags)
    return (lambda one: not inside(one)) if negated else inside


def _one_of(items: list[Any]) -> Fits:
    def fits(one: str) -> bool:
        for op, argument in items:
            if op is sre.LITERAL and ord(one) == argument:
                return True
            if op is sre.RANGE and argument[0] <= ord(one) <= argument[1]:
                return True
            if op is sre.CATEGORY and (
                _CATEGORIES[argument](one)
                if argument in _CATEGORIES
                else not _CATEGORIES[_NOT[argument]](one)
            ):
                return True
        return False

    return fits


def _cased(fits: Fits, flags: int) -> Fits:
    if not flags & re.IGNORECASE:
        return fits
    return lambda one: any(fits(other) for other in {one, one.lower(), one.upper()} if len(other) == 1)


def _place(where: Any, flags: int) -> Callable[[str, int], bool]:
    word = _CATEGORIES[sre.CATEGORY_WORD]

    def boundary(text: str, place: int) -> bool:
        before = place > 0 and word(text[place - 1])
        return before != (place < len(text) and word(text[place]))

    multiline = bool(flags & re.MULTILINE)
    if where in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
        lines = multiline and where is sre.AT_BEGINNING
        return lambda text, place: place == 0 or (lines and text[place - 1] == "\n")
    if where is sre.AT_END_STRING:
        return lambda text, place: place == len(text)
    if where is sre.AT_END:
        return lambda text, place: (
            place == len(text)
            or (place == len(text) - 1 and text[place] == "\n")
            or (multiline and text[place] == "\n")
        )
    if where is sre.AT_BOUNDARY:
        return boundary
    if where is sre.AT_NON_BOUNDARY:
        return lambda text, place: not boundary(text, place)
    raise NotImplementedError(str(where))


_ALPHABET = "aeyJ1 -_.,:;/@'\"`\\\n()[]{}=*#+!é\0"


def attacks(pattern: re.Pattern[str]) -> Iterator[Callable[[int], str]]:
    """Strings of any length that a pattern may be slow on."""
    tree = parser.parse(pattern.pattern, pattern.flags)
    made = random.Random(pattern.pattern)
    samples = {_sample(tree, pattern.flags, made) for _ in range(6)}
    pieces = sorted({piece for one in samples for piece in _pieces(one)} | {"\n", " ", "!"})
    for sample in sorted(samples):
        for cut in sorted({len(sample) * part // 6 for part in range(1, 7)}):
            yield _filled("", sample[:cut], "")
            yield _filled("", sample[:cut], "\0")
            yield _filled(sample[:cut], sample[max(0, cut - 1) : cut], "\0")
            yield _filled(sample[:cut], " ", "\0\n\0")
    for _ in range(40):
        head, pump, tail = (
            "".join(made.choice(pieces) for _ in range(made.randint(low, 3))) for low in (0, 1, 0)
        )
        yield _filled(head, pump, tail)


def _filled(head: str, pump: str, tail: str) -> Callable[[int], str]:
    return lambda size: (head + pump * (size // max(1, len(pump)) + 1))[:size] + tail


def _pieces(sample: str) -> Iterator[str]:
    yield from sample[:40]
    yield from re.findall(r"\w+|\W+", sample)


def _sample(tree: Any, flags: int, made: random.Random) -> str:
    """A string that the tree may match, give or take its assertions."""
    text = ""
    for op, argument in tree:
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            fits = fits_of(op, argument, flags)
            known = [chr(argument)] if op is sre.LITERAL else [one for one in _ALPHABET if fits(one)]
            known = known or [chr(code) for code in range(0x20, 0x2FFF) if fits(chr(code))][:1]
            text += made.choice(known) if known else ""
        elif op is sre.SUBPATTERN:
            text += _sample(argument[3], flags, made)
        elif op is sre.ATOMIC_GROUP:
            text += _sample(argument, flags, made)
        elif op is sre.BRANCH:
            text += _sample(made.choice(argument[1]), flags, made)
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            times = min(max(int(argument[0]), made.randint(0, 3)), int(argument[1]), FAR)
            text += "".join(_sample(argument[2], flags, made) for _ in range(times))
    return text
