"""Checks that need the codes alone: legality, positions, DR, exclusions."""

from __future__ import annotations

from collections.abc import Iterator

from pmsi_chain.domain import Finding
from pmsi_chain.rules.case import Case, display
from pmsi_chain.rules.expressions import any_matches, chapter_of, expression

#: Acute conditions that cannot be a DR (the malignant blood diseases are the Guide's exception).
_ACUTE_NOT_DR = (
    "I21", "I22", "I60-I64", "J00-J06", "J09-J18", "J20-J22", "J46", "J96.0", "K35", "K56", "N10", "N17", "A40", "A41",
    "R57", "S00-S99", "T00-T79", "G41", "I26", "K85", "G45",
)  # fmt: skip
#: A DP that never carries a DR, and the rule that says so.
_DP_WITHOUT_DR: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Z80-Z87", "Z91.8"), "GM2026-V-Z-46"),
    (("Z38",), "GM2026-V-Z-21"),
    (("Z20-Z22",), "GM2026-V-Z-17"),
    (("Z03", "Z04.0-Z04.6", "Z04.802", "Z04.880"), "GM2026-V-Z-07"),
)


def legality(case: Case) -> Iterator[Finding]:
    """Every code exists and its type MCO allows its position (CIM-10 FR, ATIH file, type MCO/HAD)."""
    for item in case.items:
        entry = case.entry(item.code)
        place = item.position.upper()
        if entry is None:
            near = ", ".join(display(code) for code in case.edition.nearest(item.code, item.position, 3))
            yield case.finding(
                "CIM10-CODE-01", "blocking",
                f"{display(item.code)} n'existe pas dans la CIM-10 {case.edition.version} : à remplacer"
                + (f", par exemple par {near}." if near else "."),
                (item.code,),
            )  # fmt: skip
        elif entry.type_mco == 3:
            near = ", ".join(display(code) for code in case.edition.nearest(item.code, item.position, 3))
            yield case.finding(
                "CIM10-CODE-02", "blocking",
                f"{case.show(item.code)} est un code père ou supprimé, interdit partout : prendre une subdivision"
                + (f" ({near})." if near else "."),
                (item.code,),
            )  # fmt: skip
        elif not case.edition.is_allowed(item.code, item.position):
            rule = (
                "GM2026-IV-DP-04"
                if item.position == "dp" and chapter_of(item.code) == "XX"
                else _position_ban(case, item.code, item.position)
            )
            yield case.finding(
                rule, "blocking",
                f"{case.show(item.code)} ne peut pas être {place} (type MCO {entry.type_mco}) : le passer en DAS "
                f"et choisir un autre {place}, ou un code plus précis.",
                (item.code,),
            )  # fmt: skip


def _position_ban(case: Case, code: str, position: str) -> str:
    wanted = f"forbidden_{position}"
    for match in case.guide.matching(code):
        if wanted in match.roles and match.specificity in ("code", "category", "range"):
            return match.rule.id
    return "CIM10-CODE-03"


def dp_present(case: Case) -> Iterator[Finding]:
    """A RUM has a DP."""
    if not case.dp:
        yield case.finding("GM2026-IV-DP-01", "blocking", "Aucun DP : dire le problème qui a motivé l'admission.")


def position_forbidden(case: Case) -> Iterator[Finding]:
    """A code that the Guide forbids as DP or DR although its type MCO allows it."""
    for item in case.items:
        if item.position == "das" or not case.edition.is_allowed(item.code, item.position):
            continue
        wanted = f"forbidden_{item.position}"
        for match in case.guide.matching(item.code):
            if wanted in match.roles and match.specificity in ("code", "category", "range"):
                if match.rule.matches(item.code, "context") or _is_example(match.rule.codes, item.code, wanted):
                    continue
                yield case.finding(
                    match.rule.id, "blocking" if match.rule.id != "GM2026-V-Z-10" else "review",
                    f"{case.show(item.code)} en {item.position.upper()} : {match.rule.statement}",
                    (item.code,),
                )  # fmt: skip
                break


def _is_example(codes: tuple[object, ...], code: str, role: str) -> bool:
    return any(
        getattr(item, "role", "") == role and getattr(item, "centrality", "") == "example"
        and expression(getattr(item, "expr", "*")).matches(code)
        for item in codes
    )  # fmt: skip


def related_diagnosis(case: Case) -> Iterator[Finding]:
    """A DR only behind a Z code, never acute, never behind a DP that excludes it (ch. IV, 1.2)."""
    if not case.dr:
        return
    codes = (case.dp, case.dr) if case.dp else (case.dr,)
    if chapter_of(case.dp) != "XXI":
        yield case.finding(
            "GM2026-IV-DR-02", "blocking",
            f"DR {case.show(case.dr)} sans DP en code Z : le retirer ou le passer en DAS s'il a été pris en charge.",
            codes,
        )  # fmt: skip
        return
    for expressions, rule in _DP_WITHOUT_DR:
        if any_matches(expressions, case.dp):
            yield case.finding(
                rule, "review", f"Le DP {case.show(case.dp)} n'appelle pas de DR : retirer {case.show(case.dr)}.", codes
            )
            return
    palliative = case.dp.startswith("Z515")
    if any_matches(_ACUTE_NOT_DR, case.dr) and not palliative:
        yield case.finding(
            "GM2026-IV-DR-05", "review",
            f"{case.show(case.dr)} est une affection aiguë : elle ne peut pas être DR ; coder la maladie de fond "
            "ou l'état permanent, ou pas de DR.",
            (case.dr,),
        )  # fmt: skip


def exclusions(case: Case) -> Iterator[Finding]:
    """Codes that the Guide forbids together."""
    for rule, sides in case.guide.exclusive:
        hits = [(code, item.side) for item in sides for code in dict.fromkeys(case.having(item.expr))]
        if len({side for _, side in hits}) > 1:
            codes = tuple(dict.fromkeys(code for code, _ in hits))
            names = " et ".join(display(code) for code in codes)
            yield case.finding(rule.id, "review", f"{names} ensemble : {rule.statement}", codes)


def forbidden_codes(case: Case) -> Iterator[Finding]:
    """Codes that the Guide never wants in a MCO RUM."""
    for code in dict.fromkeys(case.having("Z10", "Z04.9")):
        rule = "GM2026-V-Z-09" if code.startswith("Z10") else "GM2026-V-Z-06"
        yield case.finding(rule, "review", f"{case.show(code)} : {case.guide.rule(rule).statement}", (code,))
    for code in dict.fromkeys(case.having("E40-E42")):
        yield case.finding(
            "GM2026-V-DENUT-10",
            "review",
            f"{case.show(code)} : {case.guide.rule('GM2026-V-DENUT-10').statement}",
            (code,),
        )
