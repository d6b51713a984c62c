"""The laptop's Postgres: roles, passwords, and what SIGKILL leaves."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pg8000.native
import pytest

from local.patience import until
from local.postgres import binaries
from local.stack.api import temporary_home
from tests.local.postgres.conftest import Postgres


def test_the_application_role_owns_and_bypasses_nothing(postgres: Postgres) -> None:
    """bridge_app can connect and not more; bridge_owner owns the database; neither is a superuser."""
    owner = postgres.connect()
    rows = owner.run(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname LIKE 'bridge_%'"
    )
    assert sorted(rows) == [["bridge_app", False, False, False], ["bridge_owner", False, False, False]]
    owner.run("CREATE TABLE t (id int)")
    app = postgres.connect("bridge_app")
    with pytest.raises(pg8000.native.DatabaseError, match="permission denied"):
        app.run("SELECT * FROM t")
    with pytest.raises(pg8000.native.DatabaseError, match="permission denied"):
        app.run("CREATE TABLE own (id int)")
    app.close()
    owner.close()


def test_a_wrong_password_is_refused(postgres: Postgres) -> None:
    """Connections are authenticated by SCRAM; trust would let any program of the machine in."""
    with pytest.raises(pg8000.native.DatabaseError, match="password authentication failed"):
        postgres.connect(password="wrong")


def test_the_passwords_are_readable_by_their_owner_alone(postgres: Postgres) -> None:
    """passwords.json is 0600, the cluster 0700, and all passwords differ."""
    assert stat.S_IMODE((postgres.data / "passwords.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((postgres.data / "pgdata").stat().st_mode) == 0o700
    assert len(set(postgres.passwords().values())) == 3


def test_it_listens_on_loopback_alone_and_never_as_root(postgres: Postgres) -> None:
    """No other interface, and root gives the server to an unprivileged user."""
    db = postgres.connect()
    assert db.run("SHOW listen_addresses") == [["127.0.0.1"]]
    assert db.run("SHOW synchronous_commit") == [["on"]]
    db.close()
    assert os.stat(f"/proc/{postgres.postmaster()}").st_uid != 0


def test_what_was_committed_survives_sigkill(postgres: Postgres) -> None:
    """A thousand rows, SIGKILL, start: they are there."""
    db = postgres.connect()
    db.run("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    postgres.kill()
    postgres.start()
    again = postgres.connect()
    assert again.run("SELECT count(*) FROM t") == [[1000]]
    again.close()


def test_a_stale_lock_file_of_another_program_does_not_stop_the_start(postgres: Postgres) -> None:
    """After a crash the recorded process number may belong to another program of the same user."""
    assert postgres.stop() == 0
    who = binaries.account()
    other = subprocess.Popen(["sleep", "60"], user=who.uid, group=who.gid)
    try:
        lock = postgres.data / "pgdata" / "postmaster.pid"
        lock.write_text(f"{other.pid}\n{postgres.data / 'pgdata'}\n")
        postgres.start()
        postgres.connect().close()
    finally:
        other.kill()
        other.wait()


def test_a_stop_does_not_wait_for_open_connections(postgres: Postgres) -> None:
    """SIGTERM ends sessions instead of waiting for them, and the exit is clean."""
    db = postgres.connect()
    assert postgres.stop() == 0
    with pytest.raises(pg8000.native.InterfaceError):
        db.run("SELECT 1")


def test_no_server_outlives_the_process_that_watches_it(postgres: Postgres) -> None:
    """SIGKILL for the watcher alone: the kernel ends the server, too."""
    pid = postgres.postmaster()
    assert postgres.process is not None
    postgres.process.kill()
    postgres.process.wait()
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the server ends, too")
    postgres._close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives the server to another user")
def test_a_data_folder_that_nobody_may_enter_gets_its_cluster_elsewhere(tmp_path: Path) -> None:
    """Below a folder of mode 0700 the server still runs as nobody, and finds its data at the next start."""
    tmp_path.chmod(0o700)
    server = Postgres(tmp_path / "data")
    place = binaries.place(tmp_path / "data", binaries.account())
    try:
        server.start()
        db = server.connect()
        db.run("CREATE TABLE t AS SELECT 1 AS n")
        db.close()
        assert server.stop() == 0
        assert not (tmp_path / "data" / "pgdata").exists()
        tmp_path.chmod(0o755)
        server.start()
        db = server.connect()
        assert db.run("SELECT n FROM t") == [[1]]
        db.close()
    finally:
        server.stop()
        shutil.rmtree(tmp_path / "data")
    other = tmp_path / "other"
    other.mkdir()
    tmp_path.chmod(0o700)
    neutral = binaries.place(other, binaries.account())
    assert not place.exists(), "a cluster whose data folder is gone is removed at the next such start"
    shutil.rmtree(neutral)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives the server to another user")
def test_programs_that_nobody_may_reach_are_copied_and_run(tmp_path: Path) -> None:
    """A virtual environment below a closed home can't be run from: programs and libraries go beside the data."""
    real = binaries.bin_dir().parent
    closed = tmp_path / "closed" / real.parent.name
    shutil.copytree(real, closed / real.name, symlinks=True)
    libraries = real.parent.with_name(f"{real.parent.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, tmp_path / "closed" / libraries.name, symlinks=True)
    (tmp_path / "closed").chmod(0o700)
    with temporary_home() as place:
        found = binaries.usable(closed / real.name / "bin", place, binaries.account())
        shutil.rmtree(tmp_path / "closed")
        assert found.is_relative_to(place)
        who = binaries.account()
        done = subprocess.run(
            [str(found / "postgres"), "--version"],
            user=who.uid,
            group=who.gid,
            cwd=place,
            capture_output=True,
            text=True,
        )
        assert "PostgreSQL" in done.stdout, done.stderr
