"""Check the figures of an answer against what the tools found in this turn.

A figure is supported when it is the person's own, when a tool showed it, or when it follows from what the tools
showed by plain arithmetic on rows that the answer speaks of (`evidence` has the rules). It may be rounded as it is
written: 12.4 is supported by 12.36, and "1.2 million" by 1,234,567. Small whole numbers count things in the sentence
("three charts", "top 10") and are not looked up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.agents.loop import figures
from shared.agents.loop.evidence import Evidence, near
from shared.agents.loop.figures import Figure

_COUNTING = 12


def unsupported(prose: str, *, results: Iterable[Any], said: str = "") -> list[str]:
    """The figures of the prose, as written, that nothing in the results supports."""
    evidence = Evidence()
    for result in results:
        evidence.add(result)
    return unsupported_by(evidence, prose, said=said)


def unsupported_by(evidence: Evidence, prose: str, *, said: str = "") -> list[str]:
    """The figures of the prose, as written, that nothing supports; none where not all that was shown is known."""
    text = figures.without_code(prose)
    asked = [figure for figure in figures.read(text) if not _counts(figure)]
    if not asked or not evidence.whole:
        return []
    own = sorted({figure.value for figure in figures.read(said)})
    missing = [figure for figure in asked if not near(own, figure) and not evidence.shows(figure)]
    if not missing:
        return []
    follows = evidence.follows(prose)
    return list(dict.fromkeys(figure.text for figure in missing if not follows.gives(figure)))


def _counts(figure: Figure) -> bool:
    return figure.text.isdigit() and figure.value <= _COUNTING
