"""A small warehouse to scan: nested, partitioned, clustered, a view, an empty dataset."""

import uuid

import pytest
from google.cloud.bigquery import Table

STATEMENTS = """
CREATE SCHEMA {sales} OPTIONS (description='What was sold');
CREATE SCHEMA {web};
CREATE SCHEMA {empty};
CREATE TABLE {sales}.customers (customer_id INT64, full_name STRING);
CREATE VIEW {sales}.big AS SELECT customer_id FROM {sales}.customers;
CREATE TABLE {web}.page_views (at TIMESTAMP, url STRING) PARTITION BY TIMESTAMP_TRUNC(at, MONTH);
CREATE TABLE {web}.sessions (session_id STRING, delay_ms INT64);
INSERT INTO {sales}.customers VALUES (1, 'Ada'), (2, 'Grace');
"""

ORDERS = {
    "description": "Orders by day",
    "schema": {
        "fields": [
            {"name": "id", "type": "INT64", "mode": "REQUIRED", "description": "Order number"},
            {"name": "day", "type": "DATE"},
            {"name": "carrier", "type": "STRING", "description": "Two-letter code of the airline"},
            {"name": "arrDelay", "type": "FLOAT64", "description": "Arrival delay in minutes"},
            {
                "name": "items",
                "type": "RECORD",
                "mode": "REPEATED",
                "fields": [{"name": "sku", "type": "STRING"}, {"name": "price", "type": "NUMERIC"}],
            },
        ]
    },
    "timePartitioning": {"type": "DAY", "field": "day"},
    "requirePartitionFilter": True,
    "clustering": {"fields": ["carrier", "id"]},
}


class Shop:
    """The datasets by their short names, and the client to change them."""

    def __init__(self, client, mark):
        self.client = client
        self.names = {short: f"{short}_{mark}" for short in ("sales", "web", "empty")}

    def run(self, text):
        """Execute statements with {sales}, {web}, {empty} filled in."""
        for statement in text.format(**self.names).strip().split(";\n"):
            if statement.strip().rstrip(";"):
                self.client.query(statement.strip().rstrip(";")).result()

    def full(self, table):
        """bridge-local.sales_x.orders for sales.orders."""
        dataset, name = table.split(".")
        return f"bridge-local.{self.names[dataset]}.{name}"


@pytest.fixture
def shop(bigquery):
    """Fresh datasets for one test; those of other tests are gone."""
    for dataset in bigquery.list_datasets():
        bigquery.delete_dataset(dataset.reference, delete_contents=True, not_found_ok=True)
    made = Shop(bigquery, uuid.uuid4().hex[:6])
    made.run(STATEMENTS)
    reference = {"projectId": "bridge-local", "datasetId": made.names["sales"], "tableId": "orders"}
    bigquery.create_table(Table.from_api_repr({"tableReference": reference, **ORDERS}))
    return made
