"""Conversations over the wire: a scripted model, real tools, bounded memory."""

from __future__ import annotations

from langchain_core.messages import AIMessage, HumanMessage

from pmsi_chain import CodingChain, Settings
from pmsi_chain.serving.app import create_app
from pmsi_chain.serving.chat import Sessions
from tests.scripted import Scripted, calls
from tests.serving_support import CANARY, serving


def test_without_a_model_a_line_says_what_to_set(chain: CodingChain) -> None:
    with serving(create_app(chain.engine.settings, chain)) as client:
        answer = client.post("/chat", json={"message": CANARY})
    assert answer.status_code == 503
    assert "PMSI_LLM_BASE_URL" in answer.json()["detail"]
    assert CANARY not in answer.text


def test_a_conversation_goes_on_shows_its_tools_and_is_forgotten(chain: CodingChain, scripted: Scripted) -> None:
    model = scripted(calls("get_code", code="E44.7"), calls("get_code", code="E44.0"), "C'est E44.0.", "Oui.")
    sessions = Sessions()
    with serving(create_app(chain.engine.settings, chain, chat_model=model, sessions=sessions)) as client:
        first = client.post("/chat", json={"message": "Et E44.7 ?"}).json()
        assert first["answer"] == "C'est E44.0."
        assert [(t["tool"], t["arguments"], t["refused"]) for t in first["tools"]] == [
            ("get_code", {"code": "E44.7"}, True),
            ("get_code", {"code": "E44.0"}, False),
        ]
        assert first["tools"][1]["result"]["code"] == "E44.0"
        second = client.post("/chat", json={"message": "Sûr ?", "session": first["session"]}).json()
        assert (second["session"], second["answer"], second["tools"]) == (first["session"], "Oui.", [])
        assert [m.text for m in model.seen[-1] if isinstance(m, HumanMessage)] == ["Et E44.7 ?", "Sûr ?"]
        assert client.delete(f"/chat/{first['session']}").status_code == 204
        assert len(sessions) == 0
        again = client.post("/chat", json={"message": "Et là ?", "session": first["session"]})
        assert again.status_code == 404
        assert "conversation inconnue" in again.json()["detail"]


def test_a_dead_endpoint_is_told_without_the_question(chain: CodingChain) -> None:
    # port 9 of this machine: nobody answers there
    settings = Settings(state_dir=chain.engine.settings.state_dir, llm_base_url="http://127.0.0.1:9/v1", llm_model="m",
                        llm_max_retries=0)  # fmt: skip
    with serving(create_app(settings, chain)) as client:
        answer = client.post("/chat", json={"message": CANARY})
    assert answer.status_code == 503
    assert "injoignable" in answer.json()["detail"]
    assert CANARY not in answer.text


def test_sessions_are_bounded_in_number_length_and_age() -> None:
    now = [0.0]
    sessions = Sessions(max_sessions=2, max_turns=2, ttl_s=10, clock=lambda: now[0])
    a, b = sessions.open(None), sessions.open(None)
    assert a is not None
    assert b is not None
    assert sessions.open(a.id) is a  # b is now the one silent longest
    sessions.open(None)
    assert len(sessions) == 2
    assert sessions.open(b.id) is None
    talk = [HumanMessage("1"), AIMessage("un"), HumanMessage("2"), AIMessage("deux"), HumanMessage("3")]
    sessions.keep(a, list(talk))
    assert [m.text for m in a.messages] == ["2", "deux", "3"]
    now[0] = 11
    assert sessions.open(a.id) is None
    assert len(sessions) == 0
