"""A document lives no longer than the room that owns its collection declares."""

import pytest

from shared.platform.cloud import documents
from shared.platform.registry.gathered import COLLECTIONS


@pytest.mark.parametrize("seconds", [COLLECTIONS["rates"] + 1, 0, -5])
def test_a_document_may_not_outlive_its_collection(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is written: a TTL that nobody declared is a mistake of ours."""
    asked: list[str] = []
    monkeypatch.setattr(documents, "client", lambda: pytest.fail("Firestore was asked"))
    monkeypatch.setattr(documents, "reference", lambda *named: asked.append(named[0]))
    for write in (
        lambda: documents.put("rates", "key", {}, ttl_seconds=seconds),
        lambda: documents.change("rates", "key", lambda now: (now, None), ttl_seconds=seconds),
    ):
        with pytest.raises(ValueError, match=r"a document of 'rates' lives for 120 s at the longest"):
            write()
    assert asked == ["rates", "rates"]
