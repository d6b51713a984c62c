"""Bundle mode: functions from their zips, each in a process of its own, behind the same gateway."""

import contextlib
import http.client
import json
import os
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.gateway.bundles import BundleLoader
from local.manifest import Function
from local.patience import until
from tests.local.gateway.conftest import Tree

HEAD = "import functions_framework\n\n\n@functions_framework.http\ndef handle(request):\n"
ECHO = """\
    import os, sys
    from flask import jsonify
    return jsonify(path=request.path, query=request.query_string.decode(), method=request.method,
                   body=request.get_data().decode(), mark=request.headers.get("X-Mark"), name=os.environ["K_SERVICE"],
                   pid=os.getppid(), path_has=[p for p in sys.path if p.endswith("main")]), 201, {"X-Mine": "yes"}
"""


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build folder whose one environment is the test's own."""
    folder = tmp_path / "build"
    (folder / ".environments").mkdir(parents=True)
    (folder / ".environments" / "own").symlink_to(sys.prefix)
    (folder / "bundles.json").write_text("{}")
    return folder


def put(build: Path, name: str, code: str, digest: str = "1") -> None:
    """A bundle as tools/build.py writes it."""
    with zipfile.ZipFile(build / f"{name}.zip", "w") as archive:
        archive.writestr("main.py", HEAD + code)
    index: dict[str, Any] = json.loads((build / "bundles.json").read_text())
    index[name] = {"sha256": digest * 20, "environment": "own"}
    (build / "bundles.json").write_text(json.dumps(index))


def serve(tree: Tree, build: Path, **functions: str) -> None:
    for name, code in functions.items():
        tree.function(name, "    return 'from the source tree'\n", f"/v1/{name}/{{id}}", method="POST")
        put(build, name, code)
    tree.start("--bundles", str(build))


@pytest.mark.slow
def test_a_request_reaches_the_bundle_unchanged(tree: Tree, build: Path) -> None:
    """Path, query, headers and body arrive as sent, the answer comes back whole, and it is the zip that answers."""
    serve(tree, build, echo=ECHO)
    answer = tree.ask("/v1/echo/a%20b?x=1&y=2", "POST", b"12345", X_Mark="m")
    got = answer.json()
    assert (answer.status, answer.headers["x-mine"]) == (201, "yes")
    assert (got["path"], got["query"], got["method"]) == ("/v1/echo/a b", "x=1&y=2", "POST")
    assert (got["body"], got["mark"], got["name"]) == ("12345", "m", "echo")
    assert tree.ask("/_fn/echo", "POST", b"").json()["path"] == "/"
    assert tree.ask("/v1/echo/1", "POST", iter([b"ab", b"cd"])).json()["body"] == "abcd"


@pytest.mark.slow
def test_a_bundle_cannot_reach_the_source_tree(
    tree: Tree, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither through the path nor through PYTHONPATH: what is not in the zip fails, alone and by name."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tree.root), str(Path(__file__).parents[3])]))
    tree.shared("prices", "VALUE = 3\n")
    serve(
        tree, build,
        leaning="    from shared import prices\n    return str(prices.VALUE)\n",
        laptop="    import local.manifest\n    return 'reached'\n",
        good="    return 'fine'\n",
    )  # fmt: skip
    assert tree.ask("/v1/leaning/1", "POST").status == 500
    assert tree.ask("/v1/laptop/1", "POST").status == 500
    assert tree.ask("/v1/good/1", "POST").body == b"fine"
    log = (tree.root / "gateway.log").read_text()
    assert "No module named 'shared'" in log
    assert "No module named 'local'" in log


@pytest.mark.slow
def test_a_stream_stays_a_stream(tree: Tree, build: Path) -> None:
    """Each piece passes before the next is sent, and a client that leaves is noticed by the function."""
    gone, heard = tree.root / "gone", tree.root / "heard"
    heard.mkdir()
    serve(
        tree, build,
        slow=f"    import itertools, pathlib, time\n    def pieces():\n        try:\n"
        f"            for n in itertools.count():\n                yield b'%d\\n' % n\n"
        f"                while n < 4 and not pathlib.Path({str(heard)!r}, str(n)).exists():\n"
        f"                    time.sleep(0.01)\n"
        f"        finally:\n            open({str(gone)!r}, 'w').close()\n    return pieces(), 200\n",
    )  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", tree.port)
    connection.request("POST", "/v1/slow/1")
    response = connection.getresponse()
    for number in range(4):
        assert response.readline() == b"%d\n" % number
        (heard / str(number)).touch()
    connection.close()
    until(gone.exists, "the function stops to send to nobody")


@pytest.mark.slow
def test_a_process_that_died_and_a_bundle_built_anew_are_started_again(tree: Tree, build: Path) -> None:
    """The next request does not know of the death; after a build it meets the new code."""
    serve(tree, build, echo=ECHO)
    first = tree.ask("/v1/echo/1", "POST").json()["pid"]
    assert tree.ask("/v1/echo/1", "POST").json()["pid"] == first
    os.kill(first, signal.SIGKILL)

    def another() -> bool:
        with contextlib.suppress(ValueError, KeyError, http.client.HTTPException, OSError):
            return bool(tree.ask("/v1/echo/1", "POST").json()["pid"] != first)
        return False

    until(another, "a new process answers")
    put(build, "echo", "    return 'new'\n", digest="2")
    # Whichever worker answers, the one that had the old process among them.
    assert {tree.ask("/v1/echo/1", "POST").body for _ in range(12)} == {b"new"}


@pytest.mark.slow
def test_no_process_outlives_the_gateway(tree: Tree, build: Path) -> None:
    """Also when it is killed: the kernel ends a function's process with its parent."""
    serve(tree, build, echo=ECHO)
    child = tree.ask("/v1/echo/1", "POST").json()["pid"]
    assert tree.process is not None
    tree.process.kill()

    def ended() -> bool:
        with contextlib.suppress(FileNotFoundError):
            return "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]
        return True

    until(ended, f"process {child} ends, too")


@pytest.mark.slow
def test_a_bundle_that_was_built_anew_replaces_its_process(build: Path) -> None:
    """The process of before is idle and well, and is not asked again."""
    loader = BundleLoader(build, most=2)
    put(build, "echo", "    return 'old'\n")
    function = Function(name="echo", source="", entry_point="handle", kind="http")
    try:
        assert [_called(loader, function) for _ in range(2)] == [b"old", b"old"]
        put(build, "echo", "    return 'new'\n", digest="2")
        assert [_called(loader, function) for _ in range(2)] == [b"new", b"new"]
    finally:
        loader.stop()


@pytest.mark.slow
def test_the_idle_process_that_was_used_least_recently_makes_room(build: Path, tmp_path: Path) -> None:
    """Never more than the limit while there are idle ones."""
    loader = BundleLoader(build, most=2)
    functions = []
    for name in ("one", "two", "three"):
        put(build, name, "    return 'fine'\n")
        functions.append(Function(name=name, source="", entry_point="handle", kind="http"))
    try:
        for function in (functions[0], functions[1], functions[0], functions[2]):
            assert _called(loader, function) == b"fine"
        assert loader.loaded() == ["one", "three"]
    finally:
        loader.stop()
    assert loader.loaded() == []


def test_a_missing_bundle_or_environment_says_what_to_do(tree: Tree, build: Path) -> None:
    """As a function that can't be loaded: 500 to the caller, the command in the log."""
    tree.function("unbuilt", "    return 'x'\n", "/v1/unbuilt")
    tree.function("homeless", "    return 'x'\n", "/v1/homeless")
    put(build, "homeless", "    return 'x'\n")
    (build / ".environments" / "own").unlink()
    tree.start("--bundles", str(build))
    for path in ("/v1/unbuilt", "/v1/homeless"):
        answer = tree.ask(path)
        assert (answer.status, answer.json()["error"]["code"]) == (500, "INTERNAL")
    said = " ".join(str(line["message"]) for line in tree.log())
    assert "unbuilt has no bundle: run `make build`" in said
    assert "homeless has no environment: run `python tools/verify_bundles.py --environments`" in said


def _called(loader: BundleLoader, function: Function) -> bytes:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.input": None}
    answer = loader.load(function)(environ, lambda *_: None)
    try:
        return b"".join(answer)
    finally:
        answer.close()  # type: ignore[attr-defined]
