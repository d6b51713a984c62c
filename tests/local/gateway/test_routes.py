"""Which function answers which path."""

import pytest

from local.gateway.routes import Routes
from local.manifest import Function


def function(name: str, method: str, *paths: str, kind: str = "http") -> Function:
    return Function(name, "-", "-", kind, method, paths)


ROUTES = Routes(
    [
        function("get", "GET", "/v1/dashboards/{id}"),
        function("delete", "DELETE", "/v1/dashboards/{id}"),
        function("validate", "POST", "/v1/dashboards/validate"),
        function("list", "GET", "/v1/dashboards"),
        function("data", "POST", "/v1/dashboards/{id}/data"),
        function("twin", "POST", "/v1/c/{id}/validate", "/v1/c/{id}/test"),
        function("special", "GET", "/v1/{team}/special/x"),
        function("asset", "GET", "/assets/{path:path}"),
        function("version", "GET", "/assets/version"),
        function("home", "GET", "/"),
        function("scan", "", kind="task"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/dashboards", "list"),
        ("GET", "/v1/dashboards/7", "get"),
        ("HEAD", "/v1/dashboards/7", "get"),
        ("DELETE", "/v1/dashboards/7", "delete"),
        ("POST", "/v1/dashboards/validate", "validate"),
        ("POST", "/v1/dashboards/validate/data", "data"),
        ("POST", "/v1/c/1/validate", "twin"),
        ("POST", "/v1/c/1/test", "twin"),
        ("GET", "/v1/dashboards/special/x", "special"),
        ("GET", "/assets/version", "version"),
        ("GET", "/assets/css/console.css", "asset"),
        ("GET", "/assets/version/2", "asset"),
        ("GET", "/", "home"),
        ("PUT", "/v1/dashboards/7", "get"),
        ("OPTIONS", "/v1/dashboards", "list"),
        ("GET", "/v1/dashboards/validate", "validate"),
    ],
)
def test_the_most_exact_path_answers_and_then_the_method(method: str, path: str, name: str) -> None:
    """Written segments before parameters before the rest; a wrong method still finds a function, which refuses it."""
    match = ROUTES.find(method, path)
    assert match is not None
    assert (match.function.name, match.path) == (name, path)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/dashboards/",
        "/v1/dashboards/7/",
        "/v1",
        "/v1/dashboards/7/data/x",
        "/nothing",
        "//",
        "/_fn/",
        "/_fn/none",
    ],
)
def test_an_unknown_path_finds_nothing(path: str) -> None:
    """No prefix matches, no empty parameters, no slash too many."""
    assert ROUTES.find("GET", path) is None


@pytest.mark.parametrize(
    ("path", "seen"), [("/_fn/scan", "/"), ("/_fn/scan/", "/"), ("/_fn/get/x/y", "/x/y")]
)
def test_every_function_has_its_own_address(path: str, seen: str) -> None:
    """/_fn/<name> is the function's root, whatever its kind."""
    match = ROUTES.find("POST", path)
    assert match is not None
    assert (match.function.name, match.path) == (path.split("/")[2], seen)
