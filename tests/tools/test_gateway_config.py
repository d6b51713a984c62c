"""The configuration of Google's API Gateway routes what the functions declare, and nothing else."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import gateway_config
from tools.manifest import declarations

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "infra" / "gateway.yaml"
ADDRESS = re.compile(r'\$\{addresses\["([a-z0-9-]+)"\]\}')


@pytest.fixture(scope="module")
def served() -> dict[str, Any]:
    return {one.name: one for one in declarations() if one.kind in ("http", "sse") and not one.local_only}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return gateway_config.document()


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    """As the gateway gets it: each function at an address of its own."""
    text = ADDRESS.sub(r"https://\1.example", FILE.read_text())
    return dict(yaml.safe_load(text))


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_committed_file_is_what_the_declarations_say(made: dict[str, Any]) -> None:
    """A changed route, deadline or name makes it stale."""
    assert gateway_config.render(made) == FILE.read_text(), "run `make generate`"


def test_every_route_leads_to_its_function_and_nothing_else_is_open(
    rendered: dict[str, Any], served: dict[str, Any]
) -> None:
    """Each path under its declared method, HEAD beside each GET; no step, and nothing that is for laptops."""
    declared = {
        (str(one.method).lower(), re.sub(r":path\}", "}", path), one.name)
        for one in served.values()
        for path in one.paths
    }
    declared |= {("head", path, name) for method, path, name in declared if method == "get"}
    routed = [(method, path, one["x-google-backend"]) for method, path, one in _operations(rendered)]
    assert len(routed) == len(set(routed))
    assert {route for route in routed if route[0] != "options"} == declared
    assert len(declared) > 80


def test_the_laptops_gateway_takes_every_route_the_same_way(rendered: dict[str, Any]) -> None:
    """So what is tried here is what is served there: a written-out segment wins over a parameter in both."""
    from local import manifest
    from local.gateway.routes import Routes

    routes = Routes(manifest.load(ROOT / "functions" / "manifest.json"))
    for method, path, operation in _operations(rendered):
        match = routes.find(method.upper(), re.sub(r"\{\w+\}", "some-value", path))
        assert match is not None
        assert match.allowed == ()
        if method != "options":
            assert match.function.name == operation["x-google-backend"]


def test_a_preflight_of_any_path_reaches_one_of_its_functions(rendered: dict[str, Any]) -> None:
    """The edge answers it the same whichever that is."""
    for methods in rendered["paths"].values():
        others = {one["x-google-backend"] for method, one in methods.items() if method != "options"}
        assert methods["options"]["x-google-backend"] in others


def test_the_gateway_waits_for_a_functions_own_answer(
    rendered: dict[str, Any], served: dict[str, Any]
) -> None:
    """Without a deadline it gives up after 15 seconds, in the middle of a chat; it allows at most an hour."""
    backends = rendered["x-google-api-management"]["backends"]
    assert set(backends) == set(served)
    for name, backend in backends.items():
        assert served[name].timeout < backend["deadline"] <= 3600
        assert backend["pathTranslation"] == "APPEND_PATH_TO_ADDRESS"
        assert backend["address"] == backend["jwtAudience"] == f"https://{name}.example"
    assert any(served[name].kind == "sse" for name in backends)


def test_paths_are_as_the_gateway_takes_them(rendered: dict[str, Any]) -> None:
    """Whole segments as parameters, each declared; two paths never differ in names alone; `**` only at the end."""
    shapes = [re.sub(r"\{\w+\}", "{}", path) for path in rendered["paths"]]
    assert len(shapes) == len(set(shapes))
    ids = [operation["operationId"] for _, _, operation in _operations(rendered)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", id) for id in ids)
    for _, path, operation in _operations(rendered):
        parameters = operation.get("parameters", [])
        assert [one["name"] for one in parameters] == re.findall(r"\{(\w+)\}", path)
        assert all(re.fullmatch(r"\{\w+\}|[^{}*]*", segment) for segment in path.split("/"))
        greedy = [one["name"] for one in parameters if "x-google-parameter" in one]
        assert all(path.endswith(f"/{{{name}}}") for name in greedy)
    (asset,) = (
        one for method, path, one in _operations(rendered) if (method, path) == ("get", "/assets/{name}")
    )
    assert asset["parameters"][0]["x-google-parameter"] == {"pattern": "**"}


def test_it_is_an_openapi_document(rendered: dict[str, Any]) -> None:
    """Of version 3.1, judged by a tool that reads such documents."""
    import schemathesis

    schemathesis.openapi.from_dict(rendered).validate()


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_fills_in_every_address(served: dict[str, Any], tmp_path: Path) -> None:
    """The template has no other mark that Terraform would read as its own."""
    addresses = ", ".join(f'"{name}" = "https://{name}.example"' for name in served)
    expression = f'jsonencode(yamldecode(templatefile("{FILE}", {{addresses = {{{addresses}}}}})))'
    result = subprocess.run(
        ["terraform", "console"], input=expression, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    made = json.loads(json.loads(result.stdout.strip().splitlines()[-1]))
    assert made == yaml.safe_load(ADDRESS.sub(r"https://\1.example", FILE.read_text()))


def test_a_summary_that_terraform_would_read_as_its_own_is_refused(made: dict[str, Any]) -> None:
    """Rather than a deployment that breaks, or shows something else."""
    marked = made | {"info": {"title": "${secret}", "version": "1"}}
    with pytest.raises(SystemExit, match="Terraform would read"):
        gateway_config.render(marked)
