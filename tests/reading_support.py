"""Readers for the tests of reading, built once."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from pmsi_chain.lexicon import load_lexicon
from pmsi_chain.nomenclature import load_cim10
from pmsi_chain.reading import Reader
from pmsi_chain.reading.dictionary import TermDictionary


@lru_cache(maxsize=1)
def full_reader() -> Reader:
    return Reader.from_edition(load_cim10(), load_lexicon())


@lru_cache(maxsize=1)
def bare_reader() -> Reader:
    """Without dictionary: enough wherever only sections, sentences, values and context count."""
    return Reader(TermDictionary({}), load_lexicon())


def strip_accents(text: str) -> str:
    """Typing without accents, length preserved."""
    out = []
    for char in text:
        bare = "".join(c for c in unicodedata.normalize("NFD", char) if not unicodedata.combining(c))
        out.append(bare if len(bare) == 1 else char)
    return "".join(out)
