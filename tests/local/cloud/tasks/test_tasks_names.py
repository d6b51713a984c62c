"""How long the name of a task that is gone stays taken."""

from pathlib import Path

import pytest
from google.cloud import tasks_v2

from local.cloud.serving.database import Database
from local.cloud.tasks import store


def test_a_name_is_free_again_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest that the service documents, for a purged task as for one that is done."""
    now = 1_000_000.0
    monkeypatch.setattr(store.time, "time", lambda: now)
    database = Database(tmp_path / "tasks.sqlite")
    tasks = store.Store(database)
    done, purged = (store.StoredTask(f"q/tasks/{name}", "q", 0.0, tasks_v2.Task()) for name in ("d", "p"))
    tasks.add(done)
    tasks.remove(done.name)
    tasks.add(purged)
    tasks.purge("q")
    now += 24 * 3600 - 1
    for task in (done, purged):
        with pytest.raises(store.NameTaken):
            tasks.add(task)
    now += 1
    for task in (done, purged):
        tasks.add(task)
    database.close()
