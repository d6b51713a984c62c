"""Bundles: exactly what a function reaches, byte for byte the same, and working alone."""

import dataclasses
import hashlib
import json
import modulefinder
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import build, imports, requirements, verify_bundles

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = build.functions()
BY_NAME = {function["name"]: function for function in FUNCTIONS}

FRESH = """
import json, os, sys
import flask, functions_framework, pydantic, pg8000.native, yaml
found = {}
for name, source in json.load(sys.stdin):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.environ["K_SERVICE"] = name
        functions_framework.create_app(source.split("/")[2], source, "http")
        loaded = sorted(module for module in sys.modules if module.split(".")[0] == "shared")
        os.write(writer, json.dumps(loaded).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        found[name] = json.loads(answer.read())
    assert os.wait()[1] == 0
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bundles() -> dict[str, build.Bundle]:
    return {name: build.bundle(function) for name, function in BY_NAME.items()}


@pytest.mark.slow
def test_the_closure_is_what_a_fresh_interpreter_imports() -> None:
    """For every set of modules that a function reaches: importing one loads exactly what the tree's module level names."""
    wanted = {
        frozenset(imports.closure(ROOT, ROOT / function["source"], whole=False).modules): function
        for function in FUNCTIONS
    }
    assert len(wanted) > 20
    doors = [(function["name"], function["source"]) for function in wanted.values()]
    result = subprocess.run(
        [sys.executable, "-B", "-c", FRESH], input=json.dumps(doors), cwd=ROOT, capture_output=True,
        text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    loaded = json.loads(result.stdout)
    for name, source in doors:
        reached = imports.closure(ROOT, ROOT / source, whole=False)
        assert sorted(reached.modules) == loaded[name], name


@pytest.mark.slow
@pytest.mark.soak
def test_the_closure_is_what_the_bytecode_says(bundles: dict[str, build.Bundle]) -> None:
    """For every set of modules in a bundle: the standard library's finder, which reads bytecode, sees the same."""
    distinct = {frozenset(made.content) | set(made.direct): name for name, made in bundles.items()}
    assert len(distinct) > 20
    for name in distinct.values():
        made = bundles[name]
        finder = modulefinder.ModuleFinder(path=[str(ROOT)], excludes=list(build.OTLP))
        finder.run_script(str(ROOT / BY_NAME[name]["source"]))
        seen = {
            str(Path(module.__file__).relative_to(ROOT))
            for module in finder.modules.values()
            if module.__file__ and module.__name__ != "__main__"
        }
        assert {place for place in made.content if place.endswith(".py") and place != "main.py"} == seen, name


def test_only_a_bundle_that_shall_export_carries_the_sdk(bundles: dict[str, build.Bundle]) -> None:
    """The exporter and what it stands on come with --otlp; without, no bundle has a trace of them."""
    for name, made in bundles.items():
        assert "shared/platform/telemetry/otlp.py" not in made.content, name
        assert "opentelemetry-sdk" not in made.requirements, name
    made = build.bundle(BY_NAME["ops-health"], otlp=True)
    assert "shared/platform/telemetry/otlp.py" in made.content
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= set(made.direct)


def test_a_bundle_holds_a_door_its_rooms_and_its_requirements(bundles: dict[str, build.Bundle]) -> None:
    """Nothing of the laptop, the tests or the tools, no bytecode, no folder but `shared`."""
    for name, made in bundles.items():
        assert {"main.py", "requirements.txt"} <= set(made.content), name
        rest = [place for place in made.content if place not in ("main.py", "requirements.txt")]
        assert all(place.startswith("shared/") for place in rest), name
        data = {place for place in rest if Path(place).suffix not in (".py", ".sql")}
        own = {"ops-retention": "retention/rules.json", "ops-list-dead-letters": "titles/errors.json",
               "ops-replay-dead-letter": "titles/errors.json"}  # fmt: skip
        more = {f"shared/platform/ops/{own[name]}"} if name in own else set()
        assert data == {"shared/platform/registry/gathered.json"} | more, name
        assert made.content["main.py"] == (ROOT / BY_NAME[name]["source"]).read_bytes()


def test_a_store_travels_with_its_statements(bundles: dict[str, build.Bundle]) -> None:
    """Each module that reads a queries.sql finds it in the bundle, and a bundle has none that nothing reads."""
    for name, made in bundles.items():
        stores = {str(Path(place).parent) for place, data in made.content.items() if b"sql.load(" in data}
        folders = stores - {"shared/platform/postgres"}
        carried = {str(Path(place).parent) for place in made.content if place.endswith("queries.sql")}
        assert carried == folders, name


def test_every_requirement_has_its_reason(bundles: dict[str, build.Bundle]) -> None:
    """A package is in a bundle because its source names it, because every function runs on it, or because the
    lock says that another package of the same bundle needs it."""
    reasons = _via()
    for name, made in bundles.items():
        wanted = _pins(made.requirements)
        roots = {*requirements.SERVING, *made.direct}
        assert roots <= wanted, name
        unexplained = {package for package in wanted - roots if not reasons[package] & wanted}
        assert not unexplained, f"{name} carries {unexplained} for nothing"
        source = b"\n".join(data for place, data in made.content.items() if place.endswith(".py")).decode()
        for distribution, names in made.direct.items():
            for asked in names:
                top, _, last = asked.rpartition(".")
                assert re.search(rf"import .*\b{last}\b", source) or f"{top} import (" in source, (
                    f"{name}: nothing imports {asked}, so {distribution} has no reason"
                )


def test_a_directory_endpoint_carries_no_sdk_that_it_does_not_reach(bundles: dict[str, build.Bundle]) -> None:
    """The small functions stay small, and none carries what belongs to the laptop or to the tests."""
    for small in ("ops-health", "teams-list", "jobs-get"):
        heavy = {"anthropic", "sqlglot", "google-cloud-bigquery", "google-cloud-storage", "google-cloud-kms"}
        assert not heavy & _pins(bundles[small].requirements), small
    never = {"duckdb", "pandas", "numpy", "pytest", "mypy", "playwright", "vl-convert-python", "uvloop", "uv"}
    for name, made in bundles.items():
        assert not never & _pins(made.requirements), name
    with_model = {name for name, made in bundles.items() if "anthropic" in _pins(made.requirements)}
    assert with_model == {
        name for name, made in bundles.items() if "shared/agents/providers/anthropic.py" in made.content
    }


def test_every_pin_has_the_lock_s_version_and_hashes(bundles: dict[str, build.Bundle]) -> None:
    """A requirements.txt says nothing that requirements.lock does not say."""
    lock = (ROOT / "requirements.lock").read_text()
    for made in bundles.values():
        for line in made.requirements.splitlines():
            assert line.rstrip(" \\") in lock
            assert line.startswith("    --hash=sha256:") or re.fullmatch(r"[a-z0-9._-]+==\S+ \\", line), line


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_same_source_gives_the_same_bytes(tmp_path: Path, umask: int) -> None:
    """Another place, other times and modes of the files, another umask: the same SHA-256."""
    tree = tmp_path / "elsewhere"
    before = os.umask(umask)
    try:
        for folder in ("shared", "functions"):
            shutil.copytree(
                ROOT / folder, tree / folder, copy_function=shutil.copyfile,
                ignore=shutil.ignore_patterns("__pycache__"),
            )  # fmt: skip
        for name in ("ops-health", "catalog-scan-dataset"):
            here = build.bundle(BY_NAME[name])
            there = build.bundle(BY_NAME[name], root=tree)
            digests = []
            for number, made in enumerate((here, there)):
                out = tmp_path / f"out{number}"
                out.mkdir(exist_ok=True)
                digests.append(build.write(made, out))
                assert digests[-1] == hashlib.sha256((out / f"{name}.zip").read_bytes()).hexdigest()
            assert digests[0] == digests[1], name
    finally:
        os.umask(before)


def test_the_command_builds_one_bundle_the_same_in_any_time_zone(tmp_path: Path) -> None:
    """`--only` writes the folder, the zip and the report; the time zone leaves no trace."""
    digests = set()
    for zone in ("UTC", "Pacific/Auckland"):
        out = tmp_path / zone.replace("/", "-")
        subprocess.run(
            [sys.executable, "tools/build.py", "--only", "jobs-get", "--out", str(out)],
            cwd=ROOT, check=True, capture_output=True, env={**os.environ, "TZ": zone},
        )  # fmt: skip
        digests.add(hashlib.sha256((out / "jobs-get.zip").read_bytes()).hexdigest())
        assert (out / "jobs-get" / "main.py").is_file()
        assert "jobs-get" in (out / "report.md").read_text()
        assert json.loads((out / "bundles.json").read_text())["jobs-get"]["sha256"] in digests
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import importlib\n", "imports by a string"),
        ("from importlib import import_module\n", "imports by a string"),
        ("def lazy():\n    return __import__('json')\n", "imports by a string"),
        ("from . import service\n", "relative import"),
        ("from shared.platform import *\n", "imports \\*"),
        ("import shared.nowhere\n", "shared.nowhere, which does not exist"),
        ("from local import manifest\n", "a function may import only"),
        ("def lazy():\n    from functions.teams.get import main\n", "a function may import only"),
        ("import no_such_package\n", "no installed distribution has it"),
        ("import google\n", "import a name below it"),
    ],
)
def test_what_a_bundle_could_not_follow_stops_the_build(tmp_path: Path, line: str, reason: str) -> None:
    """By file and reason, instead of a bundle that fails at its first request."""
    (tmp_path / "shared" / "platform").mkdir(parents=True)
    for package in ("shared", "shared/platform"):
        (tmp_path / package / "__init__.py").touch()
    door = tmp_path / "functions" / "shop" / "buy" / "main.py"
    door.parent.mkdir(parents=True)
    door.write_text(line)
    function = {
        "name": "shop-buy", "source": "functions/shop/buy/main.py", "entry_point": "buy", "kind": "http"
    }  # fmt: skip
    with pytest.raises(imports.Unbundlable, match=reason):
        build.bundle(function, root=tmp_path)


def test_what_only_type_checkers_see_is_not_carried(tmp_path: Path) -> None:
    """`if TYPE_CHECKING:` adds nothing; its `else` and a function's own imports do."""
    source = tmp_path / "module.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import duckdb\nelse:\n    import json\n"
        "def late():\n    import sqlglot\n"
    )
    found = imports.read(source)
    assert {wanted.module for wanted in found.imports} == {"typing", "json", "sqlglot"}
    assert {wanted.module for wanted in found.at_import} == {"typing", "json"}


def test_a_package_that_the_lock_does_not_have_stops_the_build(tmp_path: Path) -> None:
    """Its name and what to do are said; so is a version that is installed but not locked."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("flask==0.0.1 \\\n    --hash=sha256:00\n    # via nothing\n")
    with pytest.raises(imports.Unbundlable, match=r"pyyaml is not in requirements\.lock"):
        requirements.render(["pyyaml"], lock)
    with pytest.raises(
        imports.Unbundlable, match=r"flask is installed as .*, requirements\.lock says 0\.0\.1"
    ):
        requirements.render(["flask"], lock)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_bundle_works_alone_and_says_what_it_lacks(
    bundles: dict[str, build.Bundle], tmp_path: Path
) -> None:
    """In a clean environment the real bundle answers; without a module, or with an import that its requirements
    don't cover, it fails by that name."""
    whole = bundles["jobs-get"]
    python = verify_bundles.environment(whole)

    def tried(made: build.Bundle) -> list[str]:
        build.write(made, tmp_path)
        with verify_bundles.empty_cloud() as cloud:
            return verify_bundles.verify(tmp_path / f"{made.name}.zip", made, python, cloud)[0]

    assert tried(whole) == []
    torn = {place: data for place, data in whole.content.items() if place != "shared/platform/edge/auth.py"}
    assert "shared.platform.edge.auth" in tried(dataclasses.replace(whole, content=torn))[0]
    leaning = whole.content | {"main.py": b"import sqlglot\n" + whole.content["main.py"]}
    assert "No module named 'sqlglot'" in tried(dataclasses.replace(whole, content=leaning))[0]
    bare = b"import flask\nimport functions_framework\n\n\n@functions_framework.http\ndef get(request):\n"
    plain = whole.content | {"main.py": bare + b"    return 'hello'\n"}
    assert "outside our envelope" in tried(dataclasses.replace(whole, content=plain))[0]
    late = dataclasses.replace(whole, outside=(*whole.outside, imports.Imported("google.cloud", "storage")))
    assert tried(late) == [
        "google.cloud.storage can't be imported: ModuleNotFoundError: No module named 'google.cloud.storage'"
    ]


def test_the_verified_sample_has_every_environment_and_every_kind(bundles: dict[str, build.Bundle]) -> None:
    """What is tried by default leaves no requirement set and no kind of function out."""
    made = list(bundles.values())
    chosen = verify_bundles.representative(made)
    assert {one.environment for one in chosen} == {one.environment for one in made}
    assert {(one.kind, one.role == "public") for one in chosen} == {
        (one.kind, one.role == "public") for one in made
    }


def test_no_installed_package_is_called_shared() -> None:
    """functions-framework appends the bundle's folder to the path, so such a package would win over ours."""
    assert "shared" not in requirements._packages()


def _pins(text: str) -> set[str]:
    return {line.split("==")[0] for line in text.splitlines() if not line.startswith(" ")}


def _via() -> dict[str, set[str]]:
    """For each package of the lock, the packages that the lock's comments name as the reason."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if match := re.match(r"([a-z0-9._-]+)==", line):
            name = match[1]
            found[name] = set()
        elif match := re.match(r"    #(?: via)?\s+([A-Za-z0-9._-]+)", line):
            found[name].add(match[1])
    return found
