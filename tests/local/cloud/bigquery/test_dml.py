"""UPDATE, DELETE, INSERT and MERGE through the real client: which rows change, and what is refused."""

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from tests.local.cloud.bigquery.conftest import Rows

KEPT = [("dishwasher", 30, None), ("dryer", 50, None), ("oven", 5, None), ("refrigerator", 15, None)]


@pytest.fixture
def shop(client: bigquery.Client, dataset: str) -> str:
    """Stock and what arrived, as in the reference's examples of MERGE."""
    client.query_and_wait(f"CREATE TABLE {dataset}.stock (product STRING, quantity INT64, checked BOOL)")
    client.query_and_wait(
        f"INSERT INTO {dataset}.stock (product, quantity) VALUES ('dishwasher', 30), ('dryer', 30), ('front', 20), ('oven', 5)"
    )
    client.query_and_wait(
        f"CREATE TABLE {dataset}.arrived AS SELECT * FROM UNNEST([STRUCT('dryer' AS product, 20 AS quantity), "
        "('front', 10), ('refrigerator', 15)])"
    )
    return dataset


def _changed(client: bigquery.Client, sql: str) -> int | None:
    job = client.query(sql)
    job.result()
    return int(job.num_dml_affected_rows or 0)


def test_merge_gives_each_row_to_the_first_clause_that_takes_it(
    shop: str, client: bigquery.Client, rows: Rows
) -> None:
    """A matched row that one clause deletes is not updated by the next; the rest is inserted."""
    changed = _changed(
        client,
        f"MERGE {shop}.stock AS t USING {shop}.arrived AS s ON t.product = s.product "
        "WHEN MATCHED AND s.quantity = 10 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET quantity = t.quantity + s.quantity "
        "WHEN NOT MATCHED THEN INSERT (product, quantity) VALUES (product, quantity)",
    )
    assert changed == 3
    assert rows(f"SELECT * FROM {shop}.stock ORDER BY product") == KEPT


def test_merge_without_matches_inserts_and_deletes_by_side(
    shop: str, client: bigquery.Client, rows: Rows
) -> None:
    """ON FALSE matches nothing: rows of the source are inserted, those of the target are not in the source."""
    changed = _changed(
        client,
        f"MERGE {shop}.stock t USING (SELECT *, TRUE AS checked FROM {shop}.arrived) s ON FALSE "
        "WHEN NOT MATCHED BY TARGET AND product LIKE '%dryer%' THEN INSERT ROW "
        "WHEN NOT MATCHED BY SOURCE AND quantity < 30 THEN DELETE "
        "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET checked = FALSE",
    )
    assert changed == 5
    assert rows(f"SELECT * FROM {shop}.stock ORDER BY product, quantity") == [
        ("dishwasher", 30, False), ("dryer", 20, True), ("dryer", 30, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "MERGE {d}.stock t USING (SELECT 'dryer' AS p UNION ALL SELECT 'dryer') s ON t.product = s.p "
        "WHEN MATCHED THEN UPDATE SET quantity = 0",
        "MERGE {d}.stock t USING (SELECT 'dryer' AS p, 1 AS n UNION ALL SELECT 'dryer', 2) s ON t.product = s.p "
        "WHEN MATCHED AND n = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET quantity = 0",
        "UPDATE {d}.stock t SET quantity = s.n FROM (SELECT 'dryer' AS p, 1 AS n UNION ALL SELECT 'dryer', 2) s "
        "WHERE t.product = s.p",
    ],
)
def test_a_target_row_can_be_changed_by_one_source_row_only(
    statement: str, shop: str, client: bigquery.Client, rows: Rows
) -> None:
    """Two rows of the source for one of the target are an error, and nothing has changed."""
    before = rows(f"SELECT * FROM {shop}.stock ORDER BY product")
    with pytest.raises(
        BadRequest, match="UPDATE/MERGE must match at most one source row for each target row"
    ):
        client.query(statement.replace("{d}", shop), job_retry=None).result()
    assert rows(f"SELECT * FROM {shop}.stock ORDER BY product") == before


def test_two_source_rows_are_fine_when_a_condition_leaves_one(shop: str, client: bigquery.Client) -> None:
    """What counts are the rows that a clause takes, not those that match."""
    changed = _changed(
        client,
        f"MERGE {shop}.stock t USING (SELECT 'dryer' AS p, 1 AS n UNION ALL SELECT 'dryer', 2) s ON t.product = s.p "
        "WHEN MATCHED AND n = 1 THEN UPDATE SET quantity = n",
    )
    assert changed == 1


def test_update_takes_values_from_another_table(shop: str, client: bigquery.Client, rows: Rows) -> None:
    """UPDATE … FROM joins, and subqueries may stand among the values."""
    changed = _changed(
        client,
        f"UPDATE {shop}.stock t SET quantity = s.quantity, checked = (SELECT COUNT(*) > 2 FROM {shop}.arrived) "
        f"FROM {shop}.arrived s WHERE t.product = s.product AND s.quantity < 20",
    )
    assert changed == 1
    assert rows(f"SELECT quantity, checked FROM {shop}.stock WHERE product = 'front'") == [(10, True)]


def test_a_merge_costs_its_source_and_the_whole_target(shop: str, client: bigquery.Client) -> None:
    """Where rows of the target change, all its columns are read; an insert alone reads what it names."""
    dry = bigquery.QueryJobConfig(dry_run=True)
    target = 4 * (2 + 8) + len("dishwasherdryerfrontoven")
    source = 3 * (2 + 8) + len("dryerfrontrefrigerator")
    both = f"MERGE {shop}.stock t USING {shop}.arrived s ON t.product = s.product WHEN MATCHED THEN UPDATE SET quantity = s.quantity"
    job = client.query(both, job_config=dry)
    assert (job.statement_type, job.total_bytes_processed) == ("MERGE", target + source)
    inserts = f"MERGE {shop}.stock t USING {shop}.arrived s ON FALSE WHEN NOT MATCHED THEN INSERT (quantity) VALUES (s.quantity)"
    assert client.query(inserts, job_config=dry).total_bytes_processed == 3 * 8


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("INSERT INTO {d}.stock (product) VALUES (5)", "Query column has type INTEGER which cannot be inserted"),
        ("INSERT INTO {d}.stock (product, product) VALUES ('a', 'b')", "Column product is named more than once"),
        ("UPDATE {d}.stock SET product = 5 WHERE TRUE", "Query column has type INTEGER which cannot be inserted"),
        ("UPDATE {d}.stock SET quantity = 1, quantity = 2 WHERE TRUE", "Column quantity is named more than once"),
        ("DELETE FROM {d}.stock WHERE quantity", "WHERE clause should return type BOOL"),
        ("MERGE {d}.stock t USING {d}.arrived s ON t.product = s.quantity WHEN MATCHED THEN DELETE", "No matching signature"),
        ("MERGE {d}.stock t USING {d}.arrived s ON TRUE WHEN MATCHED THEN INSERT (product) VALUES ('x')", "INSERT is only"),
        ("MERGE {d}.stock t USING {d}.arrived s ON TRUE WHEN MATCHED THEN UPDATE SET checked = s.quantity", "Query column"),
        ("CREATE TABLE {d}.made AS SELECT 1", "CREATE TABLE columns must be named"),
        ("CREATE TABLE {d}.made (a STRING) AS SELECT 1 AS a", "Query column has type INTEGER"),
        ("CREATE TABLE {d}.made AS SELECT [1, NULL] AS a", "Array cannot have a null element"),
        ("CREATE TABLE {d}.made (a STRING(3))", "not supported by the local BigQuery server: types with parameters"),
        ("CREATE TABLE {d}.made (a NUMERIC(10, 2))", "not supported by the local BigQuery server: types with parameters"),
        ("CREATE TABLE {d}.made (t TIMESTAMP) PARTITION BY t", "PARTITION BY expression must be"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(
    statement: str, reason: str, shop: str, client: bigquery.Client
) -> None:
    """Types are checked before anything is written, as in the service."""
    with pytest.raises(BadRequest) as refused:
        client.query(statement.replace("{d}", shop), job_retry=None).result()
    assert refused.value.errors[0]["message"].startswith(reason)


def test_literals_coerce_where_columns_do_not(shop: str, client: bigquery.Client, rows: Rows) -> None:
    """1.5 is a NUMERIC where one is wanted, a text a DATE, DEFAULT is NULL; an array that is NULL is stored empty."""
    client.query_and_wait(
        f"CREATE TABLE {shop}.typed (n NUMERIC, d DATE, a ARRAY<INT64>, s STRUCT<x INT64, y STRING>)"
    )
    client.query_and_wait(
        f"INSERT {shop}.typed VALUES (1.5, '2024-01-02', NULL, (1, 'x')), (2, DEFAULT, [1], NULL)"
    )
    found = rows(
        f"SELECT CAST(n AS STRING), CAST(d AS STRING), ARRAY_LENGTH(a), s.y FROM {shop}.typed ORDER BY n"
    )
    assert found == [("1.5", "2024-01-02", 0, "x"), ("2", None, 1, None)]
    assert _changed(client, f"DELETE {shop}.typed WHERE n = 2") == 1
