"""The CCAM starter: its form, and, against the official CCAM where it is there, its truth.

The wording is the project's own; codes, activities, phases, sex and chapters are facts of the nomenclature.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import re
from collections import Counter, defaultdict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from pmsi_chain.lexicon import load_lexicon
from pmsi_chain.text import fold, tokens

COLUMNS = ["code", "label", "synonyms", "activities", "phases", "sex", "chapter", "note"]
OFFICIAL = Path(os.environ.get("PMSI_SHARED_DIR", Path(__file__).parents[2] / "shared")) / "referentiels" / "ccam"

needs_official = pytest.mark.skipif(
    not (OFFICIAL / "ccam_actes.json.gz").exists(), reason="the official CCAM is not there (PMSI_SHARED_DIR)"
)


@lru_cache(maxsize=1)
def starter() -> list[dict[str, str]]:
    text = (resources.files("pmsi_chain") / "knowledge" / "ccam_starter.csv").read_text(encoding="utf-8")
    reader = csv.DictReader(text.splitlines(), delimiter=";")
    assert reader.fieldnames == COLUMNS
    return list(reader)


def official(name: str) -> list[dict[str, Any]]:
    with gzip.open(OFFICIAL / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = json.load(file)
    return rows


@lru_cache(maxsize=1)
def valid_labels() -> dict[str, str]:
    """Code → official label, of the acts without an end date."""
    return {a["code"]: a["libelle_long"] for a in official("ccam_actes") if "date_fin" not in a}


def phrasings(row: dict[str, str]) -> list[str]:
    return [row["label"], *row["synonyms"].split("|")]


def test_at_least_five_hundred_acts_each_once_and_in_order() -> None:
    codes = [row["code"] for row in starter()]
    assert len(codes) >= 500
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"[A-Z]{4}[0-9]{3}", code) for code in codes)


def test_every_chapter_is_there_and_none_holds_most_of_the_acts() -> None:
    chapters = Counter(int(row["chapter"]) for row in starter())
    assert set(chapters) == set(range(1, 20))
    assert max(chapters.values()) < len(starter()) / 4


@pytest.mark.parametrize("column", ["label", "synonyms", "activities", "phases", "chapter"])
def test_no_cell_is_empty(column: str) -> None:
    assert [row["code"] for row in starter() if not row[column]] == []


def test_values_are_well_formed() -> None:
    for row in starter():
        activities, phases = row["activities"].split("|"), row["phases"].split("|")
        assert activities == sorted(set(activities)), row["code"]
        assert set(activities) <= set("12345"), row["code"]
        assert phases == sorted(set(phases)), row["code"]
        assert set(phases) <= set("0123"), row["code"]
        assert row["sex"] in ("", "M", "F"), row["code"]
        assert all(cell == cell.strip() and "  " not in cell for cell in row.values()), row["code"]


def test_synonyms_differ_from_the_label_and_from_each_other() -> None:
    for row in starter():
        folded = [fold(phrase) for phrase in phrasings(row)]
        assert len(folded) == len(set(folded)), row["code"]
        assert all(folded), row["code"]


def test_labels_are_distinct() -> None:
    labels = Counter(fold(row["label"]) for row in starter())
    assert [label for label, count in labels.items() if count > 1] == []


def test_acts_that_only_one_sex_can_have_say_so() -> None:
    sex = {row["code"]: row["sex"] for row in starter()}
    assert sex["JGFE023"] == "M"  # résection endoscopique de prostate
    assert sex["JQGA002"] == "F"  # césarienne
    assert sex["HHFA016"] == ""  # appendicectomie


@needs_official
def test_every_code_exists_and_is_valid_today() -> None:
    assert [row["code"] for row in starter() if row["code"] not in valid_labels()] == []


@needs_official
def test_activities_phases_and_sex_are_the_official_ones() -> None:
    activities, phases = defaultdict(set), defaultdict(set)
    for line in official("ccam_icr"):
        activities[line["code"]].add(line["activite"])
        phases[line["code"]].add(line["phase"])
    sexes = {a["code"]: {"0": "", "1": "M", "2": "F"}[a["compatibilite_sexe"]] for a in official("ccam_actes")}
    for row in starter():
        code = row["code"]
        assert set(row["activities"].split("|")) == activities[code], code
        assert set(row["phases"].split("|")) == phases[code], code
        assert row["sex"] == sexes[code], code


@needs_official
def test_chapters_are_the_official_ones() -> None:
    chapters = {h["code"]: int(h["niveau_1"]) for h in official("ccam_hierarchie_actes")}
    assert [row["code"] for row in starter() if int(row["chapter"]) != chapters[row["code"]]] == []


def _keys(text: str) -> set[str]:
    """First five letters of each index term: « cœlioscopie » and « cœlioscopique » are one."""
    return {token[:5] for token in tokens(text)}


def _closeness(shift: int = 0) -> list[tuple[int, float]]:
    """Per act: rank of an official label among all for its phrasings, and the idf share of that label they hold.

    Args:
        shift: 0 for the label of its own code; otherwise of the code so many acts further, as a control.
    """
    documents = {code: _keys(label) for code, label in valid_labels().items()}
    postings: dict[str, list[str]] = defaultdict(list)
    for code, keys in documents.items():
        for key in keys:
            postings[key].append(code)
    idf = {key: math.log(1 + len(documents) / len(codes)) for key, codes in postings.items()}
    norm = {code: math.sqrt(sum(idf[key] ** 2 for key in keys)) for code, keys in documents.items()}
    lexicon = load_lexicon()
    codes = [row["code"] for row in starter()]
    out: list[tuple[int, float]] = []
    for row, target in zip(starter(), codes[shift:] + codes[:shift], strict=True):
        said = set[str]().union(*(_keys(p) | _keys(lexicon.expand(p)) for p in phrasings(row)))
        scores: dict[str, float] = defaultdict(float)
        for key in said & idf.keys():
            for code in postings[key]:
                scores[code] += idf[key] ** 2 / norm[code]
        rank = 1 + sum(score > scores[target] for score in list(scores.values()))
        share = sum(idf[key] for key in documents[target] & said) / sum(idf[key] for key in documents[target])
        out.append((rank, share))
    return out


@needs_official
def test_each_phrasing_is_about_the_act_of_its_code() -> None:
    """Out of some 8 300 official labels, the code's own is among the twenty nearest to what the starter says."""
    ranks, shares = zip(*_closeness(), strict=True)
    assert sum(rank <= 20 for rank in ranks) >= 0.97 * len(ranks)
    assert sum(share >= 0.25 for share in shares) >= 0.97 * len(shares)
    assert max(ranks) <= 200


@needs_official
def test_the_measure_above_notices_a_wrong_code() -> None:
    """With the label of another act, nearly none is near."""
    ranks = [rank for rank, _ in _closeness(shift=len(starter()) // 2)]
    assert sum(rank <= 20 for rank in ranks) <= 0.02 * len(ranks)


@needs_official
def test_the_wording_is_the_projects_own() -> None:
    """No label of the starter is the official one, whatever the case, accents and punctuation."""
    official_words = {code: " ".join(tokens(label)) for code, label in valid_labels().items()}
    copied = [row["code"] for row in starter() if " ".join(tokens(row["label"])) == official_words[row["code"]]]
    assert len(copied) <= 0.01 * len(starter()), copied
    for row in starter():
        words = fold(row["label"]).split()
        print_form = fold(valid_labels()[row["code"]])
        assert not any(" ".join(words[i : i + 9]) in print_form for i in range(len(words) - 8)), row["code"]
