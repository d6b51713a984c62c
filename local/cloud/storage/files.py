"""The bytes: one immutable file for each blob, written under `tmp/` and renamed into place.

A blob gets its name in `blobs/` before the row that refers to it commits, and loses it after the row is gone.
A kill in between leaves a file that no row knows, never a row without its file; `sweep` removes such files.
"""

import base64
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

from local.cloud.storage.wire import CHUNK


@dataclass(frozen=True, slots=True)
class Content:
    """A blob with its size and hashes (base64, as in the JSON API); composed content has no MD5."""

    blob: str
    size: int
    md5: str | None
    crc32c: str


class Hasher:
    """MD5, CRC32C and size of a stream."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc: Any = google_crc32c.Checksum()
        self.size = 0

    def update(self, data: bytes) -> None:
        self._md5.update(data)
        self._crc.update(data)
        self.size += len(data)

    def content(self, blob: str) -> Content:
        return Content(blob, self.size, _b64(self._md5.digest()), _b64(self._crc.digest()))


class Files:
    """The blobs, the unfinished writes and the resumable uploads of one data directory."""

    def __init__(self, root: Path):
        self._blobs = root / "blobs"
        self._tmp = root / "tmp"
        self._uploads = root / "uploads"
        for folder in (self._blobs, self._tmp, self._uploads):
            folder.mkdir(parents=True, exist_ok=True)

    def sweep(self, known_blobs: set[str], known_uploads: set[str]) -> None:
        """Before serving: remove what a killed process left behind."""
        shutil.rmtree(self._tmp)
        self._tmp.mkdir()
        for folder, known in ((self._blobs, known_blobs), (self._uploads, known_uploads)):
            for entry in list(_walk(folder)):
                if entry.name not in known:
                    os.unlink(entry.path)

    def write(self, chunks: Iterable[bytes]) -> Content:
        """Store a stream as a blob that no row refers to yet: publish its row, or `remove` it."""
        blob = uuid.uuid4().hex
        temporary = self._tmp / blob
        hasher = Hasher()
        try:
            with temporary.open("wb") as out:
                for chunk in chunks:
                    hasher.update(chunk)
                    out.write(chunk)
            temporary.rename(self._place(blob))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return hasher.content(blob)

    def open(self, blob: str) -> BinaryIO:
        return self._path(blob).open("rb")

    def remove(self, blobs: Iterable[str]) -> None:
        """Forget blobs whose rows are gone; readers that have them open keep reading."""
        for blob in blobs:
            self._path(blob).unlink(missing_ok=True)

    def upload_path(self, upload: str) -> Path:
        """Where a resumable upload gathers its bytes: the file's size is what has been received."""
        return self._uploads / upload

    def adopt(self, upload: str) -> Content:
        """The bytes of a complete resumable upload as a blob; the gathered file stays until `drop_upload`."""
        hasher, blob = Hasher(), uuid.uuid4().hex
        source = self.upload_path(upload)
        with source.open("rb") as gathered:
            for chunk in chunks_of(gathered):
                hasher.update(chunk)
        try:
            os.link(source, self._place(blob))
        except OSError:
            shutil.copyfile(source, self._place(blob))
        return hasher.content(blob)

    def drop_upload(self, upload: str) -> None:
        with suppress(FileNotFoundError):
            self.upload_path(upload).unlink()

    def _path(self, blob: str) -> Path:
        return self._blobs / blob[:2] / blob

    def _place(self, blob: str) -> Path:
        path = self._path(blob)
        path.parent.mkdir(exist_ok=True)
        return path


def chunks_of(stream: BinaryIO, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of a file from `start`, at most `length` of them."""
    stream.seek(start)
    left = length
    while left is None or left > 0:
        data = stream.read(CHUNK if left is None else min(CHUNK, left))
        if not data:
            return
        if left is not None:
            left -= len(data)
        yield data


def _walk(folder: Path) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _walk(Path(entry.path))
            else:
                yield entry


def _b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
