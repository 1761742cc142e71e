"""Text → hashed features, the same for training and for use.

A text is the sum of its words and of its pairs of neighbouring content words. A word is the sum of itself and of its
character n-grams, so that its vector can be computed once and kept. Pure; analysed by `pmsi_chain.text`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

from pmsi_chain.text import STOP_WORDS, words

FEATURES_VERSION = "words+char3-5+pairs/2"

#: One-letter words carry meaning here (« hépatite A »): pairs step over function words of two letters and more only.
_PAIR_STOP = frozenset(word for word in STOP_WORDS if len(word) > 1)


_GLUED = re.compile(r"(\d+)([a-z]{2,})")


@lru_cache(maxsize=400_000)
def word_features(word: str, n_buckets: int) -> tuple[int, ...]:
    """Buckets of one folded word: the word itself, then its 3- to 5-grams with its borders marked."""
    marked = f"<{word}>"
    ids = [crc32(b"w:" + word.encode()) % n_buckets]
    if len(word) > 2:
        ids += [crc32(marked[i : i + n].encode()) % n_buckets for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    return tuple(ids)


@lru_cache(maxsize=400_000)
def pair_feature(left: str, right: str, n_buckets: int) -> int:
    """Bucket of two neighbouring content words."""
    return crc32(f"p:{left} {right}".encode()) % n_buckets


def spoken_words(text: str) -> list[str]:
    """`words`, with the signs of operating lists read aloud: « + » is « avec », « 2doigts » is « 2 doigts »."""
    if "+" in text:
        text = text.replace("+/-", " avec ou sans ").replace("+", " avec ")
    out: list[str] = []
    for word in words(text):
        glued = _GLUED.fullmatch(word) if word[0].isdigit() and not word[-1].isdigit() else None
        out.extend(glued.groups() if glued else (word,))
    return out


def text_features(text: str, n_buckets: int) -> tuple[list[str], list[int]]:
    """Folded words of `text` and the buckets of its word pairs."""
    every = spoken_words(text)
    content = [word for word in every if word not in _PAIR_STOP]
    return every, [pair_feature(a, b, n_buckets) for a, b in pairwise(content)]
