"""What Terraform says agrees with what functions declare, believe and read."""

import re
from pathlib import Path

from shared.platform.edge.hosts import _names
from shared.platform.settings import Settings, load
from tools.manifest import declarations

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.name: path.read_text() for path in sorted((ROOT / "infra").glob("*.tf"))}


def test_nobody_may_invoke_a_function_but_its_caller() -> None:
    """Steps believe Cloud Run that it checked their callers, endpoints believe the gateway: no invoker is public."""
    text = "\n".join(FILES.values())
    assert "allUsers" not in text
    assert "allAuthenticatedUsers" not in text
    invokers = dict(re.findall(r'"google_cloud_run_service_iam_member" "(\w+)" \{\s+for_each = (.+)\n', text))
    assert invokers == {
        "steps_invoke": "merge(local.tasks, local.scheduled)",
        "events_invoke": "local.finalized",
        "gateway_invoke": "local.endpoints",
    }


def test_every_name_fits_into_the_address_that_steps_are_called_at() -> None:
    """Cloud Run gives `<name>-<project number>.<region>.run.app` only where the first part has at most 63 characters."""
    names = [one.name for one in declarations()]
    assert [name for name in names if len(f"{name}-123456789012") > 63] == []
    assert "run.app" in FILES["functions.tf"]


def test_functions_get_every_setting_that_they_need_and_none_that_they_don_t_know() -> None:
    """A variable that nobody reads is a typing error; a required one that is missing stops every function."""
    given = set(
        re.findall(
            r"^\s+((?:BRIDGE|OTEL|GOOGLE|ANTHROPIC|DATABASE)_[A-Z_]+)\s+=",
            FILES["functions.tf"],
            re.MULTILINE,
        )
    )
    fields = Settings.model_fields.values()
    assert given - {str(field.alias) for field in fields} == set()
    assert {str(field.alias) for field in fields if field.is_required()} - given == set()
    assert len(given) > 15


def test_endpoints_answer_to_the_names_that_the_gateway_addresses_them_by() -> None:
    """The two that Cloud Run gives a function: the setting that Terraform makes is one that takes both in."""
    made = re.search(r'BRIDGE_HOSTS = "(.+)"', FILES["functions.tf"])
    assert made
    hosts = (
        made[1]
        .replace("${data.google_project.this.number}", "123456789012")
        .replace("${var.region}", "europe-west1")
    )
    names = _names("https://bridge.example.org", tuple(hosts.split(",")), "chat-stream")
    for host in ("chat-stream-abc123def4-ew.a.run.app", "chat-stream-123456789012.europe-west1.run.app"):
        assert names.match(host)
    assert not names.match("chat-streams-abc123def4-ew.a.run.app")


def test_functions_sign_in_to_the_directory_without_a_password_and_encrypted() -> None:
    """The address that Terraform makes is one that the settings take, and it names the account as Cloud SQL does."""
    made = re.search(r'database_url = "(.+)"', FILES["sql.tf"])
    assert made
    values = {
        "urlencode(google_sql_user.functions.name)": "bridge-functions%40bridge-prod.iam",
        "google_sql_database_instance.directory.private_ip_address": "10.1.2.3",
        "google_sql_database.bridge.name": "bridge",
    }
    url = re.sub(r"\$\{(.+?)\}", lambda found: values[found[1]], made[1])
    assert (
        url
        == "postgresql://bridge-functions%40bridge-prod.iam@10.1.2.3:5432/bridge?sslmode=verify-ca&auth=iam"
    )
    environment = {
        "BRIDGE_ENV": "prod",
        "BRIDGE_BASE_URL": "https://bridge.example.org",
        "BRIDGE_STEP_URL": "https://{name}-123456789012.europe-west1.run.app",
        "GOOGLE_CLOUD_PROJECT": "bridge-prod",
        "BRIDGE_BUCKET_PREFIX": "bridge-prod",
        "BRIDGE_KMS_KEY": "projects/bridge-prod/locations/l/keyRings/r/cryptoKeys/k",
        "BRIDGE_STEP_SERVICE_ACCOUNT": "bridge-steps@bridge-prod.iam.gserviceaccount.com",
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": "bridge-events@bridge-prod.iam.gserviceaccount.com",
        "DATABASE_URL": url,
        "BRIDGE_DATABASE_CA": "-----BEGIN CERTIFICATE-----",
    }
    assert load(environment).database_url == url
    assert '"cloudsql.iam_authentication"' in FILES["sql.tf"]
    assert "password" not in FILES["functions.tf"]


def test_every_file_of_the_folder_is_on_its_page() -> None:
    """Who looks for a resource finds its file by what it is for."""
    page = (ROOT / "infra" / "README.md").read_text()
    assert [name for name in FILES if f"`{name}`" not in page] == []
