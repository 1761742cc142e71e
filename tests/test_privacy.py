"""What may leave the machine: tracing, loopback, and pseudonyms with the way back."""

from __future__ import annotations

import random
import re
import time
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langsmith.run_helpers import tracing_context

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.privacy import TRACING_VARIABLES, Pseudonymised, Pseudonymiser, is_loopback, refuse_tracing
from pmsi_chain.privacy.dates import shifted
from pmsi_chain.text import fold

REPORT = """CHU de Villefictive, service de pneumologie
Nom : TARRIDEC   Prénom : Solenn-Maëlle
Née le 12/03/1954, IPP : 800123456, NDA 12 345 678, NIR 2 54 03 29 063 123 45
12 bis rue des Ajoncs, 29200 Brest cedex 2
Tél : 06 12 34 56 78 - solenn.tarridec@hopital.example
Médecin traitant : Dr Yves LE GOANVIC

Cher Docteur Le Goanvic, Mme Dr QUÉRÉ-PLOUZENNEC,
Mme TARRIDEC Solenn est admise le 02/04/2021 pour une pneumopathie à M. pneumoniae, TA 12/7, TNM T2 N0 M0.
Elle tousse depuis le 28/03. Opérée en mars 2019 puis le 1er mai 2020. Infarctus en 2012. Tarridec va mieux.
Reçoit 25000 UI/j d'héparine. Hémoglobine 12.5. Revue par le Pr Vauquelin le 15 avril 2021.
"""

SECRETS = (
    "TARRIDEC", "Tarridec", "Solenn", "Maëlle", "12/03/1954", "800123456", "12 345 678", "2 54 03 29", "Ajoncs",
    "29200", "Brest", "06 12 34", "tarridec@", "GOANVIC", "Goanvic", "QUÉRÉ", "PLOUZENNEC", "02/04/2021", "28/03",
    "mars 2019", "1er mai 2020", "Vauquelin", "15 avril 2021",
)  # fmt: skip
KEPT = (
    "service de pneumologie", "M. pneumoniae", "TA 12/7", "TNM T2 N0 M0", "en 2012", "25000 UI/j", "Hémoglobine 12.5",
    "Mme [NOM_", "Elle tousse depuis le ",
)  # fmt: skip


def hide(text: str, seed: int = 0) -> Pseudonymised:
    return Pseudonymiser(random.Random(seed))(text)  # noqa: S311


@pytest.mark.parametrize("secret", SECRETS)
def test_identifying_words_are_gone(secret: str) -> None:
    assert secret in REPORT
    assert secret not in hide(REPORT).text


@pytest.mark.parametrize("words", KEPT)
def test_clinical_words_stay(words: str) -> None:
    assert words in hide(REPORT).text


def test_same_person_same_surrogate() -> None:
    text = hide("Nom : MARTINAUD\nMme MARTINAUD tousse. Le Dr Verlhac a vu Martinaud.").text
    assert text == "Nom : [NOM_1]\nMme [NOM_1] tousse. Le Dr [NOM_2] a vu [NOM_1]."


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Monsieur Jean de la Bretonnière est entré", "Bretonnière"),
        ("M. d'Estrées marche", "Estrées"),
        ("Mme O’Brien-Kéraval", "Kéraval"),
        ("MADAME QUILLEC EST ADMISE", "QUILLEC"),
        ("mme Quillec", "Quillec"),
        ("Dr. J. Quillec", "Quillec"),
        ("M QUILLEC Paul", "QUILLEC"),
        ("nom de naissance : quillec", "quillec"),
        ("Nom, prénom : Quillec, Anne", "Anne"),
        ("Patiente : Quillec Anne", "Quillec"),
        ("QUILLEC Anne, née le 01/02/1950", "QUILLEC"),
        ("Mme Durand née Quillec", "Quillec"),
        ("Chirurgien : Quillec", "Quillec"),
        ("Le\u0301a : Mme Le\u0301avec va", "avec va"),
        ("Dr Roux Mme Quillec", "Quillec"),
        ("joindre le +33 6 12 34 56 78", "34 56"),
        ("joindre le 0033612345678", "345678"),
        ("fax 02.98.12.34.56", "98.12"),
        ("Anne Quillec, une femme de 62 ans", "Quillec"),
        ("Anne Quillec (62 ans) tousse", "Anne"),
        ("**Nom :** Quillec", "Quillec"),
        ("**Prénom** : Quillec", "Quillec"),
        ("| Nom | Quillec |", "Quillec"),
        ("**IPP :** 445566", "445566"),
        ("IPP n° A12B3456", "A12B3456"),
        ("dossier n° 4455-667", "4455"),
        ("numéro de séjour : 123456", "123456"),
        ("code 1234567890", "1234567890"),
        ("sécu 154032906312345", "154032906312345"),
        ("habite 3, avenue du Général Leclerc", "Leclerc"),
        ("né le 31/02/1950", "31/02/1950"),
        ("le 2021-04-02", "2021-04-02"),
        ("le 3 déc. 2020", "3 déc. 2020"),
        ("du 12/03/21", "12/03/21"),
        ("03/2020", "03/2020"),
    ],
)
def test_forms(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in hide(text).text


@pytest.mark.parametrize(
    "text",
    [
        "TA 12/8, score 3/10, potassium 3.5",
        "Stade IV, grade 2, T1 N0 M0",
        "Le patient marche. Une fracture.",
        "Pneumopathie, patient de 40 ans",
        "Infarctus inférieur, 62 ans",
        "10000 UI puis 25000 UI",
        "depuis 2012, il y a 3 mois",
        "pneumopathie à M. tuberculosis",
        "Patient : homme de 72 ans",
        "lésion de 12/14/18 mm",
        "GB 12 345 /mm3",
        "",
    ],
)
def test_no_change_without_identity(text: str) -> None:
    assert hide(text).text == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("MADAME QUILLEC EST ADMISE POUR TOUX", "EST ADMISE POUR TOUX"),
        ("Dr Roux Service de pneumologie", "Service de pneumologie"),
        ("Mme PETIT a un petit épanchement", "a un petit épanchement"),
        ("Mme Quillec, 62 ans, tousse", ", 62 ans, tousse"),
    ],
)
def test_what_follows_a_name_stays(text: str, kept: str) -> None:
    assert kept in hide(text).text


def test_name_inside_an_address_hides_all_of_it() -> None:
    assert hide("Nom : Quillec\n3 rue Quillec des Ajoncs, toux").text == "Nom : [NOM_1]\n[ADRESSE_1], toux"


# -- the way back -----------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(
    [
        "Mme Quillec ",
        "le 12/03/2021 ",
        "toux ",
        "06 12 34 56 78",
        "\n",
        "é",
        "Nom : Roux\n",
        "a@b.fr",
        " ",
        "🫀",
        "[NOM_1]",
    ]
)
TEXTS = st.lists(st.one_of(PARTS, st.text(max_size=6)), max_size=12).map("".join)


@given(TEXTS, st.integers(0, 50))
def test_replacements_rebuild_both_texts(text: str, seed: int) -> None:
    hidden = hide(text, seed)
    back, last = "", 0
    for r in hidden.replacements:
        assert hidden.text[r.at : r.at + len(r.surrogate)] == r.surrogate
        back += hidden.text[last : r.at] + text[r.start : r.end]
        last = r.at + len(r.surrogate)
    assert back + hidden.text[last:] == text


def drawn_span(data: st.DataObject, length: int, edges: list[int]) -> tuple[int, int]:
    """A span anywhere, and often at the edge of a replacement."""
    places = st.integers(0, length)
    if edges:
        places = st.sampled_from(edges) | places
    first, last = data.draw(places), data.draw(places)
    return min(first, last), max(first, last)


@given(TEXTS, st.data())
def test_spans_go_there_and_back(text: str, data: st.DataObject) -> None:
    """A span grows to whole replacements and comes back as itself grown: nothing in it is lost, untouched text is
    equal on both sides."""
    hidden = hide(text)
    start, end = drawn_span(data, len(text), [place for r in hidden.replacements for place in (r.start, r.end)])
    first, last = hidden.to_pseudonymised(start, end)
    again = hidden.to_original(first, last)
    if start == end:
        return
    assert again[0] <= start
    assert again[1] >= end
    touched = [r for r in hidden.replacements if r.start < end and start < r.end]
    assert again == (min([start, *(r.start for r in touched)]), max([end, *(r.end for r in touched)]))
    if not touched:
        assert hidden.text[first:last] == text[start:end]


@given(TEXTS, st.data())
def test_spans_of_the_hidden_text_lead_to_verbatim_words(text: str, data: st.DataObject) -> None:
    hidden = hide(text)
    edges = [place for r in hidden.replacements for place in (r.at, r.at + len(r.surrogate))]
    start, end = drawn_span(data, len(hidden.text), edges)
    first, last = hidden.to_original(start, end)
    if start == end:
        return
    assert 0 <= first < last <= len(text)
    if not any(r.at < end and start < r.at + len(r.surrogate) for r in hidden.replacements):
        assert text[first:last] == hidden.text[start:end]


NAMES = st.from_regex(r"[A-ZÉÈ][a-zéèïô]{4,10}", fullmatch=True)
ANNOUNCE = st.sampled_from(
    ["Mme {}", "M. {}", "Dr {}", "Nom : {}", "Docteur {}", "Monsieur {}", "née {}", "Interne : {}"]
)


@given(NAMES, ANNOUNCE, st.sampled_from(["{}", "{upper}", "Suivi par {}.", "« {} »"]))
def test_announced_name_survives_nowhere(name: str, announce: str, later: str) -> None:
    from pmsi_chain.privacy.finding import _NOT_NAMES

    if fold(name) in _NOT_NAMES:
        return
    text = f"{announce.format(name)} vient. Plus tard, {later.format(name, upper=name.upper())}\n"
    words = {fold(w) for w in re.findall(r"[^\W\d_]+", hide(text).text)}
    assert fold(name) not in words


# -- dates ------------------------------------------------------------------------------------------------------------

DAYS = st.dates(date(1920, 1, 1), date(2067, 12, 31))


@given(DAYS, DAYS, st.integers(0, 200))
def test_delays_and_week_days_stay(first: date, second: date, seed: int) -> None:
    hidden = hide(f"du {first:%d/%m/%Y} au {second:%Y-%m-%d}", seed)
    found = re.fullmatch(r"du (\d\d)/(\d\d)/(\d{4}) au (\d{4}-\d\d-\d\d)", hidden.text)
    assert found
    moved = date(int(found[3]), int(found[2]), int(found[1]))
    assert date.fromisoformat(found[4]) - moved == second - first
    assert moved.weekday() == first.weekday()
    assert 28 <= abs((moved - first).days) <= 364


@given(DAYS, st.sampled_from(["%d/%m/%Y", "%d.%m.%Y", "%Y-%m-%d", "%d-%m-%Y", "%m/%Y"]), st.integers(0, 200))
def test_dates_come_back(day: date, form: str, seed: int) -> None:
    hidden = hide(f"vu le {day.strftime(form)}, stable", seed)
    assert day.strftime(form) not in hidden.text
    assert hidden.restore_dates(hidden.text) == hidden.original


@pytest.mark.parametrize("written", ["3 déc. 2020", "12 mars 54", "1er mai 2020", "12-03-21"])
def test_dates_come_back_as_they_were_written(written: str) -> None:
    hidden = hide(f"vu le {written}, stable")
    assert written not in hidden.text
    assert hidden.restore_dates(hidden.text) == hidden.original


def test_a_date_that_the_model_wrote_in_words_comes_back() -> None:
    hidden = hide("opérée le 12/03/2021")
    moved = date(2021, 3, 12) + timedelta(hidden.offset_days)
    assert hidden.restore_dates(f"opération du {moved:%Y-%m-%d}") == "opération du 2021-03-12"


@pytest.mark.parametrize(
    ("written", "days", "told"),
    [
        ("12/03/2021", 7, "19/03/2021"),
        ("29/02/2020", 7, "07/03/2020"),
        ("31/12/21", 7, "07/01/22"),
        ("2021-12-31", -7, "2021-12-24"),
        ("1er mai 2020", 7, "8 mai 2020"),
        ("24 décembre 2020", 8, "1er janvier 2021"),
        ("3 mai", -7, "26 avril"),
        ("12 mars 54", 7, "19 mars 1954"),
        ("12 mars 21", 7, "19 mars 2021"),
        ("mars 2021", 364, "mars 2022"),
        ("janvier 2021", -28, "décembre 2020"),
        ("12/2020", 35, "01/2021"),
        ("28/12", 7, "04/01"),
        ("31/02/2020", 7, None),
        ("01/01/0001", -7, None),
    ],
)
def test_shift(written: str, days: int, told: str | None) -> None:
    assert shifted(written, days) == told


# -- masks and surrogates ------------------------------


def test_surrogate_never_equals_words_of_the_text() -> None:
    hidden = hide("[NOM_1] écrit à Mme Quillec, [TEL_1] puis 06 12 34 56 78")
    assert "Mme [NOM_2]" in hidden.text
    assert hidden.text.endswith("[TEL_2]")


def test_mask_hides_names_in_any_case_and_numbers() -> None:
    masked = hide(REPORT).mask("Demander à TARRIDEC, au 06 12 34 56 78 (tarridec), le 02/04/2021.")
    assert "arridec" not in masked.lower()
    assert "06 12" not in masked
    assert "02/04/2021" in masked


def test_each_report_has_its_own_shift() -> None:
    hiding = Pseudonymiser()
    assert len({hiding("le 12/03/2021").offset_days for _ in range(60)}) > 10
    assert len({Pseudonymiser()("le 12/03/2021").offset_days for _ in range(60)}) > 10


def test_identity_view_changes_nothing() -> None:
    view = Pseudonymised.from_identity(REPORT)
    assert view.text == REPORT
    assert view.to_original(5, 9) == (5, 9)
    assert view.restore_dates("le 12/03/2021") == "le 12/03/2021"


@pytest.mark.parametrize(
    "unit", ["a", "A", "1", "Mme A ", "le ", "12/", "d'", "A, ", "@", "a.", "Nom : ", "rue ", "0 ", "\u0301"]
)
def test_long_monotonous_texts_take_no_age(unit: str) -> None:
    text = (unit * 60_000)[:60_000]
    start = time.perf_counter()
    hide(text)
    assert time.perf_counter() - start < 3.0


# -- where a text may go -------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "https://127.8.9.1:1",
        "http://[::1]:80/v1",
        "HTTP://LOCALHOST/",
    ],
)
def test_loopback(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.hopital.example/v1",
        "http://localhost.hopital.example/v1",
        "http://localhost@hopital.example/v1",
        "http://127.0.0.1.hopital.example",
        "http://hopital.example/127.0.0.1",
        "http://127.0.0.1\\@hopital.example",
        "http://hopital.example\\@127.0.0.1/v1",
        "http://127.0.0.1 @hopital.example",
        "http://0.0.0.0/v1",
        "http://10.0.0.1",
        "http://192.168.1.2",
        "http://2130706433",
        "http://127.1",
        "http://[::ffff:10.0.0.1]",
        "http://local%68ost",
        "ftp://127.0.0.1",
        "127.0.0.1:8000",
        "localhost",
        "http://",
        "http://[::1",
        "",
    ],
)
def test_not_loopback(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize("name", TRACING_VARIABLES)
@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes"])
def test_tracing_is_refused_unless_allowed(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\({name}\).*PMSI_ALLOW_TRACING"):
        refuse_tracing(environ={name: value})
    refuse_tracing(allowed=True, environ={name: value})


@pytest.mark.parametrize("value", ["", "false", "0", "no", " False "])
def test_tracing_switched_off_is_fine(value: str) -> None:
    refuse_tracing(environ=dict.fromkeys(TRACING_VARIABLES, value))
    refuse_tracing(environ={"LANGSMITH_API_KEY": "k", "PATH": "/"})


def test_tracing_switched_on_in_the_program_is_refused() -> None:
    with tracing_context(enabled=True), pytest.raises(ConfigurationError, match="tracing_context"):
        refuse_tracing(environ={})


def test_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    with pytest.raises(ConfigurationError):
        refuse_tracing()
