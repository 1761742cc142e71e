"""The small word classes that reading needs (`knowledge/reading_words.csv`)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

_ADJECTIVE = re.compile(
    r"(?:iques?|aques?|oires?|ane(?:e?s?)|(?:[^t]|nt)ales?|aux|al|els?|elles?|aires?|eux|euses?|ien(?:ne)?s?|ifs?|ives?|oides?|eens?|eennes?|"
    r"genes?|pares?|ables?|ibles?|antes?|antiels?|ees?|es?e)$"
)
_NOT_ADJECTIVE = frozenset(
    [
        "hopital",
        "canal",
        "journal",
        "mal",
        "capital",
        "aux",
        "bilan",
        "maxillaire",
        "sommaire",
        "vestibulaire",
        "annuaire",
        "travaux",
        "clinique",
        "technique",
        "musique",
        "diagnostic",
        "traumatique",
        "anticoagulants",
        "colique",
        "panique",
        "politique",
        "tique",
    ]
)


@lru_cache(maxsize=1)
def word_classes() -> Mapping[str, frozenset[str]]:
    """Class → folded words.

    terminator: ends the reach of a cue; verb: a finite verb, which no term of a nomenclature holds;
    generic: never the first or last word of a mention; kin, kin_state: relatives, and what is said of them;
    determiner: begins a new statement after a comma; current: takes a date without making it history; auxiliary:
    passed over between a cue and what it qualifies; adverb: passed over inside a cue; scope_end: ends the reach of a
    cue but no mention; too_general: no term by itself; month; no: a negative answer of a form.
    """
    source = files("pmsi_chain").joinpath("knowledge", "reading_words.csv").read_text(encoding="utf-8")
    classes: dict[str, set[str]] = {}
    for row in csv.DictReader(source.splitlines(), delimiter=";"):
        classes.setdefault(row["kind"], set()).add(row["word"])
    return {kind: frozenset(words) for kind, words in classes.items()}


def is_adjective(word: str) -> bool:
    """Has the folded word the ending of an adjective (« rénale », « osseuses », « cardiaque »)?"""
    return (
        len(word) > 3
        and word not in _NOT_ADJECTIVE
        and (word in word_classes()["adjective"] or _ADJECTIVE.search(word) is not None)
    )
