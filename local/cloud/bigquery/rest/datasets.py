"""Projects, datasets and tables over REST."""

from typing import Any

from local.cloud.bigquery import resources
from local.cloud.bigquery.errors import BigQueryError, invalid
from local.cloud.bigquery.fields import Field, canonical_all
from local.cloud.bigquery.rest.call import PAGE_ROWS, Answer, Call, Handler, listed, offset, token
from local.cloud.bigquery.results import page
from local.cloud.bigquery.service import Service
from local.cloud.bigquery.store import Table
from local.cloud.bigquery.streaming import insert_all


def _projects(service: Service, _call: Call) -> Answer:
    names = service.store.list_projects()
    found = [
        {"kind": "bigquery#project", "id": n, "projectReference": {"projectId": n}, "friendlyName": n}
        for n in names
    ]
    return {"kind": "bigquery#projectList", "projects": found, "totalItems": len(found)}


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


def _change_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    found = service.store.get_dataset(call.project, call.path["dataset"])
    _check_etag(call, resources.dataset(found)["etag"])
    return resources.dataset(
        service.tables.change_dataset(found, call.body(), whole=call.request.method == "PUT")
    )


def _delete_dataset(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Dataset {call.project}:{call.path['dataset']}")
    found = service.store.get_dataset(call.project, call.path["dataset"])
    contents = call.query.get("deleteContents", "false").lower() == "true"
    service.tables.delete_dataset(found, delete_contents=contents)
    return None


def _check_etag(call: Call, etag: str) -> None:
    wanted = call.request.headers.get("if-match")
    if wanted not in (None, "*", etag):
        raise BigQueryError(412, "conditionNotMet", "Precondition check failed.")


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
    body = call.body()
    fields: list[Field] | None = None
    if body.get("view"):
        fields = service.jobs.view_fields(call.project, call.path["dataset"], body["view"].get("query", ""))
        described = (body.get("schema") or {}).get("fields")
        if described:
            fields = _described(fields, canonical_all(described))
    return _shown(service, service.tables.create(call.project, call.path["dataset"], body, fields))


def _described(fields: list[Field], given: list[Field]) -> list[Field]:
    texts = {f["name"].lower(): f.get("description") for f in given}
    return [
        f | ({"description": texts[f["name"].lower()]} if texts.get(f["name"].lower()) else {})
        for f in fields
    ]


def _get_table(service: Service, call: Call) -> Answer:
    call.caller.require_metadata(
        f"Table {call.project}:{call.path['dataset']}.{call.path['table']}",
        "bigquery.tables.get",
        call.path["dataset"],
    )
    return _shown(service, _found(service, call))


def _change_table(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    table = _found(service, call)
    body = call.body()
    location = service.store.get_dataset(table.project, table.dataset).location
    _check_etag(call, resources.table(service.tables.fresh(table), location)["etag"])
    if table.kind == "VIEW" and (body.get("view") or {}).get("query"):
        fields = service.jobs.view_fields(call.project, call.path["dataset"], body["view"]["query"])
        body = body | {"schema": {"fields": fields}}
    return _shown(service, service.tables.change(table, body, whole=call.request.method == "PUT"))


def _delete_table(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    service.tables.delete(_found(service, call))
    return None


def _table_data(service: Service, call: Call) -> Answer:
    dataset = call.path["dataset"]
    call.caller.require_read(f"Table {call.project}:{dataset}.{call.path['table']}", dataset)
    table = service.tables.fresh(_found(service, call))
    if table.kind == "VIEW":
        raise invalid(f"Cannot list a table of type VIEW: {table.id}")
    fields = table.fields
    selected = call.query.get("selectedFields")
    if selected:
        wanted = {s.strip().lower() for s in selected.split(",")}
        fields = [f for f in fields if f["name"].lower() in wanted]
    total = sum(p["rows"] for p in (table.stats or {})["partitions"])
    start, size = offset(call), max(0, min(call.number("maxResults", PAGE_ROWS), PAGE_ROWS))
    rows = page(
        service.engine, f'"{table.physical}"', fields, start, size, int_timestamps=call.int_timestamps
    )
    out: dict[str, Any] = {"kind": "bigquery#tableDataList", "totalRows": str(total), "rows": rows}
    if start + len(rows) < total and rows:
        out["pageToken"] = token(start + len(rows))
    return out


def _insert_all(service: Service, call: Call) -> Answer:
    call.caller.require_write(f"Table {call.project}:{call.path['dataset']}.{call.path['table']}")
    return insert_all(service, _found(service, call), call.body())


_TABLE = "/projects/{project}/datasets/{dataset}/tables/{table}"
ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/projects", _projects),
    ("GET", "/projects/{project}/datasets", _list_datasets),
    ("POST", "/projects/{project}/datasets", _insert_dataset),
    ("GET", "/projects/{project}/datasets/{dataset}", _get_dataset),
    ("PATCH", "/projects/{project}/datasets/{dataset}", _change_dataset),
    ("PUT", "/projects/{project}/datasets/{dataset}", _change_dataset),
    ("DELETE", "/projects/{project}/datasets/{dataset}", _delete_dataset),
    ("GET", "/projects/{project}/datasets/{dataset}/tables", _list_tables),
    ("POST", "/projects/{project}/datasets/{dataset}/tables", _insert_table),
    ("GET", _TABLE, _get_table),
    ("PATCH", _TABLE, _change_table),
    ("PUT", _TABLE, _change_table),
    ("DELETE", _TABLE, _delete_table),
    ("GET", _TABLE + "/data", _table_data),
    ("POST", _TABLE + "/insertAll", _insert_all),
]
