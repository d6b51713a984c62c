"""Which names datasets, tables and jobs may have."""

import re
from typing import Any

from local.cloud.bigquery.errors import invalid

_DATASET = re.compile(r"^[A-Za-z0-9_]{1,1024}$")
_TABLE = re.compile(r"^[\w\- ]{1,1024}$")
_JOB = re.compile(r"^[A-Za-z0-9_\-]{1,1024}$")


def check_dataset_name(name: Any) -> None:
    if not isinstance(name, str) or not _DATASET.match(name):
        raise invalid(f'Invalid dataset ID "{name}". Dataset IDs must be alphanumeric (plus underscores).')


def check_table_name(name: Any) -> None:
    if not isinstance(name, str) or not _TABLE.match(name):
        raise invalid(
            f'Invalid table ID "{name}". Table IDs must be alphanumeric (plus underscores, dashes and spaces).'
        )


def check_job_name(name: Any) -> None:
    if not isinstance(name, str) or not _JOB.match(name):
        raise invalid(f'Invalid job ID "{name}". Job IDs must be alphanumeric (plus underscores and dashes).')
