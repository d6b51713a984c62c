"""Whether a person's own words name a dashboard that may be changed, or say yes to a question.

    …/dash/sales                               a link names it
    sales-by-month-2024                        a slug of three words and more is said on purpose
    "Sales", `sales`                           a name in quotation marks is meant as a name
    replace sales; add a table to Sales        a name in a sentence that asks for a change
    total sales by month                       names nothing: it is a question, whatever is called like it
    why did sales change?                      nor does this, for all its verb

A title is often the very question that it answers, and a slug may be any word of a question. So a name alone
is no wish to change what bears it. Where this misses a wish the person is asked, which costs a click.
"""

from __future__ import annotations

import re
import unicodedata

_QUOTES = "\"'`“”„‟‘’‚«»‹›「」『』"
_CHANGES = re.compile(
    r"""(?<!\w)(?:
      chang|updat|replac|overwrit|edit|modif|adjust|extend|improv|fix|correct|renam
      |rework|revis|rebuil|redo|delet
      |änder|aktualisier|ersetz|überschreib|bearbeit|lösch                      # German
      |remplac|met(?:s|tez)\ à\ jour|corrig|supprim                              # French
      |actualiz|reemplaz|cambi|elimin                                            # Spanish
      |aggiorn|sostitu|atualiz|substitu                                          # Italian, Portuguese
    )\w*""",
    re.VERBOSE,
)
_MOVES = re.compile(r"(?<!\w)(?:add|put|includ|remov|drop|tak|mov)\w*")
_INTO = re.compile(r"(?:\bto|\bfrom|\bin|\binto|\bon|\bof)\s+(?:the\s+|my\s+|our\s+)?(?:dashboard\s+)?\Z")
_QUESTION = re.compile(
    r"""(?:
      why|what|how|which|when|where|who|did|do|does|was|were|is|are|show|list|compare|tell
      |wie|was|warum|welche\w*|wann|wo|wer|zeig\w*                               # German
      |pourquoi|comment|quel\w*|quand|où|qui|montre\w*                           # French
      |qué|cómo|por\ qué|cuál\w*|cuándo|dónde|quién\w*|muestra                  # Spanish
      |come|cosa|perché|quale|quando|dove|chi|mostra                             # Italian
    )\b""",
    re.VERBOSE,
)
_WORD = re.compile(r"\w+")
_YES = frozenset(
    "yes yeah yep y ok okay sure confirm confirmed agreed ja jawohl oui sí si sim da да tak hai はい 是 好 好的 네 예"
    " evet ano joo kyllä ναι כן نعم हाँ".split()
)
_ALSO = frozenset(
    "please it do that go ahead replace overwrite bitte gern gerne ersetze ersetzen remplace".split()
)
_ALONE = ("go ahead", "do it", "do that", "please do", "replace it", "overwrite it")


def names(said: str, slug: str, title: str) -> bool:
    """Whether a message names the dashboard as one to work on."""
    text = _folded(said)
    if re.search(rf"/dash/{re.escape(slug)}(?![\w-])", text):
        return True
    if slug.count("-") >= 2 and _places(text, slug):
        return True
    asks = moves = None
    if not _QUESTION.match(text):
        asks, moves = _CHANGES.search(text), _MOVES.search(text)
    return any(
        _is_quoted(text, start, end)
        or (asks is not None and asks.end() <= start)
        or (moves is not None and moves.end() <= start and _INTO.search(text[max(0, start - 40) : start]))
        for name in {slug, _folded(title)}
        for start, end in _places(text, name)
    )


def agrees(said: str) -> bool:
    """Whether a message says yes and nothing else: "yes, but only March" is another wish."""
    words = _WORD.findall(_folded(said))
    if not words or len(words) > 8:
        return False
    return (" ".join(words) in _ALONE) or (set(words) <= _YES | _ALSO and bool(set(words) & _YES))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _places(text: str, name: str) -> list[tuple[int, int]]:
    """Where the whole name stands."""
    if not name:
        return []
    return [found.span() for found in re.finditer(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


def _is_quoted(text: str, start: int, end: int) -> bool:
    return start > 0 and end < len(text) and text[start - 1] in _QUOTES and text[end] in _QUOTES
