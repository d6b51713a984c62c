"""`make verify-bundles`: prove that each bundle works alone, with nothing of this repository in reach.

For each requirement set a clean environment is made (hashes required, bytecode compiled). Each bundle is
unpacked in an empty folder, all that it carries is imported, also what is imported inside functions, and
it is served by functions-framework under its deployed name and called: without a credential, and with
one that can't be checked because no directory is in reach. A bundle that leans on something that it does
not carry fails here by name. By default one function of each requirement set and one of each kind;
`--all` tries all.
"""

import argparse
import fcntl
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from local import ports  # noqa: E402
from tools import build as bundles  # noqa: E402
from tools.setup_env import trusting  # noqa: E402

ENVIRONMENTS = ROOT / "build" / ".environments"
NOWHERE = "127.0.0.1:9"  # The discard port: a connection is refused at once.
START_SECONDS, ANSWER_SECONDS = 60.0, 30.0
CONFIGURATION = {
    "BRIDGE_ENV": "dev",
    "BRIDGE_BASE_URL": "http://127.0.0.1:8080",
    "BRIDGE_STEP_URL": "http://127.0.0.1:8080/_fn/{name}",
    "GOOGLE_CLOUD_PROJECT": "bridge-bundles",
    "DATABASE_URL": f"postgresql://nobody:nothing@{NOWHERE}/none",
    "BRIDGE_BUCKET_PREFIX": "bridge-bundles",
    "BRIDGE_KMS_KEY": "projects/bridge-bundles/locations/us-central1/keyRings/bridge/cryptoKeys/credentials",
    "BRIDGE_STEP_SERVICE_ACCOUNT": "steps@bridge-bundles.iam.gserviceaccount.com",
    "BRIDGE_EVENTS_SERVICE_ACCOUNT": "events@bridge-bundles.iam.gserviceaccount.com",
    "BRIDGE_OIDC_CERTS_URL": f"http://{NOWHERE}/certs",
    "FIRESTORE_EMULATOR_HOST": NOWHERE,
    "BIGQUERY_EMULATOR_HOST": f"http://{NOWHERE}",
    "CLOUD_TASKS_EMULATOR_HOST": NOWHERE,
    "KMS_EMULATOR_HOST": NOWHERE,
    "SECRET_MANAGER_EMULATOR_HOST": NOWHERE,
}
"""Where the cloud would be: well-formed, and nobody there. Cloud Storage alone is there, and empty: its client
repeats an unanswered call for longer than anybody waits here."""


def environment(made: bundles.Bundle, environments: Path = ENVIRONMENTS) -> Path:
    """The environment of a requirement set, made from nothing the first time; answers its Python."""
    home = environments / made.environment
    python = home / "bin" / "python"
    environments.mkdir(parents=True, exist_ok=True)
    with (environments / f"{made.environment}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Tests and the command may want the same one at once.
        if not (home / "complete").exists():
            _install(made, home)
    return python


def _install(made: bundles.Bundle, home: Path) -> None:
    python = home / "bin" / "python"
    shutil.rmtree(home, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(home)])
    wanted = home / "requirements.txt"
    wanted.write_text(made.requirements)
    _run([uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "--no-deps",
          "--compile-bytecode", "--requirement", str(wanted)])  # fmt: skip
    _run([uv, "pip", "check", "--quiet", "--python", str(python)])
    (home / "complete").touch()


@contextmanager
def empty_cloud() -> Iterator[dict[str, str]]:
    """The variables of a cloud in which only Cloud Storage answers, and holds nothing."""
    with tempfile.TemporaryDirectory(prefix="bundles-") as place:
        address = f"127.0.0.1:{ports.free()}"
        server = subprocess.Popen(
            [sys.executable, "-m", "local.cloud.storage", "--port", address.split(":")[1], "--data", place],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            if server.stdout is None or not server.stdout.readline().startswith("ready"):
                raise RuntimeError("the local Cloud Storage did not start")
            yield CONFIGURATION | {"STORAGE_EMULATOR_HOST": f"http://{address}"}
        finally:
            server.terminate()
            server.communicate(timeout=10)


def verify(
    archive: Path, made: bundles.Bundle, python: Path, cloud: dict[str, str]
) -> tuple[list[str], int | None]:
    """What is wrong with one bundle, and how many milliseconds its first answer took."""
    with tempfile.TemporaryDirectory(prefix="bundle-") as place:
        folder = Path(place).resolve() / made.name
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        # Nothing of this shell: no PYTHONPATH, no credentials, no proxies.
        variables = cloud | {"K_SERVICE": made.name, "PATH": "/usr/bin:/bin", "HOME": place}
        found = _probe(folder, made, python, variables)
        if found:
            return found, None
        _run([str(python), "-m", "compileall", "-q", str(folder)])
        with _served(folder, made, python, variables) as (port, begun):
            found, taken = _first_answer(port, begun)
            if not found:
                found = _answers(port, made)
            return found, taken


def _probe(folder: Path, made: bundles.Bundle, python: Path, variables: dict[str, str]) -> list[str]:
    modules = [
        place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for place in made.content
        if place.endswith(".py") and place != "main.py"
    ]
    asked = {
        "folder": str(folder),
        "entry_point": made.entry_point,
        "modules": modules,
        "outside": [[wanted.module, wanted.name] for wanted in made.outside],
    }
    probe = (ROOT / "tools" / "bundle_probe.py").read_text()
    result = subprocess.run(
        [str(python), "-I", "-B", "-c", probe], input=json.dumps(asked), env=variables,
        capture_output=True, text=True, check=False, cwd=folder, timeout=120,
    )  # fmt: skip
    if result.returncode != 0:
        return [f"the import probe ended with {result.returncode}: {result.stderr[-800:]}"]
    return list(json.loads(result.stdout.rsplit("\n", 1)[-1]))


@contextmanager
def _served(
    folder: Path, made: bundles.Bundle, python: Path, variables: dict[str, str]
) -> Iterator[tuple[int, float]]:
    """The bundle behind functions-framework, as the platform starts it; stopped at the end."""
    port = ports.free()
    begun = time.perf_counter()
    with (folder.parent / "server.log").open("w+") as log:
        server = subprocess.Popen(
            [str(python), "-I", "-m", "functions_framework", "--source", "main.py", "--target", made.entry_point,
             "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield port, begun
        except (OSError, http.client.HTTPException) as error:
            log.seek(0)
            raise RuntimeError(f"it did not answer ({error!r}); its log:\n{log.read()[-2000:]}") from error
        finally:
            server.terminate()
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _first_answer(port: int, begun: float) -> tuple[list[str], int]:
    """Wait for the first answer, which is to a method that nothing takes: it needs no backend."""
    while True:
        try:
            status, headers, body = _call(port, "PROPFIND", {})
        except (ConnectionRefusedError, ConnectionResetError):
            if time.perf_counter() - begun > START_SECONDS:
                raise
            time.sleep(0.01)
            continue
        taken = round((time.perf_counter() - begun) * 1000)
        return _judge("a method that it does not take", status, body, headers, allowed=(401, 404, 405)), taken


def _answers(port: int, made: bundles.Bundle) -> list[str]:
    """Call it as a stranger, and with a credential that needs the directory (or, for a step, its issuer)."""
    door = next(entry for entry in bundles.functions(made.name))
    step = made.kind in ("task", "finalized", "scheduled")
    method, path = ("POST", "/") if step else (door["method"], _address(door["paths"][0]))
    credential = "e30.e30.e30" if step else "brg_" + "x" * 43
    public = made.role == "public"
    status, headers, body = _call(port, method, {}, path)
    found = _judge(
        "no credential", status, body, headers, allowed=(401, 404, 400, 415, 503) if public else (401,)
    )
    status, headers, body = _call(port, method, {"Authorization": f"Bearer {credential}"}, path)
    refused = (401, 503) if step else (404, 503) if public else (503,)
    return found + _judge("a credential", status, body, headers, allowed=refused)


def _judge(
    what: str, status: int, body: bytes, headers: dict[str, str], *, allowed: tuple[int, ...]
) -> list[str]:
    """An answer must be one of ours: the envelope, a status that this situation has, no unexpected error."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return [f"with {what} it answered {status} outside our envelope: {body[:200]!r}"]
    problems = []
    if status not in allowed:
        problems.append(f"with {what} it answered {status} {code}, expected {allowed}")
    if status >= 500 and code != "SERVICE_UNAVAILABLE":
        problems.append(f"with {what} it answered {code}, which is a fault of its own")
    if "x-correlation-id" not in headers:
        problems.append(f"with {what} its answer has no X-Correlation-Id")
    return problems


def _call(
    port: int, method: str, headers: dict[str, str], path: str = "/"
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, headers={"Connection": "close"} | headers)
        response = connection.getresponse()
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


def _address(template: str) -> str:
    """A path of the function, with an id that nothing has."""
    parts = []
    for part in template.split("/"):
        inner = part.strip("{}").removesuffix(":path")
        nothing = "00000000-0000-7000-8000-000000000000"
        parts.append(part if inner == part else nothing if inner.endswith("_id") else "none")
    return "/".join(parts)


def _run(command: list[str]) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=trusting(kept))
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")


def representative(made: list[bundles.Bundle]) -> list[bundles.Bundle]:
    """The bundle with the most in it, of each requirement set and of each kind of function."""
    largest = sorted(made, key=lambda one: (-len(one.content), one.name))
    chosen: dict[str, bundles.Bundle] = {}
    for one in largest:
        chosen.setdefault(one.environment, one)
    kinds = {(one.kind, one.role == "public"): one for one in chosen.values()}
    for one in largest:
        kinds.setdefault((one.kind, one.role == "public"), one)
    return sorted(
        {one.name: one for one in (*chosen.values(), *kinds.values())}.values(), key=lambda one: one.name
    )


def main() -> int:
    """Verify; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="every bundle instead of a representative set")
    parser.add_argument("--only", metavar="NAME", help="the deployed name of one function")
    parser.add_argument(
        "--environments", action="store_true", help="only make the environments of all bundles"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    made = [bundles.bundle(function) for function in bundles.functions(arguments.only)]
    everything = arguments.all or arguments.only or arguments.environments
    chosen = made if everything else representative(made)
    bundles.BUILD.mkdir(exist_ok=True)
    begun = time.perf_counter()
    digests = {one.name: bundles.write(one, bundles.BUILD) for one in chosen}
    pythons = {one.environment: environment(one) for one in chosen}
    print(f"{len(pythons)} environments are ready after {time.perf_counter() - begun:.0f} s", flush=True)
    if arguments.environments:
        return 0

    def attempt(one: bundles.Bundle) -> tuple[bundles.Bundle, list[str], int | None]:
        try:
            archive = bundles.BUILD / f"{one.name}.zip"
            found, taken = verify(archive, one, pythons[one.environment], cloud)
        except (RuntimeError, subprocess.TimeoutExpired, OSError) as error:
            return one, [str(error)], None
        return one, found, taken

    starts: dict[str, Any] = {}
    failed = 0
    with empty_cloud() as cloud, ThreadPoolExecutor(arguments.jobs) as pool:
        for one, found, taken in pool.map(attempt, chosen):
            failed += bool(found)
            print(f"{'FAILED' if found else 'ok':6} {one.name:36} {taken or '-':>6} ms", flush=True)
            for problem in found:
                print(f"       {problem}", file=sys.stderr, flush=True)
            if taken is not None:
                starts[digests[one.name]] = taken
    kept = bundles.BUILD / "cold_starts.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    kept.write_text(json.dumps(known | starts, indent=2) + "\n")
    (bundles.BUILD / "report.md").write_text(bundles.report(bundles.BUILD))
    print(
        f"{len(chosen) - failed} of {len(chosen)} bundles work alone ({time.perf_counter() - begun:.0f} s)",
        flush=True,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
