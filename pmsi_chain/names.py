"""What clinicians call a condition, by code: the project's own list, looked up as it stands.

« rupture de coiffe » is M75.1, « crise cardiaque » an infarction: common knowledge that official labels do not say.
Nothing is learned from this list; the search puts a code first when the query is one of its names.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

from pmsi_chain.text import words


@lru_cache(maxsize=1)
def clinical_names() -> tuple[tuple[str, str], ...]:
    """(name, CIM-10 code in stored form) pairs, in the order of the list."""
    text = (files("pmsi_chain") / "knowledge" / "clinical_names.csv").read_text(encoding="utf-8")
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
