"""The migration runner, on real Postgres, with sample migrations in a folder of the test's own."""

import threading
from pathlib import Path

import pytest

from migrations import __main__ as command
from migrations import runner
from tests.local.postgres.conftest import Postgres

PEOPLE = (
    "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL);\n"
    "INSERT INTO people VALUES (1, 'Ada Lovelace'), (2, 'Grace Hopper');\n",
    "DROP TABLE people;\n",
)
# Splits a column and joins it back, so that up-down-up is tested on rows and not on an empty table.
SPLIT = (
    "ALTER TABLE people ADD COLUMN first text, ADD COLUMN last text;\n"
    "UPDATE people SET first = split_part(name, ' ', 1), last = split_part(name, ' ', 2);\n"
    "ALTER TABLE people DROP COLUMN name;\n",
    "ALTER TABLE people ADD COLUMN name text;\n"
    "UPDATE people SET name = first || ' ' || last;\n"
    "ALTER TABLE people ALTER COLUMN name SET NOT NULL, DROP COLUMN first, DROP COLUMN last;\n",
)


def write(folder: Path, number: int, title: str, pair: tuple[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for way, sql in zip(("up", "down"), pair, strict=True):
        (folder / f"{number:04}_{title}.{way}.sql").write_text(sql)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sql"
    write(path, 1, "people", PEOPLE)
    write(path, 2, "split", SPLIT)
    return path


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url()


def people(url: str, columns: str) -> list[list[str]]:
    db = runner.connect(url)
    try:
        return db.run(f"SELECT {columns} FROM people ORDER BY id")
    finally:
        db.close()


def test_up_down_up_on_data_ends_where_it_began(url: str, folder: Path) -> None:
    """The rows survive the way up, the way down and the way up again."""
    assert runner.up(url, folder) == ["0001_people", "0002_split"]
    people(url, "id")
    db = runner.connect(url)
    db.run("INSERT INTO people (id, first, last) VALUES (3, 'Alan', 'Turing')")
    db.close()
    up = people(url, "first, last")
    assert runner.down(url, folder) == ["0002_split"]
    assert people(url, "name") == [["Ada Lovelace"], ["Grace Hopper"], ["Alan Turing"]]
    assert runner.up(url, folder) == ["0002_split"]
    assert people(url, "first, last") == up


def test_up_twice_does_nothing_the_second_time(url: str, folder: Path) -> None:
    """Applying is idempotent."""
    runner.up(url, folder)
    assert runner.up(url, folder) == []
    assert runner.verify(url, folder) == []


def test_two_runners_at_once_apply_each_migration_once(url: str, folder: Path) -> None:
    """Six runners start together: one applies, five wait and find nothing to do; none fails."""
    slow = ("SELECT pg_sleep(0.2);\n" + PEOPLE[0], PEOPLE[1])
    write(folder, 1, "people", slow)
    barrier, results, problems = threading.Barrier(6), [], []

    def race() -> None:
        barrier.wait()
        try:
            results.append(runner.up(url, folder))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sorted(len(result) for result in results) == [0, 0, 0, 0, 0, 2]


def test_a_failing_migration_leaves_nothing_behind_and_stops_the_rest(url: str, folder: Path) -> None:
    """One transaction each: the half that ran is undone, earlier migrations stay, later ones don't run."""
    write(folder, 2, "split", ("CREATE TABLE half (id int);\nSELECT no_such_column;\n", "DROP TABLE half;\n"))
    write(folder, 3, "later", ("CREATE TABLE later (id int);\n", "DROP TABLE later;\n"))
    with pytest.raises(
        runner.MigrationError, match=r"0002_split\.up\.sql failed and was rolled back: column \"no_such"
    ):
        runner.up(url, folder)
    assert [(s.id, s.state) for s in runner.status(url, folder)] == [
        ("0001_people", "applied"),
        ("0002_split", "pending"),
        ("0003_later", "pending"),
    ]
    db = runner.connect(url)
    assert db.run("SELECT to_regclass('half'), to_regclass('later')") == [[None, None]]
    db.close()


def test_a_migration_and_its_record_are_one(url: str, folder: Path) -> None:
    """When the record can't be written the migration did not happen: here it has taken its own record's place."""
    takes = "INSERT INTO schema_migrations (id, checksum, duration) VALUES ('0002_split', 'x', '0');\n"
    write(folder, 2, "split", ("CREATE TABLE half (id int);\n" + takes, "DROP TABLE half;\n"))
    with pytest.raises(runner.MigrationError, match="rolled back"):
        runner.up(url, folder)
    db = runner.connect(url)
    assert db.run("SELECT to_regclass('half')") == [[None]]
    db.close()


def test_a_migration_changed_after_it_was_applied_is_noticed(url: str, folder: Path) -> None:
    """The checksum covers both files; verify names the migration, up refuses to go on."""
    runner.up(url, folder)
    (folder / "0001_people.down.sql").write_text("DROP TABLE people CASCADE;\n")
    assert runner.verify(url, folder) == ["0001_people was changed after it was applied"]
    write(folder, 3, "later", ("CREATE TABLE later (id int);\n", "DROP TABLE later;\n"))
    with pytest.raises(runner.MigrationError, match="0001_people was changed after it was applied"):
        runner.up(url, folder)
    with pytest.raises(runner.MigrationError, match="0001_people was changed"):
        runner.down(url, folder)


def test_a_migration_without_files_is_noticed(url: str, folder: Path) -> None:
    """An older checkout must not run on a newer database."""
    runner.up(url, folder)
    for way in ("up", "down"):
        (folder / f"0002_split.{way}.sql").unlink()
    assert runner.verify(url, folder) == ["0002_split is applied but has no files here"]
    with pytest.raises(runner.MigrationError, match="older checkout"):
        runner.up(url, folder)


def test_to_stops_at_a_number_on_both_ways(url: str, folder: Path) -> None:
    """up --to 1 applies the first; down --to 0 undoes all, newest first."""
    assert runner.up(url, folder, to=1) == ["0001_people"]
    assert runner.up(url, folder) == ["0002_split"]
    assert runner.down(url, folder, to=0) == ["0002_split", "0001_people"]
    assert [s.state for s in runner.status(url, folder)] == ["pending", "pending"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"0001_a.up.sql": "", "0001_a.down.sql": "", "0003_c.up.sql": "", "0003_c.down.sql": ""},
            "expected number 0002",
        ),
        (
            {"0001_a.up.sql": "", "0001_a.down.sql": "", "0001_b.up.sql": "", "0001_b.down.sql": ""},
            "expected number 0002",
        ),
        ({"0001_a.up.sql": ""}, r"0001_a\.down\.sql is missing"),
        ({"1_a.up.sql": ""}, "is named 0001_lower_case"),
        ({"0001_a.up.sql": "SELECT 1;\nCOMMIT;", "0001_a.down.sql": ""}, "BEGIN or COMMIT"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    """Gaps, doubles, missing halves, odd names and transactions of their own."""
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(runner.MigrationError, match=reason):
        runner.load(tmp_path)


def test_begin_inside_a_function_body_or_a_comment_is_no_transaction(tmp_path: Path) -> None:
    """PL/pgSQL blocks begin and end; only the script's own transactions are refused."""
    body = "/*\nBEGIN;\n*/\nDO $x$\nBEGIN\n PERFORM 1;\nEND;\n$x$;\n"
    write(tmp_path, 1, "a", (body, "SELECT 1;\n"))
    assert [migration.id for migration in runner.load(tmp_path)] == ["0001_a"]


def test_the_commands_speak_and_answer_with_codes(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """up, status, verify and down print what happened; verify is 1 while something is pending."""
    monkeypatch.setenv("MIGRATIONS_DATABASE_URL", url)
    where = ["--folder", str(folder)]
    assert command.main(["verify", *where]) == 1
    assert "0001_people is not applied" in capsys.readouterr().err
    assert command.main(["up", *where]) == 0
    assert capsys.readouterr().out == "applied 0001_people\napplied 0002_split\n"
    assert command.main(["status", *where]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["0002_split", "applied"]
    assert command.main(["verify", *where]) == 0
    assert command.main(["down", *where]) == 0
    assert capsys.readouterr().out == "undone 0002_split\n"


@pytest.mark.parametrize(("value", "code"), [("", 2), ("mysql://x", 1), ("postgresql://127.0.0.1/bridge", 1)])
def test_a_missing_or_odd_address_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str, code: int
) -> None:
    """Without a usable MIGRATIONS_DATABASE_URL the command names the variable and fails."""
    monkeypatch.setenv("MIGRATIONS_DATABASE_URL", value)
    assert command.main(["up"]) == code
    assert "MIGRATIONS_DATABASE_URL" in capsys.readouterr().err
