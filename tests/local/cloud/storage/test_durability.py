"""What is acknowledged survives a kill; what isn't leaves no trace; nobody waits for a slow client."""

import http.client
import io
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import PreconditionFailed
from google.cloud.storage._media.requests import ResumableUpload

from local.cloud.serving import database as dispatch
from local.cloud.storage.database import Database


def test_the_server_stops_whoever_is_connected(start_server: Callable[..., Any]) -> None:
    """SIGTERM and SIGINT end it with exit code 0, even with an open connection."""
    running = start_server()
    idle = socket.create_connection(("127.0.0.1", running.port))
    assert running.stop(signal.SIGTERM) == 0
    idle.close()
    running.start()
    assert running.stop(signal.SIGINT) == 0


def test_the_server_is_reached_from_the_loopback_only(start_server: Callable[..., Any]) -> None:
    """Its socket is bound to 127.0.0.1."""
    running = start_server()
    assert requests.get(f"{running.url}/_local/health").status_code == 200
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert f"0100007F:{running.port:04X}" in listening
    assert f"00000000:{running.port:04X}" not in listening


def test_a_kill_loses_nothing_that_was_acknowledged(start_server: Callable[..., Any]) -> None:
    """Writers run while the server is killed: every object whose upload returned is there, bytes and all."""
    running = start_server()
    bucket = running.client().bucket("durable")
    bucket.versioning_enabled = True
    bucket.create()
    acknowledged: dict[str, int] = {}
    stop = threading.Event()

    def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            blob = bucket.blob(f"{worker}/{number}")
            try:
                blob.upload_from_string(blob.name.encode() * 1000, retry=None)
            except requests.ConnectionError:
                return
            acknowledged[blob.name] = blob.generation
            number += 1

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for writer in writers:
        writer.start()
    while len(acknowledged) < 60:
        time.sleep(0.005)
    running.stop(signal.SIGKILL)
    stop.set()
    for writer in writers:
        writer.join()
    running.start()
    stored = {blob.name: blob for blob in bucket.list_blobs()}
    assert acknowledged.items() <= {name: blob.generation for name, blob in stored.items()}.items()
    for name, blob in stored.items():
        assert blob.download_as_bytes() == name.encode() * 1000
    later = bucket.blob("later")
    later.upload_from_string("x")
    assert later.generation > max(acknowledged.values())


def test_a_resumable_upload_survives_a_kill(start_server: Callable[..., Any]) -> None:
    """The client goes on from the byte that the killed server had received."""
    running = start_server()
    bucket = running.client().create_bucket("durable")
    data = os.urandom(4 * 256 * 1024)
    source = io.BytesIO(data)
    upload = ResumableUpload(f"{running.url}/upload/storage/v1/b/durable/o?uploadType=resumable", 256 * 1024)
    session = requests.Session()
    upload.initiate(session, source, {"name": "x"}, "text/plain")
    upload.transmit_next_chunk(session)
    upload.transmit_next_chunk(session)
    running.stop(signal.SIGKILL)
    running.start()
    upload._make_invalid()
    upload.recover(requests.Session())
    assert upload.bytes_uploaded == 2 * 256 * 1024
    while not upload.finished:
        upload.transmit_next_chunk(requests.Session())
    assert bucket.blob("x").download_as_bytes() == data


def test_a_start_clears_what_a_kill_left(start_server: Callable[..., Any]) -> None:
    """Half-written files, bytes without a row and bytes of unknown sessions go; objects stay."""
    running = start_server()
    bucket = running.client().create_bucket("durable")
    bucket.blob("kept").upload_from_string("kept")
    open_session = bucket.blob("half").create_resumable_upload_session()
    requests.put(open_session, data=b"ab", headers={"Content-Range": "bytes 0-1/*"})
    running.stop(signal.SIGKILL)
    strays = [running.data / folder / "zzstray" for folder in ("tmp", "blobs/zz", "uploads")]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"stray")
    running.start()
    assert [stray for stray in strays if stray.exists()] == []
    assert bucket.blob("kept").download_as_bytes() == b"kept"
    answer = requests.put(open_session, headers={"Content-Range": "bytes */*"})
    assert answer.headers["Range"] == "bytes=0-1"


def test_a_second_server_over_the_same_folder_touches_nothing(start_server: Callable[..., Any]) -> None:
    """Its port is taken, so it ends before it clears what looks like a dead process's leavings."""
    running = start_server()
    unfinished = running.data / "tmp" / "unfinished"
    unfinished.write_bytes(b"the first server is writing this")
    command = [
        sys.executable,
        "-m",
        "local.cloud.storage",
        "--port",
        str(running.port),
        "--data",
        str(running.data),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert unfinished.exists()


@pytest.mark.parametrize("kind", ["storage", "dispatch"])
def test_a_commit_that_fails_does_not_stop_later_ones(tmp_path: Path, kind: str) -> None:
    """The transaction is rolled back, as after any other error: the one write connection stays of use."""
    database = Database(tmp_path / "a.db") if kind == "storage" else dispatch.Database(tmp_path / "a.db")
    write = database.write if isinstance(database, Database) else database.transaction
    raw = sqlite3.connect(tmp_path / "a.db")
    raw.executescript(
        "CREATE TABLE p (id PRIMARY KEY); CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)"
    )
    run = database._writer.execute if isinstance(database, Database) else database.write
    run("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError), write():
        run("INSERT INTO c VALUES (1)")
    with write():
        run("INSERT INTO p VALUES (2)")
        run("INSERT INTO c VALUES (2)")
    assert raw.execute("SELECT p FROM c").fetchall() == [(2,)]
    raw.close()
    database.close()


def test_a_slow_upload_blocks_nobody(server: Any, bucket: Any) -> None:
    """While one client sends its body byte by byte, others write the same name and read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest(
        "POST", f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x&ifGenerationMatch=0"
    )
    connection.putheader("Content-Length", "7919")
    connection.endheaders(b"slow")
    bucket.blob("x").upload_from_string("fast", if_generation_match=0, retry=None)
    assert bucket.blob("x").download_as_bytes(timeout=30, retry=None) == b"fast"
    connection.send(b"r" * 7915)
    assert connection.getresponse().status == 412
    connection.close()
    assert bucket.blob("x").download_as_bytes() == b"fast"
    sizes = {path.stat().st_size for path in (server.data / "blobs").rglob("*") if path.is_file()}
    assert 7919 not in sizes


def test_a_slow_download_keeps_the_bytes_it_began_with(server: Any, bucket: Any) -> None:
    """An overwrite and a delete don't disturb a reader that has begun, and don't wait for it."""
    data = os.urandom(16 * 1024 * 1024)
    bucket.blob("x").upload_from_string(data)
    url = f"{server.url}/download/storage/v1/b/{bucket.name}/o/x?alt=media"
    with requests.get(url, stream=True) as answer:
        first = answer.raw.read(1024)
        bucket.blob("x").upload_from_string("new")
        bucket.delete_blob("x")
        assert first + answer.raw.read() == data


def test_readers_of_a_name_that_is_overwritten_never_fail(bucket: Any) -> None:
    """A reader sees one generation or the next, whole, never an error or a mixture."""
    bucket.blob("x").upload_from_string(b"0" * 5000)
    stop = threading.Event()
    problems: list[object] = []

    def read() -> None:
        while not stop.is_set():
            try:
                data = bucket.blob("x").download_as_bytes(retry=None)
            except Exception as error:  # the test reports whatever a reader met
                problems.append(error)
                return
            if len(data) != 5000 or len(set(data)) != 1:
                problems.append(data[:20])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(100):
        bucket.blob("x").upload_from_string(str(number % 10).encode() * 5000)
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []


def test_a_refused_upload_leaves_no_bytes(server: Any, bucket: Any) -> None:
    """The file of a write that lost is removed."""
    bucket.blob("x").upload_from_string("kept")
    count = sum(1 for path in (server.data / "blobs").rglob("*") if path.is_file())
    session = bucket.blob("y").create_resumable_upload_session(if_generation_match=0, size=1)
    bucket.blob("y").upload_from_string("first")
    requests.put(session, data=b"x")
    with pytest.raises(PreconditionFailed):
        bucket.blob("x").upload_from_string("lost", if_generation_match=0)
    assert sum(1 for path in (server.data / "blobs").rglob("*") if path.is_file()) == count + 1
