"""Make the demo team through the public API: sign in, team, token, connection, validation, scan.

    POST auth/dev/login ─► teams ─► auth/tokens ─► connections ─► …/validate ─► catalog/scan

Every part looks first and makes what is missing, so that a second run changes nothing. What it leaves
for scripts is BRIDGE_HOME/demo.json: the team's id and a personal access token, readable by their owner.
"""

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from local.demo import service_account
from local.demo.api import Api, ApiError, JobFailed
from local.stack.plan import write_private
from local.stack.services import DEMO_ADMIN

EMAIL, PERSON, TEAM = DEMO_ADMIN, "Demo", "Demo"
CONNECTION = "Demo warehouse"


def main() -> int:
    """Load what is missing; 0 also when the functions for a part are not there yet, which is said."""
    parser = argparse.ArgumentParser(prog="python -m local.demo.team", description=__doc__)
    parser.add_argument("--access-only", action="store_true", help="the person, the team and the token alone")
    options = parser.parse_args()
    home = Path(os.environ["BRIDGE_HOME"])
    try:
        api, access = ensure_access(os.environ["BRIDGE_URL"], home)
        if not options.access_only:
            access["connection_id"] = ensure_connection(api, home, access["team_id"])
            access["complete"] = True
            write_private(home / "demo.json", access)
    except ApiError as error:
        if not error.absent:
            print(error, file=sys.stderr)
            return 1
        print(f"left out, no function serves it yet: {error}", file=sys.stderr)
    except JobFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def ensure_access(base_url: str, home: Path) -> tuple[Api, dict[str, Any]]:
    """An API with a valid token, and what demo.json says."""
    path = home / "demo.json"
    if path.exists():
        access: dict[str, Any] = json.loads(path.read_text())
        api = Api(base_url, access["token"])
        try:
            api.get("/v1/auth/me")
            return api, access
        except ApiError as error:
            if error.status != 401:
                raise
    session = Api(base_url)
    session.sign_in(EMAIL, PERSON)
    team_id = _team(session)
    token = session.post("/v1/auth/tokens", {"name": "demo scripts", "expires_in_days": 365})["token"]
    access = {"email": EMAIL, "team": TEAM, "team_id": team_id, "token": token, "complete": False}
    write_private(path, access)
    return Api(base_url, token), access


def _team(api: Api) -> str:
    for team in api.get("/v1/onboarding/teams")["teams"]:
        if team["name"] == TEAM and team["role"] == "admin":
            return str(team["id"])
    return str(api.post("/v1/onboarding/teams", {"name": TEAM})["id"])


def ensure_connection(api: Api, home: Path, team_id: str) -> str:
    """The demo connection, validated and with a scanned catalog; answers its id."""
    key = json.dumps(service_account.ensure(home)).encode()
    connection = _connection(api, team_id)
    if connection is None:
        connection = api.post(
            "/v1/onboarding/connections",
            {
                "team_id": team_id,
                "name": CONNECTION,
                "connection_type": "bigquery",
                "credentials": base64.b64encode(key).decode(),
            },
        )
    connection_id = str(connection["id"])
    if connection["status"] != "validated":
        job = api.post(f"/v1/onboarding/connections/{connection_id}/validate")
        api.wait_for_job(job["job_id"])
    job = api.post("/v1/onboarding/catalog/scan", {"connection_id": connection_id})
    api.wait_for_job(job["job_id"])
    return connection_id


def _connection(api: Api, team_id: str) -> dict[str, Any] | None:
    found = api.get("/v1/onboarding/connections", team_id=team_id)["connections"]
    return next((connection for connection in found if connection["name"] == CONNECTION), None)


if __name__ == "__main__":
    sys.exit(main())
