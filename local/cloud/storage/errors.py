"""Refusals in the two forms that Cloud Storage uses: JSON for the JSON API, XML for signed URLs."""

import json
from xml.sax.saxutils import escape


class ApiError(Exception):
    """One refusal: an HTTP status, the JSON API's reason and the XML API's code."""

    def __init__(self, status: int, reason: str, message: str, *, xml_code: str = "", location: str = ""):
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.xml_code = xml_code or reason[:1].upper() + reason[1:]
        self.location = location

    def json_body(self) -> bytes:
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            detail |= {"locationType": "parameter", "location": self.location}
        error = {"code": self.status, "message": self.message, "errors": [detail]}
        return json.dumps({"error": error}).encode()

    def xml_body(self) -> bytes:
        message = escape(self.message)
        return (
            "<?xml version='1.0' encoding='UTF-8'?>"
            f"<Error><Code>{self.xml_code}</Code><Message>{message}</Message>"
            f"<Details>{message}</Details></Error>"
        ).encode()


def invalid(message: str, *, location: str = "") -> ApiError:
    return ApiError(400, "invalid", message, xml_code="InvalidArgument", location=location)


def bad_digest(message: str) -> ApiError:
    return ApiError(400, "invalid", message, xml_code="BadDigest")


def forbidden(message: str, xml_code: str = "AccessDenied") -> ApiError:
    return ApiError(403, "forbidden", message, xml_code=xml_code)


def no_bucket() -> ApiError:
    return ApiError(404, "notFound", "The specified bucket does not exist.", xml_code="NoSuchBucket")


def no_object(bucket: str, name: str) -> ApiError:
    return ApiError(404, "notFound", f"No such object: {bucket}/{name}", xml_code="NoSuchKey")


def not_found(message: str) -> ApiError:
    return ApiError(404, "notFound", message)


def conflict(message: str) -> ApiError:
    return ApiError(409, "conflict", message)


def precondition_failed(location: str) -> ApiError:
    message = "At least one of the pre-conditions you specified did not hold."
    return ApiError(412, "conditionNotMet", message, xml_code="PreconditionFailed", location=location)


def not_modified(location: str) -> ApiError:
    return ApiError(304, "notModified", "Not Modified", location=location)


def range_not_satisfiable(size: int) -> ApiError:
    message = f"The requested range cannot be satisfied: the object has {size} bytes."
    return ApiError(416, "requestedRangeNotSatisfiable", message, xml_code="InvalidRange")


def not_implemented(what: str) -> ApiError:
    message = f"{what} is not part of the local Cloud Storage; see docs/local/storage.md."
    return ApiError(501, "notImplemented", message)
