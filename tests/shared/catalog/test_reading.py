"""Reading the catalog: lists, shapes, search, and who may."""

import pytest

from shared.catalog import service
from shared.catalog.model import Search
from shared.platform.errors import NotFound


@pytest.fixture
def scanned(cloud, shop):
    """A person, their team and a connection whose catalog is there."""
    person = cloud.person()
    team = cloud.team(person)
    connection = cloud.connection(team, person)
    cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection}, as_=person)
    cloud.drain()
    return person, team, connection


def test_discover_answers_datasets_with_location_and_description(cloud, shop):
    """Before any scan; asked again it answers the same ids."""
    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person)
    path = f"/v1/onboarding/catalog/discover?connection_id={connection}"
    found = cloud.call("POST", path, as_=person).json
    assert [dataset["name"] for dataset in found["datasets"]] == sorted(shop.names.values())
    sales = next(dataset for dataset in found["datasets"] if dataset["name"] == shop.names["sales"])
    assert sales["fully_qualified_name"] == f"bridge-local.{shop.names['sales']}"
    assert sales["description"] == "What was sold"
    assert sales["location"] == "US"
    assert found["warnings"] == []
    assert cloud.call("POST", path, as_=person).json == found


def test_lists_go_from_connection_to_column(cloud, shop, scanned):
    """Datasets, tables (by query and by path) and columns, each with what clients depend on."""
    person, _, connection = scanned
    base = "/v1/onboarding/catalog"
    datasets = cloud.call("GET", f"{base}/datasets?connection_id={connection}", as_=person).json
    assert [d["name"] for d in datasets["datasets"]] == sorted(shop.names.values())
    assert all(d["last_scanned_at"] for d in datasets["datasets"])
    sales = next(d["id"] for d in datasets["datasets"] if d["name"] == shop.names["sales"])
    tables = cloud.call("GET", f"{base}/tables?dataset_id={sales}", as_=person).json
    assert tables == cloud.call("GET", f"{base}/datasets/{sales}/tables", as_=person).json
    assert [t["name"] for t in tables["tables"]] == ["big", "customers", "orders"]
    orders = tables["tables"][2]
    assert orders["partitioning"] == {"column": "day", "type": "DAY", "require_filter": True}
    schema = cloud.call("GET", f"{base}/tables/{orders['id']}/schema?limit=6", as_=person).json
    rest = cloud.call(
        "GET", f"{base}/tables/{orders['id']}/schema?cursor={schema['next_cursor']}", as_=person
    ).json
    columns = schema["columns"] + rest["columns"]
    assert [c["position"] for c in columns] == list(range(1, 8))
    assert columns[0] | {"id": 0} == {
        "id": 0,
        "name": "id",
        "path": "id",
        "data_type": "INT64",
        "mode": "REQUIRED",
        "nullable": False,
        "description": "Order number",
        "position": 1,
    }
    assert columns[6]["path"] == "items.price"


def test_pages_of_datasets_and_tables_have_no_gaps(cloud, shop, scanned):
    """Page by page gives what one page gives."""
    person, _, connection = scanned
    path = f"/v1/onboarding/catalog/datasets?connection_id={connection}"
    whole = cloud.call("GET", path, as_=person).json["datasets"]
    found, cursor = [], ""
    while True:
        page = cloud.call("GET", f"{path}&limit=1{cursor}", as_=person).json
        found += page["datasets"]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == whole


def test_a_stranger_finds_nothing(cloud, shop, scanned):
    """Each route answers another team's id as it answers a missing one."""
    _person, team, connection = scanned
    stranger = cloud.person()
    cloud.team(stranger)
    dataset = service.list_datasets(team, connection)[0].id
    table = service.list_tables(team, connection)[0].id
    base = "/v1/onboarding/catalog"
    missing = team[:-4] + "ffff"
    for method, path, body in (
        ("POST", f"{base}/discover?connection_id={{{connection}}}", None),
        ("POST", f"{base}/scan", {"connection_id": f"{{{connection}}}"}),
        ("GET", f"{base}/datasets?connection_id={{{connection}}}", None),
        ("GET", f"{base}/tables?dataset_id={{{dataset}}}", None),
        ("GET", f"{base}/datasets/{{{dataset}}}/tables", None),
        ("GET", f"{base}/tables/{{{table}}}/schema", None),
        ("GET", f"{base}/search?team_id={{{team}}}&q=orders", None),
    ):
        answers = []
        for id in (None, missing):

            def fill(text, id=id):
                start, end = text.find("{"), text.find("}")
                return text if start < 0 else text[:start] + (id or text[start + 1 : end]) + text[end + 1 :]

            sent = {key: fill(value) for key, value in body.items()} if body else None
            answers.append(cloud.call(method, fill(path), sent, as_=stranger))
        assert [answer.status for answer in answers] == [404, 404], path
        assert answers[0].error["message"] == answers[1].error["message"]


def test_another_team_reads_nothing_by_any_function(cloud, shop, scanned):
    """The functions that tools call are as closed as the routes."""
    person, _team, connection = scanned
    other = cloud.team(person)
    assert service.list_datasets(other, connection) == []
    assert service.list_tables(other, connection) == []
    assert service.shapes(other, connection, [shop.full("sales.orders")]) == {}
    assert service.allowed_datasets(other, connection) == set()
    assert service.search(other, Search(team_id=other, q="orders")).hits == []
    for reading in (service.version, lambda t, c: service.describe_table(t, c, shop.full("sales.orders"))):
        with pytest.raises(NotFound):
            reading(other, connection)


def test_shapes_are_found_by_every_way_to_name_a_table(cloud, shop, scanned):
    """project.dataset.table, dataset.table, with back-ticks, or the id; unknown ones are left out."""
    _, team, connection = scanned
    full = shop.full("sales.orders")
    short = full.removeprefix("bridge-local.")
    id = service.describe_table(team, connection, full).id
    for name in (full, short, f"`{full}`", id):
        assert service.describe_table(team, connection, name).fully_qualified_name == full
    both = service.shapes(team, connection, [short, shop.full("web.sessions"), "no.such_table"])
    assert set(both) == {full, shop.full("web.sessions")}
    assert [c.path for c in both[full].columns][:2] == ["id", "day"]


def test_allowed_datasets_are_those_of_the_connection(cloud, shop, scanned):
    """What the guard is given."""
    _, team, connection = scanned
    assert service.allowed_datasets(team, connection) == {f"bridge-local.{n}" for n in shop.names.values()}


def _found(team, shop, words):
    hits = service.search(team, Search(team_id=team, q=words)).hits
    return [hit.fully_qualified_name for hit in hits], hits


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("orders", "sales.orders"),
        ("Order", "sales.orders"),
        ("arrival delays by airline", "sales.orders"),
        ("arrDelay", "sales.orders"),
        ("carr", "sales.orders"),
        ("page views", "web.page_views"),
        ("PageViews", "web.page_views"),
        ("session", "web.sessions"),
        ("full name of customers", "sales.customers"),
    ],
)
def test_search_puts_the_table_that_is_meant_first(cloud, shop, scanned, words, first):
    """By stems, by beginnings, across underscores and camel case, in names and descriptions."""
    _, team, _ = scanned
    assert _found(team, shop, words)[0][0] == shop.full(first)


def test_search_says_which_columns_matched_and_keeps_its_order(cloud, shop, scanned):
    """The same words give the same answer."""
    _, team, _ = scanned
    names, hits = _found(team, shop, "delay")
    assert set(names) == {shop.full("sales.orders"), shop.full("web.sessions")}
    assert {hit.fully_qualified_name: hit.matched_columns for hit in hits} == {
        shop.full("sales.orders"): ["arrDelay"],
        shop.full("web.sessions"): ["delay_ms"],
    }
    assert _found(team, shop, "delay") == (names, hits)


@pytest.mark.parametrize("words", ["the of and", "!!!", "xyzzy", "'; DROP TABLE tables; --", ":* & |"])
def test_search_for_nothing_finds_nothing(cloud, shop, scanned, words):
    """Stop words, signs and hostile text are no error and no hit."""
    _, team, _ = scanned
    assert _found(team, shop, words)[0] == []
