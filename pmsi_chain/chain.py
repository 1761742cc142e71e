"""`CodingChain`: a stay goes in, a justified coding comes out; a LangChain `Runnable`.

    read → link → propose → decide → verify      (each a named step of one LCEL sequence, so that streaming shows it)

By default nothing but rules decides. With an LLM it chooses among the same proposals; what it answers passes the same
gate, and where it fails the rules' decision stands.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import RLock
from typing import Any, Self

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from pydantic import ValidationError

from pmsi_chain.acts import ActReader
from pmsi_chain.decision import decide
from pmsi_chain.domain import CodedAct, Coding, Finding, Position, ReviewItem, Sex, Stay, Trace
from pmsi_chain.engine import RAGEngine
from pmsi_chain.errors import InputError, ReportError
from pmsi_chain.index import Progress
from pmsi_chain.linking import Link, Linker
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition
from pmsi_chain.proposals import Proposals, build_proposals
from pmsi_chain.reading import Reader, Report
from pmsi_chain.reading_edsnlp import EdsQualifiers, requalified
from pmsi_chain.rules import check, eligibility, load_guide
from pmsi_chain.selection import Selection, SelectionRequest, Selector
from pmsi_chain.settings import Settings
from pmsi_chain.text import ANALYSER_VERSION, fold
from pmsi_chain.verification import verified, verified_acts

_RULES_PER_CODE = 3


@dataclass(frozen=True)
class _Case:
    """A stay on its way through the chain; every step adds what it found."""

    stay: Stay
    edition: Cim10Edition
    ccam: CcamEdition
    report: Report | None = None
    links: tuple[Link, ...] = ()
    proposals: Proposals = field(default_factory=lambda: Proposals(()))
    acts: tuple[CodedAct, ...] = ()
    act_review: tuple[ReviewItem, ...] = ()
    selection: Selection = field(default_factory=Selection)
    timings_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def then(self, stage: str, start: float, **found: Any) -> _Case:
        """The case with what a stage found and how long it took."""
        timings = {**self.timings_s, stage: round(time.perf_counter() - start, 4)}
        return replace(self, timings_s=timings, **found)


@dataclass(frozen=True)
class _Tools:
    """What reads reports against one pair of editions."""

    reader: Reader
    linker: Linker
    acts: ActReader


class CodingChain(Runnable[Stay | str | dict[str, Any], Coding]):
    """Codes stays; safe to share between threads.

    Input is a `Stay`, a mapping of its fields, or the report's text alone; output is a `Coding`.

    Raises (from `invoke` and its kin):
        ReportError: an empty report, or one longer than `Settings.max_report_chars`.
        EditionError: no edition in force on the discharge date.
        InputError: a mapping that is no stay.
    """

    def __init__(self, engine: RAGEngine, selector: Selector | None = None) -> None:
        self.engine = engine
        self.selector = selector
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
        return self._sequence.invoke(self.stay(input), config)

    async def ainvoke(
        self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Coding:
        """Code one stay off the event loop."""
        return await self._sequence.ainvoke(self.stay(input), config)

    def stream(
        self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> Iterator[Coding]:
        """Code one stay; the coding comes as one piece, `astream_events` shows the steps on the way."""
        yield from self._sequence.stream(self.stay(input), config)

    async def astream(
        self, input: Stay | str | dict[str, Any], config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Coding]:
        """Like `stream`."""
        async for coding in self._sequence.astream(self.stay(input), config):
            yield coding

    def invoke_with_stages(self, input: Stay | str | dict[str, Any]) -> tuple[Coding, dict[str, frozenset[str]]]:
        """Code one stay, and the codes still there after each stage, for measuring where they are lost."""
        case = self._steps.invoke(self.stay(input))
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
        if isinstance(given, str):
            given = Stay(text=given)
        elif isinstance(given, dict):
            try:
                given = Stay.model_validate(given)
            except ValidationError as error:
                problems = "; ".join(
                    f"{_known_field(e['loc'])} : {e['msg']}" for e in error.errors(include_input=False)
                )
                raise InputError(
                    f"ce dictionnaire ne décrit pas un séjour ({problems}) ; donner text, et sex, age, dates"
                ) from None
        if not given.text.strip():
            raise ReportError("compte rendu vide : donner le texte d'un compte rendu d'hospitalisation")
        limit = self.engine.settings.max_report_chars
        if len(given.text) > limit:
            raise ReportError(
                f"compte rendu de {len(given.text)} caractères, {limit} au plus : "
                "donner un texte plus court, ou relever PMSI_MAX_REPORT_CHARS"
            )
        return given

    @cached_property
    def _qualifiers(self) -> EdsQualifiers:
        return EdsQualifiers()

    @cached_property
    def _steps(self) -> Runnable[Stay, _Case]:
        return (
            RunnableLambda(self._read, name="read")
            | RunnableLambda(self._link, name="link")
            | RunnableLambda(self._propose, name="propose")
            | RunnableLambda(self._decide, afunc=self._adecide, name="decide")
        )

    @cached_property
    def _sequence(self) -> Runnable[Stay, Coding]:
        return self._steps | RunnableLambda(self._coding, name="verify")

    # -- the steps -----------------------------------------------------------------------------------------------

    def _read(self, stay: Stay) -> _Case:
        if stay.sex is None:
            stay = stay.model_copy(update={"sex": stated_sex(stay.text)})
        edition = self.engine.cim10(on=stay.discharge_date)
        ccam = self.engine.ccam(on=stay.discharge_date)
        caveat = edition.caveat(stay.discharge_date) if stay.discharge_date else ""
        case = _Case(stay, edition, ccam, notes=(caveat,) if caveat else ())
        tools = self._tools(edition, ccam)
        start = time.perf_counter()
        year = stay.discharge_date.year if stay.discharge_date else None
        report = tools.reader.read(stay.text, year)
        mode = self.engine.settings.context_reader
        if mode != "embedded":
            report = requalified(report, self._qualifiers, mode)
        return case.then("read", start, report=report)

    def _link(self, case: _Case) -> _Case:
        assert case.report is not None  # noqa: S101  # the step before made it
        tools = self._tools(case.edition, case.ccam)
        start = time.perf_counter()
        links = tools.linker.link(case.report)
        acts, review = tools.acts.read(case.report, case.stay.discharge_date)
        return case.then("link", start, links=tuple(links), acts=tuple(acts), act_review=tuple(review))

    def _propose(self, case: _Case) -> _Case:
        assert case.report is not None  # noqa: S101
        start = time.perf_counter()
        found = build_proposals(case.report, case.links, case.edition, case.stay, self.engine.evidence.score)
        return case.then("propose", start, proposals=found)

    def _decide(self, case: _Case) -> _Case:
        start = time.perf_counter()
        selection = self._by_rules(case)
        if self.selector is not None and case.proposals.present:
            selection = self.selector(self._request(case, selection))
        return case.then("decide", start, selection=selection)

    async def _adecide(self, case: _Case) -> _Case:
        start = time.perf_counter()
        selection = self._by_rules(case)
        if self.selector is not None and case.proposals.present:
            request = self._request(case, selection)
            ask = getattr(self.selector, "acall", None)
            selection = await ask(request) if ask else await asyncio.to_thread(self.selector, request)
        return case.then("decide", start, selection=selection)

    def _by_rules(self, case: _Case) -> Selection:
        assert case.report is not None  # noqa: S101
        settings = self.engine.settings
        return decide(case.report, case.proposals, case.edition, settings.code_threshold, settings.review_threshold)

    def _request(self, case: _Case, default: Selection) -> SelectionRequest:
        rules = {p.code: self._rules_for(p.code, p.positions, case.edition) for p in case.proposals.present}
        return SelectionRequest(case.stay, case.proposals.present, rules, default)

    @staticmethod
    def _rules_for(code: str, positions: tuple[Position, ...], edition: Cim10Edition) -> tuple[str, ...]:
        """What the Guide says of this very code, as DP where it may be one and as DAS; general rules left out."""
        found = [c for p in ("dp", "das") if p in positions for c in eligibility(code, p, edition)]
        own = [c.criteria_text for c in found if c.specificity in ("code", "category", "range")]
        return tuple(dict.fromkeys(own))[:_RULES_PER_CODE]

    def _coding(self, case: _Case) -> Coding:
        start = time.perf_counter()
        selection = case.selection
        dp, dr, das, findings = verified(selection, case.stay.text, case.edition)
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

    def _trace(self, case: _Case, coding: Coding, start: float) -> Trace:
        assert case.report is not None  # noqa: S101
        selection = case.selection
        return Trace(
            stay_id=case.stay.id,
            decided_by="llm" if selection.decided_by == "llm" else "rules",
            cim10_edition=case.edition.version,
            ccam_edition=case.ccam.version,
            guide_edition="2026",
            encoder=self.engine.encoder.encoder_id,
            analyser=ANALYSER_VERSION,
            counts={
                "chars": len(case.stay.text),
                "mentions": len(case.report.mentions),
                "candidates": sum(len(link.codes) for link in case.links),
                "attested": len(case.proposals.present),
                "kept": len(coding.diagnoses) + len(coding.acts),
            },
            timings_s={**case.timings_s, "verify": round(time.perf_counter() - start, 4)},
            dp_runner_up=selection.runner_up,
            notes=(*case.notes, *selection.notes),
            **self._asked(),
        )

    def _asked(self) -> dict[str, str]:
        """Prompt and model, where a language model is asked."""
        prompt = getattr(self.selector, "prompt", None)
        if prompt is None:
            return {}
        model = str(getattr(self.selector, "model_name", ""))
        return {"prompt_id": prompt.id, "prompt_sha256": prompt.sha256, "model": model}

    def _tools(self, edition: Cim10Edition, ccam: CcamEdition) -> _Tools:
        key = (edition.version, ccam.version)
        with self._lock:
            if key not in self._tools_of:
                engine = self.engine
                index = engine.index("cim10", edition.version)
                self._tools_of[key] = _Tools(
                    Reader.from_edition(edition, engine.lexicon),
                    Linker.from_index(index, edition, engine.encoder, engine.lexicon),
                    ActReader.from_index(engine.index("ccam", ccam.version), ccam, engine.encoder),
                )
            return self._tools_of[key]


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


def _known_field(location: tuple[int | str, ...]) -> str:
    """The field an error is about; a key that is none of ours may be a word of a report and is not repeated."""
    name = str(location[0]) if location else "stay"
    return name if name in Stay.model_fields else "clé inconnue"
