"""What clinicians call a condition, by code: the project's own three lists.

`clinical_names`: « rupture de coiffe » is M75.1, « crise cardiaque » an infarction. Looked up as it stands, nothing is
learned from it; the search puts a code first when the query is one of its names.

`generated_expressions`: for the official labels, code by code, what a clinician or the thesaurus of a speciality would
say, written by a language model that was shown the labels and the training thesauri and no development file. The models
learn from it.

`report_phrases`: how a discharge report tells the condition without naming it, « tension traitée par périndopril »,
written the same way for the codes that hospitals use most. The encoder learns from it.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

from pmsi_chain.text import words


@lru_cache(maxsize=1)
def clinical_names() -> tuple[tuple[str, str], ...]:
    """(name, CIM-10 code in stored form) pairs, in the order of the list."""
    return _pairs("clinical_names.csv")


def generated_expressions() -> tuple[tuple[str, str], ...]:
    """(expression, CIM-10 code in stored form) pairs, in the order of the list."""
    return _pairs("generated_expressions.csv")


def report_phrases() -> tuple[tuple[str, str], ...]:
    """(turn of phrase of a report, CIM-10 code in stored form) pairs, in the order of the list."""
    return _pairs("report_phrases.csv")


def _pairs(file: str) -> tuple[tuple[str, str], ...]:
    text = (files("pmsi_chain") / "knowledge" / file).read_text(encoding="utf-8")
    return tuple((name, row["code"]) for row in csv.DictReader(text.splitlines()) for name in row["names"].split("|"))


def codes_named(text: str) -> frozenset[str]:
    """CIM-10 codes, stored form, of which `text` is a name; case, accents and punctuation apart."""
    return _by_words().get(tuple(words(text)), frozenset())


@lru_cache(maxsize=1)
def _by_words() -> dict[tuple[str, ...], frozenset[str]]:
    found: dict[tuple[str, ...], set[str]] = {}
    for name, code in clinical_names():
        found.setdefault(tuple(words(name)), set()).add(code)
    return {name: frozenset(codes) for name, codes in found.items()}
