"""Several reports in one input: which one rules, what is only recalled, and what may not be mixed."""

from __future__ import annotations

import pytest

from pmsi_chain.reading.documents import find_documents, mixed, ruling
from tests.reading_support import bare_reader

THREE = """COMPTE RENDU DES URGENCES
Douleur de la fosse iliaque droite depuis hier, fièvre. Conclusion : suspicion d'appendicite, avis chirurgical.

COMPTE RENDU OPÉRATOIRE
Appendicectomie par cœlioscopie, appendice phlegmoneux. Conclusion : suites simples attendues.

COMPTE RENDU D'HOSPITALISATION
Séjour du 05/03/2026 au 08/03/2026. Évolution : favorable sous antibiotiques.
Conclusion : appendicite aiguë opérée.
"""
FIRST = """COMPTE RENDU D'HOSPITALISATION
IPP : 1200345. Séjour du 02/01/2025 au 09/01/2025.
Conclusion : embolie pulmonaire bilatérale anticoagulée.
"""
SECOND = """COMPTE RENDU D'HOSPITALISATION
IPP : 1200345. Séjour du 12/02/2026 au 15/02/2026.
Conclusion : pneumopathie du lobe inférieur droit traitée par amoxicilline.
"""


def kinds(text: str) -> list[str]:
    return [document.kind for document in find_documents(text)]


def test_each_report_is_a_document() -> None:
    assert kinds(THREE) == ["emergency", "operation", "stay"]
    documents = find_documents(THREE)
    assert documents[0].start == 0
    assert documents[-1].end == len(THREE)
    assert [a.end for a in documents[:-1]] == [b.start for b in documents[1:]]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_report_of_the_stay_rules_wherever_it_stands(order: tuple[int, ...]) -> None:
    pieces = [THREE[d.start : d.end].rstrip() for d in find_documents(THREE)]
    text = "\n\n".join(pieces[i] for i in order)
    documents = find_documents(text)
    assert documents[ruling(documents)].kind == "stay"
    report = bare_reader().read(text)
    assert report.section_at(text.index("appendicite aiguë opérée")) == "conclusion"
    assert report.section_at(text.index("suspicion d'appendicite")) == "histoire"
    assert report.section_at(text.index("suites simples attendues")) == "operatoire"


def test_one_report_is_one_document() -> None:
    assert kinds(SECOND) == ["stay"]
    assert kinds("CHU\nService de médecine\n" + SECOND) == ["stay"]
    assert kinds("Patiente revue ce jour.") == ["stay"]
    assert kinds("") == ["stay"]


def test_two_stays_and_two_patients_are_told() -> None:
    both = FIRST + "\n" + SECOND
    assert mixed(both, find_documents(both)) == "two_stays"
    other = FIRST + "\n" + SECOND.replace("1200345", "9900021")
    assert mixed(other, find_documents(other)) == "two_patients"
    assert mixed(THREE, find_documents(THREE)) is None
    assert mixed(SECOND, find_documents(SECOND)) is None


def test_what_is_of_another_stay_is_recalled_and_not_coded() -> None:
    both = FIRST + "\n" + SECOND
    report = bare_reader().read(both)
    assert report.mixed == "two_stays"
    start = both.index("embolie")
    assert "previous_stay" in report.context_at(start, start + 8)
    start = both.index("pneumopathie")
    assert "previous_stay" not in report.context_at(start, start + 12)


def test_a_heading_may_recall_a_stay() -> None:
    text = (
        "Antécédents : HTA.\nRappel de l'hospitalisation précédente (mars 2025, copié du compte rendu) :\n"
        "Phlébite surale.\n\nÉvolution : favorable.\n"
    )
    report = bare_reader().read(text)
    start = text.index("Phlébite")
    assert "previous_stay" in report.context_at(start, start + 8)
    assert "previous_stay" not in report.context_at(text.index("favorable"), text.index("favorable") + 9)
