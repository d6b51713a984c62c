"""The laptop's token service: one key, whoever starts first."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from google.auth import jwt

from local.cloud import identity


def test_racing_processes_agree_on_one_key(tmp_path: Path) -> None:
    """Six processes make the key at once: all end with the same certificate, and it fits the key."""
    code = f"import json; from pathlib import Path; from local.cloud import identity; print(json.dumps(identity.certificates(Path({str(tmp_path)!r}))))"
    racers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(6)]
    found = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(found) == 1
    certificates = json.loads(found.pop())
    claims = jwt.decode(
        identity.token(tmp_path, "https://step", "steps@x"), certs=certificates, audience="https://step"
    )
    assert (claims["email"], claims["exp"] - claims["iat"]) == ("steps@x", 3600)


def test_the_private_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """0600 for the key, 0700 for its folder."""
    identity.ensure(tmp_path)
    assert stat.S_IMODE(identity.key_path(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(identity.key_path(tmp_path).parent.stat().st_mode) == 0o700


def test_a_token_of_another_data_folder_is_refused(tmp_path: Path) -> None:
    """Each folder has a key of its own: what one stack signs, another does not accept."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    token = identity.token(tmp_path / "a", "https://step", "steps@x")
    with pytest.raises(ValueError, match="Certificate for key id"):
        jwt.decode(token, certs=identity.certificates(tmp_path / "b"), audience="https://step")
