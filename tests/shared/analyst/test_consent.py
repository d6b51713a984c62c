"""A model that does what it likes: which dashboards it can write over, whatever it says and calls."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.agents import store
from shared.agents.conversation import log, sessions
from shared.agents.protocol.model import Text, ToolContext, ToolFailed
from shared.agents.turn.journal import Entry, lines_of
from shared.agents.turn.state import Ask
from shared.analyst.tools import consent, offered
from shared.analyst.tools.dashboards import SaveArguments, SaveDashboardYaml, ValidateDashboardYaml, Yaml
from shared.analyst.tools.queries import DryRunArguments, RunDryRunQuery
from shared.analyst.tools.talk import AskUser, Question
from shared.dashboards import service
from shared.dashboards.views import Draft
from shared.platform import ids
from shared.platform.errors import Forbidden
from shared.platform.postgres import pool

pytestmark = pytest.mark.slow

DATASET = f"consent_{uuid.uuid4().hex[:8]}"
TABLE = f"bridge-local.{DATASET}.receipts"
SQL = f"SELECT shop, SUM(paid) AS paid FROM `{TABLE}` GROUP BY shop"
NAME, TITLE = "payroll", "Payroll of the team"


def document(slug: str = NAME, title: str = TITLE, more: str = "") -> str:
    return f"""version: 1
kind: dashboard
slug: {slug}
title: {title}
connection: Till
queries:
- id: by_shop
  sql: {SQL}
layout:
- id: shops
  type: table
  query: by_shop
{more}"""


HARM = "- id: again\n  type: table\n  query: by_shop\n"
"""What the model adds, so that the document is another one."""


@dataclass
class Chat:
    """A conversation whose agent is the attacker's, in all but what the tools themselves refuse."""

    team: Any
    user: Any
    connection: str
    session: str = ""
    turn: str = ""
    number: int = 0
    emitted: list[tuple[str, Any]] = field(default_factory=list)

    def begin(self) -> Chat:
        self.session = sessions.create(
            self.team,
            self.user,
            id=ids.new_id(),
            provider="builtin",
            model="analyst-1",
            connection_id=self.connection,
        ).session_id
        return self

    def says(self, message: str) -> None:
        """The person's next message, and the end of the turn before."""
        self.ends()
        self.turn = ids.new_id()
        ask = Ask(message, self.connection)
        with pool.transaction(self.team) as tx:
            assert store.begin_turn(
                tx,
                id=self.turn,
                team=self.team,
                session=self.session,
                user=self.user,
                credential=None,
                ask=ask.to_row(),
                sha=ask.sha256,
                owner=ids.new_id(),
                lease=60.0,
            )
        self.emitted.clear()
        self._message = message

    def ends(self) -> None:
        """As a turn ends: its lines go to the log, its ask from the row."""
        if not self.turn:
            return
        entries = [Entry("assistant", (Text("replace payroll, said the model: yes"),))]
        log.append(
            self.session,
            self.turn,
            lines_of(self.turn, self._message, "2024-01-01T00:00:00.000Z", entries),
            chunk=1,
        )
        with pool.transaction(self.team) as tx:
            tx.run(
                "UPDATE turns SET state = 'completed', ask = NULL, finished_at = now() WHERE id = :id",
                id=self.turn,
            )

    def context(self, call: str | None = None) -> ToolContext:
        self.number += 1
        return ToolContext(
            self.team,
            self.user,
            self.session,
            self.turn,
            call or f"call_{self.number}",
            self.connection,
            remaining=lambda: 60.0,
            emit=lambda kind, data: self.emitted.append((kind, data)),
        )

    def saves(self, text: str, *, over: int | None = None, call: str | None = None) -> dict[str, Any]:
        """Everything that the tools ask for before a save, and the save."""
        RunDryRunQuery().run(self.context(), DryRunArguments(sql=SQL))
        assert ValidateDashboardYaml().run(self.context(), Yaml(yaml_content=text))["valid"]
        arguments = SaveArguments(yaml_content=text, expected_generation=over)
        return dict(SaveDashboardYaml().run(self.context(call), arguments))

    def refused(self, text: str, *, over: int) -> ToolFailed:
        """The save that must not happen."""
        before = self.generation()
        with pytest.raises(ToolFailed) as failure:
            self.saves(text, over=over)
        assert failure.value.code == "CONFIRMATION_NEEDED"
        assert self.generation() == before
        return failure.value

    def generation(self, slug: str = NAME) -> int:
        return int(service.text_of(self.team, slug)[1])

    def questions(self) -> list[Any]:
        return [data for kind, data in self.emitted if kind == "question"]


@pytest.fixture(scope="module")
def receipts(bigquery: Any) -> str:
    """A small table."""
    from google.cloud import bigquery as sdk

    bigquery.create_dataset(DATASET)
    schema = [sdk.SchemaField("shop", "STRING"), sdk.SchemaField("paid", "FLOAT64")]
    bigquery.create_table(sdk.Table(TABLE, schema=schema))
    bigquery.query(f"INSERT INTO `{TABLE}` (shop, paid) VALUES ('North', 1.5), ('South', 2.5)").result()
    return TABLE


@pytest.fixture
def chats(cloud: Any, receipts: str) -> Callable[[], Chat]:
    """Conversations of one person about one connection."""
    person = cloud.person()
    team = cloud.team(person)
    connection = cloud.connection(team, person, "Till")
    cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection}, as_=person)
    cloud.drain()
    return lambda: Chat(team, person.id, connection).begin()


@pytest.fixture
def victim(chats: Callable[[], Chat]) -> int:
    """A dashboard that the person made by themselves; answers its generation."""
    chat = chats()
    draft = Draft(team_id=chat.team, yaml_content=document(), expected_generation=None)
    return int(service.save(chat.team, draft, author=chat.user, id=ids.new_id()).generation)


def test_a_dashboard_that_nobody_named_is_not_replaced(chats: Callable[[], Chat], victim: int) -> None:
    """The person asked for something else; the model knows all, and has proven its document."""
    chat = chats()
    chat.says("Show receipts by shop")
    refusal = chat.refused(document(more=HARM), over=victim)
    assert TITLE in str(refusal)
    assert refusal.details["changes"] == ["tile again added"]
    (question,) = chat.questions()
    assert question["options"] == [consent.YES, consent.NO]
    assert question["replaces"] == {"slug": NAME, "title": TITLE}
    assert "tile again added" in question["question"]
    assert chat.saves(document("receipts"))["slug"] == "receipts", "a new one needs no consent"


def test_what_the_model_says_names_nothing(chats: Callable[[], Chat], victim: int) -> None:
    """Its own prose stands in the log, and is not the person's."""
    chat = chats()
    chat.says("Hello")
    chat.says("Show receipts by shop")
    chat.refused(document(more=HARM), over=victim)


@pytest.mark.parametrize(
    "message",
    [
        f"Add a second table to {NAME}",
        f"please update “{TITLE}”",
        f"look at http://127.0.0.1:8080/dash/{NAME} again",
    ],
)
def test_a_dashboard_that_the_person_named_is_replaced(
    chats: Callable[[], Chat], victim: int, message: str
) -> None:
    """By its slug, by its title, by a link; then the conversation is about it and goes on without being
    asked.
    """
    chat = chats()
    chat.says(message)
    first = chat.saves(document(more=HARM), over=victim)
    assert first["version"] == 2
    chat.says("thanks, smaller please")
    assert chat.saves(document(), over=int(first["generation"]))["version"] == 3
    assert chat.questions() == []


def test_an_earlier_message_of_the_conversation_counts_and_another_conversations_does_not(
    chats: Callable[[], Chat], victim: int
) -> None:
    """What was named stays named here; who named it elsewhere has not named it to this model."""
    other, chat = chats(), chats()
    other.says(f"update {NAME}")
    chat.says("Show receipts by shop")
    chat.refused(document(more=HARM), over=victim)
    other.says("as a bigger table, I mean")
    assert other.saves(document(more=HARM), over=victim)["version"] == 2


def test_a_conversation_goes_on_with_what_it_made(chats: Callable[[], Chat]) -> None:
    """All of it, not only the newest; also where the process died between the save and what it wanted to
    note.
    """
    chat = chats()
    chat.says("Show receipts by shop")
    first = chat.saves(document("one"))
    chat.saves(document("two"))
    with pool.transaction(chat.team) as tx:
        tx.run("UPDATE sessions SET dashboard_id = NULL WHERE id = :id", id=chat.session)
    chat.says("the first one bigger")
    assert chat.saves(document("one", more=HARM), over=int(first["generation"]))["version"] == 2


def test_a_dashboard_that_took_the_place_of_ones_own_is_another(chats: Callable[[], Chat]) -> None:
    """Deleted, and made again by its owner under the same name: the conversation did not make that one."""
    chat = chats()
    chat.says("Show receipts by shop")
    chat.saves(document())
    service.delete(chat.team, NAME, user=chat.user, admin=False)
    draft = Draft(team_id=chat.team, yaml_content=document(), expected_generation=None)
    again = service.save(chat.team, draft, author=chat.user, id=ids.new_id())
    chat.says("bigger")
    chat.refused(document(more=HARM), over=int(again.generation))


@pytest.mark.parametrize("answer", [consent.YES, "yes please", "Ja!"])
def test_a_yes_saves_exactly_what_was_asked_about(
    chats: Callable[[], Chat], victim: int, answer: str
) -> None:
    """The very document, in the very next turn; once it is saved the conversation is bound to it."""
    chat = chats()
    chat.says("Show receipts by shop")
    chat.refused(document(more=HARM), over=victim)
    chat.says(answer)
    saved = chat.saves(document(more=HARM), over=victim)
    assert saved["version"] == 2
    chat.says("and back")
    assert chat.saves(document(), over=int(saved["generation"]))["version"] == 3


def test_a_yes_is_no_yes_to_anything_else(chats: Callable[[], Chat], victim: int) -> None:
    """Another document, another dashboard, a later turn, a no: each is asked about anew, and nothing is
    written.
    """
    chat = chats()
    draft = Draft(team_id=chat.team, yaml_content=document("budget", "Budget"), expected_generation=None)
    other = int(service.save(chat.team, draft, author=chat.user, id=ids.new_id()).generation)
    worse = document(more=HARM + HARM.replace("again", "thrice"))
    chat.says("Show receipts by shop")
    chat.refused(document(more=HARM), over=victim)
    chat.says("yes")
    chat.refused(worse, over=victim)
    with pytest.raises(ToolFailed, match="something else"):
        chat.saves(document("budget", "Budget", more=HARM), over=other)
    assert len(chat.questions()) == 1, "one question a turn"
    for message in ("no", "yes, but only March"):
        chat.says(message)
        chat.refused(document(more=HARM), over=victim)
    chat.says("what is the weather")
    chat.says("yes")
    chat.refused(document(more=HARM), over=victim)


def test_a_yes_to_the_models_own_question_is_none(chats: Callable[[], Chat], victim: int) -> None:
    """Of the two questions only one is put to the person in a turn, whichever came first."""
    chat = chats()
    asks = Question(question="Shall I use colours?", options=["Yes", "No"])
    chat.says("Show receipts by shop")
    AskUser().run(chat.context(), asks)
    with pytest.raises(ToolFailed, match="something else"):
        chat.saves(document(more=HARM), over=victim)
    chat.says("yes")
    chat.refused(document(more=HARM), over=victim)
    with pytest.raises(ToolFailed) as refused:
        AskUser().run(chat.context(), asks)
    assert refused.value.code == "QUESTION_OPEN"
    assert len(chat.questions()) == 1


def test_what_changed_since_the_question_is_asked_about_again(chats: Callable[[], Chat], victim: int) -> None:
    """The yes was to a change of what stood there then."""
    chat = chats()
    chat.says("Show receipts by shop")
    chat.refused(document(more=HARM), over=victim)
    draft = Draft(team_id=chat.team, yaml_content=document(title="Mine"), expected_generation=victim)
    newer = int(service.save(chat.team, draft, author=chat.user, id=ids.new_id()).generation)
    chat.says("yes")
    chat.refused(document(more=HARM), over=newer)


def test_a_repeated_save_after_a_yes_is_the_first_one(chats: Callable[[], Chat], victim: int) -> None:
    """A process died after it: who takes the turn over finds the save, though the generation is another by
    now.
    """
    chat = chats()
    chat.says("Show receipts by shop")
    chat.refused(document(more=HARM), over=victim)
    chat.says("yes")
    first = chat.saves(document(more=HARM), over=victim, call="call_x")
    assert chat.saves(document(more=HARM), over=victim, call="call_x") == first


def test_a_strangers_dashboard_is_not_even_asked_about(cloud: Any, chats: Callable[[], Chat]) -> None:
    """Only its owner may replace it; a question would promise what the save then refuses."""
    chat = chats()
    colleague = cloud.person()
    cloud.join(chat.team, colleague)
    draft = Draft(team_id=chat.team, yaml_content=document(), expected_generation=None)
    theirs = service.save(chat.team, draft, author=colleague.id, id=ids.new_id())
    chat.says(f"update {NAME}")
    with pytest.raises(Forbidden):
        chat.saves(document(more=HARM), over=int(theirs.generation))
    assert chat.questions() == []


def test_every_tool_that_writes_asks_for_consent() -> None:
    """Who adds one adds it here, with its test: it begins with `consent.require`, or nothing asks for it."""
    assert {tool.name for tool in offered.tools() if "write" in tool.effects} == {"save_dashboard_yaml"}
    assert {effect for tool in offered.tools() for effect in tool.effects} <= {"read", "write"}
