"""Refusals in the form of the JSON API."""

import json


class ApiError(Exception):
    """One refusal: an HTTP status and the reason."""

    def __init__(self, status: int, reason: str, message: str, *, location: str = ""):
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.location = location

    def json_body(self) -> bytes:
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            detail |= {"locationType": "parameter", "location": self.location}
        error = {"code": self.status, "message": self.message, "errors": [detail]}
        return json.dumps({"error": error}).encode()


def invalid(message: str, *, location: str = "") -> ApiError:
    return ApiError(400, "invalid", message, location=location)


def bad_digest(message: str) -> ApiError:
    return ApiError(400, "invalid", message)


def no_bucket() -> ApiError:
    return ApiError(404, "notFound", "The specified bucket does not exist.")


def no_object(bucket: str, name: str) -> ApiError:
    return ApiError(404, "notFound", f"No such object: {bucket}/{name}")


def not_found(message: str) -> ApiError:
    return ApiError(404, "notFound", message)


def conflict(message: str) -> ApiError:
    return ApiError(409, "conflict", message)


def precondition_failed(location: str) -> ApiError:
    message = "At least one of the pre-conditions you specified did not hold."
    return ApiError(412, "conditionNotMet", message, location=location)


def range_not_satisfiable(size: int) -> ApiError:
    message = f"The requested range cannot be satisfied: the object has {size} bytes."
    return ApiError(416, "requestedRangeNotSatisfiable", message)


def not_implemented(what: str) -> ApiError:
    message = f"{what} is not supported by the local Cloud Storage; see docs/local/storage.md."
    return ApiError(501, "notImplemented", message)
