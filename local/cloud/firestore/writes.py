"""Turn the writes of a commit into new documents, or refuse them: masks, preconditions, limits.

Planning changes nothing. The caller may plan, wait for locks, plan again, and only then commit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from local.cloud.firestore import values, wire
from local.cloud.firestore.paths import check_document, field_path, invalid
from local.cloud.serving.grpc_server import Code, Refused

LARGEST_DOCUMENT = 1_048_576
LARGEST_REQUEST = 10 * 1024 * 1024

Read = Callable[[str], Any | None]


@dataclass
class WritePlan:
    """What a commit would do: new documents by name (None = deleted), and one result for each write."""

    changes: dict[str, Any | None] = field(default_factory=dict)
    results: list[Any] = field(default_factory=list)
    unchanged: list[bool] = field(default_factory=list)

    def stamp(self, at: int) -> list[Any]:
        """The write results, with the commit's time where a write changed something."""
        for result, same in zip(self.results, self.unchanged, strict=True):
            if not same:
                wire.set_micros(result.update_time, at)
        return self.results


def check_database(writes: Iterable[Any], database: str) -> None:
    for write in writes:
        found = check_document(target(write))
        if found != database:
            raise invalid(f'Document "{target(write)}" is not in the database "{database}" of the request.')


def target(write: Any) -> str:
    """The name of the document that a write is about."""
    match write.WhichOneof("operation"):
        case "update":
            return str(write.update.name)
        case "delete":
            return str(write.delete)
        case "transform":
            raise _unsupported()
        case _:
            raise invalid("empty write operation")


def plan(writes: Iterable[Any], read: Read) -> WritePlan:
    """Apply the writes in order to what `read` sees. Raises Refused at the first that may not happen."""
    made = WritePlan()
    for write in writes:
        name = target(write)
        before = made.changes[name] if name in made.changes else read(name)
        _check_precondition(write, name, before)
        if write.WhichOneof("operation") == "delete":
            made.changes[name] = None
            made.results.append(wire.WriteResult())
            made.unchanged.append(True)
            continue
        after = _updated(write, name, before)
        result = wire.WriteResult()
        # A document that this same commit has just made has no time yet: it counts as changed.
        same = before is not None and before.HasField("update_time") and _same(before, after)
        if before is not None and same:
            result.update_time.CopyFrom(before.update_time)
        else:
            made.changes[name] = after
        made.results.append(result)
        made.unchanged.append(same)
    return made


def _check_precondition(write: Any, name: str, before: Any | None) -> None:
    condition = write.current_document
    kind = condition.WhichOneof("condition_type")
    if kind == "exists":
        if condition.exists and before is None:
            raise Refused(Code.NOT_FOUND, f"No document to update: {name}")
        if not condition.exists and before is not None:
            raise Refused(Code.ALREADY_EXISTS, f"Document already exists: {name}")
    elif kind == "update_time":
        stored = 0 if before is None else wire.micros(before.update_time)
        wanted = wire.micros(condition.update_time)
        if stored != wanted:
            raise Refused(
                Code.FAILED_PRECONDITION,
                f"the stored version ({stored}) does not match the required base version ({wanted})",
            )


def _updated(write: Any, name: str, before: Any | None) -> Any:
    if write.update_transforms:
        raise _unsupported()
    after = wire.Document(name=name)
    if before is not None:
        if before.HasField("create_time"):
            after.create_time.CopyFrom(before.create_time)
        if write.HasField("update_mask"):
            _copy_fields(before, after)
    values.check_fields(write.update.fields)
    if write.HasField("update_mask"):
        _merge(write, after)
    else:
        _copy_fields(write.update, after)
    size = values.document_size(after)
    if size > LARGEST_DOCUMENT:
        raise invalid(
            f"Document '{name}' cannot be written because its size ({size:,} bytes) exceeds the maximum "
            f"allowed size of {LARGEST_DOCUMENT:,} bytes."
        )
    return after


def _unsupported() -> Refused:
    return Refused(
        Code.UNIMPLEMENTED,
        "A field transform (increment, server time, array union) is not supported by the local Firestore.",
    )


def _merge(write: Any, after: Any) -> None:
    for text in write.update_mask.field_paths:
        path = field_path(text)
        value = values.find(write.update, path)
        if value is None:
            values.drop(after, path)
        else:
            values.put(after, path, value)


def _copy_fields(source: Any, to: Any) -> None:
    to.MergeFrom(wire.Document(fields=source.fields))


def _same(before: Any, after: Any) -> bool:
    one, other = wire.Document(fields=before.fields), wire.Document(fields=after.fields)
    return bool(one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True))
