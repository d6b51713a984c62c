"""The laptop's stand-in for Google's token service: one RSA key, its certificate and ID tokens.

Cloud Tasks, Cloud Scheduler and Eventarc call steps with its tokens. The gateway checks them as Cloud Run does
(`gateway/front.py`); a step that is called directly checks them itself with Google's library, where only the
address of the certificates differs from the cloud.
"""

import datetime as dt
import json
import os
import tempfile
import time
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt

ISSUER = "https://accounts.google.com"
LIFETIME = 3600
_REUSE = 300  # A token is signed once per caller and audience and reused for five minutes.


def key_path(data_dir: Path) -> Path:
    """Where the private key of one data folder lies."""
    return Path(data_dir) / "identity" / "key.pem"


def ensure(data_dir: Path) -> None:
    """Make the key and its certificate unless they exist; safe when two processes start at once."""
    folder = key_path(data_dir).parent
    if (folder / "certs.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _publish(folder / "key.pem", pem)
    # Another process may have won: the certificate must belong to the key that stayed.
    kept = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    assert isinstance(kept, rsa.RSAPrivateKey)
    _publish(folder / "certs.json", json.dumps(_certificate(kept)).encode())


def certificates(data_dir: Path) -> dict[str, str]:
    """Key id to X.509 PEM, in the form of https://www.googleapis.com/oauth2/v1/certs."""
    ensure(data_dir)
    found: dict[str, str] = json.loads((key_path(data_dir).parent / "certs.json").read_text())
    return found


def token(data_dir: Path, audience: str, email: str) -> str:
    """An ID token that says `email` calls `audience`, valid for an hour."""
    return _token(str(data_dir), audience, email, int(time.time() // _REUSE))


def run_address(function: str) -> str:
    """The address that Cloud Run gives a service by itself: the audience that Eventarc chooses."""
    return f"https://{function}-0000000000-uc.a.run.app"


@lru_cache(maxsize=1024)
def _token(data_dir: str, audience: str, email: str, _period: int) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "azp": email,
        "sub": email,
        "email": email,
        "email_verified": True,
        "iat": now,
        "exp": now + LIFETIME,
    }
    signed: bytes = jwt.encode(_signer(data_dir), claims)
    return signed.decode()


@lru_cache(maxsize=16)
def _signer(data_dir: str) -> crypt.RSASigner:
    (kid,) = certificates(Path(data_dir))
    return crypt.RSASigner.from_string(key_path(Path(data_dir)).read_bytes(), key_id=kid)


def _certificate(key: rsa.RSAPrivateKey) -> dict[str, str]:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bridge local identity")])
    # Google's verifier allows no clock skew on certificates: start yesterday.
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return {
        cert.fingerprint(hashes.SHA256()).hex()[:40]: cert.public_bytes(serialization.Encoding.PEM).decode()
    }


def _publish(path: Path, content: bytes) -> None:
    """Create `path` whole and private; keep what another process published first."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        os.write(handle, content)
        os.close(handle)
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        os.unlink(temporary)
