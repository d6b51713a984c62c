"""BigQuery behind the Warehouse protocol: every job has a byte limit, a timeout, labels and an owner.

Credentials are a service account's, and the adapter signs its own tokens with the account's key: no address
out of an uploaded file is ever called, nor a token endpoint.
`BIGQUERY_EMULATOR_HOST` moves it to a laptop's server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from typing import Any

from shared.platform import clock
from shared.platform.leases.stopping import cancelling
from shared.platform.settings import settings
from shared.warehouses import values
from shared.warehouses.bigquery import catalog
from shared.warehouses.bigquery.credentials import ServiceAccount
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.bigquery.errors import translated
from shared.warehouses.bigquery.retrying import call_options
from shared.warehouses.contract import (
    DatasetInfo,
    DryRun,
    Limits,
    Result,
    TableInfo,
)
from shared.warehouses.declared import PermissionMissing, QueryInvalid, QueryTimedOut
from shared.warehouses.dialect import Dialect
from shared.warehouses.types import Field, Kind, Parameter

AUDIENCE = "https://bigquery.googleapis.com/"

_LABEL = re.compile(r"[^a-z0-9_-]")
_JOB_PLACE = re.compile(r"[Jj]ob [^:\s]+:([A-Za-z0-9-]+)\.")


class BigQuery:
    """One project of BigQuery through one service account."""

    dialect: Dialect = BIGQUERY

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        account = ServiceAccount.model_validate(credentials)
        self.project, self._account = account.project_id, account.client_email
        self._key, self._key_id = account.private_key, account.private_key_id

    def __repr__(self) -> str:
        return f"BigQuery({self.project!r})"

    @cached_property
    def client(self) -> Any:
        """The real client, made at first use."""
        from google.cloud import bigquery

        from shared.warehouses.bigquery.access_token import SelfSigned

        emulator = settings().warehouse_emulators.get("BIGQUERY_EMULATOR_HOST")
        return bigquery.Client(
            project=self.project,
            credentials=SelfSigned(self._account, self._key, self._key_id, audience=AUDIENCE),
            client_options={"api_endpoint": emulator} if emulator else None,
        )

    def check(self) -> None:
        """Use bigquery.jobs.create, bigquery.datasets.get, bigquery.tables.list and read a table's data.

        Each is used, not asked about: a policy can grant what a condition then takes away.
        """
        with self._needing("bigquery.jobs.create", "BigQuery Job User"):
            self.dry_run("SELECT 1")
        with self._needing("bigquery.datasets.get", "BigQuery Data Viewer"), translated():
            datasets = list(self.client.list_datasets(max_results=20, **call_options()))
        if not datasets:
            raise PermissionMissing(
                f"{self._account} sees no dataset in the project {self.project}. Grant it BigQuery Data Viewer"
                " on the datasets to use, or on the project.",
                reason="bigquery.datasets.get",
            )
        for dataset in datasets:
            with self._needing("bigquery.tables.list", "BigQuery Data Viewer"), translated():
                tables = list(self.client.list_tables(dataset.reference, max_results=20, **call_options()))
            # A table that demands a filter on its partitions would refuse the trial for another reason.
            tables.sort(key=lambda item: bool(item._properties.get("requirePartitionFilter")))
            if tables:
                table = tables[0].reference
                name = BIGQUERY.quoted(table.project, table.dataset_id, table.table_id)
                with self._needing("bigquery.tables.getData", "BigQuery Data Viewer"):
                    self.dry_run(f"SELECT 1 FROM {name} LIMIT 1")  # noqa: S608 - quoted and checked
                return

    @contextmanager
    def _needing(self, permission: str, role: str) -> Iterator[None]:
        """Say which permission a refusal is about and which role would grant it."""
        try:
            yield
        except PermissionMissing as error:
            raise PermissionMissing(
                f"{error.message} Grant {role} ({permission}) to {self._account}.", reason=permission
            ) from error

    def datasets(self) -> list[DatasetInfo]:
        """Every dataset that the account sees, in name order, of every location."""
        return catalog.datasets(self)

    def tables(self, dataset: DatasetInfo) -> list[TableInfo]:
        """The tables of a dataset with their columns, in name order, by a constant number of queries."""
        return catalog.tables(self, dataset)

    def dry_run(self, sql: str, parameters: tuple[Parameter, ...] = ()) -> DryRun:
        """What the query would scan and read; nothing runs and nothing is billed."""
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            dry_run=True,
            use_query_cache=False,
            use_legacy_sql=False,
            query_parameters=[_bound(parameter) for parameter in parameters],
        )
        with translated():
            job = self.client.query(sql, job_config=config, **call_options(), job_retry=None)
            return DryRun(
                bytes_scanned=int(job.total_bytes_processed or 0),
                statement_type=str(job.statement_type or ""),
                schema=tuple(_field(field) for field in job.schema or ()),
                tables=tuple(
                    sorted(
                        f"{table.project}.{table.dataset_id}.{table.table_id}"
                        for table in job.referenced_tables or ()
                    )
                ),
            )

    def query(self, sql: str, parameters: tuple[Parameter, ...], limits: Limits) -> Result:
        """Run the query within its limits. The first `max_rows` rows come back, as JSON values."""
        started = clock.monotonic()
        job = self.submit(sql, parameters, limits)
        limits.begun()
        rows = self.rows(job, limits)
        with translated():
            schema = tuple(_field(field) for field in rows.schema)
            data = [tuple(values.to_json(cell) for cell in row.values()) for row in rows]
        total = int(rows.total_rows or 0)
        return Result(
            schema=schema,
            rows=data,
            bytes_scanned=int(job.total_bytes_processed or 0),
            duration_ms=round((clock.monotonic() - started) * 1000, 2),
            truncated=total > len(data),
            total_rows=total,
        )

    def submit(
        self, sql: str, parameters: tuple[Parameter, ...], limits: Limits, *, location: str | None = None
    ) -> Any:
        """Start a job, or find the one that an earlier attempt started under the same id."""
        from google.api_core.exceptions import Conflict
        from google.cloud import bigquery

        config = bigquery.QueryJobConfig(
            maximum_bytes_billed=limits.max_bytes,
            job_timeout_ms=int(limits.timeout_seconds * 1000),
            labels={_label(name): _label(value) for name, value in limits.labels.items()},
            use_legacy_sql=False,
            query_parameters=[_bound(parameter) for parameter in parameters],
        )
        with translated():
            try:
                return self.client.query(
                    sql,
                    job_config=config,
                    job_id=limits.job_id,
                    location=location,
                    **call_options(),
                    job_retry=None,
                )
            except Conflict as error:
                if limits.job_id is None:
                    raise
                place = _JOB_PLACE.search(str(error))
                return self.client.get_job(
                    limits.job_id, location=place[1] if place else None, **call_options()
                )

    def rows(self, job: Any, limits: Limits) -> Any:
        """Wait for a job; its row iterator. A job that outlives its limit, or that nobody wants, is cancelled."""
        with translated():
            try:
                with cancelling(lambda: job.cancel(**call_options())):
                    return job.result(
                        max_results=limits.max_rows,
                        timeout=limits.timeout_seconds + 2,
                        retry=call_options()["retry"],
                        job_retry=None,
                    )
            except FutureTimeout:
                job.cancel(**call_options())
                raise QueryTimedOut(
                    f"The query ran longer than {limits.timeout_seconds:g} seconds and was stopped."
                ) from None


def _field(field: Any) -> Field:
    return BIGQUERY.field(field.name, catalog.type_of(field))


def _bound(parameter: Parameter) -> Any:
    from google.cloud import bigquery

    kind, type_name = parameter.kind, BIGQUERY.type_name(parameter.kind)
    if parameter.array:
        items = parameter.value if isinstance(parameter.value, tuple) else (parameter.value,)
        return bigquery.ArrayQueryParameter(
            parameter.name, type_name, [_native(kind, item) for item in items]
        )
    return bigquery.ScalarQueryParameter(parameter.name, type_name, _native(kind, parameter.value))


def _native(kind: Kind, value: Any) -> Any:
    """Dates and moments as the client wants them; a text that is none is the caller's mistake."""
    if not isinstance(value, str):
        return value
    try:
        if kind == Kind.DATE:
            return date.fromisoformat(value)
        if kind in (Kind.TIMESTAMP, Kind.DATETIME):
            return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise QueryInvalid(
            f"{value[:40]!r} is not a {BIGQUERY.type_name(kind)}.", reason="parameter"
        ) from None
    return value


def _label(text: str) -> str:
    """BigQuery's labels: lower case, digits, dashes and underscores, 63 at most."""
    return _LABEL.sub("_", text.lower())[:63]
