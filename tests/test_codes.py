"""Notation: what people write, what ATIH stores, what is printed; every code of the editions, both ways."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmsi_chain.codes import CcamCode, Cim10Code, cim10_notation
from pmsi_chain.errors import CodeError, ForbiddenCodeError, NotationError, UnknownCodeError
from pmsi_chain.nomenclature import CcamEdition, CcamEntry, Cim10Edition, load_ccam, load_cim10


def parsed(written: str, edition: Cim10Edition) -> Cim10Code | CodeError:
    """The code, or our refusal."""
    try:
        return Cim10Code.parse(written, edition)
    except CodeError as refused:
        return refused


@pytest.fixture(scope="module")
def cim10() -> Cim10Edition:
    return load_cim10("2025")


# Stored form: ATIH, « Kit de nomenclature CIM 10 », p. 4 (no dot, `+` as a character). Printed form: ATIH's CMA list,
# column « CIM.CMA » (`A00.0`, `C16.9+0`, `F03.+00`).
@pytest.mark.parametrize(
    ("written", "stored", "printed"),
    [
        ("c22.1", "C221", "C22.1"),
        ("C221", "C221", "C22.1"),
        (" C 22 . 1 ", "C221", "C22.1"),
        ("A000  ", "A000", "A00.0"),
        ("C22,1", "C221", "C22.1"),
        ("Ｃ２２．１", "C221", "C22.1"),
        ("b24+9", "B24+9", "B24.+9"),
        ("B24.+9", "B24+9", "B24.+9"),
        ("C16.9+0", "C169+0", "C16.9+0"),
        ("C169+0", "C169+0", "C16.9+0"),
        ("M45+7", "M45+7", "M45.+7"),
        ("D12.6+2", "D126+2", "D12.6+2"),
        ("F03+00", "F03+00", "F03.+00"),
        ("Z04.880", "Z04880", "Z04.880"),
        ("W26.0+4", "W260+4", "W26.0+4"),
        ("O72.00", "O7200", "O72.00"),
        ("I10", "I10", "I10"),
    ],
)
def test_stored_and_printed_forms(cim10: Cim10Edition, written: str, stored: str, printed: str) -> None:
    code = Cim10Code.parse(written, cim10)
    assert (code.code, code.display, str(code)) == (stored, printed, printed)


# The signs are marks of the classification, not characters of the code (CIM-10, volume 1: dague et astérisque).
@pytest.mark.parametrize(
    ("written", "stored"),
    [("A17.0†", "A170"), ("A17.0 †", "A170"), ("A170+", "A170"), ("G01*", "G01"), ("G01 *", "G01"), ("M45+", "M45")],
)
def test_dagger_and_asterisk_are_not_part_of_the_code(cim10: Cim10Edition, written: str, stored: str) -> None:
    assert Cim10Code.parse(written, cim10).code == stored


@pytest.mark.parametrize(
    ("written", "stored"), [("A02.-", "A02"), ("I70.0-", "I700"), ("F03.+-", "F03"), ("A02–", "A02")]
)
def test_a_trailing_hyphen_means_the_parent(cim10: Cim10Edition, written: str, stored: str) -> None:
    assert Cim10Code.parse(written, cim10).code == stored


# In print the hyphen holds the place of a character: S37.8-0 is the adrenal gland, with (1) or without (0) a wound.
def test_a_hyphened_extension_is_never_read_as_a_digit(cim10: Cim10Edition) -> None:
    with pytest.raises(NotationError) as refused:
        Cim10Code.parse("S37.8-0", cim10)
    assert refused.value.nearest == ("S37800", "S37810")
    assert refused.value.reason == "notation"
    assert Cim10Code.parse("S37.80", cim10).code == "S3780"


@pytest.mark.parametrize(
    ("written", "stored"),
    [("C16.9-0", "C169+0"), ("M62.8-01", "M62810"), ("O04.-0.9", "O0490"), ("O04-09", "O0490"), ("D12.6‑2", "D126+2")],
)
def test_a_hyphen_with_one_completion_is_completed(cim10: Cim10Edition, written: str, stored: str) -> None:
    assert Cim10Code.parse(written, cim10).code == stored


def test_every_code_survives_both_notations(cim10: Cim10Edition) -> None:
    assert len(cim10) == 42_886 + 11
    for stored in cim10:
        code = Cim10Code.parse(stored, cim10)
        assert code.code == stored
        assert Cim10Code.parse(code.display, cim10) == code
        assert Cim10Code.parse(code.display.lower(), cim10) == code


def test_printed_forms_are_all_different(cim10: Cim10Edition) -> None:
    assert len({Cim10Code(stored).display for stored in cim10}) == len(cim10)


def test_codes_are_values() -> None:
    codes = {Cim10Code("C221"), Cim10Code("C221"), Cim10Code("A00")}
    assert len(codes) == 2
    assert sorted(codes) == [Cim10Code("A00"), Cim10Code("C221")]
    assert Cim10Code("B24+9").category == "B24"
    with pytest.raises(AttributeError):
        Cim10Code("A00").code = "A01"  # type: ignore[misc]


@pytest.mark.parametrize(
    "written",
    ["", " ", "C", "C2", "2C1", "C22.", "C22.1.1", "C22..1", "C+22", "B24++9", "B24+", "I5O.0", "A0000000", "C22.A",
     "C22-C25", "HHFA016", "C22/1", "É11.9", "C22.1 C22.2"],
)  # fmt: skip
def test_what_is_no_notation_is_refused_or_read_as_its_category(cim10: Cim10Edition, written: str) -> None:
    found = parsed(written, cim10)
    if isinstance(found, CodeError):
        assert found.reason == "notation"
        assert all(cim10.entry(near).type_mco != 3 for near in found.nearest)
    else:
        assert written.strip().rstrip(".+") == found.code  # « C22. », « B24+ »


@pytest.mark.parametrize("written", ["C2", "C22.1.1", "B24++9", "I5O.0", "C22.A", "C22-C25"])
def test_bad_notations_raise(cim10: Cim10Edition, written: str) -> None:
    with pytest.raises(NotationError):
        Cim10Code.parse(written, cim10)


def test_a_letter_typed_for_a_digit_suggests_the_digit(cim10: Cim10Edition) -> None:
    with pytest.raises(NotationError) as refused:
        Cim10Code.parse("I1O", cim10)
    assert refused.value.nearest[0] == "I10"


# B99+1 rewritten to B99.1 and Z04.880 to Z04.88 are how other tools destroy legal codes.
def test_a_lost_filler_suggests_the_legal_code(cim10: Cim10Edition) -> None:
    with pytest.raises(UnknownCodeError) as refused:
        Cim10Code.parse("B99.1", cim10)
    assert refused.value.nearest[0] == "B99+1"
    assert refused.value.code == "B991"
    with pytest.raises(UnknownCodeError) as refused:
        Cim10Code.parse("Z04.88", cim10)
    assert refused.value.nearest[0] == "Z04880"


# WHO's U07.1, I70.0 and C80.9 are forbidden parents in France; C80+0 was deleted in 2017 (marker « SU17 »).
@pytest.mark.parametrize(
    ("written", "position", "reason"),
    [
        ("U07.1", "dp", "parent"),
        ("U07.1", "das", "parent"),
        ("I70.0", "das", "parent"),
        ("C80.9", "dp", "parent"),
        ("C80.+0", "das", "deleted"),
        ("A90", "dp", "deleted"),
        ("W00.0", "dp", "position"),
        ("W00.0", "dr", "position"),
        ("B98.0", "dp", "position"),
    ],
)
def test_forbidden_codes_say_why(cim10: Cim10Edition, written: str, position: str, reason: str) -> None:
    with pytest.raises(ForbiddenCodeError) as refused:
        Cim10Code.parse(written, cim10, position)  # type: ignore[arg-type]
    assert refused.value.reason == reason
    assert all(cim10.is_allowed(near, position) for near in refused.value.nearest)  # type: ignore[arg-type]


def test_the_default_edition_is_used_when_none_is_given() -> None:
    assert Cim10Code.parse("c22.1").code == "C221"
    with pytest.raises(UnknownCodeError):
        Cim10Code.parse("C22.6")


@given(st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_a_code_or_our_error(written: str) -> None:
    edition = load_cim10("2025")
    found = parsed(written, edition)
    if isinstance(found, CodeError):
        assert found.reason
        assert all(near in edition for near in found.nearest)
    else:
        assert found.code in edition


@given(st.from_regex(r"[A-Za-z][0-9]{2}[.]?[-+0-9†*]{0,5}", fullmatch=True))
@settings(max_examples=400, deadline=None)
def test_code_like_text_gives_a_code_or_our_error(written: str) -> None:
    edition = load_cim10("2025")
    found = parsed(written, edition)
    if isinstance(found, CodeError):
        assert all(edition.entry(near).type_mco != 3 for near in found.nearest)
    else:
        assert found.code in edition


@pytest.mark.parametrize("words", ["canari Dupont Martin insuffisance rénale", "dénutrition", "Dupont"])
def test_words_never_stand_in_the_refusal(cim10: Cim10Edition, words: str) -> None:
    for parse in (lambda: Cim10Code.parse(words, cim10), lambda: CcamCode.parse(words), lambda: cim10_notation(words)):
        with pytest.raises(NotationError) as refused:
            parse()
        assert not any(word in str(refused.value) for word in words.split())


# CCAM: four letters, three digits (« structure du code »); PMSI extensions are two digits after a hyphen.
@pytest.mark.parametrize(
    ("written", "code", "extension"),
    [
        ("hhfa016", "HHFA016", ""),
        (" HHFA 016 ", "HHFA016", ""),
        ("HHFA016-01", "HHFA016", "01"),
        ("EQQP008‑02", "EQQP008", "02"),
    ],
)
def test_ccam_notation(written: str, code: str, extension: str) -> None:
    act = CcamCode.parse(written)
    assert (act.code, act.extension) == (code, extension)
    assert CcamCode.parse(act.display) == act


@pytest.mark.parametrize("written", ["", "HHFA", "HHFA01", "HHF0016", "HHFA0166", "HHFA016-1", "C22.1", "HHFA016/4/0"])
def test_ccam_bad_notation(written: str) -> None:
    with pytest.raises(NotationError):
        CcamCode.parse(written)


def test_every_act_of_the_starter_survives() -> None:
    edition = load_ccam("starter-2026")
    for stored in edition:
        assert CcamCode.parse(stored.lower(), edition).code == stored


def test_an_act_is_refused_outside_its_dates() -> None:
    act = CcamEntry("ZZZZ001", "Acte inventé", valid_from=date(2020, 1, 1), valid_to=date(2024, 12, 31))
    other = CcamEntry("ZZZZ002", "Autre acte inventé")
    edition = CcamEdition([act, other], version="test", valid_from=date(2020, 1, 1))
    assert CcamCode.parse("ZZZZ001", edition, on=date(2024, 12, 31)).code == "ZZZZ001"
    with pytest.raises(ForbiddenCodeError) as refused:
        CcamCode.parse("ZZZZ001", edition, on=date(2025, 1, 1))
    assert (refused.value.reason, refused.value.nearest) == ("expired", ("ZZZZ002",))
    with pytest.raises(UnknownCodeError) as unknown:
        CcamCode.parse("ZZZZ003", edition)
    assert unknown.value.nearest == ("ZZZZ001", "ZZZZ002")


def test_a_bad_act_suggests_acts_of_the_default_edition() -> None:
    with pytest.raises(NotationError) as refused:
        CcamCode.parse("HHFAO16")
    assert refused.value.nearest[0] == "HHFA016"


def test_importing_codes_loads_no_framework_and_reads_no_edition() -> None:
    script = (
        "import sys, pmsi_chain.codes, pmsi_chain.nomenclature\n"
        "heavy = {'langchain_core', 'qdrant_client', 'edsnlp', 'onnxruntime', 'numpy', 'pydantic_settings'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
