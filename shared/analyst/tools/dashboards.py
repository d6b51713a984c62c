"""Tools about dashboards: validate, save, list, read. Saving proves that what the sequence asks for has happened.

run_dry_run_query ─► fact dry_run(fingerprint)      ┐
validate_dashboard_yaml ─► fact validated(sha256)   ├─► save_dashboard_yaml
                                                    ┘   refuses without both, whatever the model says,
                                                        and writes over nothing without consent (`consent`)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from shared.agents.conversation import facts, sessions
from shared.agents.protocol.model import Effect, ToolContext, ToolFailed
from shared.analyst.tools import consent, reading
from shared.analyst.tools.catalog import Arguments
from shared.analyst.tools.queries import DRY_RUN, sha
from shared.dashboards import reading as documents
from shared.dashboards import service, validation
from shared.dashboards.views import Draft, ListFilter
from shared.platform import ids

VALIDATED = "validated"
"""The kind of fact that exactly this text was validated, with the fingerprints of its queries."""
CURRENT = "current_dashboard"
"""The kind of fact that tells which dashboard a conversation made or changed last."""
MOST_YAML = 256 * 1024


def current_dashboard() -> str:
    """The one key of that fact."""
    return sha(CURRENT)


class Yaml(Arguments):
    """A dashboard as text."""

    yaml_content: str = Field(min_length=1, max_length=MOST_YAML, description="The whole document as YAML.")


class ValidateDashboardYaml:
    """Everything that is wrong with a dashboard."""

    name: ClassVar[str] = "validate_dashboard_yaml"
    description: ClassVar[str] = (
        "Check a dashboard document completely: fields, references, layout, SQL, columns of charts. "
        "Answers every error with its path and a hint. A document must pass before it is saved."
    )
    arguments: ClassVar[type[BaseModel]] = Yaml
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: Yaml) -> dict[str, Any]:
        report = service.validate(context.team, arguments.yaml_content)
        parsed = validation.read(context.team, arguments.yaml_content).document
        errors = [problem.model_dump(exclude_none=True) for problem in report.errors]
        answer: dict[str, Any] = {
            "valid": report.valid,
            "errors": errors,
            "warnings": [problem.model_dump(exclude_none=True) for problem in report.warnings],
            "queries": [{"id": query.id, "bytes_scanned": query.bytes_scanned} for query in report.queries],
        }
        if parsed is not None:
            free = service.free_slug(context.team, parsed.slug)
            answer["slug"] = {"given": parsed.slug, "free": free}
            _require_own_connection(context, parsed.connection)
        if report.valid:
            fingerprints = sorted({query.fingerprint for query in report.queries})
            facts.record(
                context.team, context.session_id, VALIDATED, sha(arguments.yaml_content),
                {"fingerprints": fingerprints, "queries": {query.fingerprint: query.id for query in report.queries}},
            )  # fmt: skip
        return answer


class SaveArguments(Yaml):
    """What to save."""

    expected_generation: int | None = Field(
        default=None,
        ge=1,
        description="Generation of the dashboard that this replaces (get_dashboard tells it); none for a new one.",
    )


class SaveDashboardYaml:
    """Keep a dashboard that has passed its checks in this conversation."""

    name: ClassVar[str] = "save_dashboard_yaml"
    description: ClassVar[str] = (
        "Save a dashboard document. It must be the very text that passed validate_dashboard_yaml, and every "
        "query must have passed run_dry_run_query in this conversation. A dashboard of another conversation is "
        "replaced only where the person names it as one to change, or says yes when they are asked."
    )
    arguments: ClassVar[type[BaseModel]] = SaveArguments
    effects: ClassVar[tuple[Effect, ...]] = ("write",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: SaveArguments) -> dict[str, Any]:
        proven = facts.value(context.team, context.session_id, VALIDATED, sha(arguments.yaml_content))
        if proven is None:
            raise ToolFailed(
                "This text was not validated in this conversation. Call validate_dashboard_yaml with exactly this text first.",
                code="NOT_VALIDATED",
            )
        fingerprints = [str(entry) for entry in proven["fingerprints"]]
        passed = facts.known(context.team, context.session_id, DRY_RUN, fingerprints)
        missing = sorted(
            str(proven["queries"].get(entry, entry)) for entry in fingerprints if entry not in passed
        )
        if missing:
            raise ToolFailed(
                f"These queries have not passed a dry run in this conversation: {', '.join(missing)}. Call run_dry_run_query with each of them first.",
                code="DRY_RUN_MISSING", details={"queries": missing},
            )  # fmt: skip
        id, expected = ids.derived_id(context.turn_id, context.call_id), arguments.expected_generation
        parsed = documents.parse(arguments.yaml_content).document
        if parsed is None:
            raise ToolFailed("The document can't be read any more.", code="NOT_VALIDATED")
        consent.require(context, parsed, save=id, expected=expected)
        draft = Draft(team_id=context.team, yaml_content=arguments.yaml_content, expected_generation=expected)
        saved = service.save(context.team, draft, author=context.user, id=id)
        consent.note_ours(context, saved.id)
        sessions.link_dashboard(None, context.team, context.session_id, saved.id)
        facts.record(context.team, context.session_id, CURRENT, current_dashboard(), {"slug": saved.slug})
        made = {"slug": saved.slug, "gcs_path": saved.gcs_path, "preview_url": f"/dash/{saved.slug}"}
        context.emit("dashboard_created", made | {"version": saved.version, "title": saved.title})
        return made | {"title": saved.title, "version": saved.version, "generation": str(saved.generation)}


class ListArguments(Arguments):
    """Which dashboards to list."""

    query: str | None = Field(default=None, max_length=100, description="Words of the title.")


class ListDashboards:
    """Dashboards that the team has."""

    name: ClassVar[str] = "list_dashboards"
    description: ClassVar[str] = (
        "List the team's dashboards, newest change first: look here before making a second one."
    )
    arguments: ClassVar[type[BaseModel]] = ListArguments
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: ListArguments) -> dict[str, Any]:
        found = service.list_dashboards(context.team, ListFilter(limit=50, q=arguments.query))
        return {
            "dashboards": [
                {"slug": line.slug, "title": line.title, "updated_at": line.updated_at, "url": line.url}
                for line in found.dashboards
            ]
        }


class Which(Arguments):
    """Which dashboard to read."""

    slug: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?$", description="The dashboard's name in addresses."
    )


class GetDashboard:
    """A dashboard's document."""

    name: ClassVar[str] = "get_dashboard"
    description: ClassVar[str] = "Read a dashboard's document and the generation that a change must replace."
    arguments: ClassVar[type[BaseModel]] = Which
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: Which) -> dict[str, Any]:
        text, generation = service.text_of(context.team, arguments.slug)
        parsed = validation.read(context.team, text)
        if parsed.document is None:
            return {
                "slug": arguments.slug,
                "generation": generation,
                "errors": [problem.message for problem in parsed.errors],
                "document": None,
            }
        return {
            "slug": arguments.slug,
            "generation": generation,
            "document": documents.as_data(parsed.document),
        }


def _require_own_connection(context: ToolContext, named: str) -> None:
    """A conversation writes dashboards over its own connection: another one was not asked for."""
    connection = reading.opened(context)
    if named not in (connection.name, connection.id):
        raise ToolFailed(
            f"The document names the connection {named!r}; this conversation is about {connection.name!r}.",
            code="WRONG_CONNECTION", details={"connection": connection.name},
        )  # fmt: skip
