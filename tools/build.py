"""`make build`: a bundle for each function: build/{function}/ and build/{function}.zip.

A bundle holds the door, exactly the `shared` modules that it reaches with the files that they read, and
a requirements.txt with exactly the packages that those import, pinned with hashes. The same source gives
the same bytes on any machine (fixed order, times and modes, nothing compressed), so a deployment replaces
only what changed.
"""

import argparse
import hashlib
import json
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import imports, requirements  # noqa: E402

BUILD = ROOT / "build"
LOCK = ROOT / "requirements.lock"
OTLP = frozenset({"shared.platform.telemetry.otlp"})
"""The one module that needs the OpenTelemetry SDK; bundles carry it with --otlp (docs/observability.md)."""
_MOMENT = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644


@dataclass(frozen=True)
class Bundle:
    """One function, ready to be deployed."""

    name: str
    entry_point: str
    kind: str
    role: str | None
    content: dict[str, bytes]
    """The files by their place in the bundle."""
    direct: dict[str, list[str]]
    """The distributions that the closure imports, with the imported names."""
    outside: tuple[imports.Imported, ...]
    """Every import of something that is neither ours nor the standard library's."""

    @property
    def requirements(self) -> str:
        """The bundle's requirements.txt."""
        return self.content["requirements.txt"].decode()

    @property
    def environment(self) -> str:
        """A short name of the requirement set: bundles with the same one can share an environment."""
        return hashlib.sha256(self.requirements.encode()).hexdigest()[:12]


def bundle(function: dict[str, Any], root: Path = ROOT, lock: Path = LOCK, *, otlp: bool = False) -> Bundle:
    """Put one function's bundle together, in memory."""
    door = root / function["source"]
    reached = imports.closure(root, door, without=frozenset() if otlp else OTLP)
    content = {str(path.relative_to(root)): path.read_bytes() for path in reached.files}
    outside = tuple(
        sorted(
            (wanted for wanted in reached.outside if _is_third_party(wanted)),
            key=lambda wanted: (wanted.module, wanted.name or ""),
        )
    )
    direct = requirements.direct(outside)
    names = requirements.complete([*requirements.SERVING, *direct])
    content["main.py"] = door.read_bytes()
    content["requirements.txt"] = requirements.render(names, lock).encode()
    return Bundle(
        name=function["name"],
        entry_point=function["entry_point"],
        kind=function["kind"],
        role=function.get("role"),
        content=dict(sorted(content.items())),
        direct=direct,
        outside=outside,
    )


def write(made: Bundle, build: Path) -> str:
    """Write the folder and the zip; answers the zip's SHA-256."""
    folder, archive = build / made.name, build / f"{made.name}.zip"
    shutil.rmtree(folder, ignore_errors=True)
    for place, data in made.content.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for place, data in made.content.items():
            entry = zipfile.ZipInfo(place, _MOMENT)
            entry.create_system, entry.external_attr = 3, _MODE << 16
            file.writestr(entry, data)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def functions(only: str | None = None) -> list[dict[str, Any]]:
    """The functions of the manifest, or the one that is asked for."""
    manifest = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]
    chosen = [function for function in manifest if only in (None, function["name"])]
    if not chosen:
        raise SystemExit(f"there is no function {only!r}; docs/functions.md lists them")
    return chosen


def report(build: Path) -> str:
    """The sizes of every bundle and, where `make verify-bundles` measured it, its start."""
    known = _read(build / "bundles.json")
    starts = _read(build / "cold_starts.json")
    lines = [
        "# Bundles",
        "",
        f"{len(known)} bundles, {len({entry['environment'] for entry in known.values()})} requirement sets.",
        "",
        "| function | modules | zip kB | packages | first response ms | sha256 |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, entry in sorted(known.items()):
        start = starts.get(entry["sha256"])
        lines.append(
            f"| `{name}` | {entry['modules']} | {entry['bytes'] / 1000:.0f} | {entry['packages']} "
            f"| {'' if start is None else start} | `{entry['sha256'][:12]}` |"
        )
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _is_third_party(wanted: imports.Imported) -> bool:
    return wanted.module.split(".")[0] not in sys.stdlib_module_names


def main() -> int:
    """Build; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="the deployed name of one function")
    parser.add_argument("--otlp", action="store_true", help="with the exporter of spans and figures")
    parser.add_argument("--out", type=Path, default=BUILD, help="where to write (default: build/)")
    arguments = parser.parse_args()
    build: Path = arguments.out
    build.mkdir(parents=True, exist_ok=True)
    index = _read(build / "bundles.json") if arguments.only else {}
    changed = 0
    for function in functions(arguments.only):
        try:
            made = bundle(function, otlp=arguments.otlp)
        except imports.Unbundlable as problem:
            print(f"{function['name']}: {problem}", file=sys.stderr)
            return 1
        before = _read(build / "bundles.json").get(made.name, {}).get("sha256")
        digest = write(made, build)
        changed += digest != before
        index[made.name] = {
            "sha256": digest,
            "bytes": (build / f"{made.name}.zip").stat().st_size,
            "modules": sum(place.endswith(".py") and place != "main.py" for place in made.content),
            "packages": sum(not line.startswith(" ") for line in made.requirements.splitlines()),
            "environment": made.environment,
        }
    if not arguments.only:
        for stale in build.glob("*.zip"):
            if stale.stem not in index:
                stale.unlink()
                shutil.rmtree(build / stale.stem, ignore_errors=True)
    (build / "bundles.json").write_text(json.dumps(dict(sorted(index.items())), indent=2) + "\n")
    (build / "report.md").write_text(report(build))
    print(f"{len(index)} bundles, {changed} changed; sizes in {build.name}/report.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
