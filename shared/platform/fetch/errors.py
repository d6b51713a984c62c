"""Why something at an address that a person gave can't be had."""

from __future__ import annotations

from shared.platform.errors import BadInput, BridgeError, Unavailable


class AddressNotAllowed(BadInput):
    """This address may not be called; give the https address of a public host."""

    code = "ADDRESS_NOT_ALLOWED"


class RemoteAnswerRefused(BridgeError):
    """What the address answered can't be accepted."""

    code, status, retryable = "REMOTE_ANSWER_REFUSED", 502, False


class RemoteUnreachable(Unavailable):
    """The address does not answer."""

    code = "REMOTE_UNREACHABLE"
