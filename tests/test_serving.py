"""The endpoint over a real wire: LangServe's protocol, pages, what is refused, and what never leaks."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from pmsi_chain import CodingChain, RAGEngine, Settings
from pmsi_chain.domain import Coding
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.serving.app import create_app
from pmsi_chain.serving.langserve import MAX_BATCH
from tests.serving_support import CANARY, REPORT, Running, remote, serving

STAY = {"text": REPORT, "sex": "F", "age": 74, "discharge_date": "2025-03-08"}


@pytest.fixture(scope="module")
def client(chain: CodingChain) -> Iterator[httpx.Client]:
    with serving(create_app(chain.engine.settings, chain)) as client:
        yield client


def timeless(coding: Any) -> Any:
    """A coding's JSON without what a clock gave."""
    return {**coding, "trace": {**coding["trace"], "timings_s": None}}


def local(chain: CodingChain, given: Any) -> Any:
    return timeless(chain.invoke(given).model_dump(mode="json"))


# -- LangServe's own client gets what the local chain gives ------------------------------------------------------------


def test_remote_invoke_equals_the_local_chain(client: httpx.Client, chain: CodingChain) -> None:
    got = remote(client, "/coding").invoke(STAY)
    assert timeless(got) == local(chain, STAY)
    coding = Coding.model_validate(got)
    assert coding.dp is not None
    assert all(REPORT[e.start : e.end] == e.quote for d in coding.diagnoses for e in d.evidence)


def test_remote_takes_a_stay_object_and_a_bare_text(client: httpx.Client, chain: CodingChain) -> None:
    coding = remote(client, "/coding")
    assert timeless(coding.invoke(chain.stay(STAY))) == local(chain, STAY)
    assert timeless(coding.invoke(REPORT)) == local(chain, REPORT)


def test_remote_batch_keeps_the_order(client: httpx.Client, chain: CodingChain) -> None:
    given = [{"text": text, "id": str(i)} for i, text in enumerate([REPORT, "Motif : toux.", "Asthme aigu grave."])]
    got = remote(client, "/coding").batch(given)
    assert [timeless(one) for one in got] == [local(chain, one) for one in given]
    assert [one["trace"]["stay_id"] for one in got] == ["0", "1", "2"]


def test_remote_stream_equals_the_local_stream(client: httpx.Client, chain: CodingChain) -> None:
    text = "Conclusion : pneumopathie\u2028franche lobaire aiguë."  # breaks naive readers of server-sent events
    got = list(remote(client, "/coding").stream({"text": text}))
    here = [timeless(piece.model_dump(mode="json")) for piece in chain.stream(text)]
    assert [timeless(piece) for piece in got] == here


async def test_remote_async_calls(client: httpx.Client, chain: CodingChain) -> None:
    coding = remote(client, "/coding")
    assert timeless(await coding.ainvoke(STAY)) == local(chain, STAY)
    assert [timeless(piece) async for piece in coding.astream(STAY)][-1] == local(chain, STAY)
    await coding.async_client.aclose()


async def test_remote_events_show_the_steps_and_filter(client: httpx.Client) -> None:
    coding = remote(client, "/coding")
    events: list[Any] = [event async for event in coding.astream_events(STAY, {"tags": ["essai"]})]
    ended = [event["name"] for event in events if event["event"] == "on_chain_end"]
    assert [name for name in ended if name in ("read", "link", "propose", "decide", "verify")] == [
        "read", "link", "propose", "decide", "verify"
    ]  # fmt: skip
    assert all("essai" in event["tags"] for event in events)
    proposed = next(e["data"]["output"] for e in events if (e["event"], e["name"]) == ("on_chain_end", "propose"))
    assert proposed["mentions"] > 0
    assert proposed["attested"] > 0
    shown = [e["data"]["chunk"] for e in events if (e["event"], e["name"]) == ("on_chain_stream", "CodingChain")]
    assert [piece["trace"]["stage"] for piece in shown] == ["reading", "mentions", "candidates", "decisions", "final"]
    some: list[Any] = [event async for event in coding.astream_events(STAY, include_names=["verify"])]
    assert {event["name"] for event in some} == {"verify"}
    await coding.async_client.aclose()


async def test_remote_log_is_the_chains_own(client: httpx.Client, chain: CodingChain) -> None:
    coding = remote(client, "/coding")
    log: Any = None
    async for patch in coding.astream_log(STAY):
        log = patch if log is None else log + patch
    assert {"read", "link", "propose", "decide", "verify"} <= set(log.state["logs"])
    assert timeless(log.state["final_output"]) == local(chain, STAY)
    with_state = client.post("/coding/stream_log", json={"input": STAY, "diff": False}).text
    assert '"state":' in with_state
    await coding.async_client.aclose()


def test_remote_search_equals_the_engine(client: httpx.Client, chain: CodingChain) -> None:
    search = remote(client, "/search")
    here = chain.engine.search_icd10("IDM inférieur", 3, position="dp")
    got = search.invoke({"query": "IDM inférieur", "top_k": 3, "position": "dp"})
    assert got == [candidate.model_dump(mode="json") for candidate in here]
    acts = search.invoke({"query": "appendicectomie", "nomenclature": "ccam", "top_k": 2})
    assert [a["code"] for a in acts] == [a.code for a in chain.engine.search_ccam("appendicectomie", 2)]
    assert len(search.invoke("toux")) == 10


def test_schemas_say_what_is_read_and_given(client: httpx.Client) -> None:
    stay = client.get("/coding/input_schema").json()
    assert set(STAY) <= set(stay["$defs"]["Stay"]["properties"])
    assert set(client.get("/coding/output_schema").json()["properties"]) == set(Coding.model_fields)
    assert client.get("/coding/config_schema").json()["properties"].keys() == {"tags", "metadata", "run_name"}
    assert "query" in client.get("/search/input_schema").json()["$defs"]["SearchRequest"]["properties"]
    assert client.get("/search/output_schema").json()["type"] == "array"


def test_batch_config_is_one_for_all_or_one_each(client: httpx.Client) -> None:
    two = {"inputs": ["Toux.", "Asthme."], "config": [{}, {"tags": ["b"]}]}
    answer = client.post("/coding/batch", json=two).json()
    assert len(answer["output"]) == len(answer["metadata"]["run_ids"]) == 2
    refused = client.post("/coding/batch", json={**two, "config": [{}]})
    assert refused.status_code == 422
    assert "1 config pour 2 inputs" in refused.json()["detail"]


# -- what is refused, and how ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/coding/invoke", {"input": ""}, "vide"),
        ("/coding/invoke", {"input": 3}, "séjour"),
        ("/coding/invoke", {"input": {"text": CANARY, CANARY: CANARY}}, "champ inconnu"),
        ("/coding/invoke", {"input": {"text": CANARY, "sex": CANARY}}, "sex"),
        ("/coding/invoke", {"input": {"text": CANARY, "discharge_date": CANARY}}, "discharge_date"),
        ("/coding/invoke", {"input": {"text": CANARY, "discharge_date": "1950-01-01"}}, "1950"),
        ("/coding/invoke", {"input": CANARY, "kwargs": {CANARY: 1}}, "kwargs"),
        ("/coding/invoke", {"input": CANARY, CANARY: 1}, "champ inconnu"),
        ("/coding/invoke", {CANARY: CANARY}, "input"),
        ("/coding/invoke", [CANARY], "JSON"),
        ("/coding/batch", {"inputs": [CANARY] * (MAX_BATCH + 1)}, str(MAX_BATCH)),
        ("/coding/batch", {"inputs": [CANARY, ""]}, "vide"),
        ("/coding/stream", {"input": {"text": CANARY, "age": -1}}, "age"),
        ("/coding/stream_events", {"input": {"text": CANARY}, "include_names": CANARY}, "include_names"),
        ("/search/invoke", {"input": {"query": CANARY, "top_k": 0}}, "top_k"),
        ("/search/invoke", {"input": {"query": CANARY, "version": "1850"}}, "1850"),
        ("/search/invoke", {"input": {"query": CANARY, "nomenclature": "ccam", "position": "dp"}}, "position"),
        ("/search/invoke", {"input": " "}, "vide"),
        ("/chat", {"message": "", CANARY: CANARY}, "message"),
    ],
)
def test_wrong_input_is_one_line_without_its_words(client: httpx.Client, path: str, body: Any, told: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert set(answer.json()) == {"detail"}
    detail = answer.json()["detail"]
    assert told in detail
    assert "\n" not in detail
    assert CANARY not in answer.text


def test_a_body_that_is_no_json(client: httpx.Client) -> None:
    for content_type in ("application/json", "text/plain"):
        answer = client.post("/coding/invoke", content=f'{{"input": "{CANARY}', headers={"content-type": content_type})
        assert answer.status_code == 422
        assert "JSON" in answer.json()["detail"]
        assert CANARY not in answer.text


def test_an_error_in_the_middle_of_a_stream_is_an_event(client: httpx.Client) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="1950") as caught:
        list(remote(client, "/coding").stream({"text": CANARY, "discharge_date": "1950-01-01"}))
    assert caught.value.response.status_code == 422
    assert CANARY not in str(caught.value)


async def test_a_reader_who_stops_reading_frees_the_place_and_logs_nothing(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as leaving:
        for _ in range(6):  # more than there are places
            async with leaving.stream("POST", "/coding/stream_events", json={"input": REPORT}) as answer:
                async for line in answer.aiter_lines():
                    assert line.startswith("event: data")
                    break
        answer = await leaving.post("/coding/invoke", json={"input": REPORT})
    assert answer.status_code == 200
    assert [r.getMessage() for r in caplog.records if r.name.startswith(("pmsi_chain", "asyncio", "uvicorn"))] == []


def test_unknown_addresses_and_methods(client: httpx.Client) -> None:
    for answer, status in ((client.get(f"/{CANARY}"), 404), (client.get("/coding/invoke"), 405)):
        assert answer.status_code == status
        assert "/docs" in answer.json()["detail"]
        assert CANARY not in answer.text


def test_logs_hold_one_json_line_per_request_and_no_word(chain: CodingChain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # a server of its own: a line is written after its answer has left, so all are there only once it has stopped, and
    # the last line of another test's server may come in between
    with serving(create_app(chain.engine.settings, chain)) as client:
        answers = [
            client.post("/coding/invoke", json={"input": REPORT}),
            client.post("/coding/stream", json={"input": REPORT}),
            client.post("/coding/invoke", json={"input": {CANARY: 1}}),
            client.request(CANARY.upper(), f"/{CANARY}?q={CANARY}", headers={"user-agent": CANARY}),
        ]
    ours = [record for record in caplog.records if record.name.startswith(("pmsi_chain", "uvicorn", "langchain"))]
    logged = [json.loads(record.message) for record in ours if record.name == "pmsi_chain.access"]
    lines = [line for answer in answers for line in logged if line["id"] == answer.headers["x-request-id"]]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/coding/invoke", 200),
        ("POST", "/coding/stream", 200),
        ("POST", "/coding/invoke", 422),
        ("other", "unknown", 404),
    ]
    assert lines[0]["bytes_in"] > len(REPORT)
    assert lines[0]["ms"] > 0
    assert not any(CANARY.lower() in record.getMessage().lower() for record in ours)


class Broken(CodingChain):
    """A chain with a bug that quotes the report."""

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Coding:
        if str(input).startswith("CENTRE HOSPITALIER"):  # the bundled report, coded at the start
            return Coding()
        raise KeyError(f"no entry for {input}")

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        raise KeyError(f"no entry for {input}")
        yield


def test_a_bug_is_a_500_and_a_log_line_without_details(chain: CodingChain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(create_app(chain.engine.settings, Broken(chain.engine))) as client:
        answer = client.post("/coding/invoke", json={"input": REPORT})
        assert answer.status_code == 500
        assert "erreur interne" in answer.json()["detail"]
        streamed = client.post("/coding/stream", json={"input": REPORT}).text
    assert '"status_code": 500' in streamed
    assert "event: end" not in streamed
    logged = [json.loads(r.message) for r in caplog.records if r.name == "pmsi_chain.serving"]
    assert [(line["error"], line["at"].partition(":")[0]) for line in logged] == [("KeyError", "test_serving.py")] * 2
    assert logged[0]["id"] == answer.headers["x-request-id"]
    for words in (CANARY, "pneumopathie"):
        assert words not in answer.text + streamed
        assert not any(words in r.getMessage() + str(r.exc_text) for r in caplog.records if r.name != "httpcore")


# -- the door ----------------------------------------------------------------------------------------------------------


def test_the_key_is_asked_for_where_there_is_one(chain: CodingChain) -> None:
    settings = chain.engine.settings.model_copy(update={"api_key": Settings(api_key="clé-secrète").api_key})
    with serving(create_app(settings, chain)) as client:
        body = {"input": {"query": "toux", "top_k": 1}}
        for headers in ({}, {"x-api-key": "faux"}, {"authorization": "Basic clé"}, {"x-api-key": ""}):
            encoded = {name.encode(): value.encode() for name, value in headers.items()}
            refused = client.post("/search/invoke", json=body, headers=encoded)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        for headers in ({"x-api-key": "clé-secrète"}, {"authorization": "Bearer clé-secrète"}):
            encoded = {name.encode(): value.encode() for name, value in headers.items()}
            assert client.post("/search/invoke", json=body, headers=encoded).status_code == 200
        assert client.get("/coding/input_schema").status_code == 401
        for path in ("/", "/health", "/ready", "/docs", "/openapi.json"):
            assert client.get(path).status_code in (200, 503)


def test_the_rate_limit_refuses_and_says_when(chain: CodingChain) -> None:
    settings = chain.engine.settings.model_copy(update={"rate_limit_per_minute": 3})
    with serving(create_app(settings, chain)) as client:
        answers = [client.get("/search/input_schema") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        assert client.get("/health").status_code == 200


def test_a_body_that_is_too_long_is_refused_in_one_line(chain: CodingChain) -> None:
    settings = chain.engine.settings.model_copy(update={"max_body_bytes": 1_000})
    with serving(create_app(settings, chain)) as client:

        def chunks() -> Iterator[bytes]:
            for _ in range(40):
                yield CANARY.encode() * 100

        declared = client.post("/coding/invoke", json={"input": CANARY * 1_000_000})
        undeclared = client.post("/coding/invoke", content=chunks())
        for answer in (declared, undeclared):
            assert answer.status_code == 413
            assert "PMSI_MAX_BODY_BYTES" in answer.json()["detail"]
            assert CANARY not in answer.text
        assert client.post("/search/invoke", json={"input": "toux"}).status_code == 200


def test_tracing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    with pytest.raises(ConfigurationError, match="LANGSMITH_TRACING"):
        create_app(Settings())
    create_app(Settings(allow_tracing=True))


# -- many at once, and the end -----------------------------------------------------------------------------------------


def test_thirty_two_at_once_each_get_their_own_answer(client: httpx.Client) -> None:
    start = threading.Barrier(32)

    def ask(i: int) -> Any:
        text = f"Dossier {i}.\nConclusion : pneumopathie franche lobaire aiguë."
        start.wait()
        return httpx.post(f"{client.base_url}/coding/invoke", json={"input": {"text": text, "id": str(i)}}, timeout=60)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    assert [answer.status_code for answer in answers] == [200] * 32
    for i, answer in enumerate(answers):
        coding = answer.json()["output"]
        assert coding["trace"]["stay_id"] == str(i)
        assert coding["dp"]["evidence"][0]["start"] == len(f"Dossier {i}.\nConclusion : ")


def test_stopping_answers_what_was_received(chain: CodingChain) -> None:
    running = Running(create_app(chain.engine.settings, chain))
    url = running.start()
    n = 8
    try:
        while httpx.get(f"{url}/ready").status_code != 200:
            time.sleep(0.02)

        def ask(i: int) -> int:
            text = "\n".join(f"Épisode {i}.{j} : pneumopathie franche lobaire aiguë." for j in range(100))
            return httpx.post(f"{url}/coding/invoke", json={"input": text}, timeout=60).status_code

        with ThreadPoolExecutor(n) as pool:
            asked = [pool.submit(ask, i) for i in range(n)]
            while httpx.get(f"{url}/ready").json()["in_flight"] < n:
                assert not any(one.done() for one in asked), "too short to be interrupted"
                time.sleep(0.005)
            running.server.should_exit = True
            assert [one.result() for one in asked] == [200] * n
    finally:
        running.stop()


# -- pages -------------------------------------------------------------------------------------------------------------


def test_pages_need_nothing_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert '<html lang="fr">' in page.text
        assert not re.search(r"""(src|href)=["'](https?:)?//""", page.text)
        assert "localStorage" not in page.text
        assert "innerHTML" not in page.text
    assert "/coding/stream_events" in client.get("/docs").text


def test_every_field_of_the_page_has_a_label(client: httpx.Client) -> None:
    page = client.get("/").text
    fields = re.findall(r'<(?:input|select|textarea) id="(\w+)"', page)
    assert set(fields) == {"text", "sex", "age", "discharge", "key"}
    assert set(fields) == set(re.findall(r'<label for="(\w+)">', page))


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/health").json()["status"] == "ok"
    client.post("/search/invoke", json={"input": "toux"})  # answered once all is loaded
    assert client.get("/ready").json() == {"status": "ready", "detail": "prêt", "in_flight": 0}


def test_not_ready_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(state_dir=tmp_path, edition="1850")
    chain = CodingChain(RAGEngine.from_settings(Settings(state_dir=tmp_path)))
    chain.engine.settings = settings
    with serving(create_app(settings, chain)) as client:
        refused = client.post("/coding/invoke", json={"input": REPORT})
        assert refused.status_code == 503
        assert "1850" in refused.json()["detail"]
        ready = client.get("/ready")
    assert ready.status_code == 503
    assert "1850" in ready.json()["detail"]
