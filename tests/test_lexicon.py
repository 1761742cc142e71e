"""The clinical lexicon: its data, what it finds where, and which sense it gives an ambiguous term."""

from __future__ import annotations

import csv
import gzip
import json
import os
import time
import unicodedata
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsi_chain.errors import SourceFileError
from pmsi_chain.lexicon import KINDS, Lexicon, LexiconEntry, Sense, load_lexicon
from pmsi_chain.text import fold, tokens

OFFICIAL = Path(os.environ.get("PMSI_SHARED_DIR", Path(__file__).parents[2] / "shared")) / "referentiels"
HEADER = "term;expansion;kind;senses;note\n"

LONG_REPORT = (
    "Monsieur B., 72 ans, est adressé par son médecin pour une dyspnée d'aggravation progressive. ATCD : HTA, DNID, "
    "FA sous AVK, IDM en 2012, BPCO post-tabagique. À l'examen, crépitants des deux bases, OMI bilatéraux. La "
    "créatinine est à 210 µmol/L : IRA fonctionnelle. La radio de thorax montre un syndrome interstitiel. L'ETT "
    "retrouve une FEVG à 35 %, une IM modérée. Traitement diurétique intraveineux, évolution favorable. "
)


def expand(text: str, context: str = "") -> str:
    return load_lexicon().expand(text, context)


# The data


def test_more_than_six_hundred_and_fifty_entries_of_every_kind() -> None:
    kinds = Counter(entry.kind for entry in load_lexicon().entries)
    assert kinds.total() >= 650
    assert set(kinds) == KINDS
    assert min(kinds.values()) >= 5


def test_read_once() -> None:
    assert load_lexicon() is load_lexicon()


def test_an_expansion_is_left_as_it_is_when_expanded_again() -> None:
    readings = {r for entry in load_lexicon().entries for r in (entry.expansion, *(s.expansion for s in entry.senses))}
    again = {reading for reading in readings if load_lexicon().get(reading) is None and expand(reading) != reading}
    assert again == set()


def test_a_term_alone_becomes_its_default_reading() -> None:
    for entry in load_lexicon().entries:
        if entry.term.endswith("."):  # a short form with a full stop of its own needs a sentence that goes on
            assert expand(f"{entry.term} ancienne") == f"{entry.expansion} ancienne", entry.term
        else:
            assert expand(entry.term) == entry.expansion, entry.term


def test_ambiguous_terms_say_what_points_to_each_other_reading() -> None:
    ambiguous = [entry for entry in load_lexicon().entries if entry.is_ambiguous]
    assert len(ambiguous) >= 60
    for entry in ambiguous:
        assert entry.senses[0].expansion == entry.expansion, entry.term
        assert all(sense.cues for sense in entry.senses[1:]), entry.term
        assert len({sense.expansion for sense in entry.senses}) == len(entry.senses), entry.term


@lru_cache(maxsize=1)
def nomenclature_vocabulary() -> frozenset[str]:
    words: set[str] = set()
    with (OFFICIAL / "cim10" / "LIBCIM10MULTI_2025_saufch20.TXT").open(encoding="latin-1") as file:
        for line in file:
            words.update(tokens(line.rsplit("|", 1)[-1]))
    with (OFFICIAL / "cim10" / "cim10_notes_2025.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            words.update(tokens(" ".join(row)))
    with gzip.open(OFFICIAL / "ccam" / "ccam_actes.json.gz", "rt", encoding="utf-8") as acts:
        for act in json.load(acts):
            words.update(tokens(act["libelle_long"]))
    return frozenset(words)


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official nomenclatures are not there (PMSI_SHARED_DIR)")
def test_expansions_speak_the_words_of_the_nomenclatures() -> None:
    words = [word for entry in load_lexicon().entries for word in tokens(entry.expansion)]
    known = sum(word in nomenclature_vocabulary() for word in words)
    assert known >= 0.97 * len(words)


# What is found, where


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IDM étendu", "infarctus du myocarde étendu"),
        ("idm inferieur", "infarctus transmural aigu du myocarde, paroi inférieure"),
        ("HTA, DNID", "hypertension artérielle, diabète sucré de type 2"),
        ("L'HTA est équilibrée", "L'hypertension artérielle est équilibrée"),
        ("H.T.A. équilibrée", "hypertension artérielle équilibrée"),
        ("Patient suivi pour une H.T.A.", "Patient suivi pour une hypertension artérielle."),
        ("bpco stade II", "maladie pulmonaire obstructive chronique stade II"),
        ("SCA ST+ inférieur", "infarctus transmural aigu du myocarde inférieur"),
        ("SCA ST-", "infarctus sous-endocardique aigu du myocarde"),
        ("crise cardiaque", "infarctus du myocarde"),
        ("Crises cardiaques", "infarctus du myocarde"),
        ("CRISE CARDIAQUE", "infarctus du myocarde"),
        ("escarre sacrée", "ulcère de décubitus du sacrum"),
        ("escarres", "ulcère de décubitus"),
        ("cancer du sein", "tumeur maligne du sein"),
        ("métastases surrénaliennes", "tumeur maligne secondaire de la glande surrénale"),
        ("métastase splénique", "tumeur maligne secondaire splénique"),
        ("PTH droite", "prothèse totale de hanche droite"),
        ("appendicectomie coelio", "appendicectomie cœlioscopie"),
        ("appendicectomie cœlio.", "appendicectomie cœlioscopie."),
        ("mal de mer", "mal des transports"),
        ("PARACETAMOL 500 MG matin et soir", "PARACETAMOL 500 MG matin et soir"),
        ("AVC ischémique sylvien", "infarctus cérébral sylvien"),
    ],
)
def test_expands(text: str, expected: str) -> None:
    assert expand(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Les patients vont bien",
        "LES PATIENTS VONT BIEN",  # « LES » is lupus only among words in lower case
        "il ira en rééducation demain, après un passage de quelques jours dans le service de médecine gériatrique",
        "bien qu'il ait été prévenu à temps par sa famille, le patient est arrivé tardivement dans le service",
        "sept jours",
        "gastro-œsophagien",
        "Ablation du drain. Suites simples.",
        "Il se sent mal. Il mange peu.",
        "sus-décalage en DII, DIII et aVF",
        "avis gastro-entérologique",
        "5 mg",
        "10 mm de diamètre",
        "",
        " \n\t ",
    ],
)
def test_leaves_ordinary_words_alone(text: str) -> None:
    assert expand(text) == text
    assert load_lexicon().find(text) == []


def test_two_letters_need_capitals_in_a_report_and_none_in_a_query() -> None:
    long_line = "Le patient est hospitalisé dans le service pour la prise en charge de son problème de {} chronique."
    assert "fibrillation auriculaire" in expand(long_line.format("FA"))
    assert expand(long_line.format("fa")) == long_line.format("fa")
    assert expand("fa rapide") == "fibrillation auriculaire rapide"


def test_the_longest_term_wins() -> None:
    found = load_lexicon().find("AVC hémorragique")
    assert [entry.term for _, _, entry in found] == ["AVC hémorragique"]


def test_words_of_a_term_may_not_be_cut_by_punctuation() -> None:
    assert [e.term for _, _, e in load_lexicon().find("crise, cardiaque")] == []
    assert [e.term for _, _, e in load_lexicon().find("crise\ncardiaque")] == ["crise cardiaque"]


def test_a_short_form_takes_its_full_stop_but_not_the_sentences() -> None:
    lexicon = Lexicon.from_csv(HEADER + "abl.;ablation;shortening;;\nrésec;résection;shortening;;\n")
    assert lexicon.expand("abl. de matériel") == "ablation de matériel"
    assert lexicon.expand("résec. de prostate, résec du col") == "résection de prostate, résection du col"
    assert lexicon.expand("Fin de la résec. Suites simples.") == "Fin de la résection. Suites simples."
    assert lexicon.expand("abl de matériel") == "abl de matériel"


def test_decomposed_accents_are_read_as_accents() -> None:
    written = unicodedata.normalize("NFD", "métastases hépatiques et œdème aigu pulmonaire")
    assert "tumeur maligne secondaire du foie" in expand(written)


# Senses


def test_senses_come_default_first() -> None:
    senses = load_lexicon().senses("IRA")
    assert [sense.expansion for sense in senses[:2]] == ["insuffisance rénale aiguë", "insuffisance respiratoire aiguë"]
    assert "dialyse" in senses[0].cues
    assert load_lexicon().senses("ira") == senses
    assert load_lexicon().senses("HTA") == (Sense("hypertension artérielle"),)
    assert load_lexicon().senses("xyzzy") == ()


@pytest.mark.parametrize(
    ("term", "around", "expected"),
    [
        ("IRA", "", "insuffisance rénale aiguë"),
        ("IRA", "créatinine à 300, diurèse conservée", "insuffisance rénale aiguë"),
        ("IRA", "SpO2 à 82 %, mise sous oxygène", "insuffisance respiratoire aiguë"),
        ("IRC", "", "maladie rénale chronique"),
        ("IRC", "sous oxygène, BPCO, PaCO2 élevée", "insuffisance respiratoire chronique"),
        ("FA", "", "fibrillation auriculaire"),
        ("FA", "troubles de déglutition, texture mixée, gélifiée", "dysphagie"),
        ("EP", "", "embolie pulmonaire"),
        ("EP", "matité de la base, ponction de la plèvre", "épanchement pleural"),
        ("EP", "pic monoclonal, gammapathie", "électrophorèse des protéines"),
        ("IC", "dyspnée, BNP élevé, FEVG basse", "insuffisance cardiaque"),
        ("IC", "étude : p = 0,03, 95 %", "intervalle de confiance"),
        ("PC", "chute avec malaise", "syncope et collapsus"),
        ("PC", "naissance à terme, taille 50 cm", "périmètre crânien"),
        ("SEP", "", "sclérose en plaques"),
        ("SEP", "cloison du nez déviée", "septum"),
        ("TC", "chute avec choc au crâne, Glasgow 15", "traumatisme crânien"),
        ("TC", "MMS à 20, plainte de mémoire, démence", "troubles cognitifs"),
        ("IM", "souffle et fuite de la valve", "insuffisance mitrale"),
        ("IM", "injection du vaccin, une dose", "voie intramusculaire"),
        ("BAV", "syncope, ECG, pacemaker", "bloc auriculoventriculaire"),
        ("BAV", "œil rouge, vision trouble", "baisse de l'acuité visuelle"),
        ("TV", "examen gynécologique : col fermé", "toucher vaginal"),
        ("IVG", "", "interruption volontaire de grossesse, avortement médical"),
        ("IVG", "crépitants, dyspnée, FEVG à 30 %", "insuffisance ventriculaire gauche"),
        ("HD", "rectorragie et méléna", "hémorragie gastro-intestinale"),
        ("CCI", "tumorectomie du sein gauche", "tumeur maligne du sein"),
        ("PNP", "EMG : atteinte du nerf", "polyneuropathie"),
        ("K", "Na 138 mmol, ionogramme", "K"),
        ("K", "vitamine", "K"),
        ("K", "du sein opéré", "tumeur maligne"),
        ("AAP", "", "antiagrégant plaquettaire"),
        ("AAP", "rectum bas situé, temps périnéal, anus", "amputation du rectum par laparotomie et par abord périnéal"),
        ("PCA", "morphine", "analgésie contrôlée par le patient"),
        ("TCA", "TP à 80 %, plaquettes normales", "temps de céphaline activée"),
    ],
)
def test_an_ambiguous_term_takes_the_sense_its_surroundings_point_to(term: str, around: str, expected: str) -> None:
    entry = load_lexicon().get(term)
    assert entry is not None
    assert entry.is_ambiguous
    assert expand(term, around) == expected
    assert expand(f"{around}. On note {term} ici" if around else term).find(expected) >= 0


def test_far_away_words_do_not_choose_a_sense() -> None:
    filler = "évolution simple sans particularité " * 20
    assert "insuffisance rénale aiguë" in expand(f"oxygène. {filler} IRA {filler} désaturation")


# Offsets

_TERMS = st.sampled_from([e.term for e in load_lexicon().entries])
_NOISE = st.text(
    alphabet=st.sampled_from("aàâbcdeéèfghijlmnoœpqrstuvxyzABCDEFHIMSTV0123456789 .,;:'’-+/()\n\u0301\u00a0 ß"),
    max_size=25,
)


@given(st.lists(_NOISE | _TERMS, max_size=12), st.sampled_from(["", " ", ", ", "\n", "-"]))
def test_spans_are_ordered_inside_the_text_and_hold_the_term(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    done = 0
    for start, end, entry in load_lexicon().find(text):
        assert done <= start < end <= len(text)
        span = "".join(c for c in fold(text[start:end]) if c.isalnum() or c == "+")
        term = "".join(c for c in fold(entry.term) if c.isalnum() or c == "+")
        assert span[:2] == term[:2]
        assert abs(len(span) - len(term)) <= 2 * len(entry.term.split())
        done = end


@given(st.lists(_NOISE | _TERMS, max_size=12))
def test_expand_changes_the_spans_found_and_nothing_else(pieces: list[str]) -> None:
    text = " ".join(pieces)
    lexicon = load_lexicon()
    expanded, done = lexicon.expand(text), 0
    for start, end, entry in lexicon.find(text):
        kept = text[done:start]
        assert expanded.startswith(kept)
        expanded = expanded[len(kept) :]
        readings = [entry.expansion, *(s.expansion for s in entry.senses)]
        reading = max((r for r in readings if expanded.startswith(r)), key=len)
        expanded, done = expanded[len(reading) :], end
    assert expanded == text[done:]


@given(_TERMS, st.integers(min_value=0, max_value=40))
def test_a_term_set_in_a_sentence_is_found_at_its_place(term: str, blanks: int) -> None:
    before = "On retient " + " " * blanks
    text = f"{before}{term} chez ce patient"
    assert any(start == len(before) and end >= start + len(term) - 1 for start, end, _ in load_lexicon().find(text))


# Reading the file


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        ("HTA;hypertension;abbreviation;\n", 2, "4 columns"),
        ("HTA;;abbreviation;;\n", 2, "no word"),
        (";hypertension;abbreviation;;\n", 2, "no word"),
        ("--;hypertension;abbreviation;;\n", 2, "no word"),
        ("HTA;hypertension;sigle;;\n", 2, "'sigle'"),
        ("HTA;hypertension;abbreviation;;\nhta;autre;synonym;;\n", 3, "line 2"),
        ("FA;fibrillation;abbreviation;fibrillation (cœur);\n", 2, "two and more"),
        ("FA;fibrillation;abbreviation;flutter|fibrillation (cœur);\n", 2, "beginning with the expansion"),
        ("FA;fibrillation;abbreviation;fibrillation|flutter;\n", 2, "no cue"),
        ("FA;fibrillation;abbreviation;fibrillation|flutter (cœur;\n", 2, "is no sense"),
        ("FA;fibrillation;abbreviation;fibrillation||flutter (cœur);\n", 2, "is no sense"),
    ],
)
def test_a_damaged_row_is_refused_by_its_line(rows: str, line: int, said: str) -> None:
    with pytest.raises(SourceFileError, match=f"essai.csv, line {line}: .*{said}"):
        Lexicon.from_csv(HEADER + rows, origin="essai.csv")


@pytest.mark.parametrize("text", ["", "terme;sens\nHTA;hypertension\n", HEADER])
def test_a_file_without_header_or_rows_is_refused(text: str) -> None:
    with pytest.raises(SourceFileError):
        Lexicon.from_csv(text)


def test_an_own_lexicon_is_built_from_entries() -> None:
    own = Lexicon.from_rows([LexiconEntry("TATA", "terme à tester", "abbreviation")])
    assert len(own) == 1
    assert own.expand("une tata") == "une terme à tester"


# Speed


def _best_of(times: int, text: str) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        load_lexicon().expand(text)
        best = min(best, time.perf_counter() - start)
    return best


def test_a_report_is_expanded_in_milliseconds_and_a_query_in_less() -> None:
    report = (LONG_REPORT * 10)[:4000]
    assert len(report) == 4000
    assert _best_of(30, report) < 5e-3
    assert _best_of(200, "IDM inférieur chez un patient hypertendu") < 2e-4
