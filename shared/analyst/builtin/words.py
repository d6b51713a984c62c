"""Compare what a person says with what a catalog names.

A person writes "average departure delay", a schema writes `avg_dep_dly`. Names are split into words, words
are cut to their stems, and two words are compared by stem, by synonym and as an abbreviation. No list of
abbreviations is needed: a name is short for a word when it starts it or keeps its skeleton of letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from shared.analyst.builtin.vocabulary import SAME

_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_WORD = re.compile(r"[A-Za-z][A-Za-z']*|\d+")
_ENDINGS = ("ations", "ation", "ings", "ing", "ed")
_TAILS = ("al", "an", "d", "er", "ic", "ly", "n", "or", "r", "y")
"""What a related word may have more: a plane is no planet."""
_VOWELS = frozenset("aeiouy")


def split(name: str) -> tuple[str, ...]:
    """The words of an identifier, in lower case: `lifeExp_2` → life, exp, 2."""
    return tuple(part.lower() for part in _CAMEL.findall(name))


def spoken(text: str) -> tuple[str, ...]:
    """The words of prose, in lower case."""
    return tuple(word.lower().removesuffix("'s").strip("'") for word in _WORD.findall(text))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A word without its inflection. Light on purpose: related forms meet, unrelated words stay apart."""
    if len(word) <= 3 or word.isdigit():
        return word
    for ending in _ENDINGS:
        root = word.removesuffix(ending)
        if root != word and len(root) >= 4 and any(letter in _VOWELS for letter in root):
            return _undoubled(root)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ses", "shes", "ches")) and len(word) > 5:
        return word[:-2] if word.endswith(("xes", "shes", "ches", "sses")) else word[:-1]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return _undoubled(word[:-1])
    return _undoubled(word)


def _undoubled(root: str) -> str:
    """Cancell → cancel, so that both spellings of the past tense meet."""
    if len(root) > 4 and root[-1] == root[-2] and root[-1] not in "se":
        return root[:-1]
    return root


@lru_cache(maxsize=1)
def _groups() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in SAME:
        members = {stem(word) for word in line.split()}
        for member in members:
            found.setdefault(member, set()).update(members)
    return {word: frozenset(group) for word, group in found.items()}


def synonyms(word: str) -> frozenset[str]:
    """Stems of words for the same idea, without the word itself."""
    own = stem(word)
    return _groups().get(own, frozenset()) - {own}


@lru_cache(maxsize=65536)
def likeness(said: str, named: str) -> float:
    """How surely a word that was said means a word of a name: 0 to 1."""
    best = _direct(said, named)
    if best >= 0.95:
        return best
    for other in synonyms(said):
        if len(named) >= 4 or other == named:
            best = max(best, 0.85 * _direct(other, named))
    return best


def akin(one: str, two: str) -> bool:
    """Whether two words are forms of one, without help from synonyms."""
    return _direct(one, two) >= 0.75


@lru_cache(maxsize=65536)
def _direct(said: str, named: str) -> float:
    if said == named:
        return 1.0
    one, two = stem(said), stem(named)
    if one == two:
        return 0.98
    if named.isdigit() or said.isdigit():
        return 0.0
    if len(named) >= 3 and said.startswith(named):
        return 0.8 if len(named) < 5 else 0.85
    if len(one) >= 4 and two.startswith(one):
        return 0.75
    if len(two) >= 5 and one.startswith(two) and (len(one) - len(two) >= 3 or one[len(two) :] in _TAILS):
        return 0.75
    if 2 <= len(named) <= 4 and len(said) >= 5 and _skeleton(named, said):
        return 0.6
    if len(one) >= 4 and len(two) > len(one) and two.endswith(one):
        return 0.6
    return 0.0


def _skeleton(short: str, word: str) -> bool:
    """Whether `short` keeps the first letter and otherwise only consonants of the word, in order: qty, amt."""
    if short[0] != word[0]:
        return False
    if any(letter in "aeiou" for letter in short[1:]) and not (
        len(short) >= 4 and word.startswith(short[:2]) and short[-1] == word[-1]
    ):
        return False
    rest = iter(word[1:])
    return all(letter in rest for letter in short[1:]) and len(short) >= 3


def overlap(said: Iterable[str], named: Iterable[str]) -> float:
    """How well a phrase means a name of several words: what was said counts three times what was named."""
    spoken_words, name_words = tuple(said), tuple(named)
    if not spoken_words or not name_words:
        return 0.0
    forward = [max(likeness(word, part) for part in name_words) for word in spoken_words]
    backward = [max(likeness(word, part) for word in spoken_words) for part in name_words]
    return 0.75 * sum(forward) / len(forward) + 0.25 * sum(backward) / len(backward)


def any_of(words: Iterable[str], vocabulary: Iterable[str]) -> bool:
    """Whether one of the words is, but for inflection or abbreviation, one of the vocabulary."""
    known = {stem(word) for word in vocabulary}
    return any(
        stem(word) in known
        or (len(word) >= 4 and any(len(entry) > len(word) and entry.startswith(word) for entry in known))
        for word in words
    )
