"""The parts of the OpenAPI document that no declaration says: events of streams, raw answers, headers, sign-in."""

from typing import Any

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
WHOLE = {"type": "integer"}
FLAG = {"type": "boolean"}
ANY_OBJECT = {"type": "object", "additionalProperties": True}


def thing(
    description: str, required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The schema of an object with these members."""
    members = required | (optional or {})
    return {
        "type": "object",
        "description": description,
        "properties": members,
        **({"required": list(required)} if required else {}),
    }


def nullable(kind: str) -> dict[str, Any]:
    """A value of a kind, or null."""
    return {"type": [kind, "null"]}


TOKENS = thing("The turn's tokens so far.", {}) | {"additionalProperties": WHOLE}
ERROR_BODY = {"code": TEXT, "message": TEXT, "retryable": FLAG}

EVENTS: dict[str, dict[str, Any]] = {
    "turn_started": thing("The turn exists; it goes on if you leave.", {"turn_id": TEXT, "session_id": TEXT}),
    "token": thing("A piece of prose.", {"text": TEXT}),
    "tool_call": thing("The agent calls a tool.", {"id": TEXT, "tool": TEXT, "args": ANY_OBJECT}),
    "tool_cache_hit": thing("The tool's result is known already.", {"tool": TEXT, "cache_key": TEXT}),
    "tool_result": thing(
        "What the tool gave: `result` or `error`.",
        {"id": TEXT, "tool": TEXT, "cached": FLAG, "duration_ms": NUMBER},
        {
            "result": {},
            "error": thing("Why it failed.", {"code": TEXT, "message": TEXT}, {"details": ANY_OBJECT}),
        },
    ),
    "cost_update": thing(
        "The turn's totals so far.", {"tokens": {"type": ["integer", "object"]}, "cost_usd": NUMBER}
    ),
    "dashboard_created": thing(
        "A dashboard was kept.",
        {"slug": TEXT, "gcs_path": TEXT, "preview_url": TEXT},
        {"version": WHOLE, "title": TEXT},
    ),
    "question": thing(
        "The agent asks back; the turn ends after it.",
        {"question": TEXT, "options": {"type": "array", "items": TEXT}},
    ),
    "warning": thing("Something that you should know.", {"code": TEXT, "message": TEXT})
    | {"additionalProperties": True},
    "interrupted": thing(
        "Nothing comes for a moment, but the turn goes on: wait, or ask for the rest with Last-Event-ID.",
        ERROR_BODY,
        {"retry_after": NUMBER},
    ),
    "error": thing(
        "What ended the turn as failed.", ERROR_BODY, {"field": TEXT, "reason": TEXT, "retry_after": NUMBER}
    ),
    "complete": thing(
        "Always the last event.",
        {
            "turn_id": TEXT,
            "session_id": TEXT,
            "state": {"type": "string", "enum": ["completed", "cancelled", "failed"]},
            "message_id": nullable("string"),
            "total_tokens": WHOLE,
            "total_cost_usd": NUMBER,
        },
        {"stop_reason": TEXT, "dashboard_slug": nullable("string")},
    ),
}
"""The events of a turn and the schema of each one's `data` (docs/chat.md)."""

QUERY_RESULT = thing(
    "The rows of one query, or why there are none.",
    {
        "columns": {"type": "array", "items": thing("A column.", {"name": TEXT, "type": TEXT})},
        "rows": {"type": "array", "items": {"type": "array", "items": {}}},
        "metadata": ANY_OBJECT,
        "error": {"type": ["object", "null"], "additionalProperties": True},
    },
)
DASHBOARD_DATA = thing(
    "Everything that a dashboard's page shows.",
    {
        "queries": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/QueryResult"},
        },
        "cached": FLAG,
        "stale": FLAG,
        "loaded_at": nullable("string"),
        "version": WHOLE,
        "filters": ANY_OBJECT,
    },
)
QUERY_PAGE = {
    "allOf": [
        {"$ref": "#/components/schemas/QueryResult"},
        thing(
            "A page of one query's rows.",
            {"has_more": FLAG, "next_cursor": nullable("string"), "version": WHOLE, "filters": ANY_OBJECT},
        ),
    ]
}

RAW: dict[str, dict[str, dict[str, Any]]] = {
    "console-asset": {
        media: {"schema": TEXT}
        for media in (
            "text/javascript",
            "text/css",
            "image/svg+xml",
            "application/json",
            "application/javascript",
        )
    },
    "console-page": {"text/html": {"schema": TEXT}},
    "dashboards-data": {"application/json": {"schema": {"$ref": "#/components/schemas/DashboardData"}}},
    "dashboards-get-version": {"text/yaml": {"schema": TEXT}},
    "dashboards-get-yaml": {"text/yaml": {"schema": TEXT}},
    "dashboards-query-data": {"application/json": {"schema": {"$ref": "#/components/schemas/QueryPage"}}},
}
"""What the functions answer that make their own bytes."""

REQUEST_HEADERS: dict[str, tuple[str, ...]] = {
    "chat-turn-events": ("Last-Event-ID",),
    "console-asset": ("If-None-Match",),
    "console-page": ("If-None-Match",),
    "dashboards-data": ("If-None-Match",),
    "dashboards-get-yaml": ("If-None-Match",),
    "dashboards-replace-yaml": ("If-Match",),
}
"""Headers that one function reads; those that all read stand in the document once."""

HEADER_TEXTS = {
    "Idempotency-Key": "1 to 200 visible ASCII characters. The same key and body give the first answer again for 24 hours.",
    "If-Match": "The ETag that the change replaces; 412 when somebody was faster.",
    "If-None-Match": "The ETag that you have; 304 when it is still the newest.",
    "Last-Event-ID": "The last event that you saw; what came after it is sent again.",
    "X-Correlation-Id": "8 to 128 of A-Z a-z 0-9 . _ : -; made for you otherwise. It stands in the answer and in the logs.",
    "traceparent": "W3C Trace Context.",
}

HEADER_PATTERNS = {
    "Idempotency-Key": "^[!-~]{1,200}$",
    "X-Correlation-Id": "^[A-Za-z0-9._:-]{8,128}$",
    "traceparent": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
}

SECURITY_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "bridge_session",
        "description": "A browser's session. Every change also needs the X-Bridge-CSRF header.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Bridge-CSRF",
        "description": "`csrf_token` of GET /v1/auth/me: proves that a change comes from the page.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A personal access token (`brg_…`) from POST /v1/auth/tokens.",
    },
}

INTRODUCTION = """\
Every endpoint of Bridge, generated from the declarations of its functions and their models.

Errors have one form, `ErrorEnvelope`, whatever the endpoint; each operation names the codes that it can answer with.
Lists take `limit` and the opaque `cursor` of the page before. Every answer carries `X-Correlation-Id`.
"""


def schemas(codes: list[str]) -> dict[str, Any]:
    """The schemas that no model stands behind, with these error codes."""
    return {
        "DashboardData": DASHBOARD_DATA,
        "ErrorEnvelope": _envelope(codes),
        "QueryPage": QUERY_PAGE,
        "QueryResult": QUERY_RESULT,
        "TurnEvent": _turn_event(),
    }


def _envelope(codes: list[str]) -> dict[str, Any]:
    return thing(
        "The one form of every error, with the members of RFC 9457 beside it.",
        {
            "error": thing(
                "What went wrong.",
                {
                    "code": {"type": "string", "enum": codes},
                    "message": TEXT,
                    "retryable": FLAG
                    | {"description": "Whether the same request can succeed later without a change."},
                    "correlation_id": TEXT,
                    "trace_id": TEXT,
                },
                {"field": TEXT, "reason": TEXT, "details": ANY_OBJECT},
            ),
            "type": TEXT | {"format": "uri"},
            "title": TEXT,
            "status": WHOLE,
            "detail": TEXT,
        },
    )


def _turn_event() -> dict[str, Any]:
    return {
        "description": "One server-sent event of a turn: `id`, `event`, and `data` as JSON on one line.",
        "oneOf": [
            thing(
                schema["description"],
                {"id": TEXT, "event": {"type": "string", "const": name}, "data": schema},
            )
            for name, schema in EVENTS.items()
        ],
    }
