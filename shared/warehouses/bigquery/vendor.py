"""What the registry offers of BigQuery. The adapter, with its SDK, is loaded when a connection is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.warehouses.bigquery import credentials
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.contract import Warehouse


class BigQueryVendor:
    """Service accounts, and projects that they reach."""

    dialect = BIGQUERY

    def credentials(self, given: str) -> dict[str, str]:
        """What is kept of a service-account file in base64."""
        return credentials.read(given).model_dump(exclude_none=True)

    def open(self, kept: Mapping[str, Any]) -> Warehouse:
        """The adapter of a service account."""
        from shared.warehouses.bigquery.adapter import BigQuery

        return BigQuery(kept)


VENDOR = BigQueryVendor()
