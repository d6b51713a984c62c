"""Errors in the form and with the reasons of the BigQuery service.

Clients decide by `reason`, so each refusal of this server carries the service's own reason and, where
the service has a fixed sentence, that sentence.
"""

from typing import Any

_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
}


class BigQueryError(Exception):
    """A refusal with HTTP status, reason, message and, for a bad field or query, its location."""

    def __init__(self, status: int, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.location = status, reason, message, location

    def proto(self) -> dict[str, Any]:
        """The ErrorProto that a job's status carries."""
        proto: dict[str, Any] = {"reason": self.reason, "message": self.message}
        if self.location:
            proto["location"] = self.location
        return proto

    def body(self) -> dict[str, Any]:
        """The JSON body of an HTTP answer."""
        detail: dict[str, Any] = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            detail |= {"location": self.location, "locationType": "parameter"}
        return {
            "error": {
                "code": self.status,
                "message": self.message,
                "errors": [detail],
                "status": _STATUS.get(self.status, "UNKNOWN"),
            }
        }


def from_proto(proto: dict[str, Any]) -> BigQueryError:
    """The HTTP form of a failed job's error, with the status that the service uses for its reason."""
    statuses = {
        "notFound": 404, "duplicate": 409, "accessDenied": 403, "internalError": 500, "stopped": 200,
        "bytesBilledLimitExceeded": 500, "backendError": 503,
    }  # fmt: skip
    reason = proto["reason"]
    return BigQueryError(statuses.get(reason, 400), reason, proto["message"], proto.get("location"))


def invalid_query(message: str) -> BigQueryError:
    return BigQueryError(400, "invalidQuery", message, "q")


def unsupported(what: str) -> BigQueryError:
    """A feature of BigQuery that this server can't do right, and therefore doesn't do."""
    return invalid_query(f"not supported by the local BigQuery server: {what}")


def invalid(message: str) -> BigQueryError:
    return BigQueryError(400, "invalid", message)


def not_found(what: str, name: str, location: str | None = None) -> BigQueryError:
    where = f" was not found in location {location}" if location else ""
    return BigQueryError(404, "notFound", f"Not found: {what} {name}{where}")


def duplicate(what: str, name: str) -> BigQueryError:
    return BigQueryError(409, "duplicate", f"Already Exists: {what} {name}")


def access_denied(message: str) -> BigQueryError:
    return BigQueryError(403, "accessDenied", f"Access Denied: {message}")


def internal_error() -> BigQueryError:
    """A fault of this server. Not the service's internalError, which clients repeat for minutes."""
    return BigQueryError(400, "invalid", "an internal error of the local BigQuery server; see its log")
