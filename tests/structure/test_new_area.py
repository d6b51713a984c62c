"""A new area adds files and edits none: shown with a throw-away area in a copy of the repository."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = Path(__file__).with_name("throwaway")
LEFT_OUT = (".git", ".venv", ".bridge", "build", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules", "test-artefacts")  # fmt: skip
MAKES = ("manifest", "docs", "openapi", "gateway_config", "chains", "declared_tables")
GENERATED = re.compile(
    r"functions/manifest\.json|shared/platform/registry/gathered\.json|shared/platform/ops/titles/errors\.json|shared/platform/ops/retention/rules\.json"
    r"|infra/firestore\.indexes\.json|infra/gateway\.yaml"
    r"|docs/(errors|functions|api|chains|limits|operations)\.md|docs/openapi\.yaml|docs/postman\.json"
)


class Copy:
    """A copy of the repository with the throw-away area in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        self.before = self.content()
        for top in ("shared", "functions"):
            shutil.copytree(OVERLAY / top, root / top, dirs_exist_ok=True)
        self.new = self.content().keys() - self.before.keys()

    def content(self) -> dict[str, str]:
        """The hash of each file, by its place."""
        files = (path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.relative_to(self.root).parts[0] != "build"
        }

    def run(self, *command: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy."""
        environment = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *command], cwd=self.root, env=environment, capture_output=True, text=True,
            check=False, **more,
        )  # fmt: skip

    def manifest(self) -> dict[str, Any]:
        """What the copy's manifest says."""
        found: dict[str, Any] = json.loads((self.root / "functions" / "manifest.json").read_text())
        return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The copy, with every generated file made anew."""
    made = Copy(tmp_path_factory.mktemp("area") / "bridge")
    for tool in MAKES:
        result = made.run(f"tools/{tool}.py")
        assert result.returncode == 0, result.stderr[-3000:]
    return made


@pytest.mark.slow
def test_only_new_files_and_generated_ones_differ(copy: Copy) -> None:
    """No module of the platform, no tool, no Terraform file, nothing of the laptop was touched for it."""
    after = copy.content()
    changed = {name for name, digest in copy.before.items() if after.get(name) != digest}
    assert {name for name in changed if not GENERATED.fullmatch(name)} == set()
    assert {"functions/manifest.json", "docs/errors.md", "docs/openapi.yaml"} <= changed
    added = after.keys() - copy.before.keys()
    assert added == copy.new
    assert all(name.startswith(("shared/throwaway/", "functions/throwaway/")) for name in added)


@pytest.mark.slow
def test_everybody_who_reads_declarations_knows_the_new_ones(copy: Copy) -> None:
    """Docs, API description, Terraform's input, Firestore's policies and what functions know at run time."""
    docs = copy.root / "docs"
    assert (
        "| 409 | `NOTHING_TO_THROW` | no | There is nothing to throw away. |"
        in (docs / "errors.md").read_text()
    )
    limits, operations = (docs / "limits.md").read_text(), (docs / "operations.md").read_text()
    for name in ("throws", "throws_concurrent", "rate_throwaway", "throwaway_open"):
        assert f"| `{name}` |" in limits
    for row in ("| thrown letters | 3 days after they died |", "| `throwaway` | Things on their way out |",
                "| `throwaway` | Things that were thrown away |", "| `throwaway_marks` |"):  # fmt: skip
        assert row in operations
    assert "NOTHING_TO_THROW" in (docs / "openapi.yaml").read_text()
    assert "## throwaway\n\nThrowing things away." in (docs / "api.md").read_text()
    assert "throwaway-start" in (copy.root / "infra" / "gateway.yaml").read_text()
    ttl = json.loads((copy.root / "infra" / "firestore.indexes.json").read_text())["fieldOverrides"]
    assert "throwaway_marks" in {one["collectionGroup"] for one in ttl}
    declared = copy.manifest()["declared"]
    assert declared["buckets"]["throwaway"]["delete_after_days"] == 1
    assert declared["queues"]["throwaway"]["declared_by"] == "shared.throwaway.declared"
    result = copy.run(
        "-c",
        "from shared.platform.registry import gathered\n"
        "from shared.platform.ops.retention.running import RULES\n"
        "assert 'throws' in gathered.LIMITS and 'rate_team_throwaway' in gathered.RATES\n"
        "assert 'throwaway_open' in gathered.FLAGS and gathered.BUCKETS['throwaway'] == 'throwaway'\n"
        "assert gathered.COLLECTIONS['throwaway_marks'] == 600\n"
        "assert any('throwaway-%' in rule.statement for rule in RULES)\n"
        "import sys; assert 'shared.throwaway' not in sys.modules\n",
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.soak
def test_its_bundles_carry_what_they_need_and_no_other_area(copy: Copy) -> None:
    """Imported from the bundle alone; what other rooms declare comes along as data."""
    for name in ("throwaway-start", "throwaway-work", "throwaway-finish", "ops-retention"):
        assert (built := copy.run("tools/build.py", "--only", name)).returncode == 0, built.stderr[-2000:]
        folder = copy.root / "build" / name
        carried = {path.relative_to(folder).parts[1] for path in (folder / "shared").rglob("*.py") if path.parent != folder / "shared"}  # fmt: skip
        assert carried == ({"platform"} if name == "ops-retention" else {"platform", "throwaway"})
        known = json.loads((folder / "shared/platform/registry/gathered.json").read_text())
        assert {"scans", "throws"} <= {limit["name"] for limit in known["limits"]}
        modules = [
            ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            for path in (folder / "shared").rglob("*.py")
        ]
        entry = next(one["entry_point"] for one in copy.manifest()["functions"] if one["name"] == name)
        asked = {"folder": str(folder), "entry_point": entry, "modules": modules, "outside": []}
        probe = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "bundle_probe.py")], cwd=folder, input=json.dumps(asked),
            env={"PYTHONPATH": str(folder), "PATH": os.environ["PATH"], "K_SERVICE": name},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(probe.stdout.splitlines()[-1]) == [], name


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(300)
def test_it_runs_on_the_laptops_cloud(copy: Copy) -> None:
    """Door, rate, flag, quota, queue, collection, bucket and event: one thing is thrown away from end to end."""
    result = copy.run("-m", "local", "exec", "--no-demo", "--", sys.executable, str(OVERLAY / "visit.py"))
    assert result.returncode == 0, (result.stderr or result.stdout)[-3000:]
    found = json.loads(re.search(r"^found (.+)$", result.stdout, re.MULTILINE)[1])  # type: ignore[index]
    assert found["started"] == 202
    assert '"throwaway"' in found["policy"]
    assert found["job"] == {"kind": "throw", "state": "completed", "result": {"thrown": "an old shoe"}}
    assert found["refused"] == [409, "NOTHING_TO_THROW"]
    assert found["used"] == {"throws": 1, "throws_concurrent": 0}
    assert found["flag"][0]["enabled"] is True
