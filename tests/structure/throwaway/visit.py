"""Run inside a stack of the copy: throw a thing through the door and follow it to its end."""

import json
import os
import time
import urllib.error
import urllib.request

BASE, TEAM = os.environ["BRIDGE_BASE_URL"], os.environ["BRIDGE_TEAM_ID"]


def ask(method: str, path: str, body: object = None) -> tuple[int, dict[str, str], dict[str, object]]:
    request = urllib.request.Request(
        BASE + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['BRIDGE_TOKEN']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.loads(error.read())


def main() -> None:
    found: dict[str, object] = {}
    status, headers, started = ask("POST", "/v1/throwaway", {"team_id": TEAM, "thing": "an old shoe"})
    found["started"], found["policy"] = status, headers.get("RateLimit-Policy")
    for _ in range(600):
        _, _, job = ask("GET", f"/v1/jobs/{started['job_id']}")
        if job["state"] not in ("queued", "running"):
            break
        time.sleep(0.1)
    found["job"] = {name: job[name] for name in ("kind", "state", "result")}
    status, _, refused = ask("POST", "/v1/throwaway", {"team_id": TEAM, "thing": ""})
    found["refused"] = [status, refused["error"]["code"]]  # type: ignore[index]
    _, _, quotas = ask("GET", f"/v1/quotas?team_id={TEAM}")
    found["used"] = {one["name"]: one["used"] for one in quotas["quotas"] if one["name"].startswith("throws")}  # type: ignore[attr-defined]
    _, _, flags = ask("GET", f"/v1/flags?team_id={TEAM}")
    found["flag"] = [one for one in flags["flags"] if one["name"] == "throwaway_open"]  # type: ignore[attr-defined]
    print("found " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
