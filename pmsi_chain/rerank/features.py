"""What the reranker and the evidence scorer look at in a (text, code, label) triple."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pmsi_chain.encoders.dense import EmbeddedEncoder, Floats
from pmsi_chain.encoders.lexical import LexicalWeights, stem_id
from pmsi_chain.encoders.memory import ExpressionMemory
from pmsi_chain.text import tokens

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
        for i, (code, label) in enumerate(zip(codes, labels, strict=True)):
            stems, label_mass, unspecified, other = _label_facts(label, self._lexical)
            shared = sum(self._lexical.idf(stem) for stem in asked & stems)
            out[i, 3] = self._lexical.score(asked, code, stems) / mass
            out[i, 4] = shared / mass
            out[i, 5] = shared / label_mass
            out[i, 7], out[i, 8] = unspecified, other
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
