"""Conditions of use that the Guide sets on the record: thresholds and words, one small function per article."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pmsi_chain.domain import Evidence, Finding
from pmsi_chain.rules.case import Case, LabValue, display
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches

_INSULIN = re.compile(
    r"(?<!non )(?<!non traite par )(?<!non traitee par )(?<!non traite par l')insulin"
    r"|lantus|novorapid|levemir|toujeo|humalog|tresiba|abasaglar|apidra|novomix|humulin"
)
_VENTILATED = re.compile(r"ventil\w+|\bvni\b|intub\w+|optiflow|oxygenotherapie haut debit|respirateur")
_BLEEDING = re.compile(
    r"saignement|hemorrag|plaie (?:vasculaire|arteriel|veineu|d'un)|lachage|choc|massive|hematome|reprise"
    r"|rupture|spoliation|melena|hematemese"
)
_BLOODY_SURGERY = re.compile(
    r"prothese (?:totale )?(?:de |du )?(?:hanche|genou)|\bpth\b|\bptg\b|arthrodese|arthroplastie"
    r"|clou gamma|osteosynthese"
    r"|pontage|remplacement valvulaire|chirurgie cardiaque|rachis"
)
_PREGNANT = re.compile(r"enceinte|grossesse|\bsa\b|post-?partum|accouche")
_URINARY_SIGNS = re.compile(r"pollakiurie|brulures?|dysurie|douleurs? mictionnelle|imperiosite|signes fonctionnels")
_PYURIA = re.compile(r"pyurie|leucocyturie|bandelette|\bbu\b|\becbu\b|leucocytes")


def words(case: Case) -> Iterator[Finding]:
    """Codes whose use the Guide ties to words of the record."""
    if case.report is None:
        return
    for row in check_tables().words:
        coded = case.having(*row.codes)
        if coded and case.report.search(row.cue) is None:
            message = f"{case.show(coded[0])} : le compte rendu ne dit pas {row.text}."
            yield case.finding(row.rule, row.severity, message, coded[:1])


def against(case: Case) -> Iterator[Finding]:
    """Codes that words of the record speak against."""
    if case.report is None:
        return
    for row in check_tables().against:
        coded = case.having(*row.codes)
        proof = case.report.affirmed(row.cue) if coded else None
        if proof:
            message = f"{case.show(coded[0])} : {row.text}."
            yield case.finding(row.rule, row.severity, message, coded[:1], (proof,))


def to_add(case: Case) -> Iterator[Finding]:
    """Codes that words of the record call for."""
    if case.report is None:
        return
    for row in check_tables().additions:
        if not case.having(*row.codes):
            proof = case.report.affirmed(row.cue)
            if proof:
                yield case.finding(row.rule, row.severity, row.text, (), (proof,))


def insulin(case: Case) -> Iterator[Finding]:
    """E11.x0 needs long-term insulin (ch. V, p. 89)."""
    if case.report is None:
        return
    proof = case.report.affirmed(_INSULIN)
    treated, other = case.having("E11.?0"), case.having("E11.?8")
    if treated and proof is None:
        yield case.finding(
            "GM2026-V-INSULINE-01", "review",
            f"{case.show(treated[0])} : aucune insuline dans le compte rendu ; sinon extension 8.", treated,
        )  # fmt: skip
    elif other and proof is not None:
        yield case.finding(
            "GM2026-V-INSULINE-01", "info",
            f"{case.show(other[0])} alors qu'il est question d'insuline : extension 0 si elle l'est au long cours.",
            other, (proof,),
        )  # fmt: skip


def _lowest(values: tuple[LabValue, ...]) -> LabValue | None:
    return min(values, key=lambda value: value.value, default=None)


def _haemoglobin(value: LabValue) -> float:
    return value.value / 10 if value.value > 30 else value.value


def anaemia(case: Case) -> Iterator[Finding]:
    """D62: haemoglobin under 13 (man), 12 (woman), 11 (pregnant) g/dl, and an unusual loss (ch. V, p. 81-82)."""
    if not case.having("D62") or case.facts is None or case.report is None:
        return
    sex = case.stay.sex if case.stay else None
    pregnant = bool(case.having("chap:XV")) or case.report.affirmed(_PREGNANT) is not None
    limit = 13.0 if sex != "F" else 11.0 if pregnant else 12.0
    measured = case.facts.measured("hemoglobine")
    lowest = min(measured, key=_haemoglobin, default=None)
    if lowest is None:
        yield case.finding(
            "GM2026-V-D62-01", "review",
            f"D62 : aucune hémoglobine lue ; il faut un hémogramme sous {limit:g} g/dl, sans anémie avant.",
            ("D62",),
        )  # fmt: skip
    elif _haemoglobin(lowest) >= limit:
        yield case.finding(
            "GM2026-V-D62-01", "review",
            f"D62 : hémoglobine la plus basse {_haemoglobin(lowest):g} g/dl, non inférieure à {limit:g} : le retirer.",
            ("D62",), (lowest.evidence,),
        )  # fmt: skip
    surgery = case.report.affirmed(_BLOODY_SURGERY)
    if surgery and case.report.affirmed(_BLEEDING) is None:
        yield case.finding(
            "GM2026-V-D62-02", "review",
            "D62 après une opération hémorragique par nature, sans saignement inhabituel décrit : pertes compensées "
            "comme prévu, le retirer ; sinon documenter le volume.",
            ("D62",), (surgery,),
        )  # fmt: skip


def malnutrition(case: Case) -> Iterator[Finding]:
    """E43 and E44.0 against the criteria of the patient's age (ch. V, p. 109-114)."""
    coded = case.having("E43", "E44", "E46")
    if not coded or case.facts is None or case.report is None or case.stay is None or case.stay.age is None:
        return
    age = case.stay.age
    severe, moderate, seen = _criteria(case, age)
    phenotypic = [value for value in seen if value.name != "albumine"]
    rule = {"severe": "03", "moderate": "02"} if age < 18 else (
        {"severe": "05", "moderate": "04"} if age < 70 else {"severe": "07", "moderate": "06"}
    )  # fmt: skip
    code = coded[0]
    if not seen:
        yield case.finding(
            "GM2026-V-DENUT-01", "review",
            f"{case.show(code)} : ni perte de poids, ni IMC chiffrés dans le compte rendu ; les documenter.", (code,),
        )  # fmt: skip
    elif not phenotypic:
        yield case.finding(
            "GM2026-V-DENUT-01", "review",
            f"{case.show(code)} : l'albumine seule ne fait pas le diagnostic ; il faut un critère de poids, d'IMC ou "
            "de muscle.",
            (code,), (seen[0].evidence,),
        )  # fmt: skip
    elif code == "E43" and not severe:
        yield case.finding(
            f"GM2026-V-DENUT-{rule['severe']}", "review",
            "E43 : aucun critère sévère parmi les valeurs lues"
            + (" ; elles vont avec E44.0." if moderate else " ; vérifier le diagnostic même."),
            (code,), tuple(value.evidence for value in seen[:2]),
        )  # fmt: skip
    elif code == "E440" and severe:
        yield case.finding(
            "GM2026-V-DENUT-08",
            "review",
            "E44.0 alors qu'un critère sévère est lu : E43.",
            (code,),
            (severe[0].evidence,),
        )
    elif code == "E440" and not moderate:
        yield case.finding(
            f"GM2026-V-DENUT-{rule['moderate']}", "review",
            "E44.0 : aucun critère de dénutrition modérée parmi les valeurs lues ; vérifier le diagnostic même.",
            (code,), tuple(value.evidence for value in seen[:2]),
        )  # fmt: skip


def _criteria(case: Case, age: int) -> tuple[list[LabValue], list[LabValue], list[LabValue]]:
    """(severe, moderate, every) criterion read, with the Guide's own comparators for the age."""
    facts = case.facts
    severe: list[LabValue] = []
    moderate: list[LabValue] = []
    seen: list[LabValue] = []
    for value in facts.values if facts else ():
        number = value.value
        bounds: tuple[bool, bool] | None = None  # (severe, moderate)
        if value.name == "imc" and age >= 70 and 8 < number < 80:
            bounds = (number < 20, 20 <= number < 22)
        elif value.name == "imc" and age >= 18 and 8 < number < 80:
            bounds = (number <= 17, 17 < number < 18.5)
        elif value.name == "albumine" and age >= 18:
            grams = number * 10 if number < 8 else number
            # From 70 on the Guide prints « > 30 » without an upper bound: not used alone, see DENUT-06's hole.
            bounds = (grams <= 30, age < 70 and 30 < grams < 35)
        elif value.name == "perte_poids_1_mois":
            bounds = (number > 10 if age < 18 else number >= 10, 5 <= number < 10 or (number == 10 and age < 18))
        elif value.name == "perte_poids_6_mois":
            bounds = (number > 15 if age < 18 else number >= 15, 10 <= number < 15 or (number == 15 and age < 18))
        if bounds is not None:
            seen.append(value)
            (severe if bounds[0] else moderate if bounds[1] else []).append(value)
    return severe, moderate, seen


def respiratory(case: Case) -> Iterator[Finding]:
    """J96.0: SaO2 under 90 % or PaO2 under 60 mmHg in room air, or ventilation (ch. V, p. 106)."""
    coded = case.having("J96.0")
    if not coded or case.facts is None or case.report is None or case.report.affirmed(_VENTILATED):
        return
    saturation = _lowest(case.facts.measured("spo2", "sao2"))
    pressure = _lowest(case.facts.measured("pao2"))
    low = (saturation is not None and saturation.value < 90) or (pressure is not None and pressure.value < 60)
    if low:
        return
    read: tuple[Evidence, ...] = tuple(value.evidence for value in (saturation, pressure) if value)
    yield case.finding(
        "GM2026-V-IRESP-01", "review",
        "J96.0 : " + ("les valeurs lues ne passent pas" if read else "aucune valeur lue")
        + " sous 90 % de SaO2 ou 60 mmHg de PaO2 en air ambiant, et pas de ventilation.",
        coded, read,
    )  # fmt: skip


def potassium(case: Case) -> Iterator[Finding]:
    """E87.6: the Guide sets no threshold; the lowest value read is shown when it does not look low (information)."""
    if not case.having("E87.6") or case.facts is None:
        return
    lowest = _lowest(case.facts.measured("kaliemie"))
    if lowest is not None and 3.5 <= lowest.value < 10:
        yield case.finding(
            "GM2026-IV-DAS-02", "info",
            f"Hypokaliémie codée, kaliémie la plus basse lue {lowest.value:g} : le Guide ne fixe pas de seuil, "
            "comparer à la borne du laboratoire.",
            case.having("E87.6"), (lowest.evidence,),
        )  # fmt: skip


def cystitis(case: Case) -> Iterator[Finding]:
    """N30.0: urinary signs and pyuria, else N39.0 (ch. V, p. 88)."""
    if not case.having("N30.0") or case.report is None:
        return
    missing = [
        name
        for name, pattern in (("signes fonctionnels urinaires", _URINARY_SIGNS), ("pyurie", _PYURIA))
        if case.report.affirmed(pattern) is None
    ]
    if missing:
        yield case.finding(
            "GM2026-V-CYSTITE-01", "review", f"N30.0 : {' ni '.join(missing)} non décrits ; sinon N39.0.", ("N300",)
        )


def newborn(case: Case) -> Iterator[Finding]:
    """Vitamins given to every newborn are no deficiency; a caesarean may be coded (ch. V, p. 83 and 92)."""
    if case.stay is None or case.stay.age != 0:
        return
    coded = case.having("E50-E56")
    if coded and any_matches(("Z38", "chap:XVI"), case.dp):
        yield case.finding(
            "GM2026-V-VITAMINES-02", "review",
            f"{display(coded[0])} chez un nouveau-né : une supplémentation d'office ne se code pas.", coded,
        )  # fmt: skip
