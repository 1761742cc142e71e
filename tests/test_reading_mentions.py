"""Mentions: terms known by name, windows to match by meaning, coordinations spelled out. All passages are invented."""

from __future__ import annotations

import pytest

from pmsi_chain.reading import Mention
from pmsi_chain.reading.windows import MAX_CONTENT_WORDS
from pmsi_chain.text import STOP_WORDS, fold, words
from tests.reading_support import bare_reader, full_reader


def mentions(text: str) -> tuple[Mention, ...]:
    return full_reader().read(text).mentions


def terms(text: str, origin: str | None = None) -> set[str]:
    return {m.term for m in mentions(text) if origin is None or m.origin == origin}


@pytest.mark.parametrize(
    ("text", "quote", "code"),
    [
        ("Insuffisance respiratoire aiguë ce jour.", "Insuffisance respiratoire aiguë", "J960"),
        ("INSUFFISANCE RESPIRATOIRE AIGUE", "INSUFFISANCE RESPIRATOIRE AIGUE", "J960"),
        ("Découverte d'une hypothyroïdie.", "hypothyroïdie", "E039"),
        ("Patient en insuffisance rénale aiguë.", "insuffisance rénale aiguë", "N179"),
        ("Hypertension essentielle (primitive) traitée", "Hypertension essentielle", "I10"),
        ("Nausées et vomissements depuis deux jours", "Nausées et vomissements", "R11"),
        ("Hyponatrémie à 121", "Hyponatrémie", "E8718"),
        ("Diverticulose de l'intestin", "Diverticulose de l'intestin", "K579"),
        ("BPCO stade III", "BPCO", "J449"),
    ],
)
def test_a_term_known_by_name(text: str, quote: str, code: str) -> None:
    found = [m for m in mentions(text) if m.origin == "dictionary" and text[m.start : m.end] == quote]
    assert [m.codes[0] for m in found] == [code]


def test_a_label_stands_for_its_words_in_any_number() -> None:
    assert any(m.codes == ("R060",) for m in mentions("dyspnées") if m.origin == "dictionary")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Insuffisance rénale et cardiaque.", {"insuffisance cardiaque"}),
        ("Insuffisance hépatique ou rénale chronique.", {"insuffisance renale", "maladie renale chronique"}),
        ("Lésions pulmonaires, hépatiques et cérébrales.", {"lesions hepatiques", "lesions cerebrales"}),
        ("Sténose aortique et mitrale.", {"stenose mitrale"}),
        ("Fracture du radius et de l'ulna.", {"fracture de l'ulna"}),
        ("Tumeur maligne du sein et de l'ovaire droit.", {"tumeur maligne de l'ovaire"}),
        ("Neuropathie périphérique ou autonome d'origine diabétique.", set()),
    ],
)
def test_a_coordination_is_spelled_out(text: str, expected: set[str]) -> None:
    composed = {m.term for m in full_reader().read(text).mentions if m.origin == "composed"}
    assert expected <= composed


def test_a_composed_form_quotes_the_whole_coordination() -> None:
    text = "Pas d'insuffisance rénale ou cardiaque."
    (mention,) = [m for m in mentions(text) if m.term == "insuffisance cardiaque"]
    assert text[mention.start : mention.end] == "insuffisance rénale ou cardiaque"
    assert mention.context == {"negated"}


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Il présentait une gêne respiratoire au moindre effort.", "gene respiratoire au moindre effort"),
        ("Diverticulose sans perforation ni abcès.", "diverticulose sans perforation ni abces"),
        ("Plaie creusante du talon gauche.", "plaie creusante du talon gauche"),
        ("Fracture de Weber B déplacée.", "fracture de weber b deplacee"),
        ("Diabète de type II.", "diabete de type 2"),
    ],
)  # fmt: skip
def test_a_window_for_what_is_said_otherwise(text: str, term: str) -> None:
    assert term in {m.term for m in bare_reader().read(text).mentions}


@pytest.mark.parametrize(
    ("text", "unwanted"),
    [
        ("Fièvre. Toux.", "fievre toux"),
        ("HTA, diabète", "hypertension arterielle diabete"),
        ("Le patient présente une toux", "patient presente une toux"),
        ("Pas de fièvre", "pas de fievre"),
        ("Suspicion de pneumopathie", "suspicion de pneumopathie"),
        ("Kaliémie 3,1 mmol/L", "kaliemie"),
        ("Toux depuis le 12/03/2026", "toux depuis le 12"),
    ],
)
def test_a_window_crosses_no_sign_verb_or_cue(text: str, unwanted: str) -> None:
    assert unwanted not in terms(text)


def test_abbreviations_are_spelled_out_in_their_context() -> None:
    assert "hypertension arterielle" in terms("Patient hypertendu (HTA) suivi.")
    assert {"infarctus du myocarde", "inferieur"} <= terms("IDM inférieur ce jour.")


def test_a_measured_substance_is_no_mention_but_a_condition_with_its_value_is() -> None:
    assert not [m for m in mentions("Hb 8,1 g/dL, K 3,9 mmol/L") if m.origin == "dictionary"]
    assert [m.codes for m in mentions("Anémie à 8,1 g/dL") if m.term == "anemie"] == [("D649",)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Vu par le Dr Crohn.", False),
        ("Mme Jeanne HORTON est admise.", False),
        ("Monsieur Parkinson, 70 ans.", False),
        ("Vu par le DR HORTON.", False),
        ("Accueil de jour Alzheimer.", False),
        ("Suivi par le Dr Martin. Crohn iléal.", True),
        ("Mme Durand a un Parkinson.", True),
        ("Crohn iléal connu.", True),
        ("BPCO suivie par le Dr Martin.", True),
    ],
)
def test_a_person_is_no_disease(text: str, named: bool) -> None:
    assert bool([m for m in mentions(f"Histoire : {text}") if m.origin == "dictionary"]) == named


def test_nothing_is_read_from_the_identity() -> None:
    text = "Nom : Durand\nService : Cardiologie\nMotif : angine\n"
    assert {m.section for m in mentions(text)} == {"motif"}


def test_equal_mentions_share_a_key() -> None:
    report = full_reader().read("Motif : insuffisance rénale aiguë.\nConclusion : Insuffisances rénales aiguës.")
    places = [m.section for m in report.forms["insuffisance renale aigue"]]
    assert places == ["motif", "conclusion"]
    assert sum(len(found) for found in report.forms.values()) == len(report.mentions)


REPORT = """**Motif d'admission :** Mme L., 81 ans, est adressée pour une altération de l'état général avec anorexie.

**Antécédents :** HTA, FA sous apixaban, cancer du sein traité en 2009, prothèse totale de hanche droite.

**Examen clinique :** TA 105/60 mmHg, SpO2 91 % en air ambiant. Escarre sacrée de stade 3. Pas de signe de phlébite.

**Biologie :** Na 128 mmol/L, albumine 24 g/L, créatinine 142 µmol/L, Hb 9,8 g/dL.

**Évolution :** hyponatrémie corrigée par restriction hydrique. Dénutrition sévère prise en charge par la diététicienne.
Infection urinaire à E. coli traitée par ceftriaxone. Transfusion de deux culots globulaires.

**Conclusion :** infection urinaire, dénutrition sévère, hyponatrémie, escarre sacrée. Coloscopie prévue dans un mois.
"""


def test_a_report_gives_few_windows() -> None:
    report = full_reader().read(REPORT * 6)
    assert len(REPORT) * 6 > 4_000
    assert len(report.mentions) <= 2_500
    assert len(report.forms) < len(report.mentions) / 3


def test_every_mention_is_well_formed() -> None:
    report = full_reader().read(REPORT)
    for mention in report.mentions:
        sentence = report.sentences[mention.sentence]
        assert sentence.start <= mention.start < mention.end <= sentence.end
        assert mention.section == sentence.section == report.section_at(mention.start)
        assert report.text[mention.start].isalnum()
        assert report.text[mention.end - 1].isalnum()
        assert mention.term == fold(mention.term)
        assert mention.key
        assert (mention.origin == "window") <= (mention.codes == ())
        if mention.origin == "window":
            content = [w for w in words(report.text[mention.start : mention.end]) if w not in STOP_WORDS]
            assert len(content) <= MAX_CONTENT_WORDS + 1


def test_contexts_of_a_whole_report() -> None:
    report = full_reader().read(REPORT)
    seen = {(REPORT[m.start : m.end], m.section): m.context for m in report.mentions}
    assert seen["phlébite", "examen"] == {"negated"}
    assert seen["Coloscopie", "conclusion"] == {"planned"}
    assert seen["Dénutrition sévère", "evolution"] == set()
    assert seen["hyponatrémie", "evolution"] == {"resolved"}
    assert seen["hyponatrémie", "conclusion"] == set()
    assert seen["cancer du sein", "antecedents"] == {"history", "listed_history"}
    assert seen["HTA", "antecedents"] == {"listed_history"}
