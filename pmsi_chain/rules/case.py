"""What a check looks at: the codes of a RUM in their positions, the stay, the nomenclatures, the report's facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import Evidence, Finding, Position, Rum, Severity, Stay
from pmsi_chain.rules.expressions import matcher, stored
from pmsi_chain.rules.guide import Guide, load_guide
from pmsi_chain.rules.protocols import ActEdition, DiagnosisEdition, DiagnosisEntry

if TYPE_CHECKING:
    from pmsi_chain.rules.report_words import ReportText


_MAX_CODE_CHARS = 9


@dataclass(frozen=True, slots=True)
class LabValue:
    """A measured value of the report.

    Attributes:
        name: "hemoglobine" (g/dl), "albumine" (g/l), "imc" (kg/m²), "lactates" (mmol/l), "sao2" (%), "pao2" (mmHg),
            "kaliemie" (mmol/l), "perte_poids_1_mois", "perte_poids_6_mois" (%).
        value: in the unit above.
        quote, start, end: the words, `text[start:end] == quote`.
    """

    name: str
    value: float
    unit: str = ""
    quote: str = ""
    start: int = 0
    end: int = 0

    @property
    def evidence(self) -> Evidence:
        """The words as evidence."""
        return Evidence(quote=self.quote, start=self.start, end=self.end)


@dataclass(frozen=True)
class ReportFacts:
    """What a reader found in the report, by stored code; a code without words maps to an empty tuple.

    A code is listed under `negated`, `hypothesis`, `family` or `history` only if *every* mention of it is so.

    Attributes:
        present: codes with a plain mention; negated, hypothesis, family, history: see above.
        appeared: conditions that began during the stay.
        managed: conditions with words showing that they were examined, treated or monitored.
        motive: codes of the reason for admission.
        values: measured values.
    """

    present: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    negated: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    hypothesis: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    family: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    history: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    appeared: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    managed: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    motive: Mapping[str, tuple[Evidence, ...]] = field(default_factory=dict)
    values: tuple[LabValue, ...] = ()

    def measured(self, *names: str) -> tuple[LabValue, ...]:
        """The values of these names, in the order of the report."""
        return tuple(value for value in self.values if value.name in names)


@dataclass(frozen=True, slots=True)
class Item:
    """A coded diagnosis: stored code, position, rank in the RUM (DP 0)."""

    code: str
    position: Position
    rank: int


@dataclass(frozen=True)
class Case:
    """One coding to check.

    Attributes:
        facts: what is known of the report; `read`: whether a reader gave it, rather than word matching.
        report: the text, cut into sentences; None without one.
    """

    rum: Rum
    edition: DiagnosisEdition
    stay: Stay | None = None
    ccam: ActEdition | None = None
    facts: ReportFacts | None = None
    report: ReportText | None = None
    read: bool = False

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """DP, DR and DAS in that order."""
        listed: list[tuple[str, Position]] = [(code, "das") for code in self.rum.das]
        if self.rum.dr:
            listed.insert(0, (self.rum.dr, "dr"))
        if self.rum.dp:
            listed.insert(0, (self.rum.dp, "dp"))
        return tuple(Item(stored(code), position, rank) for rank, (code, position) in enumerate(listed))

    @cached_property
    def dp(self) -> str:
        """The stored DP, "" without one."""
        return stored(self.rum.dp) if self.rum.dp else ""

    @cached_property
    def dr(self) -> str:
        """The stored DR, "" without one."""
        return stored(self.rum.dr) if self.rum.dr else ""

    @cached_property
    def das(self) -> tuple[str, ...]:
        """The stored DAS."""
        return tuple(stored(code) for code in self.rum.das)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Every stored diagnosis code, DP first."""
        return tuple(item.code for item in self.items)

    @cached_property
    def acts(self) -> tuple[str, ...]:
        """The act codes."""
        return tuple(act.code.strip().upper()[:7] for act in self.rum.acts)

    @property
    def text(self) -> str:
        """The report, "" without one."""
        return self.stay.text if self.stay else ""

    @cached_property
    def guide(self) -> Guide:
        """The knowledge base."""
        return load_guide()

    def entry(self, code: str) -> DiagnosisEntry | None:
        """The edition's entry of a stored code."""
        return self.edition.get(code)

    def show(self, code: str) -> str:
        """Printed code with its label when the edition knows it."""
        entry = self.edition.get(code)
        if entry is None:
            return display(code)
        return f"{entry.display} ({entry.label})"

    def having(self, *expressions: str) -> tuple[str, ...]:
        """The coded diagnoses that fall under one of the expressions."""
        found = matcher(expressions)
        return tuple(code for code in self.codes if found.matches(code))

    def pairs(self) -> Iterator[tuple[Item, Item]]:
        """Every pair of coded diagnoses, in order."""
        for place, first in enumerate(self.items):
            for second in self.items[place + 1 :]:
                yield first, second

    def finding(
        self, rule_id: str, severity: Severity, message: str, codes: tuple[str, ...] = (),
        evidence: tuple[Evidence, ...] = (),
    ) -> Finding:  # fmt: skip
        """A finding that cites its rule."""
        return Finding(
            rule_id=rule_id, severity=severity, message=message, codes=tuple(filter(is_short, codes)),
            source=self.guide.rule(rule_id).citation, evidence=evidence,
        )  # fmt: skip


def display(code: str) -> str:
    """A stored CIM-10 code as printed; what is too long for one is not repeated, it may be words of a report."""
    if not code:
        return "(vide)"
    return cim10_display(code) if is_short(code) else f"(un texte de {len(code)} caractères)"


def is_short(code: str) -> bool:
    """Whether it may be a code, existing or not, by its length."""
    return len(code) <= _MAX_CODE_CHARS
