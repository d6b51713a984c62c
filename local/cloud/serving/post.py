"""Send one HTTP request to a loopback address and say what came of it."""

import http.client
import ipaddress
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What a handler answered; `status` is None when no answer came."""

    status: int | None
    reason: str
    retry_after: float | None = None
    reached: bool = True

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass
class DeliveryFaults:
    """Faults on request: what a queue may do in the cloud, on demand and not once a month."""

    duplicate: bool = False
    reorder_ms: int = 0
    drop_response: int = 0
    hold: bool = False
    """Nothing new leaves: a test that wants to deliver by hand, in an order of its own, comes first."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def change(self, wanted: Mapping[str, object]) -> None:
        """Replace the settings; an empty mapping means none. Raises ValueError on nonsense."""
        unknown = wanted.keys() - {"duplicate", "reorder_ms", "drop_response", "hold"}
        if unknown:
            raise ValueError(
                f"{sorted(unknown)[0]}: unknown; known are duplicate, reorder_ms, drop_response and hold"
            )
        duplicate, hold = _flag(wanted, "duplicate"), _flag(wanted, "hold")
        reorder_ms, drop_response = _count(wanted, "reorder_ms"), _count(wanted, "drop_response")
        with self._lock:
            self.duplicate, self.reorder_ms, self.drop_response = duplicate, reorder_ms, drop_response
            self.hold = hold

    def describe(self) -> dict[str, object]:
        """The settings as they are now."""
        return {
            "duplicate": self.duplicate,
            "reorder_ms": self.reorder_ms,
            "drop_response": self.drop_response,
            "hold": self.hold,
        }

    def takes_response(self) -> bool:
        """Whether the answer that just came is to be lost on its way."""
        with self._lock:
            if self.drop_response == 0:
                return False
            self.drop_response -= 1
            return True


def _flag(wanted: Mapping[str, object], name: str) -> bool:
    value = wanted.get(name, False)
    if not isinstance(value, bool):
        raise ValueError(f"{name}: must be true or false")
    return value


def _count(wanted: Mapping[str, object], name: str) -> int:
    number = wanted.get(name, 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{name}: must be a whole number, zero or more")
    return number


HELD_SECONDS = 0.1
"""How soon a dispatcher looks again whether deliveries may leave."""


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine by a loopback address or as localhost."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: float, faults: DeliveryFaults
) -> Answer:
    """Deliver with the given faults: perhaps later, perhaps twice, perhaps with the answer lost."""
    if faults.reorder_ms:
        time.sleep(random.uniform(0, faults.reorder_ms) / 1000)
    if faults.duplicate:
        twin = threading.Thread(target=_once, args=(method, url, headers, body, timeout), daemon=True)
        twin.start()
        answer = _once(method, url, headers, body, timeout)
        twin.join(timeout)
    else:
        answer = _once(method, url, headers, body, timeout)
    if answer.status is not None and faults.takes_response():
        return Answer(None, "the response was dropped on request")
    return answer


def _once(method: str, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
    parts = urlsplit(url)
    path = parts.path or "/"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request(
            method, f"{path}?{parts.query}" if parts.query else path, body or None, dict(headers)
        )
        response = connection.getresponse()
        response.read()
        return Answer(response.status, response.reason, _retry_after(response.getheader("Retry-After")))
    except TimeoutError:
        return Answer(None, f"no answer within {timeout:g} s")
    except ConnectionRefusedError as error:
        return Answer(None, str(error), reached=False)
    except (OSError, http.client.HTTPException) as error:
        return Answer(None, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _retry_after(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None  # An HTTP date: allowed by the protocol, not used by our functions.
