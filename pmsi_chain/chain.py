"""`CodingChain`: a stay goes in, a justified coding comes out; a LangChain `Runnable`.

    read → link → propose → decide → (advise) → verify      (each a named step of one LCEL sequence)

By default nothing but rules decides. With an LLM there is the step `advise`: it chooses among the same proposals; what
it answers passes the same gate, and where it fails the rules' decision stands. `stream` gives a partial `Coding` after
each step, whose `trace.stage` says how far it has come; the last one is what `invoke` gives.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from threading import RLock
from typing import Any, Self

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableSequence

from pmsi_chain.acts import ActReader
from pmsi_chain.audit import AuditLog
from pmsi_chain.case import Case
from pmsi_chain.decision import decide
from pmsi_chain.describing import SecondReader
from pmsi_chain.domain import CodedDiagnosis, Coding, Finding, Position, Sex, Stage, Stay, Trace
from pmsi_chain.engine import RAGEngine
from pmsi_chain.index import Progress
from pmsi_chain.intake import stay_from
from pmsi_chain.linking import Linker
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition
from pmsi_chain.proposals import build_proposals
from pmsi_chain.reading import Reader
from pmsi_chain.reading_edsnlp import EdsQualifiers, requalified
from pmsi_chain.reconsidering import reconsider
from pmsi_chain.rerank.features import PairFeatures
from pmsi_chain.rules import check, eligibility, load_guide
from pmsi_chain.selection import SelectionRequest, Selector
from pmsi_chain.settings import Settings
from pmsi_chain.text import ANALYSER_VERSION, fold
from pmsi_chain.verification import verified, verified_acts

_RULES_PER_CODE = 3
#: Steps after which `stream` shows a partial result, and what to call it.
_SHOWN_AFTER: dict[str, Stage] = {"read": "mentions", "propose": "candidates", "decide": "decisions"}


@dataclass(frozen=True)
class _Tools:
    """What reads reports against one pair of editions."""

    reader: Reader
    linker: Linker
    acts: ActReader
    second: Callable[[], SecondReader]


class CodingChain(Runnable[Stay | str | dict[str, Any], Coding]):
    """Codes stays; safe to share between threads.

    Input is a `Stay`, a mapping of its fields, or the report's text alone; output is a `Coding`. Where the settings
    name an audit log, every coding is written there before it is given; `config["metadata"]["caller"]` says who asks.

    Raises (from `invoke` and its kin):
        ReportError: an empty report, or one longer than `Settings.max_report_chars`.
        EditionError: no edition in force on the discharge date.
        InputError: a mapping that is no stay.
        ConfigurationError, ServiceError: the audit log cannot be written.
    """

    def __init__(self, engine: RAGEngine, selector: Selector | None = None) -> None:
        self.engine = engine
        self.selector = selector
        self.audit = AuditLog.from_settings(engine.settings)
        self._lock = RLock()
        self._tools_of: dict[tuple[str, str], _Tools] = {}

    @classmethod
    def from_settings(
        cls, settings: Settings | None = None, *, llm: bool = False, progress: Progress = lambda message: None
    ) -> Self:
        """The chain that these settings describe.

        Args:
            llm: let the language model of the settings choose among the proposals.
            progress: called with one French line before anything that takes more than a second.
        """
        settings = settings or Settings()
        selector: Selector | None = None
        if llm:
            from pmsi_chain.llm import LlmSelector

            selector = LlmSelector.from_settings(settings)
        return cls(RAGEngine.from_settings(settings, progress), selector)

    # -- LangChain's interface -----------------------------------------------------------------------------------

    def invoke(self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any) -> Coding:
        """Code one stay."""
        return self.sequence().invoke(self.stay(input), config)

    async def ainvoke(
        self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Coding:
        """Code one stay off the event loop."""
        return await self.sequence().ainvoke(self.stay(input), config)

    def stream(
        self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Coding]:
        """Code one stay, showing how far it has come.

        Yields:
            Partial codings with `trace.stage` "reading", "mentions", "candidates" (with the acts) and "decisions" (DP,
            DR and DAS by the rules, legal and proven, before a language model is asked and before the checks), then
            the coding, "final". Each says anew all that is known.
        """
        yield from self._transform_stream_with_config(iter([self.stay(input)]), self._stages, config)

    async def astream(
        self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Coding]:
        """Like `stream`, off the event loop."""

        async def given() -> AsyncIterator[Stay]:
            yield self.stay(input)

        async for coding in self._atransform_stream_with_config(given(), self._astages, config):
            yield coding

    def sequence(self) -> RunnableSequence[Stay, Coding]:
        """The steps as one LCEL sequence."""
        verify = RunnableLambda(self._verify, name="verify")
        return RunnableSequence(*self._steps(), verify, name=self.get_name())

    def invoke_with_stages(self, input: Stay | str | dict[str, Any]) -> tuple[Coding, dict[str, frozenset[str]]]:
        """Code one stay, and the codes still there after each stage, for measuring where they are lost.

        It is for benches: the audit log holds nothing of it.
        """
        case: Any = self.stay(input)
        for step in self._steps():
            case = step.invoke(case)
        coding = self._coding(case)
        stages = {
            "parmi les candidats des mentions": frozenset(c for link in case.links for c, _ in link.codes),
            "premier candidat d'une mention": frozenset(link.code for link in case.links),
            "attesté": frozenset(p.code for p in case.proposals.present),
            "retenu": frozenset(d.code for d in coding.diagnoses),
        }
        return coding, stages

    def stay(self, given: Stay | str | dict[str, Any]) -> Stay:
        """The input as a stay that may be coded."""
        return stay_from(given, self.engine.settings.max_report_chars)

    @cached_property
    def _qualifiers(self) -> EdsQualifiers:
        return EdsQualifiers()

    # -- the steps -----------------------------------------------------------------------------------------------

    def _steps(self) -> list[RunnableLambda[Any, Case]]:
        steps: list[RunnableLambda[Any, Case]] = [
            RunnableLambda(self._read, name="read"),
            RunnableLambda(self._link, name="link"),
            RunnableLambda(self._propose, name="propose"),
            RunnableLambda(self._decide, name="decide"),
        ]
        if self.selector is not None:
            steps.append(RunnableLambda(self._advise, afunc=self._aadvise, name="advise"))
        return steps

    def _stages(self, stays: Iterator[Any], run_manager: Any, config: RunnableConfig) -> Iterator[Coding]:
        for stay in stays:
            yield _just_begun(stay)
            case = stay
            for step in self._steps():
                case = step.invoke(case, config)
                if step.name in _SHOWN_AFTER:
                    yield self._partial(case, _SHOWN_AFTER[step.name])
            yield RunnableLambda(self._verify, name="verify").invoke(case, config)

    async def _astages(
        self, stays: AsyncIterator[Any], run_manager: Any, config: RunnableConfig
    ) -> AsyncIterator[Coding]:
        async for stay in stays:
            yield _just_begun(stay)
            case = stay
            for step in self._steps():
                case = await step.ainvoke(case, config)
                if step.name in _SHOWN_AFTER:
                    yield self._partial(case, _SHOWN_AFTER[step.name])
            yield await RunnableLambda(self._verify, name="verify").ainvoke(case, config)

    def _read(self, stay: Stay) -> Case:
        if self.audit is not None:
            self.audit.ready()
        if stay.sex is None:
            stay = stay.model_copy(update={"sex": stated_sex(stay.text)})
        if stay.age is None and tells_of_a_newborn(stay.text):
            stay = stay.model_copy(update={"age": 0})
        edition = self.engine.cim10(on=stay.discharge_date)
        ccam = self.engine.ccam(on=stay.discharge_date)
        caveat = edition.caveat(stay.discharge_date) if stay.discharge_date else ""
        case = Case(stay, edition, ccam, notes=(caveat,) if caveat else ())
        tools = self._tools(edition, ccam)
        start = time.perf_counter()
        year = stay.discharge_date.year if stay.discharge_date else None
        report = tools.reader.read(stay.text, year)
        mode = self.engine.settings.context_reader
        if mode != "embedded":
            report = requalified(report, self._qualifiers, mode)
        return case.then("read", start, report=report)

    def _link(self, case: Case) -> Case:
        assert case.report is not None  # noqa: S101  # the step before made it
        tools = self._tools(case.edition, case.ccam)
        start = time.perf_counter()
        links = tools.linker.link(case.report)
        acts, review = tools.acts.read(case.report, case.stay.discharge_date)
        return case.then("link", start, links=tuple(links), acts=tuple(acts), act_review=tuple(review))

    def _propose(self, case: Case) -> Case:
        assert case.report is not None  # noqa: S101
        start = time.perf_counter()
        found = build_proposals(case.report, case.links, case.edition, case.stay, self.engine.evidence.score)
        return case.then("propose", start, proposals=found)

    def _decide(self, case: Case) -> Case:
        start = time.perf_counter()
        case = self._decide_by_rules(case)
        assert case.report is not None  # noqa: S101
        reader = self._tools(case.edition, case.ccam).second()
        outlook = reader.read(case.report, case.links, case.stay, case.proposals.present, case.selection)
        settings = self.engine.settings
        present, selection = reconsider(
            case.report,
            case.edition,
            outlook,
            case.proposals,
            case.selection,
            settings.code_threshold,
            settings.review_threshold,
        )
        return case.then("decide", start, proposals=replace(case.proposals, present=present), selection=selection)

    def _decide_by_rules(self, case: Case) -> Case:
        assert case.report is not None  # noqa: S101
        start = time.perf_counter()
        settings = self.engine.settings
        selection = decide(
            case.report, case.proposals, case.edition, settings.code_threshold, settings.review_threshold
        )
        return case.then("decide", start, selection=selection)

    def by_rules(self, given: Stay | str | dict[str, Any]) -> Case:
        """A stay read, linked and decided by the rules alone, without the second reading: what that one learns on."""
        case: Any = self.stay(given)
        for step in (self._read, self._link, self._propose, self._decide_by_rules):
            case = step(case)
        return case  # type: ignore[no-any-return]

    def _advise(self, case: Case, config: RunnableConfig) -> Case:
        start = time.perf_counter()
        request = self._question(case, config)
        if request is None or self.selector is None:
            return case
        return case.then("advise", start, selection=self.selector(request), advised=True)

    async def _aadvise(self, case: Case, config: RunnableConfig) -> Case:
        start = time.perf_counter()
        request = self._question(case, config)
        if request is None or self.selector is None:
            return case
        ask = getattr(self.selector, "acall", None)
        selection = await ask(request) if ask else await asyncio.to_thread(self.selector, request)
        return case.then("advise", start, selection=selection, advised=True)

    def _question(self, case: Case, config: RunnableConfig) -> SelectionRequest | None:
        """What the selector is asked, written to the audit log first; None where there is nothing to choose among."""
        present = case.proposals.present
        if not present:
            return None
        if self.audit is not None:
            sent = "identified" if getattr(self.selector, "identified", True) else "pseudonymised"
            self.audit.asked(case.stay, case.run, config.get("metadata", {}), **self._asked(), sent=sent)
        rules = {p.code: self._rules_for(p.code, p.positions, case.edition) for p in present}
        return SelectionRequest(case.stay, present, rules, case.selection)

    @staticmethod
    def _rules_for(code: str, positions: tuple[Position, ...], edition: Cim10Edition) -> tuple[str, ...]:
        """What the Guide says of this very code, as DP where it may be one and as DAS; general rules left out."""
        found = [c for p in ("dp", "das") if p in positions for c in eligibility(code, p, edition)]
        own = [c.criteria_text for c in found if c.specificity in ("code", "category", "range")]
        return tuple(dict.fromkeys(own))[:_RULES_PER_CODE]

    def _verify(self, case: Case, config: RunnableConfig) -> Coding:
        coding = self._coding(case)
        if self.audit is not None:
            self.audit.coded(case.stay, coding, case.run, config.get("metadata", {}))
        return coding

    def _verified(
        self, case: Case
    ) -> tuple[CodedDiagnosis | None, CodedDiagnosis | None, tuple[CodedDiagnosis, ...], list[Finding]]:
        return verified(case.selection, case.stay.text, case.edition, self.engine.settings.automatic_threshold)

    def _partial(self, case: Case, stage: Stage) -> Coding:
        """What is known so far; codes are legal and proven already, nothing else is checked yet."""
        dp, dr, das, _ = self._verified(case)
        acts = verified_acts(case.acts, case.stay.text, case.ccam) if stage != "mentions" else ()
        trace = Trace(stay_id=case.stay.id, stage=stage, cim10_edition=case.edition.version,
                      ccam_edition=case.ccam.version, counts=case.counts, timings_s=case.timings_s,
                      notes=case.notes)  # fmt: skip
        return Coding(dp=dp, dr=dr, das=das, acts=acts, trace=trace)

    def _coding(self, case: Case) -> Coding:
        start = time.perf_counter()
        selection = case.selection
        dp, dr, das, findings = self._verified(case)
        acts = verified_acts(case.acts, case.stay.text, case.ccam)
        coding = Coding(dp=dp, dr=dr, das=das, acts=acts, to_review=(*selection.review, *case.act_review))
        empty = not coding.diagnoses and not coding.acts
        if empty:
            rule = load_guide().rule("GM2026-IV-DP-01")
            findings.append(
                Finding(
                    rule_id=rule.id,
                    severity="review",
                    message="Aucun contenu codable : le texte n'atteste aucun diagnostic ni aucun acte. "
                    "Vérifier que c'est bien un compte rendu.",
                    source=str(rule.source),
                )
            )
        else:
            findings += check(coding, case.stay, case.edition, case.ccam, reading=case.report)
        return coding.model_copy(update={"findings": tuple(findings), "trace": self._trace(case, coding, start)})

    def _trace(self, case: Case, coding: Coding, start: float) -> Trace:
        selection = case.selection
        return Trace(
            stay_id=case.stay.id,
            decided_by="llm" if selection.decided_by == "llm" else "rules",
            cim10_edition=case.edition.version,
            ccam_edition=case.ccam.version,
            guide_edition="2026",
            encoder=self.engine.encoder.encoder_id,
            analyser=ANALYSER_VERSION,
            counts={**case.counts, "kept": len(coding.diagnoses) + len(coding.acts)},
            timings_s={**case.timings_s, "verify": round(time.perf_counter() - start, 4)},
            dp_runner_up=selection.runner_up,
            notes=(*case.notes, *selection.notes),
            **(self._asked() if case.advised else {}),
        )

    def _asked(self) -> dict[str, str | None]:
        """Prompt and model of a selector that asks one, and how it asks for a typed answer."""
        prompt = getattr(self.selector, "prompt", None)
        if prompt is None:
            return {}
        return {
            "prompt_id": prompt.id,
            "prompt_sha256": prompt.sha256,
            "model": str(getattr(self.selector, "model_name", "")),
            "method": getattr(self.selector, "method", None),
        }

    def _tools(self, edition: Cim10Edition, ccam: CcamEdition) -> _Tools:
        key = (edition.version, ccam.version)
        with self._lock:
            if key not in self._tools_of:
                engine = self.engine
                index = engine.index("cim10", edition.version, embedded=True)
                self._tools_of[key] = _Tools(
                    Reader.from_edition(edition, engine.lexicon),
                    Linker.from_index(index, edition, engine.encoder, engine.lexicon),
                    ActReader.from_index(engine.index("ccam", ccam.version, embedded=True), ccam, engine.encoder),
                    lru_cache(maxsize=1)(lambda: SecondReader.from_package(edition, PairFeatures.from_package())),
                )
            return self._tools_of[key]


def _just_begun(stay: Stay) -> Coding:
    """The first partial result: the report is being read."""
    return Coding(trace=Trace(stay_id=stay.id, stage="reading", counts={"chars": len(stay.text)}))


_FEMALE = re.compile(
    r"\b(?:patiente|madame|mme|parturiente)\b|\b(?:femme|dame|fillette) (?:agee )?de \d|\bsexe\W{1,8}f(?:eminin)?\b"
)
_MALE = re.compile(r"\bmonsieur\b|\b(?:homme|garcon) (?:age )?de \d|\bsexe\W{1,8}(?:m(?:asculin)?|h(?:omme)?)\b")
_HEAD_CHARS = 3000


def stated_sex(text: str) -> Sex | None:
    """The patient's sex where the beginning of the report states one and not the other."""
    head = fold(text[:_HEAD_CHARS])
    female, male = _FEMALE.search(head) is not None, _MALE.search(head) is not None
    if female == male:
        return None
    return "F" if female else "M"


_NEWBORN = re.compile(r"\W*(?:compte rendu[^\n.]{0,60}[\n.]\W*)?(?:l'enfant |enfant )?(?:nouveau-?nee?|premature)\b")
_DELIVERED = re.compile(r"accouch|parturiente|patiente")


def tells_of_a_newborn(text: str) -> bool:
    """Whether a report opens with a newborn as its patient: codes of mothers do not fit then."""
    head = fold(text[:200])
    return _NEWBORN.match(head) is not None and _DELIVERED.search(head) is None
