"""The same tests against our Firestore and, where gcloud has it, against Google's own emulator."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from google.cloud import firestore

from local import ports
from tests.local.grpc_serving import Serving, serving


@pytest.fixture(scope="session")
def our_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving("local.cloud.firestore", tmp_path_factory.mktemp("firestore")) as server:
        yield server


@pytest.fixture(scope="session")
def google_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Google's emulator; skips with the reason where it can't run."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("Google's Firestore emulator: gcloud is not on the PATH")
    root = Path(gcloud).resolve().parents[1]
    listed = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
    ).stdout.strip()
    jars = [base / "platform" / "cloud-firestore-emulator" for base in (root, Path(listed or "/nowhere"))]
    if not any(folder.is_dir() for folder in jars):
        pytest.skip("Google's Firestore emulator: gcloud has no component cloud-firestore-emulator")
    if shutil.which("java") is None:
        pytest.skip("Google's Firestore emulator: java is not on the PATH")
    address = f"127.0.0.1:{ports.free()}"
    folder = tmp_path_factory.mktemp("google")
    command = [gcloud, "emulators", "firestore", "start", f"--host-port={address}"]
    environment = os.environ | {"CLOUDSDK_CONFIG": str(folder), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        with grpc.insecure_channel(address) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=60)
            except grpc.FutureTimeoutError:
                pytest.skip(f"Google's Firestore emulator did not start: {log.read_text()[-500:]}")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


Connect = Callable[..., firestore.Client]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Make real clients; each one sees an empty project of its own unless told otherwise."""
    made: list[firestore.Client] = []

    def to(address: str, project: str | None = None, database: str | None = None) -> firestore.Client:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        made.append(firestore.Client(project=project or f"p-{uuid4().hex[:8]}", database=database))
        return made[-1]

    yield to
    for client in made:
        client.close()


@pytest.fixture(params=["ours", pytest.param("google", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest) -> str:
    """Both servers, one after the other."""
    if request.param == "google":
        return str(request.getfixturevalue("google_emulator"))
    server: Serving = request.getfixturevalue("our_server")
    return server.address


@pytest.fixture
def db(address: str, connect: Connect) -> firestore.Client:
    return connect(address)


@pytest.fixture
def ours(our_server: Serving, connect: Connect) -> firestore.Client:
    """For what the service does and Google's emulator does not."""
    return connect(our_server.address)
