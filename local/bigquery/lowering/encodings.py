"""Hashes, hexadecimal, base 64 and identifiers."""

from typing import Any

from sqlglot import exp

from local.bigquery.errors import unsupported
from local.bigquery.lowering.rules import Node, call, cast, rule, typed
from local.bigquery.lowering.signatures import const_int


@rule(exp.MD5Digest, exp.SHA1Digest, exp.SHA2Digest)
def _digest(node: Any) -> Node:
    name = {"MD5Digest": "md5", "SHA1Digest": "sha1", "SHA2Digest": "sha256"}[type(node).__name__]
    if name == "sha256" and const_int(node.args["length"], "length") != 256:
        raise unsupported("SHA512")
    return typed(call("unhex", call(name, node.this)), "BYTES")


@rule(exp.MD5)
def _md5_hex(node: Any) -> Node:
    """What sqlglot makes of TO_HEX(MD5(x))."""
    return typed(call("md5", node.this), "STRING")


@rule(exp.LowerHex)
def _to_hex(node: Any) -> Node:
    return typed(call("lower", call("hex", node.this)), "STRING")


@rule(exp.Unhex)
def _from_hex(node: Any) -> Node:
    return typed(call("unhex", node.this), "BYTES")


@rule(exp.ToBase64)
def _to_base64(node: Any) -> Node:
    return typed(call("to_base64", node.this), "STRING")


@rule(exp.FromBase64)
def _from_base64(node: Any) -> Node:
    return typed(call("from_base64", node.this), "BYTES")


@rule(exp.Uuid)
def _uuid(_node: Node) -> Node:
    return typed(cast(call("uuid"), "TEXT"), "STRING")
