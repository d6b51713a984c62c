"""The Messages API server through the vendor's own SDK only."""

import json
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from local import ports

ROOT = Path(__file__).resolve().parents[3]
LONG = "You are an analyst. " * 400


class Api:
    """A running server, its script and a client."""

    def __init__(self, data: Path) -> None:
        self.port = ports.free()
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.anthropic", "--port", str(self.port), "--data", str(data), "--key", "k"],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"ready http://127.0.0.1:{self.port}\n"
        self.client = self.with_key("k")

    def with_key(self, key: str, retries: int = 0) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key=key, base_url=f"http://127.0.0.1:{self.port}", max_retries=retries)

    def say(self, *replies: dict[str, Any]) -> None:
        (self.data / "script.json").write_text(json.dumps({"replies": list(replies)}))

    def create(self, text: str = "hi", **more: Any) -> Any:
        more.setdefault("messages", [{"role": "user", "content": text}])
        return self.client.messages.create(model="claude-sonnet-4-5", max_tokens=100, **more)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    running = Api(tmp_path_factory.mktemp("api"))
    yield running
    running.process.kill()
    running.process.wait()


def test_it_says_that_it_is_well_and_ends_with_zero(tmp_path: Path) -> None:
    """As every server of the laptop's cloud."""
    running = Api(tmp_path)
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/_local/health") as answer:
        assert answer.status == 200
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait() == 0


def test_a_message_has_its_blocks_usage_and_stop_reason(api: Api) -> None:
    """The answer that does not stream."""
    api.say(
        {"blocks": [{"text": "Hello."}, {"tool_use": {"name": "t", "input": {"a": [1]}}}], "output_tokens": 7}
    )
    message = api.create()
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert (message.content[1].input, message.stop_reason, message.usage.output_tokens) == (
        {"a": [1]},
        "tool_use",
        7,
    )


def test_the_stream_helper_builds_the_same_message(api: Api) -> None:
    """Text and arguments in pieces come together to what was scripted."""
    api.say(
        {
            "blocks": [{"text": "Grüße"}, {"tool_use": {"name": "t", "input": {"a": "€"}}}],
            "piece": 1,
            "shred": 3,
            "pings": True,
        }
    )
    with api.client.messages.stream(
        model="claude-sonnet-4-5", max_tokens=100, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == "Grüße"
    assert message.content[1].input == {"a": "€"}  # type: ignore[union-attr]


def test_a_keyed_reply_answers_its_question_each_time(api: Api) -> None:
    """And leaves the ordered ones to the others."""
    api.say({"when": "carriers", "blocks": [{"text": "sixteen"}]}, {"blocks": [{"text": "first"}]})
    said = [api.create(text).content[0].text for text in ("how many carriers?", "hello", "carriers again")]
    assert said == ["sixteen", "first", "sixteen"]
    with pytest.raises(anthropic.InternalServerError):
        api.create("no more")


def test_the_client_waits_as_long_as_it_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with retry-after, then the answer; the vendor's client is told how long to sleep."""
    api.say(
        {"error": {"status": 429, "type": "rate_limit_error", "retry_after": 1}}, {"blocks": [{"text": "ok"}]}
    )
    slept: list[float] = []
    monkeypatch.setattr(anthropic._base_client.time, "sleep", slept.append)
    client = api.with_key("k", retries=1)
    client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    assert slept
    assert slept[0] >= 1


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (529, "overloaded_error", anthropic.APIStatusError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
    ],
)
def test_scripted_errors_reach_the_client_as_they_are(
    api: Api, status: int, kind: str, error: type[anthropic.APIStatusError]
) -> None:
    """Status and type."""
    api.say({"error": {"status": status, "type": kind, "message": "m"}})
    with pytest.raises(error) as caught:
        api.create()
    assert caught.value.status_code == status


def test_a_wrong_key_is_401(api: Api) -> None:
    """Before anything of the request is looked at."""
    with pytest.raises(anthropic.AuthenticationError):
        api.with_key("other").messages.create(model="m", max_tokens=1, messages=[])


def test_the_second_call_reads_the_prefix_that_the_first_one_wrote(api: Api) -> None:
    """By lifetime; one changed byte before a breakpoint writes everything anew."""
    api.say(*[{"blocks": [{"text": "ok"}]}] * 4)

    def usage(first: str) -> Any:
        system = [
            {"type": "text", "text": first + LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": f"now {uuid.uuid4()}"},
        ]
        return api.create(system=system).usage

    one, two, other = usage("A"), usage("A"), usage("B")
    assert one.cache_read_input_tokens == 0
    assert one.cache_creation.ephemeral_1h_input_tokens > 1900 < one.cache_creation.ephemeral_5m_input_tokens
    assert two.cache_read_input_tokens == one.cache_creation_input_tokens
    assert two.cache_creation_input_tokens == 0
    assert 0 < two.input_tokens < 100
    assert other.cache_read_input_tokens == 0


def test_a_short_prefix_is_not_kept(api: Api) -> None:
    """Below the smallest size a breakpoint does nothing, silently, as at the vendor."""
    api.say(*[{"blocks": [{"text": "ok"}]}] * 2)
    system = [{"type": "text", "text": "short", "cache_control": {"type": "ephemeral"}}]
    for _ in range(2):
        usage = api.create(system=system).usage
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (0, 0)


def _kept(text: str, ttl: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"temperature": 1}, "temperature"),
        ({"system": [_kept(str(n), "5m") for n in range(5)]}, "maximum of 4"),
        ({"system": [_kept("a", "5m"), _kept("b", "1h")]}, "must not come after"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "first message"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": ""}]}
                ]
            },
            "unexpected `tool_use_id`",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "x", "name": "t", "input": {}}],
                    },
                    {"role": "user", "content": "b"},
                ]
            },
            "without `tool_result`",
        ),
        ({"tools": [{"name": "t", "input_schema": {}}]}, "input_schema"),
    ],
)
def test_what_the_vendor_refuses_is_refused(api: Api, more: dict[str, Any], says: str) -> None:
    """invalid_request_error, with the reason."""
    extra = {"extra_body": {"temperature": 1}} if "temperature" in more else more
    with pytest.raises(anthropic.BadRequestError, match=says):
        api.create(**extra)


def test_tokens_are_counted_without_a_call(api: Api) -> None:
    """More text, more tokens."""
    counts = [
        api.client.messages.count_tokens(model="m", messages=[{"role": "user", "content": text}]).input_tokens
        for text in ("hi", LONG)
    ]
    assert counts[1] - counts[0] > 1900
