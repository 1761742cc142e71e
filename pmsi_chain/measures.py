"""Measures that tell codes of one family apart: « FEVG inférieure à 40 », « IMC de 30 à 35 », « kaliémie < 2,5 ».

The clinician names the condition; the value gives its extension and never the condition itself (CIM-10 FR 2025,
labels of I50, I11, I13, E66, E87). The bounds are read in the labels, so a new edition brings its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pmsi_chain.reading import LabValue, Report
from pmsi_chain.text import fold

#: Words of a label → normalised analyte of `pmsi_chain.reading.values`.
_MEASURES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("fevg", re.compile(r"\bfevg\b|fraction d'ejection")),
    ("imc", re.compile(r"\bimc\b|masse corporelle")),
    ("kaliemie", re.compile(r"kaliemie")),
    ("natremie", re.compile(r"natremie")),
)
_BOUND = re.compile(
    r"(?P<side>inferieure?|superieure?)(?P<equal> ou egale?)? a (?P<value>\d+(?:[.,]\d+)?)"
    r"|(?P<equal2>egale? ou )(?P<side2>inferieure?|superieure?) a (?P<value2>\d+(?:[.,]\d+)?)"
)
#: Values told of the past do not measure the stay.
_PAST = frozenset({"antecedents"})
#: For these the worst value of the stay counts, for the others the last one.
_LOWEST, _HIGHEST = re.compile(r"^hypo"), re.compile(r"^hyper")


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds that a label prints for a measure; None where it prints none on that side."""

    name: str
    low: float | None
    high: float | None
    low_included: bool
    high_included: bool

    def holds(self, value: float) -> bool:
        """Whether the value lies in the range."""
        if self.low is not None and (value < self.low or (value == self.low and not self.low_included)):
            return False
        return not (self.high is not None and (value > self.high or (value == self.high and not self.high_included)))


def printed_range(label: str) -> Range | None:
    """The range that a label prints; None without one."""
    folded = fold(label)
    name = next((name for name, cue in _MEASURES if cue.search(folded)), None)
    if name is None:
        return None
    low = high = None
    low_in = high_in = False
    for match in _BOUND.finditer(folded):
        side = match["side"] or match["side2"]
        equal = bool(match["equal"] or match["equal2"])
        value = float((match["value"] or match["value2"]).replace(",", "."))
        if side.startswith("inf") and high is None:
            high, high_in = value, equal
        elif side.startswith("sup") and low is None:
            low, low_in = value, equal
    return Range(name, low, high, low_in, high_in) if low is not None or high is not None else None


def measured(report: Report, name: str, label: str) -> LabValue | None:
    """The value of the stay that a family goes by: the worst one for « hypo… » and « hyper… », else the last one."""
    values = [value for value in report.values if value.name == name and value.section not in _PAST]
    values = values or [value for value in report.values if value.name == name]
    if not values:
        return None
    folded = fold(label)
    if _LOWEST.match(folded):
        return min(values, key=lambda v: v.value)
    if _HIGHEST.match(folded):
        return max(values, key=lambda v: v.value)
    return values[-1]


def by_measure(report: Report, labels: Sequence[tuple[str, str]]) -> tuple[str, LabValue] | None:
    """The one code of a family whose printed range holds the value of the stay, with that value.

    Args:
        labels: (code, label) of the family.
    """
    ranges = [(code, label, found) for code, label in labels if (found := printed_range(label)) is not None]
    hits = [
        (code, value)
        for code, label, found in ranges
        if (value := measured(report, found.name, label)) is not None and found.holds(value.value)
    ]
    return hits[0] if len(hits) == 1 else None
