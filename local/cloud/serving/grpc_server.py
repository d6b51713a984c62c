"""Serve Google's gRPC services from the message types that the client packages already carry.

One event loop runs every handler, so a handler is atomic between two `await`s and needs no lock; streams
and waits cost no thread. Handlers take and return plain protobuf messages, which skip the conversion that
proto-plus does on each field.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import grpc

from local.cloud.serving import process

LARGEST_MESSAGE = 12 * 1024 * 1024  # the services take 10 MiB and answer with their own error just above it

Code = grpc.StatusCode


class Refused(Exception):
    """The call ends with this status; the text is what the client shows."""

    def __init__(self, code: Any, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Method(NamedTuple):
    """One method of a service: its messages, its handler, and which sides stream."""

    request: Any
    response: Any
    handler: Callable[..., Any]
    kind: str = "unary_unary"


class Service(NamedTuple):
    """A full gRPC service name and its methods."""

    name: str
    methods: Mapping[str, Method]


def plain(message: Any) -> Any:
    """The plain protobuf class under a proto-plus class."""
    return type(message.pb(message()))


def _one(handler: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await handler(request)
        except Refused as refused:
            await context.abort(refused.code, refused.message)

    return call


def _many(handler: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    async def call(request: Any, context: Any) -> Any:
        try:
            async for response in handler(request):
                yield response
        except Refused as refused:
            await context.abort(refused.code, refused.message)

    return call


_WRAP: dict[str, Callable[..., Any]] = {"unary_unary": _one, "unary_stream": _many, "stream_stream": _many}


class Unserved(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The last handler of a server: says of any other method that it is not supported, by its name."""

    def service(self, details: Any) -> Any:
        message = f"{details.method} is not supported by the local cloud."

        async def refuse(_request: Any, context: Any) -> AsyncIterator[bytes]:
            await context.abort(Code.UNIMPLEMENTED, message)
            yield b""

        return grpc.stream_stream_rpc_method_handler(refuse)


def _generic(service: Service) -> Any:
    handlers = {}
    for name, method in service.methods.items():
        make = getattr(grpc, f"{method.kind}_rpc_method_handler")
        handlers[name] = make(
            _WRAP[method.kind](method.handler),
            request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString,
        )
    return grpc.method_handlers_generic_handler(service.name, handlers)


async def serve(
    ports: Mapping[int, Sequence[Service]],
    interceptors: Sequence[Any] = (),
    background: Sequence[Callable[[], Awaitable[None]]] = (),
) -> None:
    """Serve each port's services on loopback until SIGTERM or SIGINT, then end within a second.

    `background` holds endless tasks (sweepers); one that fails ends the server, so that it is noticed.
    """
    options = [
        ("grpc.max_receive_message_length", LARGEST_MESSAGE),
        ("grpc.max_send_message_length", LARGEST_MESSAGE),
        ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share it
    ]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    servers = []
    for port, services in ports.items():
        server = grpc.aio.server(options=options, interceptors=list(interceptors))
        server.add_generic_rpc_handlers((*(_generic(service) for service in services), Unserved()))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        servers.append(server)
    process.announce(" ".join(f"127.0.0.1:{port}" for port in ports))
    endless = [asyncio.ensure_future(task()) for task in background]
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopping, *endless], return_when=asyncio.FIRST_COMPLETED)
    for task in endless:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*(server.stop(0.2) for server in servers))
