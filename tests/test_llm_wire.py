"""The selector through the real client and a real HTTP server on loopback that speaks the chat-completions protocol."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.llm import LlmSelector
from pmsi_chain.llm.answer import SCHEMA_NAME
from pmsi_chain.selection import Selection
from pmsi_chain.settings import Settings
from tests.test_llm_selector import CANARY, GOOD, REPORT, answer, assert_grounded_and_legal, is_fallback, pick, request

Body = dict[str, Any]
Reaction = Callable[["Handler", Body], None]


class Handler(BaseHTTPRequestHandler):
    """Reacts to each request with the next reaction of the server's list; the last one repeats."""

    server: Endpoint
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.heads.append((self.path, dict(self.headers)))
            reaction = self.server.reactions[min(len(self.server.bodies), len(self.server.reactions)) - 1]
        reaction(self, body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""

    def send(self, status: int, payload: Any, kind: str = "application/json", **headers: str) -> None:
        data = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)


class Endpoint(ThreadingHTTPServer):
    """A local endpoint; what it was asked is in `bodies` and `heads`."""

    daemon_threads = True

    def __init__(self, *reactions: Reaction) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reactions = reactions
        self.bodies: list[Body] = []
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def completion(message: Body, finish: str = "stop") -> Body:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "local",
        "choices": [{"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def method_of(body: Body) -> str:
    if body.get("tools"):
        return "function_calling"
    return {"json_schema": "json_schema", "json_object": "json_mode"}[body["response_format"]["type"]]


def says(said: Any, finish: str = "stop") -> Reaction:
    """Answers as asked: a tool call when tools are given, else JSON text."""

    def react(handler: Handler, body: Body) -> None:
        text = said if isinstance(said, str) else json.dumps(said)
        if body.get("tools"):
            call = {"id": "1", "type": "function", "function": {"name": SCHEMA_NAME, "arguments": text}}
            handler.send(200, completion({"content": None, "tool_calls": [call]}, "tool_calls"))
        else:
            handler.send(200, completion({"content": text}, finish))

    return react


def only(method: str, said: Any) -> Reaction:
    """Supports one method; the others are bad requests, with an error that echoes what was sent."""

    def react(handler: Handler, body: Body) -> None:
        if method_of(body) == method:
            says(said)(handler, body)
        else:
            handler.send(400, {"error": {"message": f"unsupported: {json.dumps(body)}", "type": "invalid_request"}})

    return react


def status(code: int, **headers: str) -> Reaction:
    """An error whose body repeats the request, as some servers' do."""

    def react(handler: Handler, body: Body) -> None:
        handler.send(code, {"error": {"message": json.dumps(body), "type": "x", "code": "y"}}, **headers)

    return react


def body_is(text: str, kind: str = "application/json") -> Reaction:
    return lambda handler, body: handler.send(200, text, kind)


def refuses(handler: Handler, body: Body) -> None:
    handler.send(200, completion({"content": None, "refusal": f"Je ne peux pas lire {CANARY}."}))


def hangs(handler: Handler, body: Body) -> None:
    time.sleep(4)


def drops(handler: Handler, body: Body) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def dies_halfway(handler: Handler, body: Body) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "chatcmpl-1", "choices": [')
    handler.wfile.flush()
    drops(handler, body)


def dribbles(handler: Handler, body: Body) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for _ in range(120):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


def chats(handler: Handler, body: Body) -> None:
    """Ignores how it was asked and talks."""
    handler.send(200, completion({"content": f"Bien sûr ! Pour {CANARY}, je coderais Z51.5."}))


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    running: list[Endpoint] = []

    def start(*reactions: Reaction) -> Endpoint:
        server = Endpoint(*reactions)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


Start = Callable[..., Endpoint]


def selector_at(url: str, **options: Any) -> LlmSelector:
    values: dict[str, Any] = {
        "llm_base_url": url,
        "llm_model": "local",
        "llm_timeout_s": 5.0,
        "llm_max_retries": 0,
    }
    return LlmSelector.from_settings(Settings(**(values | options)))


def ask(url: str, **options: Any) -> Selection:
    asked = request()
    with selector_at(url, **options) as asking:
        chosen = asking(asked)
    assert_grounded_and_legal(chosen, asked)
    return chosen


# -- what works ------------------------------------------


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_the_method_that_the_endpoint_supports_is_found_and_remembered(endpoint: Start, method: str) -> None:
    server = endpoint(only(method, GOOD))
    with selector_at(server.url) as asking:
        assert asking(request()).decided_by == "llm"
        assert asking.method == method
        assert asking.model_name == "local"
        assert asking.prompt.id == "select_codes_v1"
        before = len(server.bodies)
        assert asking(request()).decided_by == "llm"
    assert len(server.bodies) == before + 1
    assert method_of(server.bodies[-1]) == method


def test_a_set_method_is_the_only_one_tried(endpoint: Start) -> None:
    server = endpoint(only("json_schema", GOOD))
    assert is_fallback(ask(server.url, llm_structured="json_mode"))
    assert [method_of(b) for b in server.bodies] == ["json_mode"]


def test_request_carries_the_closed_schema_and_the_settings(endpoint: Start) -> None:
    server = endpoint(says(GOOD))
    ask(server.url, llm_api_key=SecretStr("secret-1"), llm_max_output_tokens=777)
    sent = server.bodies[0]
    schema = sent["response_format"]["json_schema"]["schema"]
    dp = schema["properties"]["dp"]["anyOf"][0]["properties"]
    das = schema["properties"]["das"]["items"]["properties"]
    assert sent["response_format"]["json_schema"]["strict"] is True
    assert dp["candidate"]["enum"] == ["c1", "c3"]
    assert das["candidate"]["enum"] == ["c1", "c2", "c3"]
    assert dp["evidence"]["enum"] == ["e1", "e2", "e3", "e4"]
    assert schema["properties"]["dr"]["type"] == "null"
    assert (sent["model"], sent["temperature"], sent["max_completion_tokens"]) == ("local", 0.0, 777)
    assert {k.lower(): v for k, v in server.heads[0][1].items()}["authorization"] == "Bearer secret-1"


def test_no_foreign_key_is_sent(endpoint: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-service")
    server = endpoint(says(GOOD))
    ask(server.url)
    assert "sk-of-another-service" not in repr(server.heads)


def test_async_through_the_wire(endpoint: Start) -> None:
    server = endpoint(says(GOOD))

    async def run() -> Selection:
        async with selector_at(server.url) as asking:
            return await asking.acall(request())

    assert asyncio.run(run()).decided_by == "llm"


def test_429_then_success_is_waited_for(endpoint: Start) -> None:
    server = endpoint(status(429, Retry_After_Ms="20"), status(503, Retry_After_Ms="20"), says(GOOD))
    assert ask(server.url, llm_max_retries=2).decided_by == "llm"
    assert len(server.bodies) == 3


def test_bad_answer_then_good_one(endpoint: Start) -> None:
    server = endpoint(says(answer(pick("c2", "e2"))), says(GOOD))
    assert ask(server.url).decided_by == "llm"
    roles = [m["role"] for m in server.bodies[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


# -- what does not ---------------------------------------

UNUSABLE: dict[str, tuple[Reaction, str]] = {
    "refusal": (refuses, "refusé de répondre"),
    "length": (says('{"dp": {"candidate": "c1", "evid', finish="length"), "coupée"),
    "html": (body_is("<html>Bad gateway</html>", "text/html"), "inutilisable"),
    "broken json": (body_is('{"id": '), "inutilisable"),
    "other json": (body_is('{"hello": 1}'), "inutilisable"),
    "json array": (body_is("[]"), "inutilisable"),
    "no choices": (body_is(json.dumps(completion({}) | {"choices": []})), "inutilisable"),
    "chatter": (chats, "forme demandée"),
    "empty": (says(""), "forme demandée"),
    "null": (says("null"), "forme demandée"),
    "429": (status(429), "saturé"),
    "500": (status(500), "HTTP 500"),
    "503": (status(503), "HTTP 503"),
    "400": (status(400), "HTTP 400"),
    "too long": (
        lambda h, b: h.send(400, {"error": {"message": "long", "code": "context_length_exceeded"}}),
        "PMSI_LLM_TOKEN_BUDGET",
    ),
    "too long for vllm": (
        lambda h, b: h.send(400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}),
        "PMSI_LLM_TOKEN_BUDGET",
    ),
    "too large": (status(413), "PMSI_LLM_TOKEN_BUDGET"),
    "401": (status(401), "PMSI_LLM_API_KEY"),
    "404": (status(404), "HTTP 404"),
    "redirect": (status(307, Location="http://127.0.0.1:9/v1/chat/completions"), "HTTP 307"),
    "drop": (drops, "coupé la connexion"),
    "half an answer": (dies_halfway, "coupé la connexion"),
    "obeys an injection": (says(answer(pick("Z515", "e1", CANARY))), "vérification"),
}


@pytest.mark.parametrize("case", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_endpoint_ends_with_the_rules_and_says_why_without_the_report(
    endpoint: Start, case: tuple[Reaction, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    reaction, why = case
    server = endpoint(reaction)
    chosen = ask(server.url)
    assert is_fallback(chosen)
    assert why in chosen.notes[-1]
    assert CANARY in repr(server.bodies)  # the endpoint is on loopback: it did see the report
    for text in (caplog.text, repr(chosen.notes)):
        assert CANARY not in text
        assert "amoxicilline" not in text


def test_hung_endpoint_is_given_up(endpoint: Start) -> None:
    server = endpoint(hangs)
    start = time.monotonic()
    chosen = ask(server.url, llm_timeout_s=0.2)
    assert time.monotonic() - start < 3.0
    assert is_fallback(chosen)
    assert "n'a pas répondu en 0.2 s" in chosen.notes[-1]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_endpoint_that_never_ends_its_answer_is_given_up(endpoint: Start, asynchronous: bool) -> None:
    """A byte now and then beats a read timeout; the whole body has a limit too."""
    url = endpoint(dribbles).url

    async def run() -> Selection:
        async with selector_at(url, llm_timeout_s=0.3) as asking:
            return await asking.acall(request())

    start = time.monotonic()
    chosen = asyncio.run(run()) if asynchronous else ask(url, llm_timeout_s=0.3)
    assert time.monotonic() - start < 4.0
    assert is_fallback(chosen)
    assert "n'en finit pas" in chosen.notes[-1]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_endless_answer_is_given_up(endpoint: Start, monkeypatch: pytest.MonkeyPatch, asynchronous: bool) -> None:
    monkeypatch.setattr("pmsi_chain.llm.wire.MAX_ANSWER_BYTES", 50_000)
    padded = json.dumps(completion({"content": json.dumps(GOOD)})) + " " * 200_000
    url = endpoint(body_is(padded)).url

    async def run() -> Selection:
        async with selector_at(url) as asking:
            return await asking.acall(request())

    chosen = asyncio.run(run()) if asynchronous else ask(url)
    assert is_fallback(chosen)
    assert "n'en finit pas" in chosen.notes[-1]


def test_endpoint_that_changes_its_mind_is_found_out_again(endpoint: Start) -> None:
    server = endpoint(only("json_schema", GOOD), only("json_mode", GOOD))
    with selector_at(server.url) as asking:
        assert asking(request()).decided_by == "llm"
        assert is_fallback(asking(request()))
        assert asking.method is None
        assert asking(request()).decided_by == "llm"
        assert asking.method == "json_mode"


def test_tool_call_cut_at_the_length_limit_is_no_answer(endpoint: Start) -> None:
    def cut(handler: Handler, body: Body) -> None:
        call = {"id": "1", "type": "function", "function": {"name": SCHEMA_NAME, "arguments": json.dumps(GOOD)}}
        handler.send(200, completion({"content": None, "tool_calls": [call]}, "length"))

    chosen = ask(endpoint(cut).url, llm_structured="function_calling")
    assert is_fallback(chosen)
    assert "coupée" in chosen.notes[-1]


def test_dead_endpoint_is_named_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    chosen = ask(f"http://127.0.0.1:{port}/v1")
    assert "injoignable" in chosen.notes[-1]


def test_endpoint_that_dies_between_two_reports(endpoint: Start) -> None:
    server = endpoint(says(GOOD), drops)
    with selector_at(server.url) as asking:
        assert asking(request()).decided_by == "llm"
        assert is_fallback(asking(request()))


def test_retries_are_counted(endpoint: Start) -> None:
    server = endpoint(status(500, Retry_After_Ms="5"))
    ask(server.url, llm_max_retries=2)
    assert len(server.bodies) == 3


def test_proxy_of_the_environment_does_not_see_a_local_call(endpoint: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = endpoint(says(GOOD)), endpoint(says(GOOD))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert ask(server.url).decided_by == "llm"
    assert proxy.bodies == []


def test_redirection_is_not_followed(endpoint: Start) -> None:
    elsewhere = endpoint(says(GOOD))
    server = endpoint(status(307, Location=f"{elsewhere.url}/chat/completions"))
    assert is_fallback(ask(server.url))
    assert elsewhere.bodies == []


# -- settings --------------------------------------------


def under_another_name(server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a local server under a name that is not loopback's."""
    true_lookup = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        return true_lookup("127.0.0.1" if host in ("llm.example", b"llm.example") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return f"http://llm.example:{server.server_address[1]}/v1"


def test_loopback_reads_the_report_and_others_do_not(endpoint: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same server under a name that is not loopback's: the text is pseudonymised, unless asked otherwise."""
    server = endpoint(says(GOOD))
    distant = under_another_name(server, monkeypatch)
    assert ask(distant).decided_by == "llm"
    assert CANARY not in repr(server.bodies)
    assert "12/03/2026" not in repr(server.bodies)
    ask(distant, llm_send_identified=True)
    assert CANARY in repr(server.bodies[1])
    ask(server.url)
    assert REPORT.splitlines()[2] in server.bodies[2]["messages"][1]["content"]


def test_concurrency_of_the_settings_holds(endpoint: Start) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def counts(handler: Handler, body: Body) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.03)
        with lock:
            running -= 1
        says(GOOD)(handler, body)

    with selector_at(endpoint(counts).url, llm_max_concurrency=3) as asking, ThreadPoolExecutor(8) as pool:
        assert {s.decided_by for s in pool.map(asking, [request()] * 12)} == {"llm"}
    assert most == 3


def test_token_budget_of_the_settings_holds(endpoint: Start) -> None:
    server = endpoint(says(GOOD))
    long_text = REPORT + "\nExamen clinique :\n" + "Rien de particulier ce jour. " * 400
    with selector_at(server.url, llm_token_budget=3_000) as asking:
        chosen = asking(request(text=long_text))
    sent = sum(len(m["content"]) for m in server.bodies[0]["messages"])
    assert sent <= 3_000 * 3 < len(long_text)
    assert any("examen (" in note for note in chosen.notes)


@pytest.mark.parametrize(
    "values",
    [{}, {"llm_base_url": "http://127.0.0.1/v1"}, {"llm_model": "m"}, {"llm_base_url": "ftp://x", "llm_model": "m"}],
)
def test_incomplete_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="PMSI_LLM_BASE_URL"):
        LlmSelector.from_settings(Settings(**values))


def test_tracing_is_refused_when_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    with pytest.raises(ConfigurationError, match="LANGCHAIN_TRACING_V2"):
        selector_at("http://127.0.0.1:9/v1")
    selector_at("http://127.0.0.1:9/v1", allow_tracing=True).close()
