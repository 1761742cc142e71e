"""THE French analyser: one normalisation and one tokenisation for index, query and report.

`ANALYSER_VERSION` stands in every index manifest: an index made with another analyser is refused.
Pure: no model, no LangChain, no Qdrant.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

ANALYSER_VERSION = "fr-2"

_LIGATURES = str.maketrans(
    {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "’": "'", "ʼ": "'", "`": "'", "´": "'",
     "‐": "-", "‑": "-", "–": "-", "—": "-", "\u00a0": " ", "\u202f": " ", "µ": "u"}
)  # fmt: skip
_TOKEN = re.compile(r"[a-z0-9]+(?:[.,][0-9]+)*")
_ELISION = re.compile(r"\b(?:jusqu|lorsqu|puisqu|quelqu|qu|[cdjlmnst])'(?=[a-z0-9])")
_ROMAN = {
    "ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9", "xi": "11", "xii": "12",
}  # fmt: skip
#: After one of these words a lone `i`, `v` or `x` is a numeral too (« type I », « facteur V »).
_ROMAN_HEADS = frozenset(["type", "stade", "grade", "facteur", "classe", "degre", "groupe"])
_ROMAN_SINGLE = {"i": "1", "v": "5", "x": "10"}

# fmt: off
STOP_WORDS = frozenset([
    "a", "ainsi", "au", "aux", "avait", "avec", "ce", "ces", "cet", "cette", "dans", "de", "des", "du", "elle", "en",
    "est", "et", "ete", "etait", "etre", "eu", "il", "ils", "je", "la", "le", "les", "leur", "leurs", "lors", "lui",
    "ma", "mais", "me", "meme", "mes", "mon", "ne", "nos", "notre", "nous", "on", "ont", "ou", "par", "pas", "plus",
    "pour", "qu", "que", "qui", "sa", "se", "ses", "son", "sont", "suite", "sur", "ta", "te", "tes", "toi", "ton",
    "tu", "un", "une", "vos", "votre", "vous", "y",
])
#: After one of these words, or at the end, a lone « A » is a letter and not the preposition « à ».
_LETTER_HEADS = frozenset([
    "avitaminose", "coxsackie", "gangrene", "grade", "grippe", "groupe", "hemophilie", "hepatite", "hypervitaminose",
    "influenza", "paratyphoide", "salmonella", "stade", "streptocoque", "type", "virale", "virus", "vitamine",
])
# fmt: on


class _Folding(dict[int, str]):
    """Folded form per character, worked out at its first sight; `str.translate` then runs at full speed."""

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFKD", chr(code).translate(_LIGATURES))
        self[code] = "".join(c for c in decomposed if not unicodedata.combining(c)).lower()
        return self[code]


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Lower-case, accent-free, ligature-free text with plain apostrophes and hyphens.

    Not length-preserving (`œ` → `oe`); see `fold_with_offsets` where offsets matter.
    """
    return text.translate(_FOLDING)


def fold_with_offsets(text: str) -> tuple[str, list[int]]:
    """`fold`, with for each folded character the index of the character of `text` it came from.

    The list has one more entry, `len(text)`, so that a folded span [i, j) stands for
    `text[offsets[i] : offsets[j - 1] + 1]`.
    """
    folded = fold(text)
    if len(folded) == len(text) and all(len(_FOLDING[ord(char)]) == 1 for char in set(text)):
        return folded, list(range(len(text) + 1))
    offsets = [index for index, char in enumerate(text) for _ in _FOLDING[ord(char)]]
    offsets.append(len(text))
    return folded, offsets


def stem(token: str) -> str:
    """A light plural and feminine-plural stem that never merges distinct medical words.

    Only the ending `s`/`x` after a letter other than s goes, and `aux` → `al` from five letters on.
    """
    if len(token) <= 3 or token[-1] not in "sx" or not token.isalpha():
        return token
    if token.endswith("aux") and len(token) > 5 and not token.endswith("eaux"):
        return token[:-3] + "al"
    if token.endswith(("ss", "us", "is", "os", "as", "ax", "ex", "ix", "yx", "nx", "rx")):
        return token  # virus, pelvis, thorax, index, larynx: singular as they stand
    return token[:-1]


@lru_cache(maxsize=200_000)
def _stem_cached(token: str) -> str:
    return stem(token)


def _words_of_folded(folded: str) -> list[tuple[str, int, int]]:
    """(word, start, end) in a folded text: elisions cut, Roman numerals as digits."""
    cut = _ELISION.sub(lambda m: " " * len(m.group()), folded)
    out: list[tuple[str, int, int]] = []
    previous = ""
    for match in _TOKEN.finditer(cut):
        token = match.group()
        value = _ROMAN.get(token, token)
        if previous in _ROMAN_HEADS:
            value = _ROMAN_SINGLE.get(token, value)
        out.append((value, match.start(), match.end()))
        previous = token
    return out


def words(text: str) -> list[str]:
    """Folded words in order, elisions cut, Roman numerals as digits; one-letter words kept (« hépatite B »)."""
    return [word for word, _, _ in _words_of_folded(fold(text))]


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """`words` with their place: (word, start, end) with offsets into `text` as given, end excluded."""
    folded, offsets = fold_with_offsets(text)
    return [(word, offsets[i], offsets[j - 1] + 1) for word, i, j in _words_of_folded(folded)]


def tokens(text: str) -> list[str]:
    """Index terms: `words` without stop words, stemmed; the letters of « hépatite A » and « vitamine D » are kept.

    A text of stop words only keeps its words: a lone « Y » is then what is asked for. Empty for a text without words.
    """
    every = words(text)
    last = len(every) - 1
    content = [
        _stem_cached(word)
        for i, word in enumerate(every)
        if word not in STOP_WORDS or (word == "a" and i and (i == last or every[i - 1] in _LETTER_HEADS))
    ]
    return content or [_stem_cached(word) for word in every]
