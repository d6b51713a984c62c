"""The gateway as a process, over functions that the test writes."""

import contextlib
import http.client
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from local.manifest import LastGood, Watched
from local.patience import until
from tests.local.gateway.conftest import Tree

ECHO = """\
    from flask import jsonify
    return jsonify(path=request.path, root=request.script_root, query=request.query_string.decode(),
                   method=request.method, size=len(request.get_data()), mark=request.headers.get("X-Mark"))
"""


def test_a_request_reaches_its_function_unchanged(tree: Tree) -> None:
    """Path, query, method, headers and body arrive as they were sent; /_fn/<name> is the function's root."""
    tree.function("echo", ECHO, "/v1/echo/{id}", method="POST")
    tree.start()
    got = tree.ask("/v1/echo/a%20b?x=1&y=2", "POST", b"12345", X_Mark="m").json()
    assert got == {
        "path": "/v1/echo/a b",
        "root": "",
        "query": "x=1&y=2",
        "method": "POST",
        "size": 5,
        "mark": "m",
    }
    assert tree.ask("/_fn/echo", "POST", b"").json()["path"] == "/"


def test_a_body_of_32_mib_passes_and_one_byte_more_does_not(tree: Tree) -> None:
    """Cloud Run's limit, with a length given and in chunks."""
    tree.function("echo", ECHO, "/echo", method="POST")
    tree.start()
    limit = 32 * 1024 * 1024
    assert tree.ask("/echo", "POST", b"x" * limit).json()["size"] == limit
    refused = tree.ask("/echo", "POST", iter([b"x" * 1024 * 1024] * 33))
    assert (refused.status, refused.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert tree.ask("/echo", "POST", iter([b"x" * 1000] * 3)).json()["size"] == 3000
    with socket.create_connection(("127.0.0.1", tree.port)) as raw:
        raw.sendall(f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {limit + 1}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_unknown_path_is_a_404_in_the_envelope(tree: Tree) -> None:
    """Code, message, fate and ids, beside the fields of RFC 9457; a well-formed correlation id comes back."""
    tree.start()
    got = tree.ask("/nothing", X_Correlation_Id="my-request-1")
    body = got.json()
    assert got.status == body["status"] == 404
    assert body["error"]["code"] == "NOT_FOUND"
    assert body["error"]["retryable"] is False
    assert body["error"]["correlation_id"] == got.headers["x-correlation-id"] == "my-request-1"
    assert body["title"] == "Not Found"
    made = tree.ask("/nothing", X_Correlation_Id="<script>").headers["x-correlation-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)


def test_the_laptops_own_pages_answer_to_this_machines_names(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's page whose name leads here reads nothing; a name that the person configured does."""
    monkeypatch.setenv("BRIDGE_HOSTS", "my-vm.example")
    tree.start()
    asked = {
        host: tree.ask("/_local/", Host=host) for host in ("evil.example", "localhost.evil.example", "x@y")
    }
    assert {(got.status, got.json()["error"]["code"]) for got in asked.values()} == {(421, "HOST_NOT_SERVED")}
    for host in ("localhost", "127.0.0.1:8080", "[::1]", "my-vm", "my-vm.example:8080"):
        assert tree.ask("/_local/", Host=host).status == 200


def test_the_answer_to_head_has_no_body(tree: Tree) -> None:
    """What followed it on a kept connection would be read as the next answer."""
    tree.function("page", "    return 'fine'\n", "/page")
    tree.start()
    connection = http.client.HTTPConnection("127.0.0.1", tree.port)
    for path in ("/nothing", "/_local/", "/page"):
        connection.request("HEAD", path)
        assert connection.getresponse().read() == b""
        connection.request("GET", "/page")
        assert connection.getresponse().read() == b"fine"
    connection.close()


@pytest.mark.parametrize(
    "code", ["    import no_such_module_here\n", "    return (\n", "    raise SystemExit(3)\n"]
)
def test_a_function_that_can_not_be_loaded_fails_alone(tree: Tree, code: str) -> None:
    """Its own route answers 500 without the reason, the log has the traceback, the others serve on."""
    good = tree.function("good", "    return 'fine'\n", "/good")
    broken = tree.function("broken", "", "/broken")
    broken.write_text(code.replace("    ", "", 1))
    tree.start()
    got = tree.ask("/broken")
    assert got.status == 500
    assert got.json()["error"]["code"] == "INTERNAL"
    assert b"Traceback" not in got.body
    assert b"no_such_module_here" not in got.body
    assert any("Traceback" in entry.get("stack", "") for entry in tree.log())
    assert tree.ask("/good").body == b"fine"
    broken.write_text(good.read_text())
    assert tree.ask("/broken").body == b"fine"


def test_functions_do_not_see_each_other_through_the_framework(tree: Tree) -> None:
    """Same entry point name, same module name: an event function and a plain one keep their own shapes."""
    first = tree.function("first", "    return 'first'\n", "/first")
    tree.function("second", "    return 'second'\n", "/second")
    first.write_text(
        "import functions_framework\n\n\n@functions_framework.cloud_event\ndef handle(event):\n    pass\n"
    )
    probe = tree.function(
        "probe",
        "    import os, sys\n"
        "    return repr(('main' in sys.modules, os.environ.get('FUNCTION_TARGET'), [p for p in sys.path if 'functions/' in p]))\n",
        "/probe",
    )
    assert probe.exists()
    tree.start()
    for _ in range(6):  # Both workers.
        assert tree.ask("/first").status == 405, "a cloud_event function takes POST alone"
        assert tree.ask("/second").body == b"second"
        # Its name is empty, not absent: no name leaves the environment while other threads read it.
        assert tree.ask("/probe").body == b"(False, '', [])"


def test_an_edited_function_answers_anew_at_the_next_request(tree: Tree) -> None:
    """Edits of the same size within the same second, too: six of six."""
    source = tree.function("page", "    return 'a'\n", "/page")
    tree.start()
    text, moment = source.read_text(), int(time.time())
    for letter in "bcdefg":
        source.write_text(text.replace("'a'", f"'{letter}'"))
        # The file system's time in whole seconds, which is what ordinary bytecode compares, stays the same.
        os.utime(source, ns=(moment * 10**9, moment * 10**9 + ord(letter)))
        for _ in range(4):
            assert tree.ask("/page").body == letter.encode()


def test_stale_bytecode_beside_a_function_is_not_believed(tree: Tree) -> None:
    """A .pyc of the usual kind with the right second and size, but of older text, does not run."""
    import py_compile

    source = tree.function("page", "    return 'old'\n", "/page")
    moment = int(time.time())
    os.utime(source, (moment, moment))
    py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    source.write_text(source.read_text().replace("old", "new"))
    os.utime(source, (moment, moment))
    tree.start()
    assert tree.ask("/page").body == b"new"


def test_an_edit_of_shared_code_replaces_the_workers_without_a_failed_request(tree: Tree) -> None:
    """Requests go on while both workers are replaced; soon all answers come from the new code."""
    tree.shared("words", "WORD = 'one'\n")
    source = tree.function("page", "    from shared import words\n    return words.WORD\n", "/page")
    assert source.exists()
    tree.start()
    tree.until("/page", b"one")
    statuses: list[int] = []
    done = threading.Event()

    def hammer() -> None:
        while not done.is_set():
            try:
                statuses.append(tree.ask("/page").status)
            except (OSError, http.client.HTTPException):
                statuses.append(0)

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for word in ("two", "three"):
        tree.shared("words", f"WORD = {word!r}\n")
        tree.until("/page", word.encode(), 15)
    done.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert len(statuses) > 100


def test_a_new_manifest_is_served_at_once(tree: Tree) -> None:
    """A function added to the manifest answers without a restart; a broken manifest keeps the last good one."""
    tree.start()
    assert tree.ask("/late").status == 404
    tree.function("late", "    return 'here'\n", "/late")
    assert tree.ask("/late").body == b"here"
    (tree.root / "functions" / "manifest.json").write_text("{")
    assert tree.ask("/late").body == b"here"
    tree.function("later", "    return 'there'\n", "/later")
    assert tree.ask("/later").body == b"there"


def test_a_worker_that_never_saw_the_good_manifest_learns_it_from_the_others(tree: Tree) -> None:
    """Which worker a request meets is the kernel's choice; the answer must not depend on it."""
    manifest = tree.root / "functions" / "manifest.json"
    shared = LastGood()
    first, second = Watched(manifest, shared), Watched(manifest, shared)
    assert (first.functions(), second.functions()) == ((), ())
    tree.function("late", "    return 'here'\n", "/late")
    known = first.functions()
    assert [function.name for function in known] == ["late"]
    manifest.write_text('{"functions": [7]}')
    assert second.functions() == known
    assert second.functions() is second.functions(), "what is compiled from it is compiled once"
    assert second.problem
    tree.function("later", "    return 'there'\n", "/later")
    assert [function.name for function in second.functions()] == ["late", "later"]
    assert second.problem is None


STREAM = """\
    import time
    from flask import Response
    def tokens():
        for number in range(5):
            yield f"data: {number} {time.time()}\\n\\n"
            time.sleep(0.1)
    return Response(tokens(), mimetype="text/event-stream")
"""


STEPWISE = """\
    import time
    from pathlib import Path
    from flask import Response
    heard = Path({heard!r})
    def tokens():
        for number in range(3):
            yield f"data: {{number}}\\n\\n"
            while not (heard / str(number)).exists():
                time.sleep(0.02)
    return Response(tokens(), mimetype="text/event-stream")
"""


def test_each_token_of_a_stream_arrives_before_the_next_is_sent_on_24_streams_at_once(tree: Tree) -> None:
    """Nothing is gathered and no stream waits for another's end: all hear a token before any sends the next."""
    heard, tokens = tree.root / "heard", list[list[str]]()
    heard.mkdir()
    tree.function("stream", STEPWISE.format(heard=str(heard)), "/stream", kind="sse")
    tree.start()
    meeting = threading.Barrier(24, timeout=600)

    def listen() -> None:
        mine: list[str] = []
        connection = http.client.HTTPConnection("127.0.0.1", tree.port)
        connection.request("GET", "/stream")
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"data: "):
                mine.append(line.decode()[6:].strip())
                with contextlib.suppress(threading.BrokenBarrierError):
                    meeting.wait()
                    (heard / mine[-1]).touch()
        connection.close()
        tokens.append(mine)

    threads = [threading.Thread(target=listen) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens == [["0", "1", "2"]] * 24


def test_the_access_log_has_the_outcome_and_no_query(tree: Tree) -> None:
    """One JSON line a request with function, status, size and correlation id; tickets in the query stay out."""
    tree.function("page", "    return 'hello'\n", "/page")
    tree.start()
    tree.ask("/page?ticket=secret-ticket", X_Correlation_Id="request-42")
    found = until(lambda: [entry for entry in tree.log() if entry.get("function") == "page"], "it is written")
    assert found[0]["httpRequest"]["status"] == 200
    assert found[0]["httpRequest"]["responseSize"] == 5
    assert found[0]["correlation_id"] == "request-42"
    assert "secret-ticket" not in (tree.root / "gateway.log").read_text()


def test_a_stop_does_not_wait_for_the_end_of_streams(tree: Tree) -> None:
    """SIGTERM ends the gateway although a client still listens to a stream that never ends."""
    tree.function("endless", STREAM.replace("range(5)", "iter(int, 1)"), "/endless", kind="sse")
    tree.start()
    connection = http.client.HTTPConnection("127.0.0.1", tree.port)
    connection.request("GET", "/endless")
    connection.getresponse().readline()
    assert tree.stop() == 0
    connection.close()


def test_no_worker_outlives_a_killed_gateway(tree: Tree) -> None:
    """SIGKILL for the master: the kernel ends the workers, and the port is free."""
    tree.start()
    workers = {tree.ask("/_local/").json()["worker"] for _ in range(20)}
    assert tree.process is not None
    tree.process.kill()
    tree.process.wait()
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), "the workers end, too")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", tree.port)) != 0


def test_a_function_knows_its_deployed_name_while_it_is_loaded(tree: Tree) -> None:
    """Cloud Run sets K_SERVICE; the framework imports every function as `main`, so nothing else tells the name."""
    source = tree.function(
        "named", "    import os\n    return f'{NAME} {os.environ.get(\"K_SERVICE\")}'\n", "/named"
    )
    source.write_text("import os\n\nNAME = os.environ['K_SERVICE']\n" + source.read_text())
    tree.start()
    assert tree.ask("/named").body == b"named "


def test_a_replaced_worker_lets_its_streams_end(tree: Tree) -> None:
    """A stream that began before an edit of shared code ends as if nothing had happened."""
    tree.shared("words", "WORD = 'one'\n")
    tree.function("page", "    from shared import words\n    return words.WORD\n", "/page")
    tree.function("stream", STREAM.replace("range(5)", "range(30)"), "/stream", kind="sse")
    tree.start()
    connection = http.client.HTTPConnection("127.0.0.1", tree.port)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    assert answer.readline().startswith(b"data: 0")
    tree.shared("words", "WORD = 'two'\n")
    tree.until("/page", b"two")
    assert answer.read().count(b"data: ") == 29
    connection.close()
