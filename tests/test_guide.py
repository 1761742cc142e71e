"""The knowledge base of the Guide: strictly valid, complete, resolvable, and in the project's own words."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature import load_cim10
from pmsi_chain.rules import Guide, load_guide
from pmsi_chain.rules.expressions import Expression, expression
from pmsi_chain.rules.guide import GUIDE_FILES, knowledge
from pmsi_chain.text import words

CHAPTER_VI = (
    [f"D{n}" for n in range(1, 10)]
    + [f"T{n}" for n in range(1, 16)]
    + ["S1", "S2", "S3", "S4", "SD1", "SD2", "M1", "M2"]
    + ["1.2.3-1", "1.2.3-2", "1.2.3-5", "1.2.3-6", "1.4", "1.6-1", "1.6-2", "1.6-3"]
)
HEAD = """
[document]
prefix = "X1"
guide = "Guide"
edition = "2026"
chapter = "V"
[[article]]
key = "A"
title = "Un article"
"""
RULE = """
[[article.rule]]
n = "01"
kind = "condition"
text = "Une phrase assez longue."
"""


@pytest.fixture(scope="module")
def guide_dir() -> Path:
    shared = Path(os.environ.get("PMSI_SHARED_DIR", Path(__file__).resolve().parents[2] / "shared"))
    folder = shared / "referentiels" / "guide_mco_2026"
    if not folder.is_dir():
        pytest.skip("the Guide's text is not there: set PMSI_SHARED_DIR")
    return folder


def test_every_rule_of_chapter_vi_is_there() -> None:
    guide = load_guide()
    assert [n for n in CHAPTER_VI if f"GM2026-VI-{n}" not in guide] == []


def test_every_article_of_chapter_v_has_its_rules(guide_dir: Path) -> None:
    articles = load_guide().articles
    printed = {path.name for path in (guide_dir / "chapitre_V").glob("*.md")}
    assert printed == set(articles)
    assert all(articles.values())


def test_printed_pages_are_those_of_the_source_lines(guide_dir: Path) -> None:
    guide = load_guide()
    for name, ids in guide.articles.items():
        source = next(
            line for line in (guide_dir / "chapitre_V" / name).read_text(encoding="utf-8").splitlines()
            if line.startswith("Source :")
        )  # fmt: skip
        first, last = (source.split("p. ")[1].split(" ")[0].split("-") * 2)[:2]
        for rule_id in ids:
            rule = guide.rule(rule_id)
            assert rule.edition == "2026 provisoire"
            assert rule.page is not None
            low, high = (rule.page.split("-") * 2)[:2]
            assert int(first) <= int(low) <= int(high) <= int(last), rule_id


def test_every_code_expression_resolves() -> None:
    codes = list(load_cim10("2025"))
    unresolved = [
        (rule.id, item.expr)
        for rule in load_guide().rules
        for item in rule.codes
        if expression(item.expr).nomenclature == "cim10" and not any(map(expression(item.expr).matches, codes))
    ]
    assert unresolved == []


def test_no_sentence_of_the_guide_is_copied(guide_dir: Path) -> None:
    """No run of 12 words in common with any text of the Guide, in any string of the knowledge base."""
    run = 12
    printed = [words(path.read_text(encoding="utf-8")) for path in guide_dir.rglob("*.md")]
    grams = {tuple(text[i : i + run]) for text in printed for i in range(len(text) - run + 1)}
    assert grams
    files = sorted(Path(knowledge("guide_ccam.toml")).parent.glob("guide_*.toml"))  # type: ignore[arg-type]
    assert len(files) >= len(GUIDE_FILES) + 3
    for path in files:
        for text in strings(tomllib.loads(path.read_text(encoding="utf-8"))):
            own = words(text)
            assert not any(tuple(own[i : i + run]) in grams for i in range(len(own) - run + 1)), path.name


def strings(value: object) -> Iterator[str]:
    """Every string inside a TOML document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def test_holes_are_marked() -> None:
    guide = load_guide()
    assert "comparateur" in (guide.rule("GM2026-V-DENUT-11").hole or "")
    assert "borne haute" in (guide.rule("GM2026-V-DENUT-06").hole or "")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (HEAD, "rule"),
        (HEAD + RULE + 'colour = "red"', "colour"),
        (HEAD + RULE.replace('"condition"', '"opinion"'), "kind"),
        (HEAD + RULE + 'codes = [{ role = "dp", expr = ["I6"] }]', "I6"),
        (HEAD + RULE + 'codes = [{ role = "chef", expr = ["I60"] }]', "role"),
        (HEAD + RULE + RULE, "deux fois"),
        ("[document", "illisible"),
    ],
)
def test_a_wrong_base_is_refused(text: str, word: str) -> None:
    with pytest.raises(SourceFileError, match=word):
        Guide.from_texts([("essai.toml", text)])


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("I21.08", ("I2108",), ("I2100", "I210")),
        ("I69", ("I69", "I693", "I6930"), ("I68",)),
        ("I60-I63", ("I60", "I639"), ("I64", "I59")),
        ("T80.0-T80.2", ("T801", "T8021"), ("T803", "T80")),
        ("E1?.1", ("E101", "E1118"), ("E110", "E211")),
        ("chap:XXI", ("Z511", "Z99"), ("Y959", "A00")),
        ("U82.0+0", ("U820+0",), ("U820+1",)),
        ("*", ("A00", "Z999"), ()),
        ("ccam:HHF", ("HHFA016",), ("HHPA001",)),
    ],
)
def test_expressions_match_what_they_name(text: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    parsed = Expression.parse(text)
    assert all(map(parsed.matches, inside))
    assert not any(map(parsed.matches, outside))


@pytest.mark.parametrize("text", ["", "I6", "I63-I60", "I60-I6", "chap:XXV", "ccam:7", "I60-I61-I62"])
def test_expressions_refuse_what_they_are_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"attendu|bornes"):
        Expression.parse(text)


def test_a_passage_holds_what_a_reader_would_search() -> None:
    passage = load_guide().rule("GM2026-V-DENUT-07").passage
    assert passage.startswith("Malnutrition, dénutrition. Dès 70 ans, sévère")
    assert passage.endswith("E43.")
