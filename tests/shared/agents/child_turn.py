"""A process that works on one turn and can be told where to die. Run by test_takeover.py.

Its tool leaves a line in a file at each run, so that what was done twice shows.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from shared.agents import store
from shared.agents.conversation import log
from shared.agents.turns import service as turns
from shared.agents.turns.service import Ask
from tests.shared.agents.playing import Echo, Save, Scripted, agent, calls, says


def assembled(runs: Path, *, stall: str = "", entry: Path | None = None) -> Any:
    """The agent of both processes: two tool rounds and an answer. `stall` is the word whose tool hangs."""

    def during(context: Any, word: str) -> None:
        with runs.open("a") as file:
            file.write(f"{word} {context.call_id}\n")
        if word == stall:
            if entry is not None:
                entry.touch()
            time.sleep(60)

    return lambda turn: agent(_continuing(turn), Echo(during), Save(during))


class _continuing(Scripted):
    """The same model for every process: what it says depends on what it has been told, as a model's does."""

    def __init__(self, _turn: Any) -> None:
        super().__init__()

    def stream(self, request: Any) -> Any:
        self.requests.append(request)
        rounds = sum(message.role == "assistant" for message in request.messages)
        scenes = [
            calls(("call-1", "echo", {"word": "first"}), text="Looking."),
            calls(("call-2", "save", {"word": "second"}), text="Saving."),
            says("It is all done now"),
        ]
        for event in scenes[rounds]:
            yield event
            if os.environ.get("SLOW_TOKENS"):
                time.sleep(float(os.environ["SLOW_TOKENS"]))


def die_in(place: str, nth: int) -> None:
    """Kill this process when it calls the named function for the nth time, before or after it."""
    when, _, dotted = place.partition(" ")
    module, name = {"store": store, "log": log}[dotted.split(".")[0]], dotted.split(".")[1]
    original, seen = getattr(module, name), [0]

    def fatal(*args: Any, **kwargs: Any) -> Any:
        seen[0] += 1
        if seen[0] == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if seen[0] == nth and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(module, name, fatal)


def main() -> None:
    told = json.loads(sys.argv[1])
    if told.get("die"):
        die_in(*told["die"])
    started = turns.start(
        team=told["team"],
        user=told["user"],
        session_id=told["session"],
        turn_id=told["turn"],
        ask=Ask("Do it"),
    )
    entry = Path(told["runs"] + ".entered")
    for event in turns.stream(
        started, assembled(Path(told["runs"]), stall=told.get("stall", ""), entry=entry)
    ):
        if event is not None:
            print(
                json.dumps({"id": int(str(event.id)), "event": event.event, "data": event.data}), flush=True
            )


if __name__ == "__main__":
    main()
