"""What the reranker and the evidence scorer look at in a (text, code, label) triple."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pmsi_chain.encoders.dense import EmbeddedEncoder, Floats
from pmsi_chain.encoders.lexical import LexicalWeights, stem_id
from pmsi_chain.encoders.memory import ExpressionMemory
from pmsi_chain.text import tokens, words

#: Columns of `PairFeatures.matrix`.
FEATURE_NAMES = (
    "cosine_code",  # text · (label + residual)
    "cosine_label",  # text · label
    "cosine_memory",  # text · nearest known expression of the code
    "lexical_code",  # BM25 of the widened code, divided by the text's idf mass
    "covered_text",  # share of the text's idf mass that the label holds
    "covered_label",  # share of the label's idf mass that the text holds
    "log_expressions",  # log(1 + number of known expressions)
    "unspecified",  # 1 when the label says « sans précision » or « SAI »
    "other",  # 1 when the label says « autre(s) »
    "text_length",  # log(1 + stems of the text)
    "without_missing",  # 1 when the text says « sans » and the label does not
    "without_added",  # 1 when the label says « sans » (but « sans précision ») and the text does not
    "numbers_missing",  # share of the text's numbers that the label does not hold
    "numbers_added",  # 1 when the label holds a number above one that the text does not
)  # fmt: skip


class PairFeatures:
    """Features of one text against many codes; vectors of codes and labels are kept between calls."""

    def __init__(self, encoder: EmbeddedEncoder, memory: ExpressionMemory, lexical: LexicalWeights) -> None:
        self._encoder = encoder
        self._memory = memory
        self._lexical = lexical
        self._kept: dict[tuple[str, str], tuple[Floats, Floats]] = {}

    def matrix(self, text: str, codes: Sequence[str], labels: Sequence[str]) -> Floats:
        """(n, len(FEATURE_NAMES)) float32, one row per code."""
        query = self._encoder.encode([text])[0]
        code_vectors, label_vectors = self._vectors(codes, labels)
        cosine_code, cosine_label = code_vectors @ query, label_vectors @ query
        asked = {stem_id(stem) for stem in tokens(text)}
        mass = sum(self._lexical.idf(stem) for stem in asked) or 1.0
        out = np.zeros((len(codes), len(FEATURE_NAMES)), dtype=np.float32)
        out[:, 0], out[:, 1] = cosine_code, cosine_label
        out[:, 2] = self._memory.best_cosine(query, codes, cosine_label)
        asked_numbers, asked_without = numbers(text), _says_without(text)
        for i, (code, label) in enumerate(zip(codes, labels, strict=True)):
            stems, label_mass, unspecified, other = _label_facts(label, self._lexical)
            shared = sum(self._lexical.idf(stem) for stem in asked & stems)
            out[i, 3] = self._lexical.score(asked, code, stems) / mass
            out[i, 4] = shared / mass
            out[i, 5] = shared / label_mass
            out[i, 7], out[i, 8] = unspecified, other
            held_numbers, held_without = _label_signs(label)
            out[i, 10], out[i, 11] = asked_without > held_without, held_without > asked_without
            if asked_numbers:
                out[i, 12] = len(asked_numbers - held_numbers) / len(asked_numbers)
            out[i, 13] = bool(held_numbers - asked_numbers - {"1"})
        out[:, 6] = np.log1p(self._memory.n_expressions(codes))
        out[:, 9] = np.log1p(len(asked))
        return out

    def _vectors(self, codes: Sequence[str], labels: Sequence[str]) -> tuple[Floats, Floats]:
        pairs = list(zip(codes, labels, strict=True))
        if len(self._kept) > 60_000:
            self._kept.clear()
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in self._kept]
        if missing:
            with_code = self._encoder.encode_codes([code for code, _ in missing], [label for _, label in missing])
            alone = self._encoder.encode([label for _, label in missing])
            for i, pair in enumerate(missing):
                self._kept[pair] = (with_code[i], alone[i])
        found = [self._kept[pair] for pair in pairs]
        return np.stack([code for code, _ in found]), np.stack([label for _, label in found])


@lru_cache(maxsize=60_000)
def _label_facts(label: str, lexical: LexicalWeights) -> tuple[frozenset[int], float, float, float]:
    found = tokens(label)
    stems = frozenset(stem_id(stem) for stem in found)
    mass = sum(lexical.idf(stem) for stem in stems) or 1.0
    words = set(found)
    return stems, mass, float("sai" in words or "precision" in words), float("autre" in words)


def numbers(text: str) -> frozenset[str]:
    """Numbers of a text as digits, those glued to a word (« 2doigts »), spelt (« deux ») or Roman included."""
    folded = " ".join(words(text))
    found = {match.replace(",", ".") for match in _NUMBER.findall(folded)}
    return frozenset(found | {_SPELT[word] for word in folded.split() if word in _SPELT})


_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_SPELT = {
    "un": "1", "une": "1", "unique": "1", "premier": "1", "premiere": "1", "deux": "2", "second": "2",
    "seconde": "2", "deuxieme": "2", "trois": "3", "troisieme": "3", "quatre": "4", "quatrieme": "4", "cinq": "5",
    "cinquieme": "5", "six": "6", "sept": "7", "huit": "8", "neuf": "9", "dix": "10",
}  # fmt: skip
_WITHOUT = frozenset(("sans", "ss", "absence", "hors", "non"))


def _says_without(text: str) -> bool:
    found = words(text)
    return any(
        word in _WITHOUT and following not in ("precision", "precise", "precisee", "classe", "classee", "classes")
        for word, following in zip(found, [*found[1:], ""], strict=False)
    )


@lru_cache(maxsize=60_000)
def _label_signs(label: str) -> tuple[frozenset[str], bool]:
    return numbers(label), _says_without(label)
