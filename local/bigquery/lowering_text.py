"""Rules for texts, numbers, JSON, arrays and hashes."""

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local.bigquery.errors import invalid_query, unsupported
from local.bigquery.lowering import Node, call, cast, integer, kind, no_signature, rule, text, typed

Check = frozenset[str]
TEXT: Check = frozenset({"STRING", "NULL", "UNKNOWN"})
TEXTUAL: Check = frozenset({"STRING", "BYTES", "NULL", "UNKNOWN"})
NUMERIC: Check = frozenset({"INT64", "FLOAT64", "NUMERIC", "NULL", "UNKNOWN"})
INT: Check = frozenset({"INT64", "NULL", "UNKNOWN"})
ANY: Check = frozenset()


def const_int(node: Any, what: str) -> int:
    """The value of an integer literal argument."""
    negative = isinstance(node, exp.Neg)
    node = node.this if negative else node
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    if not isinstance(node, exp.Literal) or node.is_string:
        raise invalid_query(f"{what} must be an integer literal")
    return -int(node.this) if negative else int(node.this)


def simple(cls: type, name: str, result: str, *args: tuple[str, Check]) -> None:
    """A function that DuckDB has under `name`, with the same meaning for these argument types."""

    def lowered(node: Any) -> Node:
        given = [(node.args.get(key), allowed) for key, allowed in args]
        nodes = [g for g, _ in given if g is not None]
        label = getattr(type(node), "sql_name", lambda: name)()
        for item, allowed in given:
            if item is not None and allowed and kind(item) not in allowed:
                raise no_signature(f"function {label}", *(kind(n) for n in nodes))
        return typed(call(name, *nodes), result)

    rule(cls)(lowered)


simple(exp.Lower, "lower", "STRING", ("this", TEXT))
simple(exp.Upper, "upper", "STRING", ("this", TEXT))
simple(exp.Replace, "replace", "STRING", ("this", TEXT), ("expression", TEXT), ("replacement", TEXT))
simple(exp.Reverse, "reverse", "STRING", ("this", TEXT))
simple(exp.Repeat, "repeat", "STRING", ("this", TEXT), ("times", INT))
simple(exp.StartsWith, "starts_with", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.EndsWith, "suffix", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Contains, "contains", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Split, "string_split", "ARRAY<STRING>", ("this", TEXT), ("expression", TEXT))
simple(exp.Left, "left", "STRING", ("this", TEXT), ("expression", INT))
simple(exp.Right, "right", "STRING", ("this", TEXT), ("expression", INT))
simple(exp.RegexpLike, "regexp_matches", "BOOL", ("this", TEXT), ("expression", TEXT))
simple(exp.Levenshtein, "levenshtein", "INT64", ("this", TEXT), ("expression", TEXT))
simple(exp.Translate, "translate", "STRING", ("this", TEXT), ("from_", TEXT), ("to", TEXT))
simple(exp.Chr, "chr", "STRING", ("this", INT))
simple(exp.Initcap, "bq_initcap", "STRING", ("this", TEXT))
simple(exp.Sin, "sin", "FLOAT64", ("this", NUMERIC))
simple(exp.Cos, "cos", "FLOAT64", ("this", NUMERIC))
simple(exp.Tan, "tan", "FLOAT64", ("this", NUMERIC))
simple(exp.Asin, "asin", "FLOAT64", ("this", NUMERIC))
simple(exp.Acos, "acos", "FLOAT64", ("this", NUMERIC))
simple(exp.Atan, "atan", "FLOAT64", ("this", NUMERIC))
simple(exp.Atan2, "atan2", "FLOAT64", ("this", NUMERIC), ("expression", NUMERIC))
simple(exp.Sinh, "sinh", "FLOAT64", ("this", NUMERIC))
simple(exp.Cosh, "cosh", "FLOAT64", ("this", NUMERIC))
simple(exp.Tanh, "tanh", "FLOAT64", ("this", NUMERIC))
simple(exp.Cbrt, "cbrt", "FLOAT64", ("this", NUMERIC))
simple(exp.Sqrt, "sqrt", "FLOAT64", ("this", NUMERIC))
simple(exp.Exp, "exp", "FLOAT64", ("this", NUMERIC))
simple(exp.Ln, "ln", "FLOAT64", ("this", NUMERIC))
simple(exp.IsNan, "isnan", "BOOL", ("this", NUMERIC))
simple(exp.IsInf, "isinf", "BOOL", ("this", NUMERIC))
simple(exp.Rand, "random", "FLOAT64")
simple(exp.ArraySize, "len", "INT64", ("this", frozenset({"ARRAY", "NULL", "UNKNOWN"})))
simple(exp.RangeBucket, "bq_range_bucket", "INT64", ("this", ANY), ("expression", ANY))


@rule(exp.Length, exp.ByteLength)
def _length(node: Any) -> Node:
    name = kind(node.this)
    if name not in TEXTUAL:
        raise no_signature("function LENGTH", name)
    if name == "BYTES":
        return call("octet_length", node.this)
    return call("strlen" if isinstance(node, exp.ByteLength) else "length", node.this)


@rule(exp.Substring)
def _substring(node: exp.Substring) -> Node:
    if kind(node.this) not in TEXT:
        raise no_signature("function SUBSTR", kind(node.this))
    length = node.args.get("length")
    return typed(call("bq_substr", node.this, node.args["start"], *([length] if length else [])), "STRING")


@rule(exp.Trim)
def _trim(node: exp.Trim) -> Node:
    if kind(node.this) not in TEXT:
        raise no_signature("function TRIM", kind(node.this))
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    extra = node.args.get("expression")
    # Without characters BigQuery trims all white space, DuckDB only blanks.
    return typed(call(name, node.this, extra if extra else text(" \t\n\r\v\f")), "STRING")


@rule(exp.Pad)
def _pad(node: exp.Pad) -> Node:
    fill = node.args.get("fill_pattern")
    return typed(
        call(
            "lpad" if node.args.get("is_left") else "rpad",
            node.this,
            cast(node.expression, "INT"),
            fill or text(" "),
        ),
        "STRING",
    )


@rule(exp.StrPosition)
def _position(node: exp.StrPosition) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("INSTR with a start position or an occurrence")
    return typed(call("instr", node.this, node.args["substr"]), "INT64")


@rule(exp.Concat)
def _concat(node: exp.Concat) -> Node:
    return _piped(node.expressions)


@rule(exp.DPipe)
def _pipe(node: exp.DPipe) -> Node:
    left, right = kind(node.this), kind(node.expression)
    if "ARRAY" in (left, right):
        return typed(call("list_concat", node.this, node.expression), "ARRAY")
    return _piped([node.this, node.expression])


def _piped(items: list[Node]) -> Node:
    for item in items:
        if kind(item) not in TEXTUAL:
            raise no_signature("function CONCAT", *(kind(i) for i in items))
    out = items[0]
    for item in items[1:]:
        out = exp.DPipe(this=out, expression=item)
    if kind(items[0]) == "BYTES":
        return typed(exp.Paren(this=out), "BYTES")
    return typed(cast(exp.Paren(this=out), "TEXT"), "STRING")


# -- regular expressions: both engines use RE2 ------------------------------------------------------------------------


@rule(exp.RegexpExtract)
def _regexp_extract(node: exp.RegexpExtract) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise unsupported("REGEXP_EXTRACT with a position or an occurrence")
    return typed(call("bq_regexp_extract", node.this, node.expression, _group(node.expression)), "STRING")


@rule(exp.RegexpExtractAll)
def _regexp_extract_all(node: exp.RegexpExtractAll) -> Node:
    return typed(
        call("regexp_extract_all", node.this, node.expression, _group(node.expression)), "ARRAY<STRING>"
    )


def _group(pattern: Node) -> int:
    """1 when the pattern has its one permitted group, 0 for the whole match."""
    if not (isinstance(pattern, exp.Literal) and pattern.is_string):
        raise unsupported("REGEXP_EXTRACT with a pattern that is not a literal")
    groups = re.findall(r"(?<!\\)\((?!\?(?!P<))", re.sub(r"\[[^\]]*\]", "", pattern.name))
    if len(groups) > 1:
        raise invalid_query(
            "Regular expressions passed into extraction functions must not have more than 1 capturing group"
        )
    return len(groups)


@rule(exp.RegexpReplace)
def _regexp_replace(node: exp.RegexpReplace) -> Node:
    return typed(call("regexp_replace", node.this, node.expression, node.args["replacement"], "g"), "STRING")


# -- numbers ----------------------------------------------------------------------------------------------------------


def _rounded(name: str) -> Callable[[Any], Node]:
    def lowered(node: Any) -> Node:
        if kind(node.this) not in NUMERIC:
            raise no_signature(f"function {name.upper()}", kind(node.this))
        if node.args.get("rounding_mode") or node.args.get("truncate"):
            raise unsupported(f"{name.upper()} with a rounding mode")
        digits = node.args.get("decimals")
        if kind(node.this) == "NUMERIC":
            value = call(name, node.this, *([cast(digits, "INT")] if digits is not None else []))
            return typed(cast(value, "DECIMAL(38, 9)"), "NUMERIC")
        value = call(name, cast(node.this, "DOUBLE"), *([cast(digits, "INT")] if digits is not None else []))
        return typed(value, "FLOAT64")

    return lowered


for _cls, _name in ((exp.Round, "round"), (exp.Ceil, "ceil"), (exp.Floor, "floor"), (exp.Trunc, "trunc")):
    rule(_cls)(_rounded(_name))


@rule(exp.Pow)
def _pow(node: exp.Pow) -> Node:
    return typed(call("pow", node.this, node.expression), "FLOAT64")


@rule(exp.Log)
def _log(node: exp.Log) -> Node:
    return typed(call("log", cast(node.this, "DOUBLE"), cast(node.expression, "DOUBLE")), "FLOAT64")


@rule(exp.Sign)
def _sign(node: exp.Sign) -> Node:
    name = kind(node.this)
    duckdb = {"FLOAT64": "DOUBLE", "NUMERIC": "DECIMAL(38, 9)"}.get(name, "BIGINT")
    return typed(cast(call("sign", node.this), duckdb), name if name in ("FLOAT64", "NUMERIC") else "INT64")


_SAFE_OPERATORS = {exp.SafeAdd: exp.Add, exp.SafeSubtract: exp.Sub, exp.SafeMultiply: exp.Mul}


@rule(*_SAFE_OPERATORS)
def _safe_arithmetic(node: Any) -> Node:
    inner = _SAFE_OPERATORS[type(node)](
        this=exp.Paren(this=node.this), expression=exp.Paren(this=node.expression)
    )
    return call("try", inner)


@rule(exp.SafeNegate)
def _safe_negate(node: Any) -> Node:
    return call("try", exp.Neg(this=exp.Paren(this=node.this)))


@rule(exp.Greatest, exp.Least)
def _extreme(node: Any) -> Node:
    items = [node.this, *node.expressions]
    kinds = {kind(i) for i in items} - {"NULL", "UNKNOWN"}
    if len(kinds) > 1 and not kinds <= NUMERIC:
        raise no_signature(f"function {type(node).__name__.upper()}", *(kind(i) for i in items))
    missing: Node = exp.Is(this=exp.Paren(this=items[0].copy()), expression=exp.Null())
    for item in items[1:]:
        missing = exp.Or(
            this=missing, expression=exp.Is(this=exp.Paren(this=item.copy()), expression=exp.Null())
        )
    name = "greatest" if isinstance(node, exp.Greatest) else "least"
    return exp.Case(ifs=[exp.If(this=missing, true=exp.Null())], default=call(name, *items))


@rule(exp.BitwiseLeftShift, exp.BitwiseRightShift, exp.BitwiseCount)
def _bits(node: Any) -> Node:
    return node


# -- hashes and encodings ---------------------------------------------------------------------------------------------


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


# -- JSON -------------------------------------------------------------------------------------------------------------


def _path(node: Any) -> Node:
    """The literal path in DuckDB's spelling, which is JSONPath's."""
    if not isinstance(node, exp.JSONPath):
        raise unsupported("a JSON path that is not a literal")
    out = "$"
    for part in node.expressions:
        if isinstance(part, exp.JSONPathKey):
            out += '."' + str(part.this).replace('"', "") + '"'
        elif isinstance(part, exp.JSONPathSubscript) and str(part.this).isdigit():
            out += f"[{part.this}]"
        elif not isinstance(part, exp.JSONPathRoot):
            raise unsupported("a JSON path with wildcards, filters or slices")
    return text(out)


@rule(exp.JSONExtractScalar)
def _json_value(node: Any) -> Node:
    return typed(call("bq_json_value", node.this, _path(node.expression)), "STRING")


@rule(exp.JSONExtract)
def _json_query(node: Any) -> Node:
    out = call("json_extract", node.this, _path(node.expression))
    return typed(out, "JSON") if kind(node.this) == "JSON" else typed(cast(out, "TEXT"), "STRING")


@rule(exp.JSONValueArray)
def _json_values(node: Any) -> Node:
    return typed(
        call(
            "json_extract_string", node.this, exp.DPipe(this=_path(node.expression), expression=text("[*]"))
        ),
        "ARRAY<STRING>",
    )


@rule(exp.ParseJSON)
def _parse_json(node: Any) -> Node:
    return typed(cast(node.this, "JSON"), "JSON")


@rule(exp.JSONFormat)
def _to_json(node: Any) -> Node:
    if kind(node.this) not in {"STRING", "INT64", "BOOL", "ARRAY", "STRUCT", "JSON", "DATE"}:
        raise unsupported(f"TO_JSON_STRING of {kind(node.this)}")
    out = call("to_json", node.this)
    return typed(out, "JSON") if node.args.get("to_json") else typed(cast(out, "TEXT"), "STRING")


# -- arrays -----------------------------------------------------------------------------------------------------------


@rule(exp.ArrayConcat)
def _array_concat(node: Any) -> Node:
    out = node.this
    for item in node.expressions:
        out = call("list_concat", out, item)
    return out


@rule(exp.ArrayReverse)
def _array_reverse(node: Any) -> Node:
    return call("list_reverse", node.this)


@rule(exp.ArrayToString)
def _array_to_string(node: Any) -> Node:
    missing = node.args.get("null")
    if missing is not None:
        return typed(call("bq_array_to_string_null", node.this, node.expression, missing), "STRING")
    return typed(call("bq_array_to_string", node.this, node.expression), "STRING")


@rule(exp.ArrayFirst, exp.ArrayLast)
def _array_end(node: Any) -> Node:
    return call(
        "bq_at", node.this, integer(1) if isinstance(node, exp.ArrayFirst) else call("len", node.this.copy())
    )


@rule(exp.GenerateSeries)
def _generate_array(node: Any) -> Node:
    parts = [node.args[p] for p in ("start", "end", "step") if node.args.get(p) is not None]
    if not {kind(p) for p in parts} <= INT:
        raise unsupported("GENERATE_ARRAY of numbers that are not INT64")
    return call("generate_series", *parts)


# -- the few functions that sqlglot has no class for ------------------------------------------------------------------

_ANONYMOUS = {"IEEE_DIVIDE", "ERROR", "ARRAY_INCLUDES"}


@rule(exp.Anonymous)
def _anonymous(node: exp.Anonymous) -> Node:
    name, args = str(node.this).upper(), node.expressions
    if name == "IEEE_DIVIDE" and len(args) == 2:
        return typed(
            exp.Paren(this=exp.Div(this=cast(args[0], "DOUBLE"), expression=cast(args[1], "DOUBLE"))),
            "FLOAT64",
        )
    if name == "ERROR" and len(args) == 1:
        return call("error", args[0])
    if name == "ARRAY_INCLUDES" and len(args) == 2:
        return typed(call("list_contains", *args), "BOOL")
    raise invalid_query(f"Function not found: {node.this}")


# -- FORMAT -----------------------------------------------------------------------------------------------------------

_SPEC = re.compile(r"%(?P<flags>[-+ 0#']*)(?P<width>\d*)(?:\.(?P<precision>\d+))?(?P<type>[a-zA-Z%])")


@rule(exp.Format)
def _format(node: exp.Format) -> Node:
    """FORMAT with a literal pattern, one DuckDB call for each element."""
    if not (isinstance(node.this, exp.Literal) and node.this.is_string):
        raise unsupported("FORMAT with a pattern that is not a literal")
    pattern, args, pieces, at = node.this.name, list(node.expressions), [], 0
    for match in _SPEC.finditer(pattern):
        pieces += [text(pattern[at : match.start()])] if match.start() > at else []
        at = match.end()
        if match["type"] == "%":
            pieces.append(text("%"))
            continue
        if not args:
            raise invalid_query("Too few arguments to FORMAT for pattern")
        pieces.append(_formatted(match, args.pop(0)))
    rest = pattern[at:]
    if "%" in rest or any("%" in p.name for p in pieces if isinstance(p, exp.Literal) and p.name != "%"):
        raise unsupported(f"the FORMAT pattern {pattern!r}")
    if args:
        raise invalid_query("Too many arguments to FORMAT for pattern")
    pieces += [text(rest)] if rest else []
    return _piped([typed(p, "STRING") for p in pieces] or [text("")])


def _formatted(match: re.Match[str], value: Node) -> Node:
    element, flags, name = match["type"], match["flags"], kind(value)
    width = match["width"]
    if element in "di":
        if name not in INT:
            raise no_signature("function FORMAT (%d)", name)
        if "'" in flags:
            sign = "+" if "+" in flags else ""
            return call("format", text("{:" + sign + (f">{width}" if width else "") + ",}"), value)
        return call("printf", text(f"%{flags}{width}d"), value)
    if element in "fFeEgG":
        if name not in NUMERIC - {"INT64"}:
            raise no_signature(f"function FORMAT (%{element})", name)
        digits = match["precision"] if match["precision"] is not None else "6"
        if "'" in flags:
            if element not in "fF" or width:
                raise unsupported(f"the FORMAT element {match[0]}")
            return call("format", text("{:,." + digits + "f}"), cast(value, "DOUBLE"))
        return call("printf", text(f"%{flags}{width}.{digits}{element}"), cast(value, "DOUBLE"))
    if element == "s":
        if name not in TEXT:
            raise no_signature("function FORMAT (%s)", name)
        precision = f".{match['precision']}" if match["precision"] else ""
        return call("printf", text(f"%{flags}{width}{precision}s"), value)
    if element in "xXo" and name in INT and not flags.strip("0"):
        return call("printf", text(f"%{flags}{width}{element}"), value)
    if element == "t" and name in {"STRING", "INT64", "DATE", "BOOL", "TIME"} and not (flags or width):
        return exp.Coalesce(this=cast(value, "TEXT"), expressions=[text("NULL")])
    raise unsupported(f"the FORMAT element {match[0]} of {name}")
