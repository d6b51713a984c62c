"""Make a gRPC server of the laptop's cloud misbehave on request, so that flows are tested with faults.

Rules arrive through the method `/local.Chaos/Set` as JSON, from `python -m local.cloud.faults.grpc_faults` or `set_rules`:

    [{"method": "Commit$", "action": "error", "code": "UNAVAILABLE", "count": 2, "skip": 0},
     {"method": "Encrypt$", "action": "latency", "seconds": 0.3, "count": 5},
     {"method": "Commit$", "action": "applied", "count": 1}]

`method` is a regular expression over the full method path. `error` refuses before anything happens;
`latency` waits first and then serves; `applied` serves, and then answers DEADLINE_EXCEEDED all the same
(`code` changes which), the case that makes a careless client do its work twice. A rule skips `skip` calls,
acts on the next `count` (default 1; 0 = until replaced) and is then spent. The first rule that fits a call
takes it. Setting `[]` ends the faults; rules are never kept across a restart.
"""

import argparse
import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any

import grpc

CONTROL = "/local.Chaos/Set"
_ACTIONS = {"error": "UNAVAILABLE", "applied": "DEADLINE_EXCEEDED", "latency": ""}


@dataclass
class Rule:
    """What to do to the calls whose method fits."""

    method: re.Pattern[str]
    action: str
    code: Any
    seconds: float
    message: str
    skip: int
    left: float


def parse(text: bytes) -> list[Rule]:
    """The rules in a JSON list. Raises ValueError that names the rule and the reason."""
    found = json.loads(text)
    if not isinstance(found, list):
        raise ValueError("chaos rules: a JSON list is needed")
    return [_rule(index, item) for index, item in enumerate(found)]


def _rule(index: int, item: Any) -> Rule:
    where = f"chaos rule {index}"
    if not isinstance(item, dict) or not isinstance(item.get("method"), str):
        raise ValueError(f"{where}: method, a regular expression, is missing")
    known = {"method", "action", "code", "seconds", "message", "skip", "count"}
    if unknown := set(item) - known:
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}; known are {sorted(known)}")
    action = item.get("action", "error")
    if action not in _ACTIONS:
        raise ValueError(f"{where}: action {action!r} is none of {sorted(_ACTIONS)}")
    code = item.get("code") or _ACTIONS[action]
    if code and code not in grpc.StatusCode.__members__:
        raise ValueError(f"{where}: code {code!r} is no gRPC status code")
    return Rule(
        method=re.compile(item["method"]),
        action=action,
        code=grpc.StatusCode[code] if code else None,
        seconds=float(item.get("seconds", 0)),
        message=str(item.get("message", f"chaos: {code}")),
        skip=int(item.get("skip", 0)),
        left=int(item.get("count", 1)) or float("inf"),
    )


class FaultRules:
    """The rules of one server process, shared by its interceptors."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def take(self, method: str) -> Rule | None:
        """The rule that acts on this call, counted down; None for one that is served as usual."""
        for rule in self.rules:
            if rule.left <= 0 or not rule.method.search(method):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                return None
            rule.left -= 1
            return rule
        return None

    def set(self, text: bytes) -> bytes:
        self.rules = parse(text)
        return b"{}"


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """For servers on grpc.aio."""

    def __init__(self, rules: FaultRules) -> None:
        self._rules = rules

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        if details.method == CONTROL:
            return grpc.unary_unary_rpc_method_handler(self._control)
        handler = await continuation(details)
        rule = self._rules.take(details.method) if handler and self._rules.rules else None
        return handler if rule is None else _changed(handler, rule)

    async def _control(self, request: bytes, context: Any) -> bytes:
        try:
            return self._rules.set(request)
        except (ValueError, re.error) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise


def _changed(handler: Any, rule: Rule) -> Any:
    streams = bool(handler.response_streaming)

    async def before(context: Any) -> None:
        if rule.seconds:
            await asyncio.sleep(rule.seconds)
        if rule.action == "error":
            await context.abort(rule.code, rule.message)

    async def after(context: Any) -> None:
        if rule.action == "applied":
            await context.abort(rule.code, rule.message)

    async def unary(request: Any, context: Any) -> Any:
        await before(context)
        response = await handler.unary_unary(request, context)
        await after(context)
        return response

    async def stream(request: Any, context: Any) -> Any:
        await before(context)
        serve = handler.stream_stream if handler.request_streaming else handler.unary_stream
        async for response in serve(request, context):
            yield response
        await after(context)

    kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if streams else 'unary'}"
    return getattr(grpc, f"{kind}_rpc_method_handler")(
        stream if streams else unary, handler.request_deserializer, handler.response_serializer
    )


class ThreadedInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """For servers on grpc.server with a pool of threads; unary methods only."""

    def __init__(self, rules: FaultRules) -> None:
        self._rules = rules

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        if details.method == CONTROL:
            return grpc.unary_unary_rpc_method_handler(self._control)
        handler = continuation(details)
        if not handler or handler.response_streaming or not self._rules.rules:
            return handler
        rule = self._rules.take(details.method)
        if rule is None:
            return handler

        def call(request: Any, context: Any) -> Any:
            if rule.seconds:
                time.sleep(rule.seconds)
            if rule.action == "error":
                context.abort(rule.code, rule.message)
            response = handler.unary_unary(request, context)
            if rule.action == "applied":
                context.abort(rule.code, rule.message)
            return response

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )

    def _control(self, request: bytes, context: Any) -> bytes:
        try:
            return self._rules.set(request)
        except (ValueError, re.error) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise


def set_rules(address: str, rules: list[dict[str, Any]]) -> None:
    """Replace the rules of the server at `address`; raises grpc.RpcError when it refuses them."""
    with grpc.insecure_channel(address) as channel:
        channel.unary_unary(CONTROL)(json.dumps(rules).encode(), timeout=5)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m local.cloud.faults.grpc_faults", description="Set the rules of a server."
    )
    parser.add_argument("address", help="host:port of a gRPC server of the local stack")
    parser.add_argument("rules", help="JSON list of rules; [] for none")
    given = parser.parse_args()
    set_rules(given.address, json.loads(given.rules))


if __name__ == "__main__":
    main()
