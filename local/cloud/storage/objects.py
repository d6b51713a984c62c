"""What is known of objects without their bytes: get; and their removal."""

from local.cloud.storage.model import StoredObject
from local.cloud.storage.service import Storage, delete_object, get_object
from local.cloud.storage.wire import HttpRequest, Response, json_response


def answer(request: HttpRequest, stored: StoredObject) -> Response:
    return json_response(stored.resource(request.origin), ETag=stored.etag)


def get(storage: Storage, request: HttpRequest, bucket: str, name: str) -> Response:
    with storage.database.read() as db:
        found = get_object(db, bucket, name, request.integer("generation"))
    return answer(request, found)


def delete(storage: Storage, request: HttpRequest, bucket: str, name: str) -> Response:
    delete_object(storage, bucket, name, request.integer("generation"), request.integer("ifGenerationMatch"))
    return Response(204)
