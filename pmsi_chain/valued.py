"""Conditions that a report tells by a value and its correction: « kaliémie à 2,9 corrigée par KCl ».

A value alone is a fact and no code. With the care given for it beside, a disorder of ions or an agranulocytosis is
coded; where the Guide wants the diagnosis named by a clinician (ch. V: carences, p. 83; malnutrition, p. 109; D62,
p. 81), or a judgement is needed, the value is listed for review. The rows are `knowledge/valued_conditions.csv`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import LabValue, Report
from pmsi_chain.reading.context import NOT_NOW
from pmsi_chain.rules.guide import knowledge
from pmsi_chain.selection import Proposal
from pmsi_chain.text import fold

#: Probability of a value with its correction, and of one that is for review.
_CORRECTED, _TO_REVIEW = 0.85, 0.45
#: Values told of the past do not measure the stay.
_PAST = frozenset({"antecedents", "mode_de_vie", "identite"})


@dataclass(frozen=True, slots=True)
class _Row:
    code: str
    analyte: str
    is_low: bool
    bound: float
    unit: str
    is_coded: bool
    care: re.Pattern[str]
    anywhere: re.Pattern[str] | None
    name: str

    def holds(self, value: LabValue) -> bool:
        """Whether a value lies beyond the bound, in the row's unit."""
        unit = fold(value.unit).replace(" ", "")
        if value.name != self.analyte or (self.unit and unit and unit != self.unit):
            return False
        return value.value < self.bound if self.is_low else value.value > self.bound


@lru_cache(maxsize=1)
def _rows() -> tuple[_Row, ...]:
    text = knowledge("valued_conditions.csv").read_text(encoding="utf-8")
    return tuple(
        _Row(
            row["code"], row["analyte"], row["side"] == "low", float(row["bound"]), row["unit"], row["mode"] == "code",
            re.compile(row["care"]), re.compile(row["anywhere"]) if row["anywhere"] else None, row["reason"],
        )
        for row in csv.DictReader(text.splitlines(), delimiter=";")
    )  # fmt: skip


def valued(report: Report, edition: Cim10Edition) -> tuple[list[Proposal], list[Proposal]]:
    """Proposals told by a value and its correction: (to code, for review), each code once."""
    coded: dict[str, Proposal] = {}
    doubtful: dict[str, Proposal] = {}
    for value in report.values:
        if value.section in _PAST or report.context_at(value.start, value.end) & NOT_NOW:
            continue
        for row in _rows():
            code = default_child(edition, row.code) if row.holds(value) else None
            if code is None or code in coded or not edition.is_allowed(code, "das"):
                continue
            care = next(_care(report, value, row.care), None) or _specific(report, row.anywhere)
            if care is None or (not row.is_coded and code in doubtful):
                continue
            probability = _CORRECTED if row.is_coded else _TO_REVIEW
            made = Proposal(
                code=code,
                label=edition.entry(code).label,
                probability=probability,
                evidence=(report.proof(value.start, value.end, probability), report.proof(*care, probability)),
                positions=edition.positions(code),
                reasons=(f"{row.name} mesurée et prise en charge",),
            )
            (coded if row.is_coded else doubtful)[code] = made
    return list(coded.values()), [p for code, p in doubtful.items() if code not in coded]


def _care(report: Report, value: LabValue, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Spans of the care that answers a value, in its sentence or in the two that follow in its section."""
    index = report.sentence_at(value.start)
    if index is None:
        return
    section = report.section_at(value.start)
    near = [s for s in report.sentences[index : index + 3] if s.section == section]
    for sentence in near:
        for _, start, end in report.matches(pattern, sentence):
            inside = value.start <= start < value.end
            if not inside and not report.context_at(start, end) & NOT_NOW:
                yield start, _word_end(report.text, end)


def _specific(report: Report, pattern: re.Pattern[str] | None) -> tuple[int, int] | None:
    """A care that is given for nothing else, wherever the stay tells it."""
    if pattern is None:
        return None
    for _, start, end in report.matches(pattern):
        told_now = report.section_at(start) not in _PAST | {"traitement_entree"}
        if told_now and not report.context_at(start, end) & NOT_NOW:
            return start, _word_end(report.text, end)
    return None


def _word_end(text: str, end: int) -> int:
    while end < len(text) and text[end].isalpha():
        end += 1
    return end
