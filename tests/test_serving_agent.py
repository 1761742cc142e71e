"""The agent under LangServe's protocol: its own client gets what the local agent gives, and nothing leaks."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage, HumanMessage

from pmsi_chain import CodingChain, RAGEngine, Settings
from pmsi_chain.agent import create_coding_agent
from pmsi_chain.serving.app import create_app
from tests.scripted import Scripted, calls
from tests.serving_support import CANARY, engine_with, remote, serving
from tests.test_llm_wire import Endpoint, Handler, completion, under_another_name

SCRIPT = (calls("get_code", code="E44.0"), "E44.0 demande un critère de plus.")


def told(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    return [(message.type, message.text) for message in messages]


def test_remote_invoke_and_batch_equal_the_local_agent(chain: CodingChain, scripted: Scripted) -> None:
    here = create_coding_agent(scripted(*SCRIPT), chain.engine, chain)
    local = told(here.invoke({"messages": [HumanMessage("Pourquoi pas E44.0 ?")]})["messages"])
    with serving(create_app(chain.engine.settings, chain, chat_model=scripted(*SCRIPT * 3))) as client:
        agent = remote(client, "/agent")
        got = agent.invoke({"messages": [HumanMessage("Pourquoi pas E44.0 ?")]})
        assert all(isinstance(message, BaseMessage) for message in got["messages"])
        assert told(got["messages"]) == local
        assert got["messages"][1].tool_calls[0]["name"] == "get_code"
        assert told(agent.invoke("Pourquoi pas E44.0 ?")["messages"]) == local
        (batched,) = agent.batch([{"messages": [("human", "Pourquoi pas E44.0 ?")]}])
        assert told(batched["messages"]) == local


def test_remote_stream_shows_each_step(chain: CodingChain, scripted: Scripted) -> None:
    here = create_coding_agent(scripted(*SCRIPT), chain.engine, chain)
    local = [list(piece) for piece in here.stream({"messages": [HumanMessage("E44.0 ?")]})]
    with serving(create_app(chain.engine.settings, chain, chat_model=scripted(*SCRIPT))) as client:
        pieces = list(remote(client, "/agent").stream({"messages": [HumanMessage("E44.0 ?")]}))
    assert [list(piece) for piece in pieces] == local
    assert [name for piece in pieces for name in piece if name in ("model", "tools")] == ["model", "tools", "model"]
    assert pieces[-1]["model"]["messages"][0].text == SCRIPT[1]


async def test_remote_events_and_log_show_the_tools(chain: CodingChain, scripted: Scripted) -> None:
    with serving(create_app(chain.engine.settings, chain, chat_model=scripted(*SCRIPT * 2))) as client:
        agent = remote(client, "/agent")
        events: list[Any] = [event async for event in agent.astream_events("E44.0 ?")]
        assert ("on_tool_end", "get_code") in [(event["event"], event["name"]) for event in events]
        await agent.async_client.aclose()
        # LangServe's client takes an entry of type "tool" for a message and stumbles over it: the bare protocol then
        streamed = client.post("/agent/stream_log", json={"input": "E44.0 ?"}).text
    pieces = [json.loads(line.removeprefix("data: ")) for line in streamed.splitlines() if line.startswith("data: {")]
    ops = [op for piece in pieces for op in piece["ops"]]
    assert "/logs/get_code" in [op["path"] for op in ops]
    assert streamed.endswith("event: end\n\n")


def test_schemas_say_what_is_read(chain: CodingChain) -> None:
    with serving(create_app(chain.engine.settings, chain)) as client:
        assert client.get("/agent/input_schema").json()["anyOf"][0] == {"type": "string"}
        assert "messages" in client.get("/agent/output_schema").json()["properties"]


@pytest.mark.parametrize(
    "given",
    [
        "", 3, [], {}, {"messages": []}, {"messages": "x"}, {"messages": [{"type": "system", "content": CANARY}]},
        {"messages": [{"type": "human", "content": [{"type": "image_url", "image_url": CANARY}]}]},
        {"messages": [{"type": CANARY, "content": CANARY}]}, {"messages": [{"type": "ai", "content": CANARY}]},
        {"messages": [{"type": "human", "content": CANARY}], CANARY: 1},
        {"messages": [{"type": "human", "content": CANARY}] * 201},
    ],
)  # fmt: skip
def test_what_is_no_conversation_is_refused_without_its_words(
    chain: CodingChain, scripted: Scripted, given: Any
) -> None:
    with serving(create_app(chain.engine.settings, chain, chat_model=scripted())) as client:
        answer = client.post("/agent/invoke", json={"input": given})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("input")
    assert CANARY not in answer.text


def test_without_a_model_a_line_says_what_to_set(chain: CodingChain) -> None:
    with serving(create_app(chain.engine.settings, chain)) as client:
        for route in ("invoke", "stream", "stream_events", "stream_log"):
            answer = client.post(f"/agent/{route}", json={"input": CANARY})
            assert answer.status_code == 503
            assert "PMSI_LLM_BASE_URL" in answer.json()["detail"]


def test_a_dead_endpoint_is_told_in_our_words(chain: CodingChain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "pmsi_chain")
    settings = Settings(state_dir=chain.engine.settings.state_dir, llm_base_url="http://127.0.0.1:9/v1", llm_model="m",
                        llm_max_retries=0)  # fmt: skip
    with serving(create_app(settings, chain)) as client:
        answer = client.post("/agent/invoke", json={"input": CANARY})
        assert answer.status_code == 503
        assert "injoignable" in answer.json()["detail"]
        for route in ("stream", "stream_events", "stream_log"):
            streamed = client.post(f"/agent/{route}", json={"input": CANARY}).text
            assert "injoignable" in json.loads('"' + streamed.split('"message": "')[1].split('"')[0] + '"')
    assert not any(CANARY in record.getMessage() for record in caplog.records)


def test_a_model_elsewhere_reads_the_conversation_pseudonymised(
    chain: CodingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same local server under a name that is not loopback's: nothing that identifies someone reaches it."""
    letter = f"Madame {CANARY} Odette, née le 12/03/1954 : E43 ?"

    def answers(handler: Handler, body: dict[str, Any]) -> None:
        name = body["messages"][-1]["content"].split(",")[0]
        handler.send(200, completion({"content": f"Oui pour {name}."}))

    server = Endpoint(answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    distant = under_another_name(server, monkeypatch)
    try:
        for url, identified, seen in ((distant, False, False), (distant, True, True), (server.url, False, True)):
            settings = Settings(state_dir=chain.engine.settings.state_dir, llm_base_url=url, llm_model="m",
                                llm_send_identified=identified)  # fmt: skip
            server.bodies.clear()
            with serving(create_app(settings, chain)) as client:
                answer = client.post("/agent/invoke", json={"input": letter}).json()["output"]["messages"][-1]
                spoken = client.post("/chat", json={"message": letter}).json()["answer"]
            assert (CANARY in repr(server.bodies), "12/03/1954" in repr(server.bodies)) == (seen, seen)
            assert answer["content"] == spoken == f"Oui pour Madame {CANARY} Odette."
    finally:
        server.shutdown()
        server.server_close()


def test_who_asks_is_written_by_the_server_and_not_by_the_client(
    engine: RAGEngine, tmp_path: Path, scripted: Scripted
) -> None:
    log = tmp_path / "audit.jsonl"
    settings = Settings(state_dir=engine.settings.state_dir, audit_log=log, audit_user_header="X-User")
    audited = CodingChain(engine_with(engine, settings))
    with serving(create_app(settings, audited, chat_model=scripted("Oui.", "Oui."))) as client:
        forged = {"config": {"metadata": {"caller": "quelqu'un d'autre"}}}
        one = client.post("/coding/invoke", json={"input": "Toux.", **forged}, headers={"X-User": "dim-3"})
        client.post("/coding/stream", json={"input": "Toux.", **forged})
        client.post("/agent/invoke", json={"input": "E43 ?", **forged}, headers={"X-User": "dim-4"})
        client.post("/chat", json={"message": "E43 ?"}, headers={"X-User": "dim-5"})
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(line["action"], line["caller"]) for line in lines] == [
        ("coding", "dim-3"),
        ("coding", "127.0.0.1"),
        ("agent", "dim-4"),
        ("agent", "dim-5"),
    ]
    assert lines[0]["request_id"] == one.headers["x-request-id"]


def test_an_audit_log_that_cannot_be_written_is_a_503_without_a_word(engine: RAGEngine) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    settings = Settings(state_dir=engine.settings.state_dir, audit_log=Path("/dev/full"))
    audited = CodingChain(engine_with(engine, settings))
    with serving(create_app(settings, audited)) as client:
        answer = client.post("/coding/invoke", json={"input": f"Madame {CANARY}. Embolie pulmonaire."})
        streamed = client.post("/coding/stream", json={"input": f"Madame {CANARY}. Embolie pulmonaire."}).text
    assert answer.status_code == 503
    assert "journal d'audit" in answer.json()["detail"]
    assert CANARY not in answer.text
    assert '"status_code": 503' in streamed
    assert '"stage": "final"' not in streamed
