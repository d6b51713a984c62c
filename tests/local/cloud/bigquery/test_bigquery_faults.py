"""Faults on request: what a real client meets when the service refuses, is slow, or answers into the void."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.cloud import bigquery


@pytest.fixture
def faults(server: Any) -> Iterator[Any]:
    """Set the rules of the shared server; calm afterwards."""

    def change(*rules: dict[str, Any]) -> None:
        body = json.dumps({"rules": list(rules)}).encode()
        request = urllib.request.Request(f"{server.address}/_local/chaos", body)
        with urllib.request.urlopen(request) as answer:
            answer.read()

    yield change
    change()


def test_a_quota_refusal_carries_its_reason(faults: Any, client: bigquery.Client) -> None:
    """403 with `quotaExceeded`: nothing ran, and the job's id is still free."""
    faults({"method": "POST", "path_regex": "/jobs", "action": "status", "value": 403, "times": 1})
    with pytest.raises(exceptions.Forbidden) as refused:
        client.query("SELECT 1", job_id="quota_1", retry=None, job_retry=None)
    assert refused.value.errors[0]["reason"] == "quotaExceeded"
    assert [
        tuple(row.values()) for row in client.query("SELECT 1", job_id="quota_1", job_retry=None).result()
    ] == [(1,)]


@pytest.mark.parametrize("status", [429, 503])
def test_the_client_retries_through_a_passing_refusal(
    status: int, faults: Any, client: bigquery.Client
) -> None:
    """429 and 503 have reasons that the client knows as passing."""
    faults({"method": "*", "path_regex": "/datasets", "action": "status", "value": status, "times": 2})
    assert client.create_dataset(f"faulty_{status}").dataset_id == f"faulty_{status}"
    client.delete_dataset(f"faulty_{status}")


def test_a_job_whose_answer_was_lost_has_run_once(faults: Any, client: bigquery.Client, dataset: str) -> None:
    """Applied, then the connection is cut: the same id a second time is a conflict, and the row is there once."""
    client.ask(f"CREATE TABLE {dataset}.t (x INT64)")
    insert = f"INSERT INTO {dataset}.t VALUES (1)"
    faults({"method": "POST", "path_regex": "/jobs", "action": "drop_after_apply", "times": 1})
    with pytest.raises((exceptions.GoogleAPICallError, OSError)):
        client.query(insert, job_id=f"lost_{dataset}", retry=None, job_retry=None)
    with pytest.raises(exceptions.Conflict):
        client._call_api(  # the client's own query() would fetch the job that it finds
            None,
            method="POST",
            path="/projects/bridge-local/jobs",
            data={
                "jobReference": {"jobId": f"lost_{dataset}", "projectId": "bridge-local"},
                "configuration": {"query": {"query": insert, "useLegacySql": False}},
            },
        )
    client.get_job(f"lost_{dataset}").result()
    assert [tuple(r.values()) for r in client.ask(f"SELECT COUNT(*) FROM {dataset}.t")] == [(1,)]


def test_latency_delays_only_what_matches(faults: Any, client: bigquery.Client) -> None:
    """Listing data sets takes longer than this client waits; once the rule is used up it does not."""
    faults({"method": "GET", "path_regex": r"/datasets\?", "action": "latency", "value": 5, "times": 1})
    with pytest.raises(requests.exceptions.ReadTimeout):
        list(client.list_datasets(timeout=0.4, retry=None))
    list(client.list_datasets())


def test_a_bad_rule_is_refused_by_name(server: Any) -> None:
    """The answer names the rule and the field."""
    request = urllib.request.Request(
        f"{server.address}/_local/chaos", b'{"rules": [{"action": "storm"}]}', method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400
    assert "rules[0].action must be one of" in json.loads(refused.value.read())["error"]
