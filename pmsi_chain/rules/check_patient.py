"""Codes that do not fit the patient's sex or age."""

from __future__ import annotations

from collections.abc import Iterator

from pmsi_chain.domain import Finding
from pmsi_chain.rules.case import Case

#: (expressions, lowest age, highest age, rule, severity): completed years at admission.
_AGES: tuple[tuple[tuple[str, ...], int, int, str, bool], ...] = (
    (("Z38", "P00-P04", "P07", "P08", "P20-P29", "Z76.2", "Z76.850", "Z13.51"), 0, 0, "CIM10-PATIENT-02", True),
    (("P05", "P10-P15", "P35-P39", "P50-P96"), 0, 1, "CIM10-PATIENT-02", False),
    (("O00-O99", "Z33-Z37", "Z39"), 11, 58, "CIM10-PATIENT-02", False),
    (("Z55.00",), 16, 130, "GM2026-V-PRECARITE-02", True),
    (("Z55.1",), 0, 16, "GM2026-V-PRECARITE-03", True),
    (("F00", "F01", "F03", "G30"), 30, 130, "CIM10-PATIENT-02", False),
    (("N40",), 30, 130, "CIM10-PATIENT-02", False),
)


def sex(case: Case) -> Iterator[Finding]:
    """A condition or an act of the other sex."""
    if case.stay is None or case.stay.sex is None:
        return
    for item in case.items:
        entry = case.entry(item.code)
        if entry and entry.sex and entry.sex != case.stay.sex:
            whom = "la femme" if entry.sex == "F" else "l'homme"
            yield case.finding(
                "CIM10-PATIENT-01", "blocking",
                f"{case.show(item.code)} ne se voit que chez {whom} : vérifier le sexe saisi ou le code.", (item.code,),
            )  # fmt: skip


def age(case: Case) -> Iterator[Finding]:
    """A condition of another age."""
    if case.stay is None or case.stay.age is None:
        return
    years = case.stay.age
    for expressions, low, high, rule, strict in _AGES:
        for code in dict.fromkeys(case.having(*expressions)):
            if not low <= years <= high:
                yield case.finding(
                    rule, "blocking" if strict and rule.startswith("CIM10") else "review",
                    f"{case.show(code)} ne va pas à {years} ans : vérifier l'âge saisi ou le code.", (code,),
                )  # fmt: skip
