"""Hashes, hexadecimal, base 64 and identifiers."""

from typing import Any

from sqlglot import exp

from local.cloud.bigquery.errors import invalid_query, unsupported
from local.cloud.bigquery.lowering.rules import Node, call, cast, kind, rule, typed
from local.cloud.bigquery.lowering.signatures import TEXT, TEXTUAL, Check, const_int

BYTES: Check = frozenset({"BYTES", "NULL", "UNKNOWN"})


def _require(name: str, node: Node, allowed: Check) -> None:
    if kind(node) not in allowed:
        raise invalid_query(f"No matching signature for function {name} for argument types: {kind(node)}")


@rule(exp.MD5Digest, exp.SHA1Digest, exp.SHA2Digest)
def _digest(node: Any) -> Node:
    name = {"MD5Digest": "md5", "SHA1Digest": "sha1", "SHA2Digest": "sha256"}[type(node).__name__]
    _require(name.upper(), node.this, TEXTUAL)
    if name == "sha256" and const_int(node.args["length"], "length") != 256:
        raise unsupported("SHA512")
    return typed(call("unhex", call(name, node.this)), "BYTES")


@rule(exp.MD5)
def _md5_hex(node: Any) -> Node:
    """What sqlglot makes of TO_HEX(MD5(x))."""
    _require("MD5", node.this, TEXTUAL)
    return typed(call("md5", node.this), "STRING")


@rule(exp.LowerHex, exp.Hex)
def _to_hex(node: Any) -> Node:
    """Hex is what sqlglot makes of UPPER(TO_HEX(x))."""
    _require("TO_HEX", node.this, BYTES)
    digits = call("hex", node.this)
    return typed(call("lower", digits) if isinstance(node, exp.LowerHex) else digits, "STRING")


@rule(exp.Unhex)
def _from_hex(node: Any) -> Node:
    _require("FROM_HEX", node.this, TEXT)
    return typed(call("unhex", node.this), "BYTES")


@rule(exp.ToBase64)
def _to_base64(node: Any) -> Node:
    _require("TO_BASE64", node.this, BYTES)
    return typed(call("to_base64", node.this), "STRING")


@rule(exp.FromBase64)
def _from_base64(node: Any) -> Node:
    _require("FROM_BASE64", node.this, TEXT)
    return typed(call("from_base64", node.this), "BYTES")


@rule(exp.Uuid)
def _uuid(_node: Node) -> Node:
    return typed(cast(call("uuid"), "TEXT"), "STRING")


@rule(exp.FarmFingerprint)
def _fingerprint(node: exp.FarmFingerprint) -> Node:
    (value,) = node.expressions
    _require("FARM_FINGERPRINT", value, TEXTUAL)
    return typed(
        call("farm_fingerprint", value if kind(value) == "BYTES" else call("encode", value)), "INT64"
    )
