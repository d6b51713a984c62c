"""Which conformance tests run is decided by what they depend on, and by nothing else."""

import ast
import shutil
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tools import conformance

ROOT = Path(__file__).resolve().parents[2]
TASKS = next(suite for suite in conformance.SUITES if suite.name == "tasks")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of what the suites depend on."""
    for place in ("local", "tests/local"):
        shutil.copytree(ROOT / place, tmp_path / place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    return tmp_path


def edit(path: Path, old: str = "", new: str = "# changed\n") -> None:
    text = path.read_text()
    path.write_text(text.replace(old, new, 1) if old else text + new)


def test_every_server_of_the_local_cloud_has_a_suite() -> None:
    """A new folder of tests that nobody lists would run with every `make test`, or never."""
    folders = {
        f"tests/local/cloud/{path.name}" for path in (ROOT / "tests/local/cloud").iterdir() if path.is_dir()
    }
    listed = {suite.tests for suite in conformance.SUITES if suite.tests.startswith("tests/local/cloud/")}
    assert listed == {folder for folder in folders if not folder.endswith("__pycache__")}
    assert all((ROOT / suite.code).is_dir() for suite in conformance.SUITES)


def test_what_passed_is_not_run_again_until_it_changes(tree: Path) -> None:
    """Recorded, all have passed as they stand; the record holds in another place, as in a fresh clone."""
    assert conformance.changed(tree) == list(conformance.SUITES)
    conformance.record({suite.name: conformance.digest(suite, tree) for suite in conformance.SUITES}, tree)
    clone = tree.parent / "clone"
    shutil.copytree(tree, clone)
    assert conformance.changed(clone) == []


@pytest.mark.parametrize(
    ("place", "old", "new", "suites"),
    [
        ("local/cloud/tasks/policy.py", "", "# changed\n", ["tasks"]),
        ("tests/local/cloud/tasks/conftest.py", "", "# changed\n", ["tasks"]),
        ("local/cloud/serving/process.py", "", "# changed\n", [suite.name for suite in conformance.SUITES]),
        ("requirements.lock", "google-cloud-tasks==", "google-cloud-tasks==9.", ["tasks"]),
        ("requirements.lock", "grpcio==", "grpcio==9.", [suite.name for suite in conformance.SUITES]),
        ("requirements.lock", "pytest==", "pytest==9.", []),
        ("local/gateway/app.py", "", "# changed\n", []),
    ],
)
def test_a_change_brings_the_tests_of_what_it_touches(
    tree: Path, place: str, old: str, new: str, suites: list[str]
) -> None:
    """Code, tests and pins of one server; what all share brings all; other code brings none."""
    conformance.record({suite.name: conformance.digest(suite, tree) for suite in conformance.SUITES}, tree)
    edit(tree / place, old, new)
    assert [suite.name for suite in conformance.changed(tree)] == suites


def test_a_record_keeps_what_was_not_run(tree: Path) -> None:
    """One suite passed anew: the others stay as they were, and a suite that is gone is forgotten."""
    conformance.record({"kms": "a", "tasks": "b"}, tree)
    conformance.record({"tasks": "c", "gone": "d"}, tree)
    assert conformance.recorded(tree) == {"kms": "a", "tasks": "c"}


def test_a_test_belongs_to_the_suite_of_its_folder() -> None:
    """And a test of the laptop to none."""
    assert conformance.suite_of("tests/local/cloud/tasks/test_tasks_names.py") is TASKS
    assert conformance.suite_of("tests/local/gateway/test_gateway.py") is None


def imported(path: Path) -> Iterator[str]:
    """Modules that a file names in its imports, each as deep as the import may reach."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(module: str) -> Path | None:
    """The file of a module of this checkout."""
    place = ROOT / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@pytest.mark.parametrize("suite", conformance.SUITES, ids=lambda suite: suite.name)
def test_a_digest_reads_all_that_its_suite_imports(suite: conformance.Suite) -> None:
    """What is left out of the digest could change while the record still says that the suite passed."""
    read = set(conformance.files(suite))
    modules = {name for path in read if path.suffix == ".py" for name in imported(path)}
    unread = {
        path.relative_to(ROOT).as_posix() for name in modules if (path := ours(name)) and path not in read
    }
    assert unread == set()
    packages = packages_distributions()
    outside = {
        package.lower().replace("_", "-")
        for name in modules
        for top in (name, name.rpartition(".")[0], name.split(".")[0])
        if top != "google"
        for package in packages.get(top, ())
    }
    assert outside - conformance.pinned(suite) - {"pytest"} == set()
