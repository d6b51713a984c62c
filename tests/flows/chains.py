"""The chains of the product, each begun through its door and described by all that it leaves behind."""

from __future__ import annotations

import base64
import json
import textwrap
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from tests.flows.post import Post

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Chain:
    """How to prepare it in calm weather, how to begin it, and what it must have led to."""

    name: str
    prepare: Callable[[Any, Post], Any]
    begin: Callable[[Any, Post, Any], Any]
    outcome: Callable[[Any, Post, Any, Any], Outcome]


@dataclass(frozen=True)
class Team:
    """A team of the tests' own, so that the demo team stays as others know it."""

    person: Any
    id: str
    connection_id: str


def team_of(world: Any, post: Post) -> Team:
    """The one team that the chains of this stack run in, with a scanned connection."""
    known = post.team
    if known is None:
        person = world.person("weather")
        id = world.team(person, "Weather")
        connection_id = connection(world, as_=person, team=id)
        scan = world.post("/v1/onboarding/catalog/scan", {"connection_id": connection_id}, as_=person)
        assert world.wait_job(scan.json["job_id"], as_=person)["state"] == "completed"
        known = post.team = Team(person, id, connection_id)
    return cast(Team, known)


def credentials(world: Any) -> str:
    """The demo warehouse's service account, as a person sends it."""
    return base64.b64encode((world.stack.home / "identity" / "warehouse.json").read_bytes()).decode()


def connection(world: Any, *, as_: Any = "admin", team: str | None = None, validated: bool = True) -> str:
    """A new connection to the demo warehouse."""
    body = {
        "team_id": team or world.team_id,
        "name": f"Warehouse {uuid.uuid4().hex[:8]}",
        "connection_type": "bigquery",
        "credentials": credentials(world),
    }
    made = world.post("/v1/onboarding/connections", body, as_=as_)
    assert made.status == 201, made.content
    if validated:
        job = world.post(f"/v1/onboarding/connections/{made.json['id']}/validate", as_=as_).json["job_id"]
        assert world.wait_job(job, as_=as_)["state"] == "completed"
    return str(made.json["id"])


def document(slug: str, connection_id: str) -> str:
    """A small dashboard over the demo data."""
    return textwrap.dedent(
        f"""\
        version: 1
        kind: dashboard
        slug: {slug}
        title: Unemployment
        connection: {connection_id}
        refresh: {{ttl_seconds: 3600, stale_while_revalidate_seconds: 7200}}
        queries:
          - id: yearly
            sql: |
              SELECT EXTRACT(YEAR FROM month) AS year, AVG(rate) AS rate
              FROM `bridge-local.economy.unemployment` GROUP BY year ORDER BY year
          - id: now
            sql: SELECT MAX(rate) AS rate FROM `bridge-local.economy.unemployment`
        layout:
          - {{id: rate, type: kpi, query: now, title: Highest rate, options: {{value: rate}}}}
          - {{id: years, type: chart, query: yearly, title: By year, options: {{mark: line, x: year, y: rate}}}}
        """
    )


def new_slug() -> str:
    """A name that no test has used."""
    return f"weather-{uuid.uuid4().hex[:10]}"


# Validate a connection -------------------------------------------------------------------------


def _request_validation(world: Any, post: Post, id: str) -> str:
    path = f"/v1/onboarding/connections/{id}/validate"
    return str(world.post(path, as_=team_of(world, post).person).json["job_id"])


def _validated(world: Any, post: Post, id: str, job: str) -> Outcome:
    (row,) = post.sql("SELECT status, validation_error FROM connections WHERE id = :id", id=id)
    return {"connection": row, "job": _job(post, job), "steps": steps(post, job)}


# Scan a catalog --------------------------------------------------------------------------------


def _scan(world: Any, post: Post, id: str) -> str:
    started = world.post(
        "/v1/onboarding/catalog/scan", {"connection_id": id}, as_=team_of(world, post).person
    )
    assert started.status == 202, started.content
    return str(started.json["job_id"])


def _scanned(world: Any, post: Post, id: str, scan: str) -> Outcome:
    found = post.sql(
        """SELECT d.name AS dataset, t.name AS "table", t.row_count, t.size_bytes, t.partitioning::text,
                  string_agg(c.path || ' ' || c.data_type || ' ' || c.mode, ', ' ORDER BY c.position) AS columns
             FROM datasets d JOIN tables t ON t.dataset_id = d.id JOIN columns c ON c.table_id = t.id
            WHERE d.connection_id = :id AND d.removed_at IS NULL AND t.removed_at IS NULL AND c.removed_at IS NULL
            GROUP BY d.name, t.name, t.row_count, t.size_bytes, t.partitioning::text ORDER BY 1, 2""",
        id=id,
    )
    (connection_row,) = post.sql("SELECT catalog_version FROM connections WHERE id = :id", id=id)
    (scan_row,) = post.sql("SELECT closed_at IS NOT NULL AS closed FROM scans WHERE id = :id", id=scan)
    return {
        "catalog": found,
        "version": connection_row["catalog_version"],
        "closed": scan_row["closed"],
        "job": _job(post, scan),
        "children": len(post.sql("SELECT key FROM job_children WHERE job_id = :job", job=scan)),
        "steps": steps(post, scan),
        "snapshots": sorted(
            item["name"].split("/")[1]
            for item in post.objects("catalog", f"{id}/")
            if item["metageneration"] == "1" and scan in item["name"]
        ),
    }


# Save, index, warm -----------------------------------------------------------------------------


def _slug(_world: Any, _post: Post) -> str:
    return new_slug()


def _save(world: Any, post: Post, slug: str) -> str:
    team = team_of(world, post)
    body = {"team_id": team.id, "yaml_content": document(slug, team.connection_id)}
    saved = world.post("/v1/dashboards", body, as_=team.person)
    assert saved.status == 201, saved.content
    return str(saved.json["id"])


def _drop_in_bucket(world: Any, post: Post, slug: str) -> str:
    """Another writer of the bucket, or a save that died right after its object."""
    team = team_of(world, post)
    post.write("dashboards", f"{team.id}/{slug}.yaml", document(slug, team.connection_id).encode())
    return ""


def _saved(world: Any, post: Post, slug: str, _id: str) -> Outcome:
    team = team_of(world, post)
    (row,) = post.sql(
        """SELECT d.id, d.version, d.status, d.title, d.object_generation, d.last_warmed_at IS NOT NULL AS warmed,
                  (SELECT count(*) FROM dashboard_versions v WHERE v.dashboard_id = d.id) AS versions,
                  (SELECT string_agg(e.query_id || ' ' || e.column_path, ', ' ORDER BY e.query_id, e.column_path)
                     FROM lineage_edges e WHERE e.dashboard_id = d.id) AS lineage
             FROM dashboards d WHERE d.slug = :slug AND d.team_id = :team""",
        slug=slug,
        team=team.id,
    )
    (stored,) = post.objects("dashboards", f"{team.id}/{slug}.yaml")
    data = world.get(f"/v1/dashboards/{slug}/data", as_=team.person).json
    return {
        "row": {name: row[name] for name in ("version", "status", "title", "versions", "lineage", "warmed")},
        "row points at the object": str(row["object_generation"]) == stored["generation"],
        "data": {name: query["rows"] for name, query in data["queries"].items()},
        "cached": data["cached"],
        "warnings sent": len(
            post.sql("SELECT id FROM outbox WHERE payload->>'dashboard' = :id", id=str(row["id"]))
        ),
        "steps": steps(post, str(row["id"])) + steps(post, f"{slug}.yaml"),
    }


# What every chain leaves -----------------------------------------------------------------------


def _job(post: Post, id: str) -> Outcome:
    (row,) = post.sql("SELECT state, total, done, failed, errors, warnings FROM jobs WHERE id = :id", id=id)
    return row


def steps(post: Post, part: str) -> list[Any]:
    """The attempts whose key has this part: which steps, in which state."""
    found = post.sql(
        "SELECT step, state FROM attempts WHERE strpos(key, :part) > 0 ORDER BY step, key", part=part
    )
    return [(row["step"], row["state"]) for row in found]


def _new_connection(world: Any, post: Post, *, validated: bool) -> str:
    team = team_of(world, post)
    return connection(world, as_=team.person, team=team.id, validated=validated)


CHAINS = [
    Chain("validation", lambda w, p: _new_connection(w, p, validated=False), _request_validation, _validated),
    Chain("scan", lambda w, p: _new_connection(w, p, validated=True), _scan, _scanned),
    Chain("save", _slug, _save, _saved),
    Chain("dropped document", _slug, _drop_in_bucket, _saved),
]


def pretty(outcome: Outcome) -> str:
    """For the message of a failed comparison."""
    return json.dumps(outcome, indent=1, default=str, sort_keys=True)
