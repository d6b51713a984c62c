"""The Messages API over HTTP, played from a script: SSE, tool use, cache accounting, errors, broken streams."""

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.anthropic import checks, wire
from local.anthropic.cache import PromptCache, tokens
from local.anthropic.script import Reply, Script

MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5")


class Broken(Exception):
    """The script says that the connection breaks here."""


class Server(ThreadingHTTPServer):
    """One server over one data folder: script.json is read from it, requests.jsonl written to it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, data: Path, key: str | None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        data.mkdir(parents=True, exist_ok=True)
        self.script, self.cache, self.key = Script(data / "script.json"), PromptCache(), key
        self._log, self._lock = (data / "requests.jsonl").open("a"), threading.Lock()

    def note(self, line: dict[str, Any]) -> None:
        """Add a line to requests.jsonl."""
        with self._lock:
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Quiet: requests are in requests.jsonl."""

    def do_GET(self) -> None:
        if self.path == "/_local/health":
            self._json(200, {"status": "ok"})
        elif self.path.startswith("/v1/models"):
            self._json(200, {"data": [{"type": "model", "id": name} for name in MODELS], "has_more": False})
        else:
            self._json(404, wire.error("not_found_error", "Not found"))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = self.path.partition("?")[0]
        if self.server.key is not None and self._key() != self.server.key:
            return self._json(401, wire.error("authentication_error", "invalid API key"))
        if self.headers.get("anthropic-version") is None:
            return self._json(
                400, wire.error("invalid_request_error", "anthropic-version: header is required")
            )
        try:
            body = json.loads(raw)
            checks.check(body, counting=path.endswith("/count_tokens"))
        except (ValueError, KeyError, TypeError, checks.Invalid) as error:
            self.server.note({"path": path, "refused": str(error)})
            return self._json(400, wire.error("invalid_request_error", str(error)))
        if path == "/v1/messages/count_tokens":
            total = sum(tokens(json.dumps(part, sort_keys=True)) for part in checks.segments(body))
            return self._json(200, {"input_tokens": total})
        if path != "/v1/messages":
            return self._json(404, wire.error("not_found_error", "Not found"))
        return self._answer(body)

    def _key(self) -> str | None:
        """Older clients send x-api-key, the SDK from 2.x on a bearer token."""
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or bearer or None

    def _answer(self, body: dict[str, Any]) -> None:
        reply = self.server.script.take(json.dumps(body["messages"][-1], ensure_ascii=False))
        if reply is None:
            self.server.note({"path": "/v1/messages", "body": body, "unscripted": True})
            return self._json(500, wire.error("api_error", "the script has no reply left"))
        if reply.delay:
            time.sleep(reply.delay)
        if reply.error is not None:
            self.server.note({"path": "/v1/messages", "body": body, "error": reply.error["type"]})
            headers = {}
            if "retry_after" in reply.error:
                headers["retry-after"] = str(reply.error["retry_after"])
            problem = wire.error(reply.error["type"], reply.error.get("message", ""))
            return self._json(reply.error["status"], problem, headers)
        counted = self.server.cache.count(body)
        message_id = f"msg_{secrets.token_hex(8)}"
        line = {"path": "/v1/messages", "body": body, "usage": wire.usage(counted, wire.output_tokens(reply))}
        if not body.get("stream"):
            self.server.note(line)
            return self._json(200, wire.message(reply, body["model"], message_id, counted))
        ended = "broken"
        try:
            self._stream(reply, wire.frames(reply, body["model"], message_id, counted))
            ended = "complete"
        except Broken:
            self.close_connection = True
        except (BrokenPipeError, ConnectionResetError):
            ended, self.close_connection = "abandoned by the client", True
        self.server.note(line | {"ended": ended})
        return None

    def _stream(self, reply: Reply, frames: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, frame in enumerate(frames):
            if reply.break_after is not None and number >= reply.break_after:
                raise Broken
            if reply.stream_error is not None and number >= reply.stream_error["after"]:
                problem = wire.error(reply.stream_error["type"], reply.stream_error.get("message", ""))
                self._chunk(wire.encode(("error", problem)), reply.shred)
                break
            self._chunk(wire.encode(frame), reply.shred)
            if reply.gap:
                time.sleep(reply.gap)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes, shred: int | None) -> None:
        size = shred or len(data)
        for at in range(0, len(data), size):
            part = data[at : at + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("request-id", "req_local")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
