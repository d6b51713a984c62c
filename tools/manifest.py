"""`make manifest`: gather what rooms declare, import every door, and write `functions/manifest.json`.

What rooms declare comes first and is written as data (`tools/gathering.py`): importing a door reads it.
Importing has no side effects, so this needs no environment and no network. `--check` compares instead of
writing and fails when a committed file is stale.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "functions" / "manifest.json"
sys.path.insert(0, str(ROOT))

from tools import gathering  # noqa: E402


def declarations() -> list[Any]:
    """The Declaration of every door, in the order of their names."""
    from shared.platform.edge.declare import ATTRIBUTE

    found = []
    for source in sorted((ROOT / "functions").glob("*/*/main.py")):
        module = importlib.import_module(".".join(source.relative_to(ROOT).with_suffix("").parts))
        doors = [value for value in vars(module).values() if hasattr(value, ATTRIBUTE)]
        if len(doors) != 1:
            raise SystemExit(
                f"{source.relative_to(ROOT)} declares {len(doors)} functions; it must be exactly one"
            )
        declaration = getattr(doors[0], ATTRIBUTE)
        if declaration.entry_point != source.parent.name:
            raise SystemExit(
                f"{source.relative_to(ROOT)}: the function is called {declaration.entry_point}, its folder {source.parent.name}"
            )
        found.append(declaration)
    return sorted(found, key=lambda declaration: declaration.name)


def entry(declaration: Any) -> dict[str, Any]:
    """One function as the manifest keeps it: only what was declared."""

    def model(value: Any) -> str | None:
        return None if value is None else f"{value.__module__}.{value.__qualname__}"

    found = {
        "name": declaration.name,
        "module": declaration.module,
        "source": declaration.module.replace(".", "/") + ".py",
        "entry_point": declaration.entry_point,
        "kind": declaration.kind,
        "summary": declaration.summary,
        "method": declaration.method,
        "paths": list(declaration.paths) or None,
        "role": declaration.role,
        "scope": declaration.needs,
        "rate": declaration.route_class if declaration.method else None,
        "team": declaration.team,
        "body": model(declaration.body),
        "query": model(declaration.query),
        "answer": model(declaration.answer) if isinstance(declaration.answer, type) else None,
        "message": model(declaration.message),
        "queue": declaration.queue,
        "bucket": declaration.bucket,
        "pattern": declaration.pattern,
        "schedule": declaration.schedule,
        "once": declaration.once or None,
        "timeout": declaration.timeout,
        "memory_mb": declaration.memory_mb,
        "max_body": declaration.max_body if declaration.method else None,
        "retry_seconds": declaration.retry_seconds or None,
        "attempts": declaration.attempts or None,
        "local_only": declaration.local_only or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def render(found: gathering.Gathered) -> str:
    """The manifest's text: what rooms declare, and every function."""
    functions = [entry(declaration) for declaration in declarations()]
    names = [function["name"] for function in functions]
    if len(set(names)) != len(names):
        raise SystemExit("two functions have the same name")
    whole = {"declared": gathering.declared(found), "functions": functions}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or check; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a committed file is stale")
    arguments = parser.parse_args()
    found = gathering.gather(ROOT)
    if _refused(found):
        return 1
    for path, text in gathering.files(found).items():
        if not _settle(path, text, check=arguments.check):
            return 1
    gathering.check_use(found, declarations())
    if _refused(found):
        return 1
    for path, text in [*gathering.files_of_use(found).items(), (MANIFEST, render(found))]:
        if not _settle(path, text, check=arguments.check):
            return 1
    return 0


def _refused(found: gathering.Gathered) -> bool:
    for problem in found.problems:
        print(problem, file=sys.stderr)
    return bool(found.problems)


def _settle(path: Path, text: str, *, check: bool) -> bool:
    """Bring a file to this text; with `check` only say whether it has it."""
    if path.exists() and path.read_text() == text:
        return True
    if check:
        print(f"{path.relative_to(ROOT)} is stale: run `make manifest`", file=sys.stderr)
        return False
    path.write_text(text)
    print(f"wrote {path.relative_to(ROOT)}")
    return True


if __name__ == "__main__":
    sys.exit(main())
