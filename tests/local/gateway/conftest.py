"""A gateway over a source tree that the test writes."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local import ports
from local.patience import until


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Tree:
    """Functions, shared code and the manifest of one test, and the gateway that serves them."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, ports.free()
        self._functions: list[dict[str, Any]] = []
        self.process: subprocess.Popen[bytes] | None = None
        (root / "shared").mkdir()
        (root / "shared" / "__init__.py").write_text("")
        (root / "functions").mkdir()
        self._write_manifest()

    def function(self, name: str, code: str, *paths: str, method: str = "GET", kind: str = "http") -> Path:
        """Add or replace a function whose entry point is `handle`."""
        source = self.root / "functions" / name / "main.py"
        source.parent.mkdir(exist_ok=True)
        source.write_text(
            f"import functions_framework\n\n\n@functions_framework.http\ndef handle(request):\n{code}"
        )
        self._functions = [known for known in self._functions if known["name"] != name]
        self._functions.append(
            {"name": name, "source": f"functions/{name}/main.py", "entry_point": "handle", "kind": kind,
             "method": method, "paths": list(paths)}
        )  # fmt: skip
        self._write_manifest()
        return source

    def shared(self, name: str, code: str) -> None:
        (self.root / "shared" / f"{name}.py").write_text(code)

    def _write_manifest(self) -> None:
        temporary = self.root / "functions" / "manifest.tmp"
        temporary.write_text(json.dumps({"functions": self._functions}))
        temporary.rename(self.root / "functions" / "manifest.json")

    def start(self, *arguments: str) -> None:
        log = (self.root / "gateway.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "local.gateway",
                    "--port",
                    str(self.port),
                    "--root",
                    str(self.root),
                    *arguments,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"ready 127.0.0.1:{self.port}\n".encode()

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def log(self) -> list[dict[str, Any]]:
        lines = (self.root / "gateway.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def until(self, path: str, body: bytes, patience: float = 60.0) -> None:
        """Wait until three answers in a row, which reach both workers, have this body."""
        answers: list[bytes] = []

        def settled() -> bool:
            answers.append(self.ask(path).body)
            return answers[-6:] == [body] * 6

        until(settled, lambda: f"{path} answers {body!r}, and not {answers[-1]!r}", seconds=patience)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    made.stop()
