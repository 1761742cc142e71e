"""Care that decides the DP, with its words: repeated and single treatments, imposed explorations, acute states.

Data in `knowledge/guide_treatments.toml`; cues are regular expressions on text folded by `pmsi_chain.text.fold`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import Field, ValidationError

from pmsi_chain.errors import SourceFileError
from pmsi_chain.rules.expressions import expression
from pmsi_chain.rules.guide import StrictModel, knowledge

Nature = Literal[
    "repeated", "exception", "single", "palliative", "cosmetic", "comfort", "repair", "device", "first_device",
    "prophylactic", "donor", "interventional", "surgery", "drug",
]  # fmt: skip


@dataclass(frozen=True)
class TreatmentMotive:
    """A treatment or exploration that, as the reason for admission, decides the DP.

    Attributes:
        key: stable name; label: French name.
        nature: kind of care; "exam" for an exploration.
        rule_id: the rule that makes it decide.
        dp: code expressions imposed as DP; empty when the DP is the condition treated.
        dr: "condition" when the condition treated is the DR if it meets the definition, "none" otherwise.
        dr_categories: code expressions of usual DR, for ranking.
        cues: patterns on folded text.
    """

    key: str
    label: str
    nature: Nature | Literal["exam", "acute"]
    rule_id: str
    dp: tuple[str, ...]
    dr: Literal["condition", "none"]
    dr_categories: tuple[str, ...]
    cues: tuple[str, ...]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """All the cues as one pattern."""
        return re.compile("|".join(f"(?:{cue})" for cue in self.cues))

    def find(self, folded: str) -> re.Match[str] | None:
        """The first place where the care is named in a folded text."""
        return self.pattern.search(folded)

    @property
    def code(self) -> str | None:
        """The imposed DP when it is a single code or category, printed form."""
        return self.dp[0] if len(self.dp) == 1 else None


class _Entry(StrictModel):
    label: str
    cues: list[str] = Field(min_length=1)
    dp: list[str] = Field(default_factory=list)
    dr: Literal["condition", "none"] = "none"
    dr_categories: list[str] = Field(default_factory=list)
    key: str = ""


class _Treatment(_Entry):
    nature: Nature
    rule: str


class _File(StrictModel):
    treatment: list[_Treatment] = Field(min_length=1)
    acute: list[_Entry] = Field(min_length=1)
    exam: list[_Entry] = Field(min_length=1)


@lru_cache(maxsize=1)
def _file() -> tuple[tuple[TreatmentMotive, ...], tuple[TreatmentMotive, ...], tuple[TreatmentMotive, ...]]:
    name = "guide_treatments.toml"
    try:
        data = _File.model_validate(tomllib.loads(knowledge(name).read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SourceFileError(f"{name} : table des traitements illisible ; {error}") from error
    treatments = tuple(_motive(entry, entry.nature, entry.rule) for entry in data.treatment)
    acute = tuple(_motive(entry, "acute", "GM2026-VI-D6") for entry in data.acute)
    exams = tuple(_motive(entry, "exam", "GM2026-VI-D3") for entry in data.exam)
    return treatments, acute, exams


def _motive(entry: _Entry, nature: Nature | Literal["exam", "acute"], rule: str) -> TreatmentMotive:
    for text in (*entry.dp, *entry.dr_categories):
        expression(text)
    return TreatmentMotive(
        key=entry.key or entry.label, label=entry.label, nature=nature, rule_id=rule, dp=tuple(entry.dp), dr=entry.dr,
        dr_categories=tuple(entry.dr_categories), cues=tuple(entry.cues),
    )  # fmt: skip


def treatments() -> tuple[TreatmentMotive, ...]:
    """Treatments, the most precise first: the first that is found wins."""
    return _file()[0]


def acute_states() -> tuple[TreatmentMotive, ...]:
    """Acute states of chronic diseases that have a code of their own (ch. VI, D6)."""
    return _file()[1]


def explorations() -> tuple[TreatmentMotive, ...]:
    """Explorations with an imposed DP (ch. VI, D3)."""
    return _file()[2]


def treatment(key: str) -> TreatmentMotive:
    """A treatment or exploration by its key.

    Raises:
        KeyError: no such treatment.
    """
    for motive in (*treatments(), *explorations()):
        if motive.key == key:
            return motive
    raise KeyError(f"traitement {key} inconnu : voir treatments()")


def find_treatment(folded: str) -> tuple[TreatmentMotive, re.Match[str]] | None:
    """The first treatment of the table that a folded text names."""
    for motive in treatments():
        match = motive.find(folded)
        if match:
            return motive, match
    return None
