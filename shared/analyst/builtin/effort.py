"""How much thinking the reading of one message may take, and when it must stop.

A message may hold hundreds of words, and each could mean any column of any table. So looking a phrase up costs
steps, a reading has so many of them, and a turn that was stopped ends the work within a few.
"""

from __future__ import annotations

from collections.abc import Callable

STEPS = 400_000
"""Comparisons of a word with a column in one round; a usual goal takes some ten thousand."""
BETWEEN_LOOKS = 2_000
"""Steps after which the stop is looked for again."""
MOST_SPLIT = 6
"""Words of the longest phrase whose parts are tried: each cut makes two phrases to be tried again."""
MOST_PHRASES = 24
"""Nouns of a goal. A dashboard about more things than that would show none of them."""
MOST_NAME = 120
"""Characters of what a phrase is called by."""
MOST_NAMED = 12
"""Words of a name in quotes that are compared."""
MOST_CALLS = 48
"""Questions that are asked at once; the others wait for the next round."""
TOO_MUCH = (
    "That is more than I can work through in one message, so I stopped before guessing. Please tell me in a "
    "sentence or two what you would like to see: a figure, what to split it by, and the time."
)


class TooMuch(Exception):
    """The message takes more steps than a reading has."""


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Effort:
    """The steps that are left in one round."""

    def __init__(self, stopped: Callable[[], bool] = lambda: False, steps: int = STEPS) -> None:
        self._stopped, self.left = stopped, steps
        self._unlooked = 0

    def spend(self, steps: int) -> None:
        """Take so many steps. Raises TooMuch when there are none left, Stopped when the turn was stopped."""
        self.left -= steps
        self._unlooked += steps
        if self._unlooked >= BETWEEN_LOOKS:
            self._unlooked = 0
            if self._stopped():
                raise Stopped
        if self.left < 0:
            raise TooMuch
