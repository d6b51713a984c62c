"""Jobs: a query, load or copy with an id that is accepted once, and its answer for a day.

    insert ─ id taken? 409 ─ written as RUNNING ─┬─ SELECT: plan ─ bytes limit ─ result table ─┐
                                                 ├─ statement: applied with its mark ──────────┤
                                                 └─ load: file ─ table ────────────────────────┴─ DONE

A job that was RUNNING when the process was killed runs again at the next start; a write that had been
applied left its mark in the same transaction, so it is not applied twice.
"""

import contextlib
import hashlib
import json
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from local.cloud.bigquery import job_document, load
from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import (
    BigQueryError,
    duplicate,
    from_proto,
    internal_error,
    invalid,
    not_found,
    unsupported,
)
from local.cloud.bigquery.job_document import Document, billed
from local.cloud.bigquery.memo import Memo
from local.cloud.bigquery.names import check_job_name
from local.cloud.bigquery.planner import Planner, QueryPlan, QueryRequest, translate
from local.cloud.bigquery.results import Result, Results
from local.cloud.bigquery.statements import Statements, require_editor
from local.cloud.bigquery.store import Store, now_ms
from local.cloud.bigquery.tables import Tables

log = logging.getLogger(__name__)
_DAY_MS = 24 * 3600 * 1000
# Options of query jobs that would change what they do, and that this server does not know.
_UNKNOWN_OPTIONS = (
    "tableDefinitions", "userDefinedFunctionResources", "schemaUpdateOptions", "createSession", "connectionProperties",
    "scriptOptions", "continuous", "destinationTable", "timePartitioning", "rangePartitioning", "clustering",
)  # fmt: skip


@dataclass(slots=True)
class Running:
    """A job that has not ended: how to wait for it and how to stop it."""

    done: threading.Event = field(default_factory=threading.Event)
    stop_reason: str | None = None
    cursor: Any = None

    def stop(self, reason: str) -> None:
        self.stop_reason = self.stop_reason or reason
        threading.Thread(target=self._interrupt, daemon=True).start()

    def _interrupt(self) -> None:
        """Until the job has ended, because an interrupt that comes while a query is planned is lost."""
        while True:
            cursor = self.cursor
            if cursor is not None:
                with contextlib.suppress(duckdb.ConnectionException):  # closed meanwhile
                    cursor.interrupt()
            if self.done.wait(0.05):
                return


class Jobs:
    def __init__(
        self, store: Store, tables: Tables, planner: Planner, statements: Statements, uploads: Path
    ) -> None:
        self.store, self.tables, self.planner, self.statements = store, tables, planner, statements
        self.results = Results(tables.engine)
        self.uploads = uploads
        self._plans: Memo[QueryPlan] = Memo(lambda: store.generation)
        self._locations: Memo[str] = Memo(lambda: store.generation)
        self._running: dict[tuple[str, str], Running] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="job")

    def close(self) -> None:
        with self._lock:
            running = list(self._running.values())
        for job in running:
            job.stop("the server is stopping")
        self._pool.shutdown(wait=True, cancel_futures=True)

    def recover(self) -> None:
        """Run again what was promised and not finished when the process ended."""
        self.store.forget_jobs(now_ms() - _DAY_MS)
        for document in self.store.unfinished_jobs():
            on = {name: frozenset(roles) for name, roles in document.get("_datasets", {}).items()}
            self._start(document, Caller(document["user_email"], frozenset(document["_roles"]), on))

    # -- asking

    def insert(self, project: str, body: Document, caller: Caller, upload: Path | None = None) -> Document:
        """Accept a job, or answer its dry run."""
        config = body.get("configuration") or {}
        reference = body.get("jobReference") or {}
        name = reference.get("jobId") or f"job_{uuid.uuid4().hex}"
        check_job_name(name)
        query = config.get("query")
        kinds = [k for k in ("query", "load", "copy", "extract") if config.get(k) is not None]
        if len(kinds) != 1:
            raise invalid("Required parameter is missing: exactly one of query and load")
        if kinds[0] in ("copy", "extract"):
            raise unsupported(f"{kinds[0]} jobs")
        if query is not None and query.get("useLegacySql"):
            raise unsupported("legacy SQL")
        for option in _UNKNOWN_OPTIONS:
            if query is not None and query.get(option):
                raise unsupported(f"the query option {option}")
        if query is not None and not query.get("query"):
            raise invalid("Required parameter is missing: query")
        location = reference.get("location") or self._locations.get(
            json.dumps(
                [project, query and [query["query"], query.get("defaultDataset")], config.get("load")]
            ),
            lambda: job_document.location_of(self.store, self.planner, project, config),
        )
        document = job_document.new(project, location, name, config, caller, kinds[0])
        if config.get("dryRun"):
            return self._dry_run(document, caller)
        if reference.get("jobId") and self._was_applied(document["id"]):
            raise duplicate(
                "Job", f"{project}:{document['jobReference']['location']}.{name}"
            )  # forgotten, not undone
        document["_roles"] = sorted(caller.roles)
        document["_datasets"] = {name: sorted(roles) for name, roles in caller.datasets.items()}
        if upload is not None:
            document["_upload"] = upload.name
        self.store.add_job(project, location, name, "RUNNING", document)
        self._start(document, caller)
        return document

    def get(self, project: str, name: str, location: str | None) -> Document:
        found = self.store.find_job(project, name)
        if found is None or (location and found["jobReference"]["location"].upper() != location.upper()):
            raise not_found(
                "Job", f"{project}:{location or 'US'}.{name}" if location else f"{project}:{name}"
            )
        return found

    def cancel(self, project: str, name: str, location: str | None) -> Document:
        document = self.get(project, name, location)
        running = self._find_running(project, name)
        if running is not None:
            running.stop("Job execution was cancelled: User requested cancellation")
        return document

    def wait(self, document: Document, seconds: float) -> Document:
        """The job as it is when it has ended or the time is over."""
        reference = document["jobReference"]
        running = self._find_running(reference["projectId"], reference["jobId"])
        if running is not None:
            running.done.wait(seconds)
        return self.store.find_job(reference["projectId"], reference["jobId"]) or document

    def _find_running(self, project: str, name: str) -> Running | None:
        with self._lock:
            return self._running.get((project, name))

    def result(self, document: Document, caller: Caller) -> Result:
        """The rows of a finished query; made again when memory no longer has them."""
        error = document["status"].get("errorResult")
        if error:
            raise from_proto(error)
        key = document.get("_result", "")
        found = self.results.find(key)
        if found is not None:
            return found
        if document["statistics"].get("query", {}).get("statementType") != "SELECT":
            return Result("", [], 0)
        plan, _ = self.plan(document, caller)
        with_cursor = self.tables.engine.cursor()
        try:
            return self.results.make(key, with_cursor, plan.sql, plan.fields)
        except duckdb.Error as failure:
            raise translate(failure) from None
        finally:
            with_cursor.close()

    # -- running

    def _start(self, document: Document, caller: Caller) -> None:
        reference = document["jobReference"]
        key = (reference["projectId"], reference["jobId"])
        running = Running()
        with self._lock:
            self._running[key] = running
        timeout = int(document["configuration"].get("jobTimeoutMs") or 0)
        timer = None
        if timeout:
            message = f"Job execution was cancelled: Job timed out after {timeout / 1000:g}s"
            timer = threading.Timer(timeout / 1000, running.stop, [message])
            timer.daemon = True
            timer.start()
        self._pool.submit(self._run, document, caller, running, timer)

    def _run(
        self, document: Document, caller: Caller, running: Running, timer: threading.Timer | None
    ) -> None:
        reference = document["jobReference"]
        key = (reference["projectId"], reference["jobId"])
        try:
            if "load" in document["configuration"]:
                self._load(document, caller)
            else:
                self._query(document, caller, running)
        except BigQueryError as error:
            self._fail(document, error, running)
        except Exception:
            log.exception("job %s failed", document["id"])
            self._fail(
                document,
                internal_error(),
                running,
            )
        finally:
            if timer is not None:
                timer.cancel()
            document["status"]["state"] = "DONE"
            document["statistics"]["endTime"] = str(now_ms())
            upload = document.pop("_upload", None)
            try:
                self.store.update_job(*key, "DONE", document)
            finally:
                if upload:
                    (self.uploads / upload).unlink(missing_ok=True)
                with self._lock:
                    self._running.pop(key, None)
                running.done.set()

    def _fail(self, document: Document, error: BigQueryError, running: Running) -> None:
        if running.stop_reason and error.reason == "stopped":
            error = BigQueryError(200, "stopped", running.stop_reason)
        document["status"] |= {"errorResult": error.proto(), "errors": [error.proto()]}

    def _request(self, document: Document) -> QueryRequest:
        query, reference = document["configuration"]["query"], document["jobReference"]
        default = query.get("defaultDataset") or {}
        return QueryRequest(
            sql=query["query"],
            project=reference["projectId"],
            location=reference["location"],
            default=(default.get("projectId") or reference["projectId"], default["datasetId"]) if default.get("datasetId") else None,
            parameters=query.get("queryParameters") or [],
            parameter_mode=query.get("parameterMode"),
        )  # fmt: skip

    def plan(self, document: Document, caller: Caller) -> tuple[QueryPlan, QueryRequest]:
        request = self._request(document)

        def make() -> QueryPlan:
            tree, called = self.planner.parse(request.sql)
            if isinstance(tree, exp.Query):
                return self.planner.query(tree, request, called, caller)
            plan = self.statements.plan(tree, request, called, caller)
            require_editor(caller.may_write(request.project), request.project)
            return plan

        # The same text for the same rights on the same tables; not where the clock or chance decides.
        plan = self._plans.get((repr(request), repr(caller)), make, lambda made: made.repeatable)
        return plan.copy(), request

    def _dry_run(self, document: Document, caller: Caller) -> Document:
        if "query" not in document["configuration"]:
            raise unsupported("a dry run of a load job")
        plan, _ = self.plan(document, caller)
        job_document.describe(document, plan)
        document["status"] = {"state": "DONE"}
        document["statistics"]["endTime"] = str(now_ms())
        document["statistics"]["query"]["totalBytesProcessedAccuracy"] = "PRECISE"
        document["jobReference"].pop("jobId", None)
        return document

    def _query(self, document: Document, caller: Caller, running: Running) -> None:
        plan, request = self.plan(document, caller)
        config = document["configuration"]["query"]
        job_document.describe(document, plan)
        limit = config.get("maximumBytesBilled")
        cost = billed(plan.bytes)
        if running.stop_reason:
            raise BigQueryError(200, "stopped", running.stop_reason)
        if plan.statement != "SELECT":
            self._check_limit(limit, cost)
            mark = document["id"]
            if not self._was_applied(mark):
                changed = self.statements.run(plan, request, mark)
                if plan.statement == "INSERT":
                    document["statistics"]["query"]["numDmlAffectedRows"] = str(changed)
            self._charge(document, cost)
            return
        cache_key = self._cache_key(request, plan)
        if plan.deterministic and config.get("useQueryCache", True) and self.results.find(cache_key):
            document["_result"] = cache_key
            document["statistics"]["query"] |= {
                "cacheHit": True,
                "totalBytesProcessed": "0",
                "totalBytesBilled": "0",
            }
            document["statistics"]["totalBytesProcessed"] = "0"
            job_document.name_result(document)
            return
        self._check_limit(limit, cost)
        document["_result"] = cache_key if plan.deterministic else document["id"]
        running.cursor = self.tables.engine.cursor()
        try:
            if running.stop_reason:
                raise BigQueryError(200, "stopped", running.stop_reason)
            self.results.make(document["_result"], running.cursor, plan.sql, plan.fields)
        except duckdb.Error as error:
            raise translate(error) from None
        finally:
            cursor, running.cursor = running.cursor, None
            cursor.close()
        job_document.name_result(document)
        self._charge(document, cost)

    def _was_applied(self, mark: str) -> bool:
        """Whether a write was done before the process ended: rows carry the mark in DuckDB, tables in SQLite."""
        return self.tables.engine.was_applied(mark) or self.store.was_applied(mark)

    def _check_limit(self, limit: Any, cost: int) -> None:
        if limit is not None and cost > int(limit):
            raise BigQueryError(
                500,
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {limit}. {cost} or higher required.",
            )

    def _charge(self, document: Document, cost: int) -> None:
        document["statistics"]["query"]["totalBytesBilled"] = str(cost)

    def _cache_key(self, request: QueryRequest, plan: QueryPlan) -> str:
        content = [
            request.sql, request.project, request.default, request.parameters,
            [(t.key, t.physical, t.version) for t in plan.tables],
            [(v.key, v.resource["view"]["query"]) for v in plan.views],
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _load(self, document: Document, caller: Caller) -> None:
        config = document["configuration"]["load"]
        project = (config.get("destinationTable") or {}).get("projectId", "")
        require_editor(caller.may_write(project), project)
        upload = document.get("_upload")
        if upload is None:
            raise unsupported("load jobs from Cloud Storage addresses; upload the file with the job")
        mark = document["id"]
        if self._was_applied(mark):
            document["statistics"]["load"] = {"outputRows": "0"}
            return
        path = self.uploads / upload
        document["statistics"]["load"] = load.run(self.tables, config, path, mark)
