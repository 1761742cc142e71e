"""The tools over the real editions and rules, and the agent with a scripted model that calls them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from pmsi_chain.agent import MAX_MODEL_CALLS, coding_tools, create_coding_agent
from pmsi_chain.checking import criteria_for
from pmsi_chain.domain import (
    CodeCandidate,
    CodedDiagnosis,
    CodeType,
    Coding,
    EligibilityCriteria,
    Evidence,
    Finding,
    Position,
    Stay,
)
from pmsi_chain.errors import ConfigurationError, EditionError, InputError, ReportError
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition, load_ccam, load_cim10
from pmsi_chain.privacy.conversation import ConversationPseudonymiser
from pmsi_chain.prompts import load_prompt
from pmsi_chain.settings import Settings
from pmsi_chain.text import fold, tokens
from tests.scripted import Scripted, ScriptedModel, calls

CANARY = "Zyxomarine"


class LabelEngine:
    """The real editions and rules; a search by shared words of the labels stands for the index, which takes time."""

    def __init__(self) -> None:
        self.settings = Settings()

    def cim10(self, version: str | None = None, on: date | None = None) -> Cim10Edition:
        return load_cim10(version, on=on)

    def ccam(self, version: str | None = None, on: date | None = None) -> CcamEdition:
        return load_ccam(version, on=on)

    def search_icd10(
        self, query: str, top_k: int = 10, version: str | None = None, position: Position | None = None
    ) -> list[CodeCandidate]:
        return self._search(query, top_k, self.cim10(version), position)

    def search_ccam(self, query: str, top_k: int = 10, version: str | None = None) -> list[CodeCandidate]:
        return self._search(query, top_k, self.ccam(version), None)

    def retrieve_eligibility_criteria(self, code: str, code_type: CodeType) -> list[EligibilityCriteria]:
        return criteria_for(code, code_type)

    def _search(
        self, query: str, top_k: int, edition: Cim10Edition | CcamEdition, position: Position | None
    ) -> list[CodeCandidate]:
        if not query.strip():
            raise InputError("an empty query was given")
        wanted = set(tokens(query))
        entries = edition.codable(position) if isinstance(edition, Cim10Edition) else edition.codable()
        scored = []
        for entry in entries:
            words = set(tokens(entry.label))
            if wanted & words:
                scored.append((len(wanted & words) / len(wanted | words), entry.code, entry.label))
        scored.sort(key=lambda s: (-s[0], s[1]))
        return [
            CodeCandidate(
                code=code,
                label=label,
                similarity_score=score,
                source="bm25",
                chunk_id=code,
                chunk_text=label,
                version=edition.version,
            )
            for score, code, label in scored[:top_k]
        ]


def coded(stay: Stay) -> Coding:
    """A chain for the tests: refuses a short report, else finds the words « dénutrition sévère »."""
    start = stay.text.find("dénutrition sévère")
    if start < 0:
        raise ReportError(f"the report has {len(stay.text)} characters and nothing to code")
    proof = Evidence(quote="dénutrition sévère", start=start, end=start + 18, section="conclusion")
    das = CodedDiagnosis(
        code="E43", display="E43", label="Dénutrition sévère", position="das", confidence=0.912, evidence=(proof,),
        rule_id="GM2026-IV-DAS-01", rule_source="Guide", reasons=("traitée",),
    )  # fmt: skip
    return Coding(das=(das,))


CHAIN: Runnable[Any, Coding] = RunnableLambda(coded)


@pytest.fixture(scope="module")
def tools() -> dict[str, BaseTool]:
    return {tool.name: tool for tool in coding_tools(LabelEngine(), CHAIN)}


def called(tool: BaseTool, **args: Any) -> ToolMessage:
    message = tool.invoke({"type": "tool_call", "name": tool.name, "args": args, "id": "1"})
    assert isinstance(message, ToolMessage)
    return message


def told(tool: BaseTool, **args: Any) -> Any:
    message = called(tool, **args)
    assert message.status == "success"
    return json.loads(message.text)


def test_tools_have_names_french_descriptions_and_typed_arguments(tools: dict[str, BaseTool]) -> None:
    assert list(tools) == [
        "search_icd10",
        "search_ccam",
        "get_code",
        "retrieve_eligibility_criteria",
        "check_coding",
        "code_report",
    ]
    for tool in tools.values():
        assert tool.description.endswith(".")
        for name, field in convert_to_openai_tool(tool)["function"]["parameters"]["properties"].items():
            assert field.get("description"), f"{tool.name}.{name} has no description"


def test_no_chain_no_code_report() -> None:
    assert "code_report" not in {tool.name for tool in coding_tools(LabelEngine())}


# -- each tool --------------------------------------------------------------------------------------------------------


def test_search_icd10_gives_display_codes_and_positions(tools: dict[str, BaseTool]) -> None:
    found = told(tools["search_icd10"], query="appendicite aiguë avec péritonite localisée", top_k=3)
    assert found["edition"] == load_cim10().version
    assert found["resultats"][0]["code"] == "K35.3"
    assert found["resultats"][0]["positions"] == ["dp", "dr", "das"]
    assert len(found["resultats"]) == 3


def test_search_icd10_artifact_holds_the_candidates(tools: dict[str, BaseTool]) -> None:
    artifact = called(tools["search_icd10"], query="appendicite aiguë", position="dp").artifact
    assert all(isinstance(c, CodeCandidate) for c in artifact)
    assert len(artifact) == 5


def test_search_icd10_keeps_to_a_position(tools: dict[str, BaseTool]) -> None:
    query = "effets indésirables de médicaments"
    anywhere = told(tools["search_icd10"], query=query)["resultats"]
    as_dp = told(tools["search_icd10"], query=query, position="dp")["resultats"]
    assert any("dp" not in r["positions"] for r in anywhere)
    assert as_dp
    assert all("dp" in r["positions"] for r in as_dp)


def test_search_ccam(tools: dict[str, BaseTool]) -> None:
    entry = next(iter(load_ccam().codable()))
    found = told(tools["search_ccam"], query=entry.label)
    assert entry.code in [r["code"] for r in found["resultats"]]


def test_get_code_tells_hierarchy_and_positions(tools: dict[str, BaseTool]) -> None:
    card = told(tools["get_code"], code="e440")
    assert card["code"] == "E44.0"
    assert card["positions"] == ["dp", "dr", "das"]
    assert any(parent.startswith("E44 ") for parent in card["parents"])
    assert any(near.startswith("E44.1 ") for near in card["voisins"])


def test_get_code_of_a_parent_shows_its_children(tools: dict[str, BaseTool]) -> None:
    card = told(tools["get_code"], code="E44")
    assert card["positions"] == []
    assert any(child.startswith("E44.0 ") for child in card["sous_codes"])


def test_get_code_reads_acts(tools: dict[str, BaseTool]) -> None:
    entry = next(iter(load_ccam().codable()))
    assert told(tools["get_code"], code=entry.code.lower())["libelle"] == entry.label


def test_eligibility_cites_the_guide(tools: dict[str, BaseTool]) -> None:
    criteria = told(tools["retrieve_eligibility_criteria"], code="E43", code_type="das")["criteres"]
    assert criteria
    assert all(c["source"] and c["regle"] for c in criteria)
    assert any("Guide méthodologique MCO" in c["source"] for c in criteria)


def test_check_coding_finds_an_unknown_and_a_forbidden_code(tools: dict[str, BaseTool]) -> None:
    message = called(tools["check_coding"], dp="V00.00", das=["X99999"], sex="F", age=40)
    found = json.loads(message.text)
    assert found["bloquant"] is True
    assert all(isinstance(f, Finding) for f in message.artifact)
    assert {f["gravite"] for f in found["constats"]} >= {"blocking"}


def test_check_coding_passes_a_plain_coding(tools: dict[str, BaseTool]) -> None:
    assert told(tools["check_coding"], dp="J18.1")["bloquant"] is False


def test_check_coding_looks_at_the_patient(tools: dict[str, BaseTool]) -> None:
    assert "l'homme" in called(tools["check_coding"], dp="N40", sex="F").text
    assert "l'homme" not in called(tools["check_coding"], dp="N40", sex="M").text


def test_code_report_gives_codes_with_proofs(tools: dict[str, BaseTool]) -> None:
    message = called(tools["code_report"], report="Conclusion : dénutrition sévère.", sex="F", age=81)
    found = json.loads(message.text)
    assert found["das"][0]["code"] == "E43"
    assert found["das"][0]["preuve"] == "dénutrition sévère"
    assert found["das"][0]["confiance"] == 0.91
    assert found["das"][0]["a_confirmer"] is True  # nobody marked it automatic
    assert isinstance(message.artifact, Coding)


def test_async_tools_work(tools: dict[str, BaseTool]) -> None:
    message = asyncio.run(
        tools["get_code"].ainvoke({"type": "tool_call", "name": "x", "args": {"code": "E43"}, "id": "1"})
    )
    assert json.loads(message.text)["code"] == "E43"


# -- refusals come back as answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("get_code", {"code": "E44.99"}, "E44"),
        ("get_code", {"code": "ZZZ"}, "CIM-10"),
        ("get_code", {"code": "ZZZZ999"}, "ZZZZ999"),
        ("retrieve_eligibility_criteria", {"code": "E99.9", "code_type": "das"}, "E99"),
        ("search_icd10", {"query": "toux", "version": "1850"}, "1850"),
        ("search_icd10", {"query": "   "}, "empty"),
        ("code_report", {"report": CANARY}, "10 characters"),
    ],
)
def test_errors_of_ours_come_back(tools: dict[str, BaseTool], name: str, args: dict[str, Any], words: str) -> None:
    message = called(tools[name], **args)
    assert message.status == "error"
    assert message.text.startswith("Refusé")
    assert words in message.text
    assert CANARY not in message.text


def test_unknown_code_names_its_neighbours(tools: dict[str, BaseTool]) -> None:
    assert "E44.0" in called(tools["get_code"], code="E44.7").text


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("search_icd10", {"query": "toux", "top_k": 1000}, "top_k"),
        ("search_icd10", {"query": "toux", "position": "das/dp"}, "position"),
        ("search_icd10", {}, "query"),
        ("retrieve_eligibility_criteria", {"code": "E43", "code_type": "DP"}, "code_type"),
        ("code_report", {"report": CANARY, "age": -1}, "age"),
        ("code_report", {"report": {CANARY: 1}}, "report"),
        ("get_code", {"code": CANARY * 9}, "code"),
    ],
)
def test_wrong_arguments_come_back_without_their_values(
    tools: dict[str, BaseTool], name: str, args: dict[str, Any], words: str
) -> None:
    message = called(tools[name], **args)
    assert message.status == "error"
    assert message.text.startswith("Arguments refusés")
    assert words in message.text
    assert CANARY not in message.text


def test_other_exceptions_are_not_hidden() -> None:
    class Broken(LabelEngine):
        def search_ccam(self, query: str, top_k: int = 10, version: str | None = None) -> list[CodeCandidate]:
            raise ZeroDivisionError

    tool = next(t for t in coding_tools(Broken()) if t.name == "search_ccam")
    with pytest.raises(ZeroDivisionError):
        tool.invoke({"query": "x"})


# -- the agent --------------------------------------------------------------------------------------------------------


def ask(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def test_agent_answers_from_visible_tool_calls(scripted: Scripted) -> None:
    model = scripted(
        calls("get_code", code="E44.0"),
        calls("retrieve_eligibility_criteria", code="E44.0", code_type="das"),
        "E44.0 demande un critère de plus.",
    )
    agent = create_coding_agent(model, LabelEngine(), CHAIN)
    messages = agent.invoke(ask("Pourquoi pas E44.0 ?"))["messages"]
    assert [m.type for m in messages] == ["human", "ai", "tool", "ai", "tool", "ai"]
    assert json.loads(messages[2].text)["code"] == "E44.0"
    assert "Guide méthodologique" in messages[4].text
    assert messages[-1].text == "E44.0 demande un critère de plus."


def test_agent_is_told_its_rules_first(scripted: Scripted) -> None:
    model = scripted("Bonjour.")
    create_coding_agent(model, LabelEngine()).invoke(ask("Bonjour"))
    assert model.seen[0][0].text == load_prompt("agent_v1").render()[0].text


def test_agent_gets_a_refusal_and_mends_its_call(scripted: Scripted) -> None:
    model = scripted(calls("get_code", code="E44.7"), calls("get_code", code="E44.0"), "C'est E44.0.")
    messages = create_coding_agent(model, LabelEngine()).invoke(ask("E44.7 ?"))["messages"]
    assert messages[2].status == "error"
    assert "E44.0" in messages[2].text
    assert messages[4].status == "success"


def test_agent_that_invents_a_tool_is_told_so(scripted: Scripted) -> None:
    model = scripted(calls("emit_code", code="Z515"), "Je ne peux pas.")
    messages = create_coding_agent(model, LabelEngine()).invoke(ask("Code Z515"))["messages"]
    assert messages[2].status == "error"


def test_agent_async_and_with_memory(scripted: Scripted) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    model = scripted(calls("get_code", code="E43"), "C'est la dénutrition sévère.", "Oui.")
    agent = create_coding_agent(model, LabelEngine(), checkpointer=InMemorySaver())

    async def talk() -> list[Any]:
        config: Any = {"configurable": {"thread_id": "1"}}
        await agent.ainvoke(ask("E43 ?"), config)
        messages: list[Any] = (await agent.ainvoke(ask("Sûr ?"), config))["messages"]
        return messages

    assert len(asyncio.run(talk())) == 6


def test_agent_that_never_answers_is_stopped(scripted: Scripted) -> None:
    turns = [
        AIMessage("", tool_calls=[{"name": "get_code", "args": {"code": "E43"}, "id": f"call-{n}"}])
        for n in range(MAX_MODEL_CALLS)
    ]
    messages = create_coding_agent(scripted(*turns), LabelEngine()).invoke(ask("E43 ?"))["messages"]
    assert messages[-1].type == "ai"
    assert f"{MAX_MODEL_CALLS} étapes" in messages[-1].text


# -- what the model reads ---------------------------------------------------------------------------------------------

LETTER = (
    f"Madame {CANARY} Odette, née le 12/03/1954, tél. 06 12 34 56 78, admise le 02/04/2026.\n"
    "Conclusion : dénutrition sévère."
)
SECRETS = (CANARY, "Odette", "12/03/1954", "06 12 34 56 78", "02/04/2026")


class Repeating(ScriptedModel):
    """Calls `code_report` with the report as it reads it, then says who and when."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self._seen.append(messages)
        question = next(m for m in messages if isinstance(m, HumanMessage)).text
        if isinstance(messages[-1], ToolMessage):
            said = AIMessage(
                f"{question.split(',')[0]} a une dénutrition, admise le {question.split('admise le ')[1][:10]}."
            )
        else:
            said = calls("code_report", report=question)
        return ChatResult(generations=[ChatGeneration(message=said)])


def test_names_numbers_and_dates_are_hidden_from_the_model_and_come_back() -> None:
    model = Repeating(script=[])
    agent = create_coding_agent(model, LabelEngine(), CHAIN)
    messages = agent.invoke(ask(LETTER))["messages"]
    for secret in SECRETS:
        assert secret not in repr(model.seen)
    assert "[NOM_1]" in model.said
    assert messages[1].tool_calls[0]["args"]["report"] == LETTER  # the tool reads the original
    assert messages[2].artifact.das[0].code == "E43"
    assert messages[-1].text == f"Madame {CANARY} Odette a une dénutrition, admise le 02/04/2026."
    assert messages[0].text == LETTER


async def test_they_are_hidden_in_asynchronous_calls_too() -> None:
    model = Repeating(script=[])
    messages = (await create_coding_agent(model, LabelEngine(), CHAIN).ainvoke(ask(LETTER)))["messages"]
    assert CANARY not in repr(model.seen)
    assert CANARY in messages[-1].text


def test_a_conversation_keeps_its_surrogates_and_its_shift(scripted: Scripted) -> None:
    model = scripted("Oui.", "Non.")
    agent = create_coding_agent(model, LabelEngine())
    first = agent.invoke(ask(LETTER))["messages"]
    agent.invoke({"messages": [*first, HumanMessage(f"Et si {CANARY} était sortie le 03/04/2026 ?")]})
    assert model.seen[0][1].text == model.seen[1][1].text
    assert CANARY not in model.said
    assert "[NOM_1]" in model.seen[1][-1].text


def test_a_model_that_may_read_all_reads_all(scripted: Scripted) -> None:
    model = scripted("Bonjour.")
    create_coding_agent(model, LabelEngine(), identified=True).invoke(ask(LETTER))
    assert all(secret in model.said for secret in SECRETS)


def test_what_the_tools_found_goes_to_the_model_without_the_names(scripted: Scripted) -> None:
    model = scripted(calls("code_report", report=f"Mme {CANARY} : dénutrition sévère"), "Voilà.")
    create_coding_agent(model, LabelEngine(), CHAIN).invoke(ask(f"Code la lettre de Mme {CANARY}."))
    assert CANARY not in repr(model.seen[1])
    assert any(isinstance(m, ToolMessage) for m in model.seen[1])


@given(st.lists(st.text(max_size=60) | st.sampled_from([LETTER, f"Dr {CANARY}", "le 02/04/2026", ""]), max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_text_of_a_conversation_comes_back(texts: list[str]) -> None:
    hidden = ConversationPseudonymiser(b"k")(texts)
    assert len(hidden.texts) == len(texts)
    for text, shown in zip(texts, hidden.texts, strict=True):
        if LETTER in text:
            assert not any(secret in shown for secret in SECRETS)
        if not any(r.kind == "name" for r in hidden.view.replacements):
            continue
        assert fold(hidden.restore(shown)).count(fold(CANARY)) == fold(text).count(fold(CANARY))


def test_questions_are_written_to_the_audit_log_without_their_words(scripted: Scripted, tmp_path: Path) -> None:
    engine = LabelEngine()
    engine.settings = Settings(audit_log=tmp_path / "audit.jsonl")
    agent = create_coding_agent(scripted("Bonjour."), engine)
    agent.invoke(ask(LETTER), {"metadata": {"caller": "dim-3"}})
    (line,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (line["action"], line["caller"], line["sent"]) == ("agent", "dim-3", "pseudonymised")
    assert (line["prompt_id"], line["prompt_sha256"]) == ("agent_v1", load_prompt("agent_v1").sha256)
    assert line["messages"] == [hashlib.sha256(LETTER.encode()).hexdigest()]
    assert CANARY not in repr(line)


def test_agent_refuses_tracing(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING_V2", "true")
    with pytest.raises(ConfigurationError):
        create_coding_agent(scripted(), LabelEngine())


def test_edition_error_is_of_ours() -> None:
    with pytest.raises(EditionError):
        LabelEngine().cim10("1850")
