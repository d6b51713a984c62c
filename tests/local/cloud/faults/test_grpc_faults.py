"""Fault injection into gRPC servers, on servers of threads; those on an event loop are covered by their own tests."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from local.cloud.faults import grpc_faults

Call = Callable[[bytes], bytes]


@pytest.fixture
def echo() -> Iterator[tuple[str, Call, list[bytes]]]:
    """A server that records what reached it, its address, and a client."""
    reached: list[bytes] = []

    def handle(request: bytes, _context: Any) -> bytes:
        reached.append(request)
        return request

    handler = grpc.method_handlers_generic_handler(
        "test.Echo", {"Say": grpc.unary_unary_rpc_method_handler(handle)}
    )
    interceptor = grpc_faults.ThreadedInterceptor(grpc_faults.FaultRules())
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[interceptor])
    server.add_generic_rpc_handlers((handler,))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with grpc.insecure_channel(address) as channel:
        yield address, channel.unary_unary("/test.Echo/Say"), reached
    server.stop(None).wait()


def code(say: Call, text: bytes) -> str:
    try:
        say(text)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def test_an_error_rule_skips_counts_and_ends(echo: tuple[str, Call, list[bytes]]) -> None:
    """One call passes, two are refused before they reach the handler, then calls are served again."""
    address, say, reached = echo
    grpc_faults.set_rules(address, [{"method": "Say$", "code": "RESOURCE_EXHAUSTED", "skip": 1, "count": 2}])
    answers = [code(say, text) for text in (b"1", b"2", b"3", b"4")]
    assert answers == ["OK", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "OK"]
    assert reached == [b"1", b"4"]


def test_an_applied_rule_does_the_work_and_denies_it(echo: tuple[str, Call, list[bytes]]) -> None:
    """The handler ran, the client heard DEADLINE_EXCEEDED."""
    address, say, reached = echo
    grpc_faults.set_rules(address, [{"method": "Say$", "action": "applied"}])
    assert code(say, b"x") == "DEADLINE_EXCEEDED"
    assert reached == [b"x"]


def test_other_methods_are_left_alone_and_an_empty_list_clears(echo: tuple[str, Call, list[bytes]]) -> None:
    """A rule acts where its expression fits; `count` 0 lasts until it is replaced."""
    address, say, _reached = echo
    grpc_faults.set_rules(address, [{"method": "Other$"}, {"method": "Say$", "count": 0}])
    assert {code(say, b"x") for _ in range(5)} == {"UNAVAILABLE"}
    grpc_faults.set_rules(address, [])
    assert code(say, b"x") == "OK"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([{}], "rule 0: method"),
        ([{"method": "x"}, {"method": "x", "action": "explode"}], "rule 1: action 'explode'"),
        ([{"method": "x", "speed": 1}], "unknown keys"),
        ([{"method": "("}], "unterminated"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(
    echo: tuple[str, Call, list[bytes]], rules: list[dict[str, Any]], reason: str
) -> None:
    """INVALID_ARGUMENT names the rule and the reason, and the rules before stay."""
    address, say, _reached = echo
    grpc_faults.set_rules(address, [{"method": "Say$"}])
    with pytest.raises(grpc.RpcError, match=reason) as refused:
        grpc_faults.set_rules(address, rules)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert code(say, b"x") == "UNAVAILABLE"
