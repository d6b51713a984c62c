"""Who may do what, and what no query may reach."""

import json
import signal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import Forbidden, GoogleAPICallError, Unauthorized
from google.cloud import bigquery
from google.oauth2 import service_account

EMAIL = "reader@bridge-local.iam.gserviceaccount.com"


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _credentials(key: rsa.RSAPrivateKey, email: str = EMAIL) -> service_account.Credentials:
    """A service account that signs its own tokens, as the BigQuery adapter uses them."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    info = {
        "type": "service_account", "client_email": email, "private_key": pem, "private_key_id": "k",
        "token_uri": "http://127.0.0.1:9/never", "project_id": "bridge-local",
    }  # fmt: skip
    scoped = service_account.Credentials.from_service_account_info(
        info, scopes=["https://www.googleapis.com/auth/bigquery"]
    )
    return scoped.with_always_use_jwt_access(True)


def _register(data: Path, key: rsa.RSAPrivateKey, *roles: str, **datasets: list[str]) -> None:
    pem = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    (data / "service_accounts.json").write_text(
        json.dumps({EMAIL: {"public_key": pem, "roles": list(roles), "datasets": datasets}})
    )


@pytest.fixture
def key(server) -> rsa.RSAPrivateKey:
    made = _key()
    _register(server.data, made, "bigquery.jobUser", "bigquery.dataViewer")
    return made


def test_a_registered_service_account_queries(key: rsa.RSAPrivateKey, server) -> None:
    """A token signed by the account's key is accepted, and the job carries the account's name."""
    job = server.client(_credentials(key)).query("SELECT 1 AS x")
    assert [r.x for r in job.result()] == [1]
    assert job.user_email == EMAIL


def test_a_wrong_key_is_refused(key: rsa.RSAPrivateKey, server) -> None:
    """A signature of another key is 401."""
    with pytest.raises(Unauthorized):
        server.client(_credentials(_key())).query("SELECT 1", retry=None)


def test_an_unknown_account_is_refused(key: rsa.RSAPrivateKey, server) -> None:
    """An account that nobody registered is 401."""
    stranger = _credentials(key, "stranger@bridge-local.iam.gserviceaccount.com")
    with pytest.raises(Unauthorized):
        server.client(stranger).query("SELECT 1", retry=None)


def test_a_reader_may_not_write(key: rsa.RSAPrivateKey, server, dataset: str) -> None:
    """A viewer's CREATE is refused and nothing is made."""
    client = server.client(_credentials(key))
    with pytest.raises(Forbidden):
        client.query(f"CREATE TABLE {dataset}.t AS SELECT 1 AS x", job_retry=None).result(retry=None)
    with pytest.raises(Forbidden):
        client.create_dataset("mine", retry=None)
    assert list(server.client().list_tables(dataset)) == []


def test_without_the_job_role_no_query_runs(server) -> None:
    """A data viewer who may not create jobs is 403."""
    made = _key()
    _register(server.data, made, "bigquery.dataViewer")
    with pytest.raises(Forbidden, match=r"bigquery\.jobs\.create"):
        server.client(_credentials(made)).query("SELECT 1", retry=None)


def test_a_role_on_a_dataset_holds_there_alone(server, client: bigquery.Client, dataset: str) -> None:
    """Its tables and their metadata are open; lists, other datasets and what spans a region are not."""
    other = f"{dataset}_other"
    client.ask(f"CREATE SCHEMA {other}")
    for name in (dataset, other):
        client.ask(f"CREATE TABLE {name}.t AS SELECT 1 AS x")
    made = _key()
    _register(server.data, made, "bigquery.jobUser", **{dataset: ["bigquery.dataViewer"]})
    least = server.client(_credentials(made))
    assert [item.dataset_id for item in least.list_datasets()] == [dataset]
    assert [item.table_id for item in least.list_tables(dataset)] == ["t"]
    for sql in ("SELECT x FROM {}.t", "SELECT row_count FROM {}.__TABLES__",
                "SELECT COUNT(*) FROM {}.INFORMATION_SCHEMA.TABLES"):  # fmt: skip
        assert [tuple(row.values()) for row in least.ask(sql.format(dataset))] == [(1,)]
        with pytest.raises(Forbidden):
            least.ask(sql.format(other))
    for view in ("SCHEMATA", "TABLE_STORAGE", "COLUMNS"):
        with pytest.raises(Forbidden):
            least.ask(f"SELECT * FROM `region-us`.INFORMATION_SCHEMA.{view}")
    with pytest.raises(Forbidden):
        least.get_table(f"{other}.t", retry=None)
    with pytest.raises(Forbidden):
        least.ask(f"INSERT INTO {dataset}.t VALUES (2)")


def test_a_right_that_was_taken_away_is_gone_for_the_same_query(
    server, client: bigquery.Client, dataset: str
) -> None:
    """What was planned for somebody else, or for the same account in better days, opens nothing."""
    client.ask(f"CREATE TABLE {dataset}.t AS SELECT 1 AS x")
    ask = f"SELECT x FROM {dataset}.t"
    made = _key()
    for roles, allowed in ((["bigquery.dataViewer"], True), ([], False), (["bigquery.dataViewer"], True)):
        assert [row.x for row in client.ask(ask)] == [1]
        _register(server.data, made, "bigquery.jobUser", **{dataset: roles})
        least = server.client(_credentials(made))
        if allowed:
            assert [row.x for row in least.ask(ask)] == [1]
            continue
        with pytest.raises(Forbidden):
            least.ask(ask)


def test_a_job_that_a_kill_cut_off_goes_on_with_its_callers_rights(own_server) -> None:
    """Also with rights on one data set alone."""
    client = own_server.client()
    client.create_dataset("d")
    client.ask("CREATE TABLE d.t AS SELECT 1 AS x")
    made = _key()
    _register(own_server.data, made, "bigquery.jobUser", d=["bigquery.dataViewer"])
    long = "SELECT COUNT(*) AS n FROM d.t, UNNEST(GENERATE_ARRAY(1, 6000000))"
    job = own_server.client(_credentials(made)).query(long, job_retry=None)
    own_server.stop(signal.SIGKILL)
    own_server.start()
    again = own_server.client(_credentials(made)).get_job(job.job_id)
    assert [row.n for row in again.result(timeout=60)] == [6_000_000]


def test_without_the_data_role_no_table_is_read(server, client: bigquery.Client, dataset: str) -> None:
    """Someone who may run jobs but not read gets accessDenied for a table and runs what reads none."""
    client.ask(f"CREATE TABLE {dataset}.t AS SELECT 1 AS x")
    made = _key()
    _register(server.data, made, "bigquery.jobUser")
    jobs_only = server.client(_credentials(made))
    assert next(iter(jobs_only.ask("SELECT 1 AS x"))).x == 1
    with pytest.raises(Forbidden):
        jobs_only.query(f"SELECT x FROM {dataset}.t", job_retry=None).result(retry=None)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM `{file}`",
        "SELECT * FROM '{file}'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM `main.applied_jobs`",
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}' AS x",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SET enable_external_access = true",
    ],
)
def test_no_query_reaches_a_file_or_the_engine(sql: str, client: bigquery.Client, tmp_path: Path) -> None:
    """Files, settings and internal tables of the engine don't exist for a query."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\ncanary-5f1c,2\n")
    with pytest.raises(GoogleAPICallError) as refused:
        client.query(sql.replace("{file}", str(secret)), job_retry=None).result(retry=None)
    assert "canary" not in str(refused.value)
    assert refused.value.errors[0]["reason"] in ("invalidQuery", "notFound", "invalid")
    assert secret.read_text().startswith("a,b")


def test_the_engine_itself_has_no_way_out(tmp_path: Path) -> None:
    """Were a query to slip through, DuckDB still refuses files, settings and extensions."""
    import duckdb

    from local.cloud.bigquery.engine import Engine

    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    engine = Engine(tmp_path / "data")
    for sql in (
        f"SELECT * FROM read_csv('{outside}')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/x.duckdb'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            engine.cursor().execute(sql)
    engine.close()
