"""A small client of Bridge's public API, for the demo loader: what any script of a user could do."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from local.patience import Patience

_ENDED = ("completed", "completed_with_errors", "failed", "cancelled")


class ApiError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        error = body.get("error", {}) if isinstance(body, dict) else {}
        self.status, self.code = status, str(error.get("code", ""))
        self.absent = status == 404 and error.get("message") == "Nothing is served at this path."
        super().__init__(f"{method} {path} answered {status} {self.code}: {error.get('message', body)}")


class JobFailed(Exception):
    """A job of the loader ended without success."""


@dataclass
class Api:
    """Calls to one Bridge, with a token or, right after signing in, with a session."""

    base_url: str
    token: str | None = None
    cookie: str = ""
    csrf: str = ""

    def get(self, path: str, **query: str) -> Any:
        """The body of a GET."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, body: Any = None, idempotency_key: str = "") -> Any:
        """The body that answers a POST."""
        return self._call("POST", path, {} if body is None else body, idempotency_key)

    def wait_for_job(self, job_id: str, patience: float = 120.0) -> dict[str, Any]:
        """The job once it has ended. Raises JobFailed unless it completed."""
        supply, pause = Patience(patience), 0.05
        while True:
            job: dict[str, Any] = self.get(f"/v1/onboarding/jobs/{job_id}")
            if job["state"] in _ENDED:
                break
            if supply.over():
                raise JobFailed(
                    f"{job['kind']}: still {job['state']} after {patience:g} s: {job['progress']}"
                )
            time.sleep(pause)
            pause = min(0.5, pause * 1.5)
        if job["state"] != "completed":
            raise JobFailed(f"{job['kind']} ended as {job['state']}: {job['errors']}")
        return job

    def sign_in(self, email: str, name: str) -> None:
        """Begin a session by the development sign-in."""
        answer = self._call("POST", "/v1/auth/dev/login", {"email": email, "name": name})
        self.csrf = answer["csrf_token"]

    def _call(self, method: str, path: str, body: Any, idempotency_key: str = "") -> Any:
        parts = urlsplit(self.base_url)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        elif self.cookie:
            headers |= {"Cookie": self.cookie, "X-Bridge-CSRF": self.csrf}
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            cookies = [
                value.partition(";")[0] for key, value in answer.getheaders() if key.lower() == "set-cookie"
            ]
        finally:
            connection.close()
        parsed = json.loads(content) if content else {}
        if not 200 <= answer.status < 300:
            raise ApiError(method, path.partition("?")[0], answer.status, parsed)
        self.cookie = "; ".join(cookies) or self.cookie
        return parsed
