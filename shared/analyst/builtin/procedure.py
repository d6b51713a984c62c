"""The analyst's procedure, from the goal to the saved dashboard, in the order in which a careful person works.

read the goal ─► look at the catalog ─► find the subject ─► check values and joins ─► plan
  ─► dry-run every query (repair) ─► preview ─► validate (repair) ─► save ─► say what it shows
or one clear question ─► or an honest "that is not here"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.agents.protocol.model import Request, SystemBlock
from shared.analyst.builtin import (
    clarify,
    compose,
    decide,
    edit,
    explore,
    narrate,
    repair,
    subject,
    writing,
)
from shared.analyst.builtin import desk as desks
from shared.analyst.builtin import goal as goals
from shared.analyst.builtin.decide import Plan
from shared.analyst.builtin.desk import CONTEXT_BLOCK, Answer, Call, Desk
from shared.analyst.builtin.effort import MOST_PHRASES, TooMuch
from shared.warehouses import registry


def run(desk: Desk, turn: desks.Turn, request: Request) -> None:
    """Go as far as the answers reach. Raises Waiting for more, or Finished."""
    context = read_context(request.system)
    text = turn.goal
    asked = desks.last_question(turn)
    lenient = False
    if asked is not None:
        text, lenient = clarify.answered(asked[0], asked[1], text)
    current = edit.current_dashboard(turn, context)
    if current is not None and asked is None and (wish := edit.read(text)) is not None:
        edit.run(desk, wish, current, registry.dialect(context["dialect"]))
        return
    create(desk, text, context, lenient=lenient)


def read_context(system: tuple[SystemBlock, ...]) -> Mapping[str, str]:
    """The lines of the context block."""
    text = next((block.text for block in system if block.name == CONTEXT_BLOCK), "")
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def create(desk: Desk, text: str, context: Mapping[str, str], *, lenient: bool = False) -> None:
    """Make a dashboard for a goal; `lenient` leaves out what is not there, because the person said so."""
    goal = goals.read(text)
    if len(goal.phrases) > MOST_PHRASES:
        raise TooMuch
    desk.say("I’ll look through the catalog for what this needs.\n\n")
    tables, hits = explore.offers(desk, goal)
    if not tables:
        clarify.decline(
            desk,
            "unanswerable",
            "This connection’s catalog is empty. Scan the connection first; then I can look at its tables.",
            [],
        )
    if not goal.phrases:
        clarify.greet(desk, tables)
    view = explore.view(desk, goal, tables, hits)
    ranked = subject.rank(view, goal)
    if not ranked:
        clarify.decline(
            desk,
            "unanswerable",
            "I could not read the shape of any table that fits. Scan the connection again, then ask once more.",
            [],
        )
    clarify.require_subject(desk, goal, ranked, view)
    found = ranked[0]
    desk.say(clarify.understood(found))
    found, restrictions, left = explore.settle(desk, goal, found)
    if not lenient:
        clarify.require_known(desk, found, left, restrictions)
    plan = decide.decide(found, goal, restrictions)
    noise = [phrase.text for phrase in left]
    if noise:
        plan = replace(
            plan,
            notes=(*plan.notes, f"I did not use the words {decide.listed([f'“{word}”' for word in noise])}."),
        )
    build(desk, plan, context.get("connection", ""))


@dataclass(frozen=True)
class Built:
    """A document with the queries that the closing words speak of."""

    plan: Plan
    document: dict[str, Any]
    telling: Mapping[str, str]


def build(desk: Desk, plan: Plan, connection: str) -> None:
    """Dry-run, preview, validate, save, and say what came out."""
    built = _settled(desk, plan, connection)
    previews = _previews(desk, built)
    if (emptied := repair.if_empty(built.plan, previews)) is not None:
        clarify.decline(desk, "unanswerable", emptied, [])
    document, text = _validated(desk, built)
    desk.say("Everything checks out. Saving.\n\n")
    saved = desk.ask_one("save_dashboard_yaml", yaml_content=text)
    if saved.failed:
        desk.finish(f"I could not save the dashboard: {saved.error}")
    desk.finish(
        narrate.closing(
            built.plan, previews, document, str(saved.get("preview_url") or f"/dash/{document['slug']}")
        )
    )


def _settled(desk: Desk, plan: Plan, connection: str) -> Built:
    """A plan whose every query has passed its dry run; narrowed until it does."""
    for attempt in range(repair.ATTEMPTS):
        document, telling = compose.compose(plan, connection)
        queries = document["queries"]
        if attempt == 0:
            desk.say(f"That makes {len(queries)} queries. I dry-run each before anything is kept.\n\n")
        filters = document.get("filters", [])
        answers = desk.ask(
            *[Call("run_dry_run_query", writing.dry_run_arguments(query, filters)) for query in queries]
        )
        refused = {
            query["id"]: answer for query, answer in zip(queries, answers, strict=True) if not _passed(answer)
        }
        if not refused:
            return Built(plan, document, telling)
        trimmed = repair.without(document, refused)
        if trimmed is not None:
            return Built(plan, trimmed, {name: sql for name, sql in telling.items() if name not in refused})
        narrower = repair.narrower(plan, refused)
        if narrower is None:
            break
        plan, what = narrower
        desk.say(f"{what}\n\n")
    first = next(iter(refused.values()))
    desk.finish(
        f"I can’t make this dashboard within the limits of this connection. The main query was refused: {writing.reason(first)}"
    )
    raise AssertionError


def _passed(answer: Answer) -> bool:
    return not answer.failed and bool(answer.get("valid"))


def _previews(desk: Desk, built: Built) -> dict[str, Mapping[str, Any]]:
    """The rows that the closing words speak of."""
    filters = built.document.get("filters", [])
    calls = {
        name: Call("preview_query", writing.dry_run_arguments({"sql": sql}, filters))
        for name, sql in built.telling.items()
    }
    desk.say("All pass. A look at the rows before I write the dashboard.\n\n")
    answers = desk.ask(*calls.values())
    return {name: answer.content for name, answer in zip(calls, answers, strict=True) if not answer.failed}


def _validated(desk: Desk, built: Built) -> tuple[dict[str, Any], str]:
    """The document that passed validation, and its text: exactly what is saved."""
    document = built.document
    for _ in range(repair.ATTEMPTS):
        text = writing.render(document)
        report = desk.ask_one("validate_dashboard_yaml", yaml_content=text)
        if report.failed:
            break
        free = (report.get("slug") or {}).get("free")
        if report.get("valid") and free in (None, document["slug"]):
            return document, text
        if free not in (None, document["slug"]):
            document = {**document, "slug": free}
            continue
        mended = repair.mended(document, report.get("errors") or [])
        if mended is None:
            break
        document = mended
    problems = "; ".join(
        f"{entry.get('path')}: {entry.get('message')}" for entry in (report.get("errors") or [])[:3]
    )
    desk.finish(f"The dashboard did not pass validation, so nothing was saved. {problems or report.error}")
    raise AssertionError


__all__ = ["CONTEXT_BLOCK", "build", "create", "run"]
