"""What loading a function may touch of the process that serves the others meanwhile."""

import json
import os
from pathlib import Path

import pytest

from local.gateway.loader import _ENVIRONMENT, SourceLoader
from local.manifest import Function

CODE = """\
import json, os, pathlib
pathlib.Path({seen!r}).write_text(json.dumps([os.environ["K_SERVICE"], sorted(os.environ)]))

def handle(request):
    return "fine"
"""


def test_no_name_enters_or_leaves_the_environment_while_a_function_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that reads all of it at that moment (settings do) would end with `dictionary changed size`."""
    for name in _ENVIRONMENT:
        monkeypatch.setenv(name, "")  # So that pytest puts back what was there.
        monkeypatch.delenv(name)
    seen = tmp_path / "seen.json"
    (tmp_path / "main.py").write_text(CODE.format(seen=str(seen)))
    loader = SourceLoader(tmp_path)
    before = dict(os.environ)
    loader.load(Function("reports-show", "main.py", "handle", "http"))
    own_name, names = json.loads(seen.read_text())
    assert own_name == "reports-show"
    assert names == sorted(before)
    assert dict(os.environ) == before
