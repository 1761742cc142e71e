"""The words of the domain as frozen values: a stay goes in, a coding comes out.

Pure: imports neither LangChain nor Qdrant nor a model. Scores and probabilities are in [0, 1], higher is better;
offsets are Python string offsets into `Stay.text`, end excluded.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Position = Literal["dp", "dr", "das"]
POSITIONS: tuple[Position, ...] = ("dp", "dr", "das")
CodeType = Literal["dp", "dr", "das", "ccam"]
Sex = Literal["M", "F"]
Severity = Literal["blocking", "review", "info"]
CandidateSource = Literal["bm25", "vector", "reranked"]
Stage = Literal["reading", "mentions", "candidates", "decisions", "final"]

#: Type MCO/HAD (column 2 of ATIH's CIM-10 file) allowed per position.
#: 0 no restriction, 1 neither DP nor DR, 2 external cause, neither DP nor DR, 3 forbidden everywhere, 4 not DP.
ALLOWED_TYPES: dict[Position, frozenset[int]] = {
    "dp": frozenset({0}),
    "dr": frozenset({0, 4}),
    "das": frozenset({0, 1, 2, 4}),
}


class Value(BaseModel):
    """Frozen value; its validation errors never show the input, which may be clinical text."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Stay(Value):
    """One stay (or one RUM) to code.

    Attributes:
        text: the report(s), as given; every offset of a coding points into it.
        sex: "M" or "F".
        age: completed years at admission.
        admission_date, discharge_date: the discharge date chooses the edition of the nomenclatures.
        id: the caller's own identifier, copied to the coding's trace, never interpreted.
    """

    text: str
    sex: Sex | None = None
    age: int | None = Field(default=None, ge=0, le=130)
    admission_date: date | None = None
    discharge_date: date | None = None
    id: str | None = None

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        if self.admission_date and self.discharge_date and self.discharge_date < self.admission_date:
            raise ValueError("discharge_date précède admission_date : les donner dans l'ordre")
        return self


class CodeCandidate(Value):
    """A code that retrieval proposes for an expression.

    Attributes:
        similarity_score: in [0, 1]; how it is normalised is said by `source`: for "reranked" the chance that the
            code is right to its category (`pmsi_chain.similarity`), the RRF score divided by its maximum otherwise.
        source: the stage that gave `similarity_score`.
        chunk_id, chunk_text: the indexed chunk that matched.
        version: edition of the nomenclature, such as "2025".
        ranks, scores: rank (from 1) and raw score per leg and stage, keyed "bm25", "vector", each named
            vector ("dense", "sparse"…), "fused", "reranked" (the probability that this very code is right).
    """

    code: str
    label: str
    similarity_score: float = Field(ge=0.0, le=1.0)
    source: CandidateSource
    chunk_id: str
    chunk_text: str
    version: str
    ranks: dict[str, int] = Field(default_factory=dict)
    scores: dict[str, float] = Field(default_factory=dict)


class RuleSource(Value):
    """Where a rule is printed.

    Attributes:
        guide: "Guide méthodologique MCO", "CIM-10 FR", "CCAM".
        edition: "2026", or "2026 provisoire" where only that was read.
        chapter, article: as printed ("V", "1.1.1"); page: printed page or range, None when the source has none.
    """

    guide: str
    edition: str
    chapter: str = ""
    article: str = ""
    page: str | None = None

    def __str__(self) -> str:
        parts = [f"{self.guide} {self.edition}"]
        if self.chapter:
            parts.append(f"chap. {self.chapter}")
        if self.article:
            parts.append(self.article)
        if self.page:
            parts.append(f"p. {self.page}")
        return ", ".join(parts)


class EligibilityCriteria(Value):
    """What the Guide asks of a code in a position (`retrieve_eligibility_criteria`).

    Attributes:
        criteria_text: the rule in the project's own words, in French.
        exclusion_rules: what may not be coded with it or instead of it, one sentence each.
        hierarchization_rules: what goes before what, one sentence each.
        guide_section: citation as a coder would write it ("Guide méthodologique MCO 2026, chap. V, D62, p. 81-82").
        specificity: what matched: "code", "category", "range" or "chapter".
    """

    code: str
    code_type: CodeType
    criteria_text: str
    exclusion_rules: tuple[str, ...] = ()
    hierarchization_rules: tuple[str, ...] = ()
    guide_section: str
    rule_id: str
    edition: str
    page: str | None = None
    specificity: Literal["code", "category", "range", "chapter", "all"] = "code"


class Evidence(Value):
    """A verbatim span of the report: `text[start:end] == quote`.

    Attributes:
        section: normalised section name ("motif", "antecedents", "conclusion", …; see `pmsi_chain.reading`).
        probability: calibrated probability that the passage attests the code; None where it is not a code's proof.
        context: qualifiers found on it ("negated", "hypothesis", "family", "history", "planned", …).
    """

    quote: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    section: str = ""
    probability: float | None = Field(default=None, ge=0.0, le=1.0)
    context: tuple[str, ...] = ()


class Finding(Value):
    """What speaks for, against, or is missing from a coding.

    Attributes:
        rule_id: stable id ("GM2026-IV-DP-03").
        severity: "blocking" (may not leave as it is), "review" (a person decides), "info".
        message: one sentence in French: what is wrong and what would settle it.
        codes: the codes it is about, stored form.
        source: the rule's citation as printed, `str(RuleSource)`.
        evidence: the words of the report, when a report was given.
    """

    rule_id: str
    severity: Severity
    message: str
    codes: tuple[str, ...] = ()
    source: str
    evidence: tuple[Evidence, ...] = ()


class CodedDiagnosis(Value):
    """A diagnosis in its position, with its proof.

    Attributes:
        confidence: in [0, 1], the chance that a coder would code it, where words name it; in a text of less than 900
            characters, and of a code that a rule makes of others or that the situation imposes, the calibrated
            probability that its words attest it.
        automatic: whether that reaches `Settings.automatic_threshold`; the others are proposed, to be confirmed.
        rule_id, rule_source: the rule that puts it in its position.
        reasons: why it was chosen and put there, short French phrases, strongest first.
    """

    code: str
    display: str
    label: str
    position: Position
    confidence: float = Field(ge=0.0, le=1.0)
    automatic: bool = False
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    rule_id: str
    rule_source: str
    reasons: tuple[str, ...] = ()


class CodedAct(Value):
    """A CCAM act with its proof; what the report does not state is named in `missing` ("à compléter").

    Attributes:
        activity: "1" operator, "4" anaesthesia, …; phase: "0", …; extension: PMSI extension such as "01".
    """

    code: str
    label: str
    confidence: float = Field(ge=0.0, le=1.0)
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    rule_id: str
    rule_source: str
    activity: str | None = None
    phase: str | None = None
    extension: str | None = None
    modifiers: tuple[str, ...] = ()
    date: str | None = None
    missing: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class ReviewItem(Value):
    """A code that was considered and not coded: a person decides.

    Attributes:
        position: where it would go; "ccam" for an act.
        probability: calibrated probability that the report attests it.
        reason: why it was not coded, one French sentence.
    """

    code: str
    display: str
    label: str
    position: CodeType
    probability: float = Field(ge=0.0, le=1.0)
    reason: str
    evidence: tuple[Evidence, ...] = ()


class Trace(Value):
    """How a coding was made; holds no text of the report.

    Attributes:
        decided_by: "rules" or "llm".
        cim10_edition, ccam_edition, guide_edition: what it was coded with.
        encoder, reranker, analyser: ids of the parts.
        counts: sizes per stage ("chars", "mentions", "candidates", "attested", "kept").
        timings_s: seconds per stage.
        stage: "final", or how far a partial result of `CodingChain.stream` has come.
        prompt_id, prompt_sha256, model, method: set when an LLM was asked; `method` is how it was asked for a typed
            answer ("json_schema", "function_calling", "json_mode"), None where no way was found.
        dp_runner_up: the second DP and why it lost, in French without quoting the report.
    """

    stay_id: str | None = None
    stage: Stage = "final"
    decided_by: Literal["rules", "llm"] = "rules"
    cim10_edition: str = ""
    ccam_edition: str = ""
    guide_edition: str = ""
    encoder: str = ""
    reranker: str = ""
    analyser: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    timings_s: dict[str, float] = Field(default_factory=dict)
    prompt_id: str | None = None
    prompt_sha256: str | None = None
    model: str | None = None
    method: str | None = None
    dp_runner_up: str | None = None
    notes: tuple[str, ...] = ()


class Coding(Value):
    """The proposal: every code legal in its position, every quote verbatim, every position with its rule."""

    dp: CodedDiagnosis | None = None
    dr: CodedDiagnosis | None = None
    das: tuple[CodedDiagnosis, ...] = ()
    acts: tuple[CodedAct, ...] = ()
    findings: tuple[Finding, ...] = ()
    to_review: tuple[ReviewItem, ...] = ()
    trace: Trace = Field(default_factory=Trace)

    @property
    def diagnoses(self) -> tuple[CodedDiagnosis, ...]:
        """DP, DR and DAS in that order, without the empty ones."""
        return tuple(d for d in (self.dp, self.dr) if d is not None) + self.das

    def to_rum(self) -> Rum:
        """The bare codes, as a RUM carries them."""
        return Rum(
            dp=self.dp.code if self.dp else None,
            dr=self.dr.code if self.dr else None,
            das=tuple(d.code for d in self.das),
            acts=tuple(RumAct(code=a.code, activity=a.activity, phase=a.phase, date=a.date) for a in self.acts),
        )


class RumAct(Value):
    """An act line of a RUM; what is unknown is None."""

    code: str
    activity: str | None = None
    phase: str | None = None
    date: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_code(cls, data: Any) -> Any:
        return {"code": data} if isinstance(data, str) else data


class Rum(Value):
    """Anyone's coding as bare codes, for `check_coding`: a RUM typed by a person, or another tool's output."""

    dp: str | None = None
    dr: str | None = None
    das: tuple[str, ...] = ()
    acts: tuple[RumAct, ...] = ()
