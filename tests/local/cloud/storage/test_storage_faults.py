"""The server misbehaves on request, and the real client meets it as it would meet the service's bad days."""

from typing import Any

import pytest
import requests
from google.api_core.exceptions import PreconditionFailed, ServiceUnavailable, TooManyRequests

UPLOAD = {"method": "POST", "path_regex": "^/upload/"}


def test_a_status_is_answered_and_nothing_applied(faulty: Any, bucket: Any) -> None:
    """Without retries the caller sees the status; the object isn't there; the rule is spent."""
    faulty.chaos(
        UPLOAD | {"action": "status", "value": 503, "times": 1},
        UPLOAD | {"action": "status", "value": 429, "times": 1},
    )
    for expected in (ServiceUnavailable, TooManyRequests):
        with pytest.raises(expected):
            bucket.blob("x").upload_from_string("x", retry=None)
    assert bucket.get_blob("x") is None
    bucket.blob("x").upload_from_string("x", retry=None)


def test_the_client_retries_through_a_passing_503(faulty: Any, bucket: Any) -> None:
    """An idempotent write, which has a generation precondition, is tried again by the client itself."""
    faulty.chaos(UPLOAD | {"action": "status", "value": 503, "times": 1})
    bucket.blob("x").upload_from_string("x", if_generation_match=0)
    assert bucket.blob("x").download_as_bytes() == b"x"


def test_applied_but_not_answered(faulty: Any, bucket: Any) -> None:
    """The write happened, the caller doesn't know, and its retry meets its own object: 412."""
    faulty.chaos(UPLOAD | {"action": "drop_after_apply", "times": 1})
    with pytest.raises(PreconditionFailed):
        bucket.blob("x").upload_from_string("mine", if_generation_match=0)
    assert bucket.blob("x").download_as_bytes() == b"mine"


def test_a_resumable_upload_whose_answer_is_lost(faulty: Any, bucket: Any) -> None:
    """Sending the last chunk again gives the object of the first time."""
    faulty.chaos({"method": "PUT", "path_regex": "upload_id=", "action": "drop_after_apply", "times": 1})
    blob = bucket.blob("x", chunk_size=256 * 1024)
    blob.upload_from_string("mine", if_generation_match=0)
    assert bucket.get_blob("x").generation == blob.generation


def test_latency_delays_only_what_matches(faulty: Any, bucket: Any) -> None:
    """The matching request waits and uses the rule up; another one doesn't meet it."""
    bucket.blob("slow").upload_from_string("x")
    bucket.blob("fast").upload_from_string("x")
    rule = {"method": "GET", "path_regex": "/o/slow", "action": "latency", "value": 5, "times": 1}
    faulty.chaos(rule)
    bucket.blob("fast").download_as_bytes()
    assert faulty.call("/_local/chaos") == {"rules": [rule]}
    with pytest.raises(requests.exceptions.ReadTimeout):
        bucket.blob("slow").download_as_bytes(timeout=0.4, retry=None)
    assert faulty.call("/_local/chaos") == {"rules": []}


def test_the_rules_can_be_read_and_cleared(faulty: Any) -> None:
    """What is left of the rules is shown; an empty list ends them; health is never touched by them."""
    rule = {"method": "*", "path_regex": ".", "action": "status", "value": 500, "times": 2}
    faulty.chaos(rule)
    assert faulty.call("/_local/health")["status"] == "ok"
    assert requests.get(f"{faulty.url}/storage/v1/b").status_code == 500
    assert faulty.call("/_local/chaos") == {"rules": [rule | {"value": 500.0, "times": 1}]}
    faulty.chaos()
    assert faulty.call("/_local/chaos") == {"rules": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rules"),
        ({"rules": [1]}, "rules[0]"),
        ({"rules": [{"action": "explode"}]}, "rules[0].action"),
        ({"rules": [{"action": "status", "value": 200}]}, "rules[0].value"),
        ({"rules": [{"action": "latency"}]}, "rules[0].value"),
        ({"rules": [{"action": "status", "value": 503, "times": 0}]}, "rules[0].times"),
        ({"rules": [{"action": "status", "value": 503, "path_regex": "("}]}, "rules[0].path_regex"),
        ({"rules": [{"action": "status", "value": 503, "path": "x"}]}, "rules[0]"),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(faulty: Any, body: dict[str, Any], field: str) -> None:
    """400 names the field, and the rules in force stay."""
    rule = {"method": "*", "path_regex": "nothing", "action": "latency", "value": 1.0, "times": None}
    faulty.chaos(rule)
    answer = requests.post(f"{faulty.url}/_local/chaos", json=body)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]
    assert faulty.call("/_local/chaos") == {"rules": [rule]}
