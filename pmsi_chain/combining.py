"""Codes that go together: combinations that replace their parts, daggers and asterisks, companions, poisonings.

All of it is data (`knowledge/combinations.toml`), each row with its source; nothing here names a disease. A new code
keeps the proofs of the codes that it is made of.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pydantic import Field, ValidationError

from pmsi_chain.codes import cim10_display
from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Report
from pmsi_chain.reading.context import NOT_NOW, NOT_PRESENT
from pmsi_chain.rules.check_companions import OWN_GERM
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches, stored
from pmsi_chain.rules.guide import StrictModel, knowledge
from pmsi_chain.selection import Proposal

_FILE = "combinations.toml"
#: Probability of a companion that the report's words call for.
_TOLD = 0.9
#: The letter of the fourth character of diabetes codes with several complications.
_SEVERAL = "7"
_DIABETES = re.compile(r"E1[0-4]")
_POISONED = re.compile(
    r"intoxication|ingestion|ingere|absorption|absorbe|surdosage|overdose|empoisonnement|\bimv\b|tentative de suicide|"
    r"tentative d'autolyse|\bts (?:par|med)"
)
_VOLUNTARY = re.compile(
    r"volontaire(?!ment (?:non|arrete))|suicid|autolyse|auto-?inflige|auto-?agress|\bimv\b|\bts (?:par|med)"
)
#: A poisoning by a drug that is told, and by one that is not.
_SOME_DRUG = "T509"
_DRUG = re.compile(r"T(?:3[6-9]|4|50(?!9))")
_AT_HOME = re.compile(r"domicile|chez (?:lui|elle|soi)|appartement|maison")


class _Whole(StrictModel):
    code: str
    parts: list[str]
    with_: list[str] = Field(alias="with")
    and_: list[str] = Field(default_factory=list, alias="and")
    words: str = ""
    replaces: list[str]
    source: str


class _Part(StrictModel):
    code: list[str]
    of: list[str]
    source: str


class _Diabetes(StrictModel):
    suffix: str
    manifestations: list[str]


class _Companion(StrictModel):
    code: str
    of: list[str]
    unless: list[str] = Field(default_factory=list)
    words: str
    source: str


class _Toxic(StrictModel):
    code: str
    external: str
    words: str


class _File(StrictModel):
    asterisks: list[str]
    whole: list[_Whole]
    part: list[_Part]
    diabetes: list[_Diabetes]
    companion: list[_Companion]
    toxic: list[_Toxic]


@dataclass(frozen=True)
class CombinationTables:
    """The rows of `combinations.toml`; see the file for what each column says."""

    asterisks: frozenset[str]
    wholes: tuple[_Whole, ...]
    parts: tuple[_Part, ...]
    diabetes: tuple[_Diabetes, ...]
    companions: tuple[_Companion, ...]
    toxics: tuple[_Toxic, ...]


@lru_cache(maxsize=1)
def combination_tables() -> CombinationTables:
    """The tables shipped with the package.

    Raises:
        SourceFileError: the file is not valid.
    """
    try:
        data = _File.model_validate(tomllib.loads(knowledge(_FILE).read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SourceFileError(f"{_FILE} : tables illisibles ; {error} ; réinstaller le paquet") from error
    return CombinationTables(
        frozenset(data.asterisks), tuple(data.whole), tuple(data.part), tuple(data.diabetes), tuple(data.companion),
        tuple(data.toxic),
    )  # fmt: skip


def is_asterisk(code: str) -> bool:
    """Whether CIM-10 marks the category of a code with an asterisk: a manifestation, never first."""
    return code[:3] in combination_tables().asterisks


def combine(report: Report, edition: Cim10Edition, proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals with combinations for their parts, daggers for lone asterisks, companions and poisonings."""
    found = _poisonings(report, edition, list(proposals))
    found = _diabetes(edition, found)
    for row in combination_tables().wholes:
        found = _whole(edition, found, row, report.folded)
    found = _germs(report, edition, _companions(report, edition, found))
    return _without_parts(found)


def _germs(report: Report, edition: Cim10Edition, proposals: list[Proposal]) -> list[Proposal]:
    """The germ of an infection that the report names (Guide MCO 2026, ch. V, Infections : germes, B95-B98)."""
    tables = check_tables()
    infections = [p for p in proposals if any_matches(tables.groups["infection"], p.code) and p.code[0] not in "AB"]
    infections = [p for p in infections if p.probability >= _TOLD]
    out = list(proposals)
    if not infections or any(any_matches(("A00-B89", *OWN_GERM), p.code) for p in infections):
        return out
    for cue, printed in tables.germs:
        code = default_child(edition, stored(printed))
        known = next((p for p in out if p.code == code), None)
        if code is None or (known is not None and known.probability >= _TOLD):
            continue
        made = _told(report, edition, code, cue, f"germe de {_shown(infections[:1])} (Guide MCO 2026, ch. V)")
        if made is not None:
            out = [p for p in out if p.code != code] + [made]
    return out


def _whole(edition: Cim10Edition, proposals: list[Proposal], row: _Whole, folded: str) -> list[Proposal]:
    codes = [p.code for p in proposals]
    parts = [p for p in proposals if any_matches(tuple(row.parts), p.code)]
    joined = [p for p in proposals if any_matches(tuple(row.with_), p.code)]
    joined_too = [p for p in proposals if any_matches(tuple(row.and_), p.code)] if row.and_ else []
    if not parts or not joined or (row.and_ and not joined_too) or any(any_matches((row.code,), c) for c in codes):
        return proposals
    if row.words and not re.search(row.words, folded):
        return proposals
    code = _codable(edition, row.code, extension_of=next((p.code for p in joined if p.code[:3] == "I50"), ""))
    if code is None:
        return proposals
    best = max(parts, key=lambda p: p.probability)
    sources = list(dict.fromkeys((*parts, *joined, *joined_too)))
    made = _made(edition, code, best, sources, f"combinaison de {_shown(sources)} ({row.source})")
    return [p for p in proposals if not any_matches(tuple(row.replaces), p.code)] + [made]


def _codable(edition: Cim10Edition, printed: str, extension_of: str = "") -> str | None:
    """The codable code of an expression, with the extension (FEVG) of another code where both families have it."""
    code = stored(printed)
    if extension_of and len(extension_of) == 5 and edition.get(code + extension_of[-1]) is not None:
        return code + extension_of[-1]
    return default_child(edition, code)


def _made(edition: Cim10Edition, code: str, best: Proposal, sources: Sequence[Proposal], reason: str) -> Proposal:
    places = {(e.start, e.end): e for p in sources for e in p.evidence}
    evidence = tuple(sorted(places.values(), key=lambda e: (e not in best.evidence, -(e.probability or 0.0), e.start)))
    return Proposal(
        code=code,
        label=edition.entry(code).label,
        probability=min(p.probability for p in sources),
        evidence=evidence,
        positions=tuple(p for p in best.positions if edition.is_allowed(code, p)),
        reasons=(*best.reasons, reason),
        rivals=tuple(p.code for p in sources),
    )


def _shown(proposals: Sequence[Proposal]) -> str:
    return " et ".join(dict.fromkeys(cim10_display(p.code) for p in proposals))


def _diabetes(edition: Cim10Edition, proposals: list[Proposal]) -> list[Proposal]:
    """Diabetes by its manifestations: .2 to .5, or .7 with several; a lone manifestation brings E14."""
    rows = combination_tables().diabetes
    shown = {row.suffix: [p for p in proposals if any_matches(tuple(row.manifestations), p.code)] for row in rows}
    suffixes = {suffix for suffix, found in shown.items() if found}
    bases = [p for p in proposals if _DIABETES.match(p.code)]
    suffixes |= {p.code[3] for p in bases if p.code[3:4] and p.code[3] in shown}
    if not suffixes or any(p.code[3:4] == _SEVERAL for p in bases):
        return proposals
    kind = min((p.code[:3] for p in bases if p.code[:3] != "E14"), default="E14")
    code = default_child(edition, kind + (_SEVERAL if len(suffixes) > 1 else next(iter(suffixes))))
    if code is None or any(p.code == code for p in bases):
        return proposals
    sources = [*bases, *(p for found in shown.values() for p in found)]
    best = max(bases or sources, key=lambda p: p.probability)
    best = replace(best, positions=edition.positions(code))
    made = _made(
        edition, code, best, sources, f"diabète avec ses complications : {_shown(sources)} (CIM-10 FR, E10-E14)"
    )
    return [p for p in proposals if p not in bases] + [made]


def _companions(report: Report, edition: Cim10Edition, proposals: list[Proposal]) -> list[Proposal]:
    out = list(proposals)
    for row in combination_tables().companions:
        called = [p for p in out if any_matches(tuple(row.of), p.code)]
        code = _codable(edition, row.code)
        if not called or code is None or any(any_matches(tuple(row.unless), p.code) for p in out):
            continue
        if any(any_matches((row.code,), p.code) and (p.code != code or p.probability >= _TOLD) for p in out):
            continue
        made = _told(report, edition, code, re.compile(row.words), f"appelé par {_shown(called)} ({row.source})")
        if made is not None:
            out = [p for p in out if p.code != code] + [made]
    return out


def companions_of(report: Report, edition: Cim10Edition, code: str) -> list[Proposal]:
    """What a code that the situation imposes brings with it: Z37 with a delivery."""
    out: list[Proposal] = []
    for row in combination_tables().companions:
        codable = _codable(edition, row.code)
        if codable is not None and any_matches(tuple(row.of), code):
            made = _told(
                report, edition, codable, re.compile(row.words), f"appelé par {cim10_display(code)} ({row.source})"
            )
            out += [made] if made is not None else []
    return out


def _told(report: Report, edition: Cim10Edition, code: str, words: re.Pattern[str], reason: str) -> Proposal | None:
    """A code from the first words that tell it, in their context."""
    for _, start, end in report.matches(words):
        if not report.context_at(start, end) & NOT_PRESENT:
            return _at(report, edition, code, (start, end), reason)
    return None


def _at(report: Report, edition: Cim10Edition, code: str, place: tuple[int, int], reason: str) -> Proposal:
    """A code that the words [place) tell."""
    proof = report.proof(*place, _TOLD)
    return Proposal(code, edition.entry(code).label, _TOLD, (proof,), edition.positions(code), reasons=(reason,))


def _poisonings(report: Report, edition: Cim10Edition, proposals: list[Proposal]) -> list[Proposal]:
    """Poisonings by their substance, with the circumstance (Guide MCO 2026, ch. V, Effets nocifs, p. 90-91)."""
    out = list(proposals)
    whole = report.folded
    poisoned, voluntary = bool(_POISONED.search(whole)), bool(_VOLUNTARY.search(whole))
    if not poisoned:
        return out
    for row in combination_tables().toxics:
        code = default_child(edition, stored(row.code))
        place = _poisoned_by(report, re.compile(row.words))
        known = next((p for p in out if p.code == code), None)
        if code is None or (place is None and known is None):
            continue
        if (known is None or known.probability < _TOLD) and place is not None:
            known = _at(report, edition, code, place, "intoxication par ce produit, dite dans la même phrase")
            out = [*(p for p in out if p.code != code), known]
        if voluntary and known is not None and not any(p.code.startswith("X6") for p in out):
            external = f"X6{row.external}" + ("0" if _AT_HOME.search(whole) else "9") + "9"
            if external in edition:  # the official file without chapter XX has none
                made = _told(report, edition, external, _VOLUNTARY, "circonstance volontaire de l'intoxication")
                out += [made] if made is not None else []
    if any(_DRUG.match(p.code) and p.probability >= _TOLD for p in out):
        out = [p for p in out if not p.code.startswith(_SOME_DRUG)]
    return out


def _poisoned_by(report: Report, words: re.Pattern[str]) -> tuple[int, int] | None:
    """Where a substance is said in a sentence that tells a poisoning, not denied."""
    for sentence in report.sentences:
        if sentence.section in ("traitement_entree", "traitement_sortie", "suites"):
            continue
        if next(report.matches(_POISONED, sentence), None) is None:
            continue
        place = next(((start, end) for _, start, end in report.matches(words, sentence)), None)
        if place is not None and not report.context_at(*place) & NOT_NOW:
            return place
    return None


def _without_parts(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Leave out codes that are only a part of another one."""
    codes = [p.code for p in proposals]
    gone = {
        code
        for row in combination_tables().parts
        if any(any_matches(tuple(row.of), c) for c in codes)
        for code in codes
        if any_matches(tuple(row.code), code) and not any_matches(tuple(row.of), code)
    }
    return [p for p in proposals if p.code not in gone]


def in_order(codes: Sequence[str]) -> list[str]:
    """Codes with each asterisk moved right behind a dagger that stands before or after it; others keep their place."""
    daggers = [code for code in codes if not is_asterisk(code)]
    out = list(daggers)
    for code in codes:
        if is_asterisk(code):
            pairs = [d for d in daggers if _goes_with(code, d)]
            out.insert(out.index(pairs[0]) + 1 if pairs else len(out), code)
    return out


#: Asterisk category → what its daggers look like, for the order of the lines.
_PAIRS = (("F00", "G30"), ("I98", "K7"), ("D638", "N18"), ("D630", "C"))


def _goes_with(asterisk: str, dagger: str) -> bool:
    if any(asterisk.startswith(a) and dagger.startswith(d) for a, d in _PAIRS):
        return True
    return any(any_matches(tuple(row.manifestations), asterisk) for row in combination_tables().diabetes) and bool(
        _DIABETES.match(dagger)
    )
