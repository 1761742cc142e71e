"""Redundant, vague and contradictory codes, and the dagger/asterisk pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from pmsi_chain.domain import Finding
from pmsi_chain.rules.case import Case, display
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches, chapter_of, stored

#: Chapters where one category holds several distinct facts: no « unspecified beside precise » there.
_SEVERAL = frozenset({"XV", "XVI", "XX", "XXI", "XXII"})
#: Length of a category, the shortest code that has subdivisions.
_CATEGORY = 3
_PARTNER = re.compile(r"\(\s*([A-Z][0-9]{2}(?:\.[0-9+]{1,3})?(?:\s*[-–]\s*[A-Z][0-9]{2}(?:\.[0-9+]{1,3})?)?)")
_NOTE = re.compile(r"[\[(]\s*([A-Z][0-9]{2}(?:\.[0-9+]{1,3})?(?:\s*[-–]\s*[A-Z][0-9]{2}(?:\.[0-9+]{1,3})?)?)")
#: Symptoms that the Guide wants as DP although their disease is known (ch. VI, T2; ch. V, Chutes à répétition).
_DP_SYMPTOMS = ("R18", "R52.1", "R29.6")
#: Dagger subdivisions of diabetes that announce a manifestation, and the asterisk codes that say which.
_DIABETES = (("E1?.2", ("N08.3", "N18", "N17")), ("E1?.3", ("H28.0", "H36.0", "H42.0")),
             ("E1?.4", ("G59.0", "G63.2", "G73.0", "G99.0")), ("E1?.5", ("I79.2", "L97", "M14.2", "I70")))  # fmt: skip


def repeated(case: Case) -> Iterator[Finding]:
    """The same problem twice: the same code, or a code with one of its own subdivisions (ch. IV, 2)."""
    places: dict[str, list[str]] = {}
    for item in case.items:
        places.setdefault(item.code, []).append(item.position.upper())
    for code, where in places.items():
        if len(where) > 1:
            often = "deux fois" if len(where) == 2 else f"{len(where)} fois"
            yield case.finding(
                "GM2026-IV-DAS-04", "review",
                f"{case.show(code)} figure {often} ({' et '.join(dict.fromkeys(where))}) : n'en garder qu'un.",
                (code,),
            )  # fmt: skip
        for short in (code[:size] for size in range(_CATEGORY, len(code)) if code[:size] in places):
            yield case.finding(
                "GM2026-IV-DAS-04", "review",
                f"{display(short)} est le code père de {case.show(code)} : retirer {display(short)}.",
                (short, code),
            )  # fmt: skip


def vague(case: Case) -> Iterator[Finding]:
    """A « sans précision » code beside a precise one of the same problem."""
    pairs = {pair: None for codes, precise in check_tables().unspecified for pair in _across(case, codes, precise)}
    by_category: dict[str, list[str]] = {}
    for code in dict.fromkeys(case.codes):
        if len(code) > 3 and chapter_of(code) not in _SEVERAL:
            by_category.setdefault(code[:3], []).append(code)
    for siblings in by_category.values():
        blurred = [code for code in siblings if code[3] == "9"]
        sharp = [code for code in siblings if code[3] not in "89"]
        pairs |= {(code, sharp[0]): None for code in blurred if sharp}
    for blurry, precise_code in pairs:
        yield case.finding(
            "CIM10-PRECISION-01", "review",
            f"{case.show(blurry)} est moins précis que {case.show(precise_code)} : "
            "le retirer, sauf problème distinct.",
            (blurry, precise_code),
        )  # fmt: skip


def _across(case: Case, codes: tuple[str, ...], precise: tuple[str, ...]) -> list[tuple[str, str]]:
    blurred = case.having(*codes)
    sharp = case.having(*precise) if blurred else ()
    return [(code, sharp[0]) for code in blurred if sharp and code not in sharp]


def symptoms(case: Case) -> Iterator[Finding]:
    """A symptom beside the disease that explains it: redundant as DAS, wrong as DP (ch. IV, 2; ch. VI, D1)."""
    for codes, diseases in check_tables().symptoms:
        causes = case.having(*diseases)
        if not causes:
            continue
        for item in case.items:
            if not any_matches(codes, item.code) or item.code in causes:
                continue
            if item.position == "das":
                yield case.finding(
                    "GM2026-IV-DAS-03", "review",
                    f"{case.show(item.code)} est un signe habituel de {case.show(causes[0])} : le retirer, "
                    "sauf s'il a demandé une prise en charge propre.",
                    (item.code, causes[0]),
                )  # fmt: skip
            elif item.position == "dp" and not any_matches(_DP_SYMPTOMS, item.code) and causes[0][0] != "C":
                yield case.finding(
                    "GM2026-VI-D1", "review",
                    f"Le DP {case.show(item.code)} est un symptôme dont une cause est codée, {case.show(causes[0])} : "
                    "si elle a motivé l'admission, elle est le DP.",
                    (item.code, causes[0]),
                )  # fmt: skip


def contradictory(case: Case) -> Iterator[Finding]:
    """Codes that say two things that cannot both be."""
    for rule, first, second in check_tables().pairs:
        left, right = case.having(*first), case.having(*second)
        if left and right:
            yield case.finding(
                rule, "review",
                f"{case.show(left[0])} avec {case.show(right[0])} : {case.guide.rule(rule).statement} "
                "N'en garder qu'un, selon ce que dit le dossier.",
                (left[0], right[0]),
            )  # fmt: skip


def notes(case: Case) -> Iterator[Finding]:
    """A code that the exclusion notes of another coded one, or of its category, send elsewhere (CIM-10, volume 1)."""
    codes = tuple(dict.fromkeys(case.codes))
    for holder in codes:
        for other in codes:
            if other != holder and other[:3] != holder[:3] and _excluded(case, holder, other):
                yield case.finding(
                    "CIM10-PRECISION-02", "info",
                    f"Une note d'exclusion de {case.show(holder)} renvoie à {case.show(other)} : "
                    "les garder ensemble suppose deux problèmes distincts.",
                    (holder, other),
                )  # fmt: skip


def _excluded(case: Case, holder: str, other: str) -> bool:
    for width in range(len(holder), 2, -1):
        entry = case.entry(holder[:width])
        if entry and any(other.startswith(name) for note in entry.exclusion_notes for name in _names(note)):
            return True
    return False


@lru_cache(maxsize=4096)
def _names(note: str) -> tuple[str, ...]:
    """The codes a note names; a range over several categories is too wide to say anything."""
    found = (re.sub(r"\s*[-–]\s*", "-", name).split("-") for name in _NOTE.findall(note))
    return tuple(stored(parts[0]) for parts in found if len(parts) == 1)


def daggers(case: Case) -> Iterator[Finding]:
    """A manifestation (*) needs its aetiology (†), coded before it (CIM-10, volume 2, 3.1.3)."""
    rule = case.guide.rule("CIM10-DAGUE-01")
    for item in case.items:
        if not rule.matches(item.code, "governs"):
            continue
        entry = case.entry(item.code)
        causes = tuple(re.sub(r"\s*[-–]\s*", "-", name) for name in _PARTNER.findall(entry.label)) if entry else ()
        if not causes:
            continue
        try:
            found = [other for other in case.items if any_matches(causes, other.code) and other.code != item.code]
        except ValueError:
            continue
        if not found:
            yield case.finding(
                rule.id, "review",
                f"{case.show(item.code)} est une manifestation (*) : ajouter le code de sa cause "
                f"({', '.join(causes)}).",
                (item.code,),
            )  # fmt: skip
        elif item.position == "dp":
            yield case.finding(
                "CIM10-DAGUE-02", "review",
                f"{case.show(item.code)} (*) est en DP devant sa cause {case.show(found[0].code)} (†) : "
                "la cause passe avant, sauf motif d'admission propre à la manifestation.",
                (item.code, found[0].code),
            )  # fmt: skip


def asterisks(case: Case) -> Iterator[Finding]:
    """A dagger whose label names its manifestation, or a diabetes code that announces one, without that code."""
    for code in dict.fromkeys(case.codes):
        entry = case.entry(code)
        partners = entry.asterisk_partners if entry else ()
        if partners and not case.having(*partners):
            yield case.finding(
                "CIM10-DAGUE-01", "info",
                f"{case.show(code)} (†) va avec sa manifestation (*) : ajouter {', '.join(partners)}.", (code,),
            )  # fmt: skip
    for announced, manifestations in _DIABETES:
        for code in case.having(announced):
            if code[1] in "01234" and not case.having(*manifestations):
                yield case.finding(
                    "CIM10-DAGUE-03", "info",
                    f"{case.show(code)} annonce une complication : ajouter le code qui la précise "
                    f"({', '.join(display(stored(name)) for name in manifestations)}), si le dossier la décrit.",
                    (code,),
                )  # fmt: skip
