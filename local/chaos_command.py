"""Make a running stack misbehave: python -m local chaos WHERE FAULT [options].

    latency      answer late, by --seconds
    refuse       answer --status (403, 429, 500, 503, 504) and do nothing
    applied      do what is asked, and lose the answer: the case that makes a careless caller do it twice
    duplicate    (delivery) hand every task and event over twice at once
    reorder      (delivery) hand each over up to --seconds later, so that they overtake one another
    hold         (delivery) let nothing leave
    calm         no fault any more

A fault replaces the one before it in the same place, counts --times down and ends with the process.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

HTTP = ("storage", "bigquery")
GRPC = ("firestore", "kms", "secrets", "tasks")
DELIVERY = "delivery"
PLACES = (*HTTP, *GRPC, DELIVERY, "all")
_CODES = {
    403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_OF_CALLS = ("latency", "refuse", "applied")
_OF_DELIVERY = ("applied", "duplicate", "reorder", "hold")


class Unfit(Exception):
    """The fault does not exist in that place; the text says what does."""


def http_rules(given: argparse.Namespace) -> dict[str, Any]:
    """The body of POST /_local/chaos."""
    if given.fault == "calm":
        return {"rules": []}
    action, value = {
        "latency": ("latency", given.seconds),
        "refuse": ("status", given.status),
        "applied": ("drop_after_apply", 0),
    }[given.fault]
    rule = {"method": "*", "path_regex": given.match, "action": action, "value": value}
    return {"rules": [rule | ({"times": given.times} if given.times else {})]}


def grpc_rules(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The rules of local.cloud.faults.grpc_faults."""
    if given.fault == "calm":
        return []
    rule: dict[str, Any] = {"method": given.match, "count": given.times or 0}
    if given.fault == "latency":
        return [rule | {"action": "latency", "seconds": given.seconds}]
    if given.fault == "refuse":
        return [rule | {"action": "error", "code": _CODES[given.status]}]
    return [rule | {"action": "applied"}]


def delivery_rules(given: argparse.Namespace) -> dict[str, Any]:
    """The body of POST /_local/chaos/delivery."""
    bodies: dict[str, dict[str, Any]] = {
        "calm": {},
        "duplicate": {"duplicate": True},
        "reorder": {"reorder_ms": int(given.seconds * 1000)},
        "applied": {"drop_response": given.times or 1},
        "hold": {"hold": True},
    }
    return bodies[given.fault]


def change(given: argparse.Namespace, ports: dict[str, int]) -> list[str]:
    """Send the fault to each place; answers the places. Raises Unfit, OSError or grpc.RpcError."""
    places = [p for p in PLACES if p != "all"] if given.where == "all" else [given.where]
    if given.where == "all" and given.fault != "calm":
        raise Unfit("all: only calm; name one place for any other fault")
    for place in places:
        _fits(place, given.fault)
        _send(place)(given, ports)
    return places


def _fits(place: str, fault: str) -> None:
    known = _OF_DELIVERY if place == DELIVERY else _OF_CALLS
    if fault != "calm" and fault not in known:
        raise Unfit(f"{place}: there is no {fault}; there are {', '.join(known)} and calm")


def _send(place: str) -> Callable[[argparse.Namespace, dict[str, int]], None]:
    def http(given: argparse.Namespace, ports: dict[str, int]) -> None:
        _post(f"http://127.0.0.1:{ports[place]}/_local/chaos", http_rules(given))

    def grpc(given: argparse.Namespace, ports: dict[str, int]) -> None:
        from local.cloud.faults import grpc_faults

        grpc_faults.set_rules(f"127.0.0.1:{ports[place]}", grpc_rules(given))

    def delivery(given: argparse.Namespace, ports: dict[str, int]) -> None:
        _post(f"http://127.0.0.1:{ports['dispatch']}/_local/chaos/delivery", delivery_rules(given))

    return delivery if place == DELIVERY else http if place in HTTP else grpc


def _post(url: str, body: Any) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise Unfit(json.loads(error.read()).get("error", str(error))) from None


def add_to(commands: Any, home: Path) -> None:
    """The subcommand `chaos` of `python -m local`."""
    parser = commands.add_parser(
        "chaos",
        help="make a running stack misbehave",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("where", choices=PLACES, metavar="WHERE", help=", ".join(PLACES))
    parser.add_argument(
        "fault",
        choices=sorted({*_OF_CALLS, *_OF_DELIVERY, "calm"}),
        metavar="FAULT",
        help="see above; all knows calm only",
    )
    parser.add_argument("--home", type=Path, default=home, help="the data folder of the stack (BRIDGE_HOME)")
    parser.add_argument(
        "--match", default="", help="only calls whose path (HTTP) or method (gRPC) this regex finds"
    )
    parser.add_argument("--times", type=_positive, help="so many calls only (default: until calm)")
    parser.add_argument("--seconds", type=_seconds, default=0.5, help="for latency and reorder (default 0.5)")
    parser.add_argument(
        "--status", type=int, choices=sorted(_CODES), default=503, help="for refuse (default 503)"
    )


def run(given: argparse.Namespace) -> int:
    """Change the faults of the stack in a folder; answers the exit code."""
    try:
        ports = json.loads((given.home / "stack.json").read_text())["ports"]
    except FileNotFoundError:
        print(f"no stack has run in {given.home}: start it, or name its folder with --home", file=sys.stderr)
        return 1
    import grpc

    try:
        places = change(given, ports)
    except Unfit as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, grpc.RpcError) as error:
        reason = error.details() if isinstance(error, grpc.Call) else error
        print(f"{given.where}: {reason}: is the stack of {given.home} running?", file=sys.stderr)
        return 1
    print(f"{given.fault}: {', '.join(places)}")
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 300:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 300")
    return number
