"""How long the name of a task that is gone stays taken."""

from pathlib import Path

import pytest
from google.cloud import tasks_v2

from local.cloud.serving.database import Database
from local.cloud.tasks import store


def test_a_name_is_free_again_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest that the service documents."""
    now = 1_000_000.0
    monkeypatch.setattr(store.time, "time", lambda: now)
    database = Database(tmp_path / "tasks.sqlite")
    tasks = store.Store(database)
    done = store.StoredTask("q/tasks/d", "q", 0.0, tasks_v2.Task())
    tasks.add(done)
    tasks.remove(done.name)
    now += 24 * 3600 - 1
    with pytest.raises(store.NameTaken):
        tasks.add(done)
    now += 1
    tasks.add(done)
    database.close()
