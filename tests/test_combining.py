"""Combination codes, daggers and asterisks, companions, poisonings; ranges that labels print."""

from __future__ import annotations

import pytest

from pmsi_chain.combining import combination_tables, combine, in_order, is_asterisk
from pmsi_chain.measures import by_measure, printed_range
from pmsi_chain.nomenclature import load_cim10
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Report
from pmsi_chain.rules.expressions import expression, stored
from pmsi_chain.selection import Proposal
from tests.reading_support import bare_reader


def proposals(report: Report, *codes: str) -> list[Proposal]:
    edition = load_cim10()
    proof = report.proof(0, min(5, len(report.text)), 0.95)
    return [Proposal(c, edition.entry(c).label, 0.95, (proof,), ("dp", "dr", "das")) for c in codes]


def combined(text: str, *codes: str) -> set[str]:
    report = bare_reader().read(text)
    return {p.code for p in combine(report, load_cim10(), proposals(report, *codes))}


def test_every_expression_resolves_and_every_row_has_its_source() -> None:
    tables, edition = combination_tables(), load_cim10()
    for whole in tables.wholes:
        assert default_child(edition, stored(whole.code)), whole.code
        assert whole.source
        for text in (*whole.parts, *whole.with_, *whole.and_, *whole.replaces):
            expression(text)
    for part in tables.parts:
        assert part.source
        for text in (*part.code, *part.of):
            expression(text)
    for toxic in tables.toxics:
        assert default_child(edition, stored(toxic.code)), toxic.code
    assert all(edition.get(category) for category in tables.asterisks)


@pytest.mark.parametrize(
    ("text", "codes", "expected"),
    [
        ("Séjour.", ("J449", "J181"), {"J440", "J181"}),
        ("Séjour.", ("J441", "J209"), {"J440", "J209"}),
        ("Séjour.", ("I119", "I5012"), {"I1102"}),
        ("Séjour.", ("I131", "I5009", "N184"), {"I1329", "N184"}),
        ("Séjour.", ("I129", "N185", "I10"), {"I120", "N185"}),
        ("Séjour.", ("K802", "K810"), {"K800"}),
        ("Séjour.", ("K703", "I859"), {"K703", "I982"}),
        ("Alzheimer avec démence.", ("G309", "F03"), {"G309", "F009"}),
        ("Séjour.", ("G309",), {"G309"}),
        ("Séjour.", ("E1198", "N083"), {"E1128", "N083"}),
        ("Séjour.", ("E109", "H360", "G632"), {"E107", "H360", "G632"}),
        ("Séjour.", ("H360",), {"E143", "H360"}),
        ("Séjour.", ("E1198", "N185"), {"E1198", "N185"}),  # the link must be written
        ("Séjour.", ("E101", "E872"), {"E101"}),
        ("Séjour.", ("I10", "I5009"), {"I10", "I5009"}),
        ("Insuffisance cardiaque congestive d'origine hypertensive.", ("I10", "I5009"), {"I1109"}),
        ("Intoxication volontaire par alprazolam, médicaments.", ("T509", "T424"), {"T424", "X6199"}),
        ("Enfant vivant.", ("O800",), {"O800", "Z370"}),
        ("Séjour.", ("M512", "M543"), {"M511"}),
        ("Occlusion du grêle sur bride.", ("K566",), {"K565"}),
        ("Occlusion du grêle. Antécédent de plaie sur bride métallique.", ("K566",), {"K566"}),
        ("Patiente enceinte de 24 SA.", ("N10",), {"O230"}),
        ("Deux grossesses menées à terme.", ("N10",), {"N10"}),
        ("Choc septique.", ("R572", "N10"), {"R572", "N10", "A419"}),
        ("ECBU : Escherichia coli.", ("N10",), {"N10", "B962"}),
        ("ECBU : pas d'Escherichia coli.", ("N10",), {"N10"}),
    ],
)
def test_combinations_replace_their_parts(text: str, codes: tuple[str, ...], expected: set[str]) -> None:
    assert combined(text, *codes) == expected


def test_a_voluntary_poisoning_has_its_substance_and_its_circumstance() -> None:
    found = combined("Tentative de suicide par ingestion de bromazépam à son domicile.")
    assert found == {"T424", "X6109"}
    assert combined("Traitement : bromazépam le soir. Pas d'intoxication.") == set()
    assert combined("Surdosage accidentel en paracétamol.") == {"T391"}


def test_asterisks_stand_behind_their_daggers() -> None:
    assert is_asterisk("G632")
    assert is_asterisk("I982")
    assert not is_asterisk("K703")
    assert in_order(["I982", "E8718", "K703"]) == ["E8718", "K703", "I982"]
    assert in_order(["G632", "I10", "E1148"]) == ["I10", "E1148", "G632"]


def test_ranges_are_read_in_the_labels() -> None:
    edition = load_cim10()
    middle = printed_range(edition.entry("I5001").label)
    assert middle is not None
    assert middle.holds(40)
    assert middle.holds(49.9)
    assert not middle.holds(50)
    assert not middle.holds(39)
    assert printed_range(edition.entry("J449").label) is None


@pytest.mark.parametrize(
    ("text", "root", "expected"),
    [
        ("Évolution : FEVG à 30 %.", "I501", "I5012"),
        ("Évolution : FEVG à 55 %.", "I500", "I5000"),
        ("Antécédents : FEVG 55 % en 2020.\nÉvolution : FEVG 35 %.", "I501", "I5012"),
        ("Examen : IMC 42 kg/m2.", "E669", "E6696"),
        ("Biologie : natrémie 126 mmol/L.", "E871", None),
        ("Biologie : natrémie 117 mmol/L.", "E871", "E8710"),
        ("Biologie : sans particularité.", "I501", None),
    ],
)
def test_a_value_gives_the_extension(text: str, root: str, expected: str | None) -> None:
    edition = load_cim10()
    labels = [(c, edition.entry(c).label) for c in edition.children(root) if edition.is_allowed(c, "das")]
    found = by_measure(bare_reader().read(text), labels)
    assert (found[0] if found else None) == expected
