"""The services of the laptop's cloud as data: what runs, on which ports, with which arguments.

Braces in arguments and variables are filled from the plan: `{storage}` is the port of that name,
`{home}` the data folder. A service whose module does not exist is left out with a warning.
"""

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = "bridge-local"
REGION = "us-central1"
BUCKET_PREFIX = "bridge-local"
_DECLARED = json.loads((Path(__file__).parents[2] / "functions" / "manifest.json").read_bytes())["declared"]
BUCKETS = tuple(_DECLARED["buckets"])
VERSIONED = tuple(name for name, bucket in _DECLARED["buckets"].items() if bucket["versioned"])
QUEUES = tuple(_DECLARED["queues"])
STEP_ACCOUNT = f"steps@{PROJECT}.iam.gserviceaccount.com"
DEMO_ADMIN = "demo@bridge.local"
LIMITS = {
    "rate_read": 60_000,
    "rate_write": 30_000,
    "rate_stream": 6_000,
    "rate_login": 6_000,
    "rate_public": 60_000,
    "rate_team_read": 120_000,
    "rate_team_write": 60_000,
    "rate_team_stream": 12_000,
    "teams_per_person": 10_000,
    "generations": 100_000,
    "generations_concurrent": 1_000,
    "scans": 10_000,
    "scans_concurrent": 1_000,
}
"""One person on a laptop, their tests and their benchmarks: more in a minute than a team does elsewhere."""
EVENTS_ACCOUNT = f"events@{PROJECT}.iam.gserviceaccount.com"
LOCATION = f"projects/{PROJECT}/locations/{REGION}"
KMS_KEY = f"{LOCATION}/keyRings/bridge/cryptoKeys/credentials"


@dataclass(frozen=True)
class Service:
    """One child process and the variables that tell clients where it is."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    extra_ports: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of its ports; the first has the service's own name."""
        return (self.name, *self.extra_ports)

    def exists(self) -> bool:
        """Whether the service's module can be run."""
        try:
            return importlib.util.find_spec(f"{self.module}.__main__") is not None
        except ModuleNotFoundError:
            return False


SERVICES = (
    Service("postgres", "local.postgres"),
    Service(
        "storage",
        "local.cloud.storage",
        ("--events-url", "http://127.0.0.1:{dispatch}/_local/events"),
        variables={"STORAGE_EMULATOR_HOST": "http://127.0.0.1:{storage}"},
    ),
    Service(
        "firestore",
        "local.cloud.firestore",
        ("--indexes", "infra/firestore.indexes.json", "--idle-seconds", "{firestore_idle}"),
        variables={"FIRESTORE_EMULATOR_HOST": "127.0.0.1:{firestore}"}),
    Service("bigquery", "local.cloud.bigquery", variables={"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:{bigquery}"}),
    # Secret Manager shares the process: together they cost the memory of one.
    Service(
        "kms",
        "local.keys",
        ("--secrets-port", "{secrets}", "--ensure-key", KMS_KEY),
        ("secrets",),
        {"KMS_EMULATOR_HOST": "127.0.0.1:{kms}", "SECRET_MANAGER_EMULATOR_HOST": "127.0.0.1:{secrets}"},
    ),
    Service(
        "dispatch",
        "local.dispatch",
        (
            "--grpc-port", "{tasks}",
            "--traces-port", "{traces}",
            "--identity", "{home}",
            "--manifest", "{manifest}",
            "--step-url", "{step_url}",
            "--step-account", STEP_ACCOUNT,
            "--events-account", EVENTS_ACCOUNT,
            "--bucket-prefix", BUCKET_PREFIX,
            "--location", LOCATION,
            *(argument for queue in QUEUES for argument in ("--queue", queue)),
        ),
        ("tasks", "traces"),
        {
            "CLOUD_TASKS_EMULATOR_HOST": "127.0.0.1:{tasks}",
            "BRIDGE_TRACES_ADDRESS": "127.0.0.1:{traces}",
            "BRIDGE_OIDC_CERTS_URL": "http://127.0.0.1:{dispatch}/_local/oidc/certs",
        },
    ),
    Service(
        "gateway",
        "local.gateway",
        (
            "--manifest", "{manifest}",
            "--stack", "{home}/stack.json",
            "--dispatch", "127.0.0.1:{dispatch}",
            "--identity", "{home}",
            "--step-url", "{step_url}",
        ),
    ),
)  # fmt: skip


def present() -> tuple[list[Service], list[str]]:
    """The services that can run, and the names of those that can't."""
    found = [service for service in SERVICES if service.exists()]
    return found, [service.name for service in SERVICES if service not in found]


def root() -> Path:
    """The repository: the folder that holds `local`."""
    return Path(__file__).resolve().parents[2]
