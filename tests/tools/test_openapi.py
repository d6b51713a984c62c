"""The OpenAPI document says what the functions do: all of it, in a form that tools can read."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import api_pages, openapi, openapi_parts, raises
from tools.manifest import declarations

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document()


@pytest.fixture(scope="module")
def doors() -> dict[str, Any]:
    return {one.name: one for one in declarations() if one.kind in ("http", "sse")}


@pytest.fixture(scope="module")
def codes(document: dict[str, Any]) -> dict[str, set[str]]:
    return {
        operation["x-function"]: set(operation["x-error-codes"]) for _, _, operation in _operations(document)
    }


def test_every_path_of_every_endpoint_is_there_and_no_other(
    document: dict[str, Any], doors: dict[str, Any]
) -> None:
    """Each route once, under its function's method."""
    declared = {
        (one.method, re.sub(r":path\}", "}", path), one.name) for one in doors.values() for path in one.paths
    }
    assert declared == {
        (method, path, operation["x-function"]) for method, path, operation in _operations(document)
    }


def test_the_document_has_the_structure_of_openapi_3_1(document: dict[str, Any]) -> None:
    """Required members, known methods, unique operation ids, component names and statuses that are allowed."""
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= set(document["info"])
    for path, methods in document["paths"].items():
        assert path.startswith("/")
        assert set(methods) <= METHODS
    ids = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(ids) == len(set(ids))
    for group in document["components"].values():
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in group)
    assert all(tag["description"] != tag["name"] for tag in document["tags"])
    for _, _, operation in _operations(document):
        assert operation["responses"]
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert set(operation["tags"]) <= {tag["name"] for tag in document["tags"]}
        for wanted in operation["security"]:
            assert set(wanted) <= set(document["components"]["securitySchemes"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """And every component is referred to, so that nothing old stays behind."""
    used = set()
    for reference in _references(document):
        assert reference.startswith("#/")
        target: Any = document
        for part in reference[2:].split("/"):
            target = target[part]
        used.add(reference)
    for group in ("schemas", "responses", "parameters", "examples", "headers"):
        assert not {
            name for name in document["components"][group] if f"#/components/{group}/{name}" not in used
        }, group


def test_path_parameters_are_declared_and_typed(document: dict[str, Any]) -> None:
    """Each {name} of a path is a required parameter, and one that names an id is a uuid."""
    for _, path, operation in _operations(document):
        given = {one["name"]: one for one in operation["parameters"] if one.get("in") == "path"}
        assert set(given) == set(re.findall(r"\{(\w+)\}", path))
        for name, one in given.items():
            assert one["required"] is True
            assert (one["schema"].get("format") == "uuid") == name.endswith("_id")


def test_every_body_example_is_accepted_by_its_model(document: dict[str, Any], doors: dict[str, Any]) -> None:
    """Strictly, as the edge reads it."""
    for _, _, operation in _operations(document):
        model = doors[operation["x-function"]].body
        assert (model is not None) == ("requestBody" in operation)
        if model is not None:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            model.model_validate_json(json.dumps(example), strict=True)


def test_every_answer_example_is_one_that_the_function_could_give(
    document: dict[str, Any], doors: dict[str, Any]
) -> None:
    """The model of the handler's annotation accepts it, at the declared status."""
    checked = 0
    for _, _, operation in _operations(document):
        door = doors[operation["x-function"]]
        answer = operation["responses"][str(door.status)]
        example = answer.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            door.answer.model_validate(example)
            checked += 1
    assert checked > 25


def test_every_error_code_stands_under_its_status_with_an_example(document: dict[str, Any]) -> None:
    """The answer of a status names exactly the codes of that status, each with the envelope as it is sent."""
    from shared.platform.errors import REGISTRY

    for _, _, operation in _operations(document):
        said = set()
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            found = _at(document, answer["$ref"])
            for code, reference in found["content"]["application/json"]["examples"].items():
                value = _at(document, reference["$ref"])["value"]
                assert (value["status"], value["error"]["code"]) == (int(status), code)
                assert REGISTRY[code].status == int(status)
                said.add(code)
        assert said == set(operation["x-error-codes"])


def test_the_envelope_s_schema_is_the_envelope(document: dict[str, Any]) -> None:
    """What errors.envelope makes has exactly the members that ErrorEnvelope declares."""
    from shared.platform.errors import ValidationFailed, envelope

    error = ValidationFailed("no", field="name", reason="missing", details={"errors": []})
    made = envelope(error, correlation_id="1", trace_id="2")
    schema = document["components"]["schemas"]["ErrorEnvelope"]
    assert set(made) == set(schema["properties"]) == set(schema["required"])
    assert set(made["error"]) == set(schema["properties"]["error"]["properties"])


def test_a_model_cannot_take_the_name_of_a_written_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two schemas of one name would describe answers by the wrong one, so the generator stops."""
    monkeypatch.setattr(openapi_parts, "schemas", lambda _codes: {"Dashboards": {}})
    with pytest.raises(SystemExit, match="Dashboards: a model has the name"):
        openapi.document()


def test_the_codes_follow_the_calls(codes: dict[str, set[str]]) -> None:
    """Codes raised deep in a service are found, and those that are caught or belong to others are not."""
    assert "SLUG_TAKEN" in codes["dashboards-save"]
    assert "SCAN_RUNNING" in codes["catalog-scan"]
    assert "TURN_IN_PROGRESS" in codes["chat-stream"]
    assert "AMBIGUOUS_SLUG" in codes["dashboards-get"]
    assert "INVALID_CURSOR" in codes["teams-list"]
    assert {"WAREHOUSE_CREDENTIALS_REJECTED", "INVALID_CIPHERTEXT"} <= codes["catalog-discover"]
    assert "DASHBOARD_INVALID" in codes["dashboards-save"]
    assert "DASHBOARD_INVALID" not in codes["dashboards-validate"], "it reports, it does not refuse"
    assert codes["teams-get"] == {
        "FORBIDDEN", "INTERNAL", "METHOD_NOT_ALLOWED", "NOT_FOUND", "RATE_LIMITED",
        "SERVICE_UNAVAILABLE", "UNAUTHENTICATED", "VALIDATION_ERROR",
    }  # fmt: skip


def test_the_codes_follow_the_declaration(doors: dict[str, Any], codes: dict[str, set[str]]) -> None:
    """What the edge refuses by itself depends on what the function declares."""
    for name, door in doors.items():
        found = codes[name]
        assert {"METHOD_NOT_ALLOWED", "INTERNAL"} <= found
        assert ("UNAUTHENTICATED" in found) == (door.role != "public"), name
        assert ("CSRF_REJECTED" in found) == (door.method != "GET"), name
        assert ({"PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"} <= found) == (door.body is not None), name
        assert ({"REQUEST_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"} <= found) == (door.once is True), name
        if door.role == "admin":
            assert "FORBIDDEN" in found
        if door.role in ("member", "admin"):
            assert "NOT_FOUND" in found


SAMPLE = """
import threading
from shared.platform.errors import Conflict, NotFound, RateLimited

class Shop:
    def sell(self): raise Conflict

def open_shop() -> Shop: return Shop()
def direct(): raise Conflict("no", field="x")
def swallowed():
    try: direct()
    except Conflict: return None
def converted():
    try: direct()
    except Conflict as error: raise NotFound from error
def raised_again():
    try: direct()
    except Conflict as error:
        if error.field: raise
def of_another_kind():
    try: direct()
    except RateLimited: return None
def through_a_method(): open_shop().sell()
def handed_on(): return list(map(direct, []))
def in_a_thread(): threading.Thread(target=direct).start()
def around(): return both(3)
def both(n): return around() if n else direct()
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("direct", {"CONFLICT"}),
        ("swallowed", set()),
        ("converted", {"NOT_FOUND"}),
        ("raised_again", {"CONFLICT"}),
        ("of_another_kind", {"CONFLICT"}),
        ("through_a_method", {"CONFLICT"}),
        ("handed_on", {"CONFLICT"}),
        ("in_a_thread", set()),
        ("around", {"CONFLICT"}),
    ],
)
def test_an_error_escapes_unless_it_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: set[str]
) -> None:
    """The call graph honours `except`, re-raising, typed receivers, callbacks, threads and cycles."""
    module = f"raising_sample_{name}"
    (tmp_path / f"{module}.py").write_text(SAMPLE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(raises, "OURS", [*raises.OURS, module])
    sample = importlib.import_module(module)
    found: set[Any] = raises.escaping([getattr(sample, name)], [module])
    assert {error.code for error in found} == expected


def test_every_event_that_is_sent_is_described() -> None:
    """The names that the agents emit are the names of the schemas."""
    sent = set()
    for source in [*(ROOT / "shared" / "agents").rglob("*.py"), *(ROOT / "shared" / "analyst").rglob("*.py")]:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in ("emit", "Event"):
                    sent.add(node.args[0].value)
    assert sent <= set(openapi_parts.EVENTS)
    assert set(openapi_parts.EVENTS) - sent == {"error", "complete"}, "these two are made by last_events"


def test_the_tables_beside_the_declarations_name_existing_functions(doors: dict[str, Any]) -> None:
    """Raw answers are of functions that answer bytes; headers of functions that exist."""
    assert set(openapi_parts.REQUEST_HEADERS) <= set(doors)
    for name in openapi_parts.RAW:
        assert not hasattr(doors[name].answer, "model_fields")


@pytest.mark.slow
@pytest.mark.soak
def test_the_document_is_the_same_whatever_the_hash_seed() -> None:
    """Sets and dicts leave no trace in the text; neither do YAML anchors."""
    script = "from tools import openapi; print(openapi.render(openapi.document()))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1
    text = texts.pop()
    assert not re.search(r"[:-] [&*]\w+\s*$", text, re.MULTILINE)


def test_the_text_reads_back_as_the_document(document: dict[str, Any]) -> None:
    """YAML's own ideas (no, dates, octal numbers) change nothing."""
    assert yaml.load(openapi.render(document), Loader=yaml.CSafeLoader) == document


def test_the_committed_files_are_current(document: dict[str, Any]) -> None:
    """`make generate` would change nothing."""
    files = {"docs/openapi.yaml": openapi.render(document)} | api_pages.files(document)
    stale = [name for name, text in files.items() if (ROOT / name).read_text() != text]
    assert not stale, "run `make generate`"


def test_the_collection_and_the_reference_have_every_operation(document: dict[str, Any]) -> None:
    """One request for each operation, with its body's example; one row for each in docs/api.md."""
    collection = api_pages.collection(document)
    requests = [item["request"] for folder in collection["item"] for item in folder["item"]]
    assert len(requests) == len(_operations(document))
    text = api_pages.reference(document)
    for method, path, _ in _operations(document):
        assert f"`{method} {path}`" in text
        segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
        assert any(r["method"] == method and r["url"]["path"] == segments for r in requests), path
    for request in requests:
        if "body" in request:
            assert isinstance(json.loads(request["body"]["raw"]), dict)


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return api_pages.operations(document)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _at(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for part in reference[2:].split("/"):
        found = found[part]
    return found
