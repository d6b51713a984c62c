"""The TypeScript client is made from the OpenAPI document and compiles."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import typescript_client as client

ROOT = Path(__file__).resolve().parents[2]


def test_the_types_are_of_the_document_as_it_is() -> None:
    """The generated file names the document's hash; one that is older fails the check."""
    assert client.is_current(), "run `make generate`"


def test_a_changed_document_makes_the_types_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more byte in the document is enough."""
    changed = tmp_path / "openapi.yaml"
    changed.write_bytes(client.DOCUMENT.read_bytes() + b"\n")
    monkeypatch.setattr(client, "DOCUMENT", changed)
    assert not client.is_current()


def test_the_lock_names_versions_and_hashes_and_no_host() -> None:
    """Every package is pinned with its hash, and any registry may serve it."""
    lock = json.loads((client.CLIENT / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name
    wanted = json.loads((client.CLIENT / "package.json").read_text())
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert packages[f"node_modules/{name}"]["version"] == version


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed here")
def test_the_client_compiles_and_wrong_calls_do_not() -> None:
    """The generator gives the committed types again; check/usage.ts holds calls that must and must not compile."""
    result = subprocess.run(
        [sys.executable, "tools/typescript_client.py", "--compile"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    usage = client.CLIENT / "check" / "usage.ts"
    assert usage.read_text().count("@ts-expect-error") >= 7
