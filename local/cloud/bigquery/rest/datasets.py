"""Datasets and tables over REST."""

from typing import Any

from local.cloud.bigquery import resources
from local.cloud.bigquery.rest.call import Answer, Call, Handler, listed
from local.cloud.bigquery.service import Service
from local.cloud.bigquery.store import Table


def _list_datasets(service: Service, call: Call) -> Answer:
    if not call.caller.may_see_some(call.project):
        call.caller.require_metadata(f"Project {call.project}", "bigquery.datasets.get")
    seen = [d for d in service.store.list_datasets(call.project) if call.caller.may_see(d.project, d.name)]
    items, more = listed(call, seen)
    return {"kind": "bigquery#datasetList", "datasets": [resources.dataset_item(d) for d in items]} | more


def _insert_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Project {call.project}")
    return resources.dataset(service.tables.create_dataset(call.project, call.body()))


def _get_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(
        f"Dataset {call.project}:{call.path['dataset']}", "bigquery.datasets.get", call.path["dataset"]
    )
    return resources.dataset(service.store.get_dataset(call.project, call.path["dataset"]))


def _delete_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    found = service.store.get_dataset(call.project, call.path["dataset"])
    contents = call.query.get("deleteContents", "false").lower() == "true"
    service.tables.delete_dataset(found, delete_contents=contents)
    return None


def _found(service: Service, call: Call) -> Table:
    return service.tables.get(call.project, call.path["dataset"], call.path["table"])


def _shown(service: Service, table: Table) -> dict[str, Any]:
    location = service.store.get_dataset(table.project, table.dataset).location
    return resources.table(service.tables.fresh(table), location)


def _list_tables(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(
        f"Dataset {call.project}:{call.path['dataset']}", "bigquery.tables.list", call.path["dataset"]
    )
    service.store.get_dataset(call.project, call.path["dataset"])
    found = service.store.list_tables(call.project, call.path["dataset"])
    items, more = listed(call, found)
    out = {
        "kind": "bigquery#tableList",
        "tables": [resources.table_item(t) for t in items],
        "totalItems": len(found),
    }
    return out | more


def _insert_table(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    return _shown(service, service.tables.create(call.project, call.path["dataset"], call.body()))


def _get_table(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(
        f"Table {call.project}:{call.path['dataset']}.{call.path['table']}",
        "bigquery.tables.get",
        call.path["dataset"],
    )
    return _shown(service, _found(service, call))


_TABLE = "/projects/{project}/datasets/{dataset}/tables/{table}"
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/projects/{project}/datasets", _list_datasets),
    ("POST", "/projects/{project}/datasets", _insert_dataset),
    ("GET", "/projects/{project}/datasets/{dataset}", _get_dataset),
    ("DELETE", "/projects/{project}/datasets/{dataset}", _delete_dataset),
    ("GET", "/projects/{project}/datasets/{dataset}/tables", _list_tables),
    ("POST", "/projects/{project}/datasets/{dataset}/tables", _insert_table),
    ("GET", _TABLE, _get_table),
]
