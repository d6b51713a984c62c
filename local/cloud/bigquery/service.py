"""The parts of the server, put together over one data directory."""

from dataclasses import dataclass
from pathlib import Path

from local.cloud.bigquery.auth import Accounts
from local.cloud.bigquery.engine import Engine
from local.cloud.bigquery.jobs import Jobs
from local.cloud.bigquery.planner import Planner
from local.cloud.bigquery.statements import Statements
from local.cloud.bigquery.store import Store
from local.cloud.bigquery.tables import Tables


@dataclass(frozen=True, slots=True)
class Service:
    engine: Engine
    store: Store
    tables: Tables
    planner: Planner
    jobs: Jobs
    accounts: Accounts

    def close(self) -> None:
        self.jobs.close()
        self.engine.close()
        self.store.close()


def open_service(data: Path, *, threads: int = 2, memory_limit: str = "2GB") -> Service:
    """Open the directory, drop what a crash left behind and run again what had been promised."""
    engine = Engine(data, threads=threads, memory_limit=memory_limit)
    store = Store(data / "directory.sqlite")
    engine.sweep(store.physical_tables())
    tables = Tables(engine, store)
    planner = Planner(engine, store, tables.fresh)
    jobs = Jobs(store, tables, planner, Statements(planner, tables), engine.uploads)
    jobs.recover()
    return Service(engine, store, tables, planner, jobs, Accounts(data / "service_accounts.json"))
