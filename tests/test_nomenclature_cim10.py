"""The embedded CIM-10: what it holds, what may stand where, what is near, chapter XX."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmsi_chain.domain import ALLOWED_TYPES, Position
from pmsi_chain.errors import ForbiddenCodeError, UnknownCodeError
from pmsi_chain.nomenclature import Cim10Edition, hierarchy, load_cim10
from pmsi_chain.nomenclature.near import edit_distance

POSITIONS: tuple[Position, ...] = ("dp", "dr", "das")


@pytest.fixture(scope="module")
def cim10() -> Cim10Edition:
    return load_cim10("2025")


def test_the_embedded_edition(cim10: Cim10Edition) -> None:
    assert (len(cim10), cim10.version, cim10.valid_from) == (42_897, "2025", date(2025, 1, 1))
    assert len(cim10.sha256) == 64
    assert "edsnlp" in cim10.origin
    assert list(cim10) == sorted(cim10)


# ATIH's kit, p. 5: 0 free, 1 and 2 neither DP nor DR, 3 nowhere, 4 not DP.
def test_every_code_stands_only_where_its_type_allows(cim10: Cim10Edition) -> None:
    allowed = {0: {"dp", "dr", "das"}, 1: {"das"}, 2: {"das"}, 3: set(), 4: {"dr", "das"}}
    for code in cim10:
        entry = cim10.entry(code)
        assert {position for position in POSITIONS if cim10.is_allowed(code, position)} == allowed[entry.type_mco]


@pytest.mark.parametrize("position", POSITIONS)
def test_codable_and_require_agree(cim10: Cim10Edition, position: Position) -> None:
    codable = {entry.code for entry in cim10.codable(position)}
    assert codable == {code for code in cim10 if cim10.entry(code).type_mco in ALLOWED_TYPES[position]}
    assert cim10.codable(position) is cim10.codable(position)
    for code in list(cim10)[::97]:
        if code in codable:
            assert cim10.require(code, position).code == code
        else:
            with pytest.raises(ForbiddenCodeError):
                cim10.require(code, position)


# Guide méthodologique MCO, chap. IV: chapter XX is not authorised as DP.
def test_external_causes_are_never_dp(cim10: Cim10Edition) -> None:
    assert not any(entry.chapter == "XX" for entry in cim10.codable("dp"))
    assert sum(cim10.entry(code).chapter == "XX" for code in cim10) > 25_348


def test_deleted_codes_are_marked_and_forbidden(cim10: Cim10Edition) -> None:
    deleted = [cim10.entry(code) for code in cim10 if cim10.entry(code).deleted]
    assert len(deleted) == 401
    assert {entry.type_mco for entry in deleted} == {3}
    assert cim10.entry("C80+0").deleted_year == 2017


ADDED_IN_2025 = "O7200 O7208 O7210 O7218 O7220 O7228 Z5185 Z5186 Z52804 Z52805 Z52806"


@pytest.mark.parametrize("code", ADDED_IN_2025.split())
def test_additions_of_2025(cim10: Cim10Edition, code: str) -> None:
    entry = cim10.entry(code)
    assert entry.label
    assert cim10.is_allowed(code, "das")
    assert cim10.is_allowed(code, "dp") == (not code.startswith("Z518"))


def test_hierarchy(cim10: Cim10Edition) -> None:
    entry = cim10.entry("F03+00")
    assert (entry.parent, cim10.ancestors("F03+00"), entry.category) == ("F03+0", ("F03+0", "F03"), "F03")
    assert cim10.entry("Z04880").parent == "Z048"
    assert cim10.children("B24") == ("B24+0", "B24+1", "B24+9")
    assert cim10.siblings("B24+9") == ("B24+0", "B24+1")
    assert cim10.siblings("B24") == ()
    assert cim10.category_label("B24+9") == cim10.entry("B24").label
    for code in list(cim10)[::53]:
        for child in cim10.children(code):
            assert cim10.entry(child).parent == code


@pytest.mark.parametrize(
    ("code", "chapter"),
    [("D489", "II"), ("D50", "III"), ("H599", "VII"), ("H60", "VIII"), ("T983", "XIX"), ("U0710", "XXII"),
     ("V010", "XX"), ("Y98", "XX"), ("Z000", "XXI"), ("A000", "I"), ("I10", "IX"), ("P960", "XVI")],
)  # fmt: skip
def test_chapters(code: str, chapter: str) -> None:
    assert hierarchy.chapter_of(code) == chapter


def test_every_code_has_a_chapter(cim10: Cim10Edition) -> None:
    assert {cim10.entry(code).chapter for code in cim10} == {roman for _, _, roman, _ in hierarchy.CHAPTERS}


@pytest.mark.parametrize(("code", "chapter"), [("D490", ""), ("E91", ""), ("V00", ""), ("", "")])
def test_outside_every_chapter(code: str, chapter: str) -> None:
    assert hierarchy.chapter_of(code) == chapter


def test_dagger_and_asterisk(cim10: Cim10Edition) -> None:
    aetiology, manifestation = cim10.entry("A170"), cim10.entry("G01")
    assert (aetiology.mark, aetiology.asterisk_partners, aetiology.is_asterisk) == ("†", ("G01",), False)
    assert (manifestation.mark, manifestation.is_asterisk) == ("*", True)
    assert cim10.entry("I10").mark == ""


# CIM-10, volume 2: categories limited to one sex.
@pytest.mark.parametrize(
    ("code", "sex"), [("C61", "M"), ("N40", "M"), ("C530", "F"), ("O80", "F"), ("I10", None), ("S373", None)]
)
def test_sex(cim10: Cim10Edition, code: str, sex: str | None) -> None:
    assert cim10.entry(code).sex == sex


# Chapter XX: cause, then place (fourth character), then activity (fifth); transport accidents have no place; where the
# category is subdivided `+` stands for an absent place (rows of the 2025 edition).
@pytest.mark.parametrize(
    ("cause", "place", "activity", "code"),
    [("W00", "0", "4", "W0004"), ("W00", "9", None, "W009"), ("V010", None, "2", "V0102"),
     ("W260", None, "4", "W260+4"),
     ("W260", "4", "0", "W26040"), ("W260", None, None, "W260"), ("Y060", None, None, "Y060")],
)  # fmt: skip
def test_composition(cim10: Cim10Edition, cause: str, place: str | None, activity: str | None, code: str) -> None:
    assert cim10.compose(cause, place, activity).code == code


@pytest.mark.parametrize(
    ("cause", "place", "activity"),
    [
        ("W00", None, "4"),
        ("V010", "1", None),
        ("W00", "0", "5"),
        ("W00", "A", None),
        ("A00", "0", None),
        ("Y060", "0", "0"),
    ],
)
def test_bad_composition(cim10: Cim10Edition, cause: str, place: str | None, activity: str | None) -> None:
    with pytest.raises(ForbiddenCodeError) as refused:
        cim10.compose(cause, place, activity)
    assert refused.value.reason == "composition"


def test_every_composition_of_a_cause_is_in_the_edition(cim10: Cim10Edition) -> None:
    for place in hierarchy.PLACES:
        for activity in hierarchy.ACTIVITIES:
            entry = cim10.compose("W00", place, activity)
            assert entry.code == f"W00{place}{activity}"
            assert entry.type_mco == 2


@pytest.mark.parametrize("code", ["W0005", "W00+4", "V0105", "W260+5"])
def test_unknown_compositions_say_so(cim10: Cim10Edition, code: str) -> None:
    with pytest.raises(UnknownCodeError) as refused:
        cim10.entry(code)
    assert refused.value.reason == "composition"
    assert all(near[:3] == code[:3] for near in refused.value.nearest)


def test_nearest_are_legal_there_and_close_first(cim10: Cim10Edition) -> None:
    assert cim10.nearest("B249")[0] == "B24+9"
    assert cim10.nearest("U071", "dp")[:2] == ("U0710", "U0711")
    assert cim10.nearest("W000", "dp") == ()
    assert len(cim10.nearest("C809", "dp")) == 5
    assert cim10.nearest("Z371", "dr", n=2) == ("Z360", "Z361")
    assert all(len(cim10.nearest("Q99", n=n)) == n for n in (0, 1, 3))


@given(st.from_regex(r"[A-Z][0-9]{2}[0-9+]{0,3}", fullmatch=True), st.sampled_from([*POSITIONS, None]))
@settings(max_examples=200, deadline=None)
def test_nearest_is_legal_quick_and_never_the_code_itself(code: str, position: Position | None) -> None:
    edition = load_cim10("2025")
    edition.nearest("A00", position)
    seconds = []
    for _ in range(3):  # 50 ms on an idle core; the machine may be busy, and pause once
        started = time.perf_counter()
        found = edition.nearest(code, position)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.05 * 4
    assert code not in found
    assert len(set(found)) == len(found) <= 5
    for near in found:
        assert edition.is_allowed(near, position) if position else edition.entry(near).type_mco != 3


@given(st.text("AB01+", max_size=5), st.text("AB01+", max_size=5))
def test_edit_distance_is_a_distance(a: str, b: str) -> None:
    distance = edit_distance(a, b)
    assert distance == edit_distance(b, a)
    assert (distance == 0) == (a == b)
    assert abs(len(a) - len(b)) <= distance <= max(len(a), len(b))


@pytest.mark.parametrize(
    ("a", "b", "distance"), [("C221", "C212", 1), ("C221", "C22", 1), ("C221", "D220", 2), ("", "A0", 2)]
)
def test_edit_distance_examples(a: str, b: str, distance: int) -> None:
    # C221 → C212: a swap of neighbours counts once
    assert edit_distance(a, b) == distance


@pytest.mark.parametrize(
    ("code", "limits"),
    [("E6693", (None, None)), ("P220", (None, 0)), ("M080", (None, None)), ("H250", (18, None)), ("J22", (None, None))],
)
def test_age_limits_are_those_of_the_label(code: str, limits: tuple[int | None, int | None]) -> None:
    assert load_cim10("2025").entry(code).age_limits == limits
