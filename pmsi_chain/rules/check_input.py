"""Checks of the input itself: reports of two stays or patients together, words addressed to a machine."""

from __future__ import annotations

from collections.abc import Iterator

from pmsi_chain.domain import Evidence, Finding
from pmsi_chain.rules.case import Case

_RULE = "GM2026-IV-DP-01"
_SAID = {
    "two_patients": (
        "blocking",
        "Le texte réunit des comptes rendus de deux patients (numéros ou dates de naissance différents) : seul le "
        "dernier est codé ; les donner séparément.",
    ),
    "two_stays": (
        "review",
        "Le texte réunit des comptes rendus de deux séjours (dates disjointes) : seul le dernier est codé, les autres "
        "ne valent qu'antécédents ; les donner séparément.",
    ),
}
_SHOWN_CHARS = 160


def mixed(case: Case) -> Iterator[Finding]:
    """One coding is of one stay (ch. IV, 1.1): several in one input are never mixed in silence."""
    reading = case.report.reading if case.report is not None else None
    found = _SAID.get(getattr(reading, "mixed", None) or "")
    if reading is None or found is None:
        return
    severity, message = found
    yield case.finding(_RULE, "blocking" if severity == "blocking" else "review", message, ())


def addressed_to_a_machine(case: Case) -> Iterator[Finding]:
    """A sentence that tells a machine what to code is read by no one but the coder."""
    reading = case.report.reading if case.report is not None else None
    for start, end in getattr(reading, "instructions", ()):
        text = case.report.text if case.report is not None else ""
        quote = text[start : min(end, start + _SHOWN_CHARS)]
        words = (Evidence(quote=quote, start=start, end=start + len(quote)),)
        yield case.finding(
            _RULE, "review",
            "Le texte contient une consigne adressée à une machine : elle a été ignorée ; vérifier d'où il vient.",
            (), words,
        )  # fmt: skip
        return
