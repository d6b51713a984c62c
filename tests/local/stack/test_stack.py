"""The whole stack: everything starts, everything is wired, nothing acknowledged is lost."""

import base64
import json
import os
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pg8000.native
import pytest
from google.auth import credentials
from google.cloud import storage, tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local.cloud import identity
from local.gateway import front
from local.patience import until
from local.stack import api
from migrations import runner
from tests.local.dispatching import LOCATION
from tests.local.stack.conftest import Recorded

pytestmark = pytest.mark.stack


def tasks(stack: api.Stack) -> tasks_v2.CloudTasksClient:
    channel = grpc.insecure_channel(stack.env["CLOUD_TASKS_EMULATOR_HOST"])
    return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))


def bucket(stack: api.Stack, name: str) -> Any:
    client = storage.Client(
        "bridge-local",
        credentials=credentials.AnonymousCredentials(),
        client_options={"api_endpoint": stack.env["STORAGE_EMULATOR_HOST"]},
    )
    return client.get_bucket(f"{stack.env['BRIDGE_BUCKET_PREFIX']}-{name}")


def claims_of(call: dict[str, Any]) -> dict[str, Any]:
    """What the token of a delivery says. The gateway has checked it and removed its signature, as Cloud Run does."""
    _, claims, signature = call["headers"]["Authorization"].removeprefix("Bearer ").split(".")
    assert signature == front.REMOVED
    return dict(json.loads(base64.urlsafe_b64decode(claims + "==")))


def send(stack: api.Stack, body: bytes) -> None:
    url = stack.env["BRIDGE_STEP_URL"].replace("{name}", "sample-step")
    request = {
        "url": url,
        "body": body,
        "oidc_token": {"service_account_email": stack.env["BRIDGE_STEP_SERVICE_ACCOUNT"], "audience": url},
    }
    tasks(stack).create_task(parent=f"{LOCATION}/queues/default", task={"http_request": request})


def test_a_task_reaches_its_function_with_a_token_that_was_checked(
    stack: api.Stack, record: Recorded
) -> None:
    """Queue, gateway, identity and certificates fit together."""
    send(stack, b"hello")
    (call,) = until(record.calls)
    assert (call["path"], call["body"]) == ("/", "hello")
    url = stack.env["BRIDGE_STEP_URL"].replace("{name}", "sample-step")
    claims = claims_of(call)
    assert (claims["aud"], claims["email"]) == (url, stack.env["BRIDGE_STEP_SERVICE_ACCOUNT"])


def test_a_finished_object_reaches_the_function_that_waits_for_it(stack: api.Stack, record: Recorded) -> None:
    """Upload by the real client, event, delivery: with Eventarc's identity."""
    bucket(stack, "catalog").blob("a/b.json").upload_from_string("{}")
    (call,) = until(record.calls)
    headers = {name.lower(): value for name, value in call["headers"].items()}
    assert headers["ce-subject"] == "objects/a/b.json"
    claims = claims_of(call)
    assert claims["aud"] == identity.run_address("sample-event")
    assert claims["email"] == stack.env["BRIDGE_EVENTS_SERVICE_ACCOUNT"]


def test_a_schedule_can_be_fired_through_the_gateway(stack: api.Stack, record: Recorded) -> None:
    """POST /_local/clock/fire/<name> works at the public address, too."""
    request = urllib.request.Request(f"{stack.url}/_local/clock/fire/sample-tick", b"{}", method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    (call,) = record.calls()
    assert call["headers"]["X-Cloudscheduler"] == "true"


def test_buckets_queues_schema_and_variables_are_there(stack: api.Stack) -> None:
    """Every bucket and queue of the brief exists, history is kept where it must be, the schema is current."""
    versioned = {name: bucket(stack, name).versioning_enabled for name in
                 ("credentials", "catalog", "sessions", "dashboards", "cache", "assets")}  # fmt: skip
    assert {name for name, on in versioned.items() if on} == {"credentials", "sessions", "dashboards"}
    queues = stack.local("GET", "/_local/dispatch")["queues"]
    assert queues.keys() >= {"catalog", "connections", "dashboards", "chat", "default"}
    assert runner.verify(stack.env["MIGRATIONS_DATABASE_URL"]) == []
    for name in (
        "BIGQUERY_EMULATOR_HOST",
        "FIRESTORE_EMULATOR_HOST",
        "KMS_EMULATOR_HOST",
        "SECRET_MANAGER_EMULATOR_HOST",
    ):
        assert stack.env[name]


def test_what_holds_secrets_is_readable_by_its_owner_alone(stack: api.Stack) -> None:
    """Passwords, the environment and the signing key are 0600; service folders are closed."""
    for name in ("environment.json", "postgres/passwords.json", "identity/key.pem"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((stack.home / "storage").stat().st_mode) == 0o700
    state = (stack.home / "stack.json").read_text()
    page = urllib.request.urlopen(f"{stack.url}/_local/").read().decode()
    for secret in json.loads((stack.home / "postgres" / "passwords.json").read_text()).values():
        assert secret not in state
        assert secret not in page


@pytest.mark.parametrize("service", ["postgres", "storage", "dispatch", "gateway", "kms"])
def test_a_killed_service_comes_back_by_itself(stack: api.Stack, service: str, record: Recorded) -> None:
    """SIGKILL: reported, started again on the same port, and the chain works."""
    before = stack.ports[service]
    stack.restart(service)
    assert stack.ports[service] == before
    assert f"{service} was killed by signal 9" in stack.last_words()
    until(lambda: socket.create_connection(("127.0.0.1", before), 1).close() is None)
    send(stack, b"after")
    until(record.calls)


def test_a_task_sent_while_the_gateway_is_frozen_arrives_later(stack: api.Stack, record: Recorded) -> None:
    """A handler that does not answer costs time and nothing else."""
    stack.pause("gateway")
    for worker in (
        Path(f"/proc/{stack.pid('gateway')}/task/{stack.pid('gateway')}/children").read_text().split()
    ):
        assert Path(f"/proc/{worker}").exists()
    send(stack, b"patience")
    stack.resume("gateway")
    until(record.calls)


def test_nothing_acknowledged_is_lost_when_everything_is_killed_at_once(
    stack: api.Stack, record: Recorded
) -> None:
    """SIGKILL for the whole stack between acknowledgement and delivery: rows, objects and tasks are all there."""
    stack.local("POST", "/_local/chaos/delivery", {"hold": True})
    for number in range(10):
        send(stack, b"%d" % number)
    bucket(stack, "sessions").blob("kept").upload_from_string("kept")
    db = runner.connect(stack.env["MIGRATIONS_DATABASE_URL"])
    db.run("CREATE TABLE IF NOT EXISTS survivor AS SELECT 1 AS n")
    db.close()
    stack.crash()
    stack.start()
    assert bucket(stack, "sessions").blob("kept").download_as_bytes() == b"kept"
    db = runner.connect(stack.env["MIGRATIONS_DATABASE_URL"])
    assert db.run("SELECT n FROM survivor") == [[1]]
    db.run("DROP TABLE survivor")
    db.close()
    until(lambda: {call["body"] for call in record.calls()} == {str(n) for n in range(10)})


def test_no_process_outlives_a_killed_stack(stack: api.Stack) -> None:
    """The kernel ends every child of a supervisor that was killed, grandchildren included."""
    home = str(stack.home).encode()
    stack.crash()

    def orphans() -> list[str]:
        return [
            process.name
            for process in Path("/proc").iterdir()
            if process.name.isdigit() and home in _command_line(process) and int(process.name) != os.getpid()
        ]

    until(lambda: not orphans(), lambda: f"no process is left: {orphans()}")


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_stop_and_a_start_keep_ports_passwords_and_data(stack: api.Stack) -> None:
    """After a clean stop the second start finds everything as it was."""
    env, state = stack.env, stack.state()
    stack.stop()
    assert stack.state()["state"] == "stopped"
    stack.start()
    assert stack.env == env
    assert stack.ports == state["ports"]


def test_a_second_stack_on_the_same_folder_is_refused(stack: api.Stack) -> None:
    """The message names the folder and the way out; the first one is not disturbed."""
    done = _local("run", "--home", str(stack.home), "--port", "0")
    assert done.returncode == 1
    assert "already uses" in done.stderr
    assert "BRIDGE_HOME" in done.stderr
    assert urllib.request.urlopen(f"{stack.url}/_local/health").status == 200


def test_a_taken_port_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """Nothing is started when the address that people will use is somebody else's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _local("run", "--home", str(tmp_path), "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "BRIDGE_PORT" in done.stderr


@pytest.mark.parametrize("value", ["80a", "70000", "-1"])
def test_an_odd_port_variable_is_named(tmp_path: Path, value: str) -> None:
    """BRIDGE_PORT must be a number from 1 to 65535."""
    done = _local("run", "--home", str(tmp_path), variables={"BRIDGE_PORT": value})
    assert done.returncode == 2
    assert "BRIDGE_PORT" in done.stderr


def test_status_says_what_runs(stack: api.Stack) -> None:
    """The address and every service with its port; another code when nothing runs."""
    done = _local("status", "--home", str(stack.home))
    assert done.returncode == 0
    assert stack.url in done.stdout
    assert all(name in done.stdout for name in stack.state()["services"])
    assert _local("status", "--home", str(stack.home / "none")).returncode == 1


def test_reset_deletes_a_data_folder_and_nothing_else(stack: api.Stack, tmp_path: Path) -> None:
    """A folder in use and a folder that is not a stack's are left alone."""
    refused = _local("reset", "--home", str(stack.home))
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr
    (tmp_path / "precious").write_text("x")
    assert _local("reset", "--home", str(tmp_path)).returncode == 1
    assert (tmp_path / "precious").exists()


def _local(*arguments: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_application_role_comes_without_the_owners_rights(stack: api.Stack) -> None:
    """DATABASE_URL is the restricted role: it can't read what no migration granted."""
    db = runner.connect(stack.env["DATABASE_URL"])
    with pytest.raises(pg8000.native.DatabaseError, match="permission denied"):
        db.run("CREATE TABLE own (id int)")
    db.close()
