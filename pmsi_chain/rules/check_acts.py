"""Acts: existence, validity on their date, activity and phase, sex, dates of the stay, notes of the CCAM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime

from pmsi_chain.domain import Finding, RumAct
from pmsi_chain.rules.case import Case
from pmsi_chain.text import tokens

_CODE = re.compile(r"[A-Z]{4}[0-9]{3}")
_EXCLUDES = re.compile(r"exclusion|ne peut pas|ne peuvent pas|non cumul", re.IGNORECASE)
#: A word of a label says something from this length on; its first letters are looked for.
_WORD, _STEM = 5, 6
_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%d%m%Y")


def _day(act: RumAct) -> date | None:
    for form in _FORMATS:
        try:
            return datetime.strptime(act.date or "", form).date()
        except ValueError:
            continue
    return None


def acts(case: Case) -> Iterator[Finding]:
    """Each act line on its own."""
    for act in case.rum.acts:
        code = act.code.strip().upper()[:7]
        yield from _line(case, act, code)
        if case.ccam is not None:
            yield from _listed(case, act, code)


def _line(case: Case, act: RumAct, code: str) -> Iterator[Finding]:
    missing = [
        name
        for name, value in (("l'activité", act.activity), ("la phase", act.phase), ("la date", act.date))
        if not value
    ]
    if missing:
        yield case.finding("CCAM-ACTE-02", "info", f"Acte {code} : il manque {', '.join(missing)}.", (code,))
    day = _day(act)
    if act.date and day is None:
        yield case.finding("CCAM-ACTE-02", "review", f"Acte {code} : date illisible ; l'écrire AAAA-MM-JJ.", (code,))
    stay = case.stay
    if day and stay:
        early = stay.admission_date is not None and day < stay.admission_date
        late = stay.discharge_date is not None and day > stay.discharge_date
        if early or late:
            yield case.finding(
                "CCAM-ACTE-03", "review",
                f"Acte {code} daté {'avant l’entrée' if early else 'après la sortie'} : corriger la date, ou le saisir "
                "dans l'unité qui l'a fait.",
                (code,),
            )  # fmt: skip


def _listed(case: Case, act: RumAct, code: str) -> Iterator[Finding]:
    ccam = case.ccam
    if ccam is None:
        return
    entry = ccam.get(code)
    if entry is None:
        starter = ccam.version.startswith("starter")
        yield case.finding(
            "CCAM-ACTE-01", "info" if starter else "blocking",
            f"{code} ne figure pas dans la CCAM {ccam.version}"
            + (" (socle partiel : installer la CCAM officielle pour vérifier)." if starter else " : à remplacer."),
            (code,),
        )  # fmt: skip
        return
    day = _day(act) or (case.stay.discharge_date if case.stay else None)
    if day and ((entry.valid_from and day < entry.valid_from) or (entry.valid_to and day > entry.valid_to)):
        yield case.finding(
            "CCAM-ACTE-01", "blocking", f"{code} ({entry.label}) n'est pas en vigueur le {day}.", (code,)
        )
    if act.activity and entry.activities and act.activity not in entry.activities:
        yield case.finding(
            "CCAM-ACTE-02", "blocking",
            f"{code} n'a pas d'activité {act.activity} : {', '.join(entry.activities)} seulement.", (code,),
        )  # fmt: skip
    if act.phase and entry.phases and act.phase not in entry.phases:
        yield case.finding(
            "CCAM-ACTE-02",
            "blocking",
            f"{code} n'a pas de phase {act.phase} : {', '.join(entry.phases)} seulement.",
            (code,),
        )
    if entry.sex and case.stay and case.stay.sex and entry.sex != case.stay.sex:
        whom = "la femme" if entry.sex == "F" else "l'homme"
        yield case.finding("CCAM-ACTE-05", "blocking", f"{code} ({entry.label}) ne se fait que chez {whom}.", (code,))


def described(case: Case) -> Iterator[Finding]:
    """An act of which no word of its label or synonyms is in the report."""
    if case.report is None or case.ccam is None:
        return
    for code in dict.fromkeys(case.acts):
        entry = case.ccam.get(code)
        if entry is None:
            continue
        told = {token for text in (entry.label, *entry.synonyms) for token in tokens(text) if len(token) >= _WORD}
        if told and not any(token[:_STEM] in case.report.folded for token in told):
            yield case.finding(
                "CCAM-ACTE-06", "review",
                f"Acte {code} ({entry.label}) : aucun de ses mots dans le compte rendu ; joindre le compte rendu de "
                "l'acte, ou le retirer.",
                (code,),
            )  # fmt: skip


def together(case: Case) -> Iterator[Finding]:
    """The same line twice; acts that the notes of the CCAM set apart."""
    lines: set[tuple[str, str | None, str | None, str | None]] = set()
    for act in case.rum.acts:
        line = (act.code.strip().upper(), act.activity, act.phase, act.date)
        if line in lines and act.date:
            yield case.finding(
                "CCAM-ACTE-04", "review", f"Acte {line[0][:7]} saisi deux fois à la même date.", (line[0][:7],)
            )
        lines.add(line)
    if case.ccam is None:
        return
    coded = set(case.acts)
    for code in dict.fromkeys(case.acts):
        entry = case.ccam.get(code)
        for note in entry.notes if entry else ():
            others = [other for other in _CODE.findall(note) if other in coded and other != code]
            if others and _EXCLUDES.search(note):
                yield case.finding(
                    "CCAM-ACTE-04", "review",
                    f"Une note de {code} écarte {others[0]} : n'en garder qu'un, ou vérifier deux temps distincts.",
                    (code, others[0]),
                )  # fmt: skip
