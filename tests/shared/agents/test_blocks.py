"""The seeded prompt blocks and their order."""

import pytest

from shared.agents.conversation import blocks
from shared.agents.protocol.model import SystemBlock
from shared.platform.errors import NotFound

pytestmark = pytest.mark.usefixtures("ground")

SEEDED = {
    "system_prompt_dashboard_creation": "1h",
    "bigquery_best_practices": "1h",
    "dashboard_layout_rules": "1h",
    "context_budget_policy": "1h",
    "bigquery_schema_context": "5m",
}


def test_every_block_of_the_agent_is_seeded_with_its_lifetime() -> None:
    """With real text; the context template has the place for the schema."""
    found = {block.name: block for block in blocks.active(list(SEEDED))}
    assert {name: block.cache for name, block in found.items()} == SEEDED
    assert all(len(block.text) > 100 for block in found.values())
    assert found["bigquery_schema_context"].text.count("{schema}") == 1


def test_the_longest_lived_come_first_and_keep_their_order() -> None:
    """Whatever order they are asked in, breakpoints can only get shorter."""
    mixed = [
        SystemBlock("d", "x"),
        SystemBlock("b", "x", "5m"),
        SystemBlock("a", "x", "1h"),
        SystemBlock("c", "x", "5m"),
    ]
    assert [block.name for block in blocks.order(mixed)] == ["a", "b", "c", "d"]
    asked = ["bigquery_schema_context", "context_budget_policy", "dashboard_layout_rules"]
    assert [block.name for block in blocks.active(asked)] == [*asked[1:], asked[0]]


def test_a_block_that_is_not_there_is_named() -> None:
    """And nothing is made up in its place."""
    with pytest.raises(NotFound, match="no_such_block"):
        blocks.active(["context_budget_policy", "no_such_block"])
