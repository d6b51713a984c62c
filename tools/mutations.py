"""Prove that each important guard is missed when it is gone: `make mutations`.

tests/mutations.toml holds patches that take one guard away, each with the test that must go red:

    copy of the checkout ─► the test is green ─► patch ─► the test is red ─► unpatch ─► the next one

A patch that no longer applies, a test that was red before, and a test that stays green are failures.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.patience import NotInTime, until

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = ROOT / "tests" / "mutations.toml"
RED, GREEN = 1, 0
"""pytest's exit codes for failed tests and for none; anything else means that it did not get so far."""


class BadMutation(Exception):
    """An entry that can't be applied; the message says why."""


@dataclass(frozen=True)
class Mutation:
    """One guard taken away, and who must notice."""

    name: str
    why: str
    file: str
    find: str
    replace: str
    test: str

    def apply(self, tree: Path) -> str:
        """Patch the copy; answers the file's text before. Raises BadMutation when it does not apply once."""
        path = tree / self.file
        text = path.read_text()
        if (count := text.count(self.find)) != 1:
            raise BadMutation(f"{self.file}: the text to replace stands there {count} times")
        path.write_text(text.replace(self.find, self.replace))
        return text


def read(path: Path = CATALOGUE) -> list[Mutation]:
    """The catalogue; raises BadMutation for entries that say too little or share a name."""
    entries = tomllib.loads(path.read_text())["mutation"]
    try:
        found = [Mutation(**entry) for entry in entries]
    except TypeError as error:
        raise BadMutation(f"{path.name}: {error}") from None
    if len({mutation.name for mutation in found}) != len(found):
        raise BadMutation(f"{path.name}: two mutations share a name")
    return found


def copy_of_checkout(into: Path) -> None:
    """Every file of the checkout as it is now, ignored ones left out, and the environment by a link."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, into / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    if (ROOT / ".venv").exists():
        (into / ".venv").symlink_to(ROOT / ".venv")


def run(tree: Path, test: str, patience: float) -> tuple[int, str]:
    """The exit code of a test in the copy, and its last words."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", test]
    # No bytecode: a patch within the clock's grain must not meet the module of before.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile("w+") as words:
        test_run = subprocess.Popen(command, cwd=tree, env=environment, stdout=words, stderr=words)
        try:
            until(lambda: test_run.poll() is not None, f"{test} ends", seconds=patience, pause=0.1)
        except NotInTime as error:
            return -1, str(error)
        finally:
            test_run.kill()
            test_run.wait()
        words.seek(0)
        return test_run.returncode, words.read()[-1500:]


def judge(tree: Path, mutations: Sequence[Mutation], patience: float) -> Iterator[tuple[Mutation, str, str]]:
    """For each mutation: "red" as it should be, or what is wrong, and the details."""
    greens: dict[str, tuple[int, str]] = {}
    for mutation in mutations:
        if mutation.test not in greens:
            greens[mutation.test] = run(tree, mutation.test, patience)
        code, words = greens[mutation.test]
        if code != GREEN:
            yield mutation, "the test is not green without the patch", words
            continue
        try:
            before = mutation.apply(tree)
        except BadMutation as error:
            yield mutation, "the patch does not apply", str(error)
            continue
        try:
            code, words = run(tree, mutation.test, patience)
        finally:
            (tree / mutation.file).write_text(before)
        if code == RED:
            yield mutation, "red", ""
        elif code == GREEN:
            yield mutation, "nobody noticed", words
        else:
            yield mutation, f"pytest ended with code {code}", words


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the checkout for one worker, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bridge-mutations-") as folder:
        # Postgres runs as its own user where we are root: it must be able to pass through.
        tree = Path(folder)
        tree.chmod(0o711)
        copy_of_checkout(tree)
        yield tree


def judge_all(mutations: Sequence[Mutation], patience: float, jobs: int) -> int:
    """Judge them in several copies at once, the mutations of a test in one of them; answers how many survived."""
    by_test: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        by_test.setdefault(mutation.test, []).append(mutation)
    waiting: queue.SimpleQueue[list[Mutation]] = queue.SimpleQueue()
    for group in by_test.values():
        waiting.put(group)

    def work() -> int:
        survived = 0
        with copy() as tree:
            while True:
                try:
                    group = waiting.get_nowait()
                except queue.Empty:
                    return survived
                for mutation, verdict, words in judge(tree, group, patience):
                    told = f"{'ok  ' if verdict == 'red' else 'FAIL'}  {mutation.name}: {verdict}"
                    if verdict != "red":
                        survived += 1
                        told += f"\n      {mutation.test}\n{words}"
                    print(told, flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        return sum(future.result() for future in [pool.submit(work) for _ in range(jobs)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Report each mutation; 0 when every guard is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutations whose name contains this")
    parser.add_argument(
        "--patience", type=float, default=240.0, help="seconds of a quiet machine for one run of a test"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="how many tests run at a time, each in its own copy"
    )
    options = parser.parse_args(arguments)
    chosen = [mutation for mutation in read() if options.only in mutation.name]
    if not chosen:
        print(f"no mutation's name contains {options.only!r}", file=sys.stderr)
        return 2
    if options.jobs < 1:
        parser.error("--jobs must be 1 or more")
    began = time.monotonic()
    survived = judge_all(chosen, options.patience, options.jobs)
    print(f"{len(chosen) - survived} of {len(chosen)} guards are missed when they are gone "
          f"({time.monotonic() - began:.0f} s)")  # fmt: skip
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
