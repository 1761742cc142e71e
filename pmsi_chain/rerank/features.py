"""What the reranker and the evidence scorer look at in a (text, code, label) triple."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from pmsi_chain.encoders.dense import PASSAGE_SEPARATOR, EmbeddedEncoder, Floats
from pmsi_chain.encoders.features import spoken_words
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
    "aligned_text",  # cosine of each word of the text with its nearest word of the label, mean by idf
    "aligned_label",  # cosine of each word of the label with its nearest word of the text, mean by idf
    "least_aligned",  # the lowest of the text's, among its words that count
    "cosine_category",  # text · label of the category, or of the code itself where none is given
    "aligned_head",  # cosine of the word that heads the label (« Hernie » d'un disque) with its nearest one
    "aligned_condition",  # like aligned_label, mean by how much each word names a condition (not an organ, not an act)
)  # fmt: skip


class PairFeatures:
    """Features of one text against many codes; vectors of codes and labels are kept between calls."""

    def __init__(self, encoder: EmbeddedEncoder, memory: ExpressionMemory, lexical: LexicalWeights) -> None:
        self._encoder = encoder
        self._memory = memory
        self._lexical = lexical
        self._kept: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        self._kept_wordings: dict[str, Floats] = {}

    @classmethod
    def from_package(cls) -> PairFeatures:
        """On the models that ship with the package, loaded once per process."""
        return _packaged_features()

    @classmethod
    def from_path(cls, models_dir: Path) -> PairFeatures:
        """On a directory written by `pmsi-chain train encoder`.

        Raises:
            ConfigurationError: a file is missing there.
        """
        return cls(
            EmbeddedEncoder.from_path(models_dir / "encoder.npz"),
            ExpressionMemory.from_path(models_dir / "memory.npz"),
            LexicalWeights.from_path(models_dir / "sparse.npz"),
        )

    @property
    def encoder(self) -> EmbeddedEncoder:
        """What makes the vectors."""
        return self._encoder

    def matrix(self, text: str, codes: Sequence[str], passages: Sequence[str]) -> Floats:
        """(n, len(FEATURE_NAMES)) float32, one row per code.

        Args:
            codes: stored form.
            passages: « label » or « label — category's label », one per code.
        """
        if not codes:
            return np.zeros((0, len(FEATURE_NAMES)), dtype=np.float32)
        labels, categories = zip(*map(split_passage, passages), strict=True)
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
        out[:, 14:17], out[:, 18:20] = self._alignment(text, labels)
        out[:, 17] = self._wordings(categories) @ query
        return out

    def condition(self, text: str) -> float:
        """Mean of `LexicalWeights.condition` over the stems of a text; 0 without any."""
        found = [self._lexical.condition(stem_id(stem)) for stem in tokens(text)]
        return sum(found) / len(found) if found else 0.0

    def _alignment(self, text: str, labels: Sequence[str]) -> tuple[Floats, Floats]:
        """(n, 3) and (n, 2): how well words answer words, see `FEATURE_NAMES`."""
        out, of_condition = np.zeros((len(labels), 3), dtype=np.float32), np.zeros((len(labels), 2), dtype=np.float32)
        asked, asked_idf, _ = _weighted_words(text, self._lexical)
        held = [_weighted_words(label, self._lexical) for label in labels]
        filled = [place for place, (found, _, _) in enumerate(held) if found]
        if not asked or not filled:
            return out, of_condition
        vectors = self._encoder.word_vectors([word for place in filled for word in held[place][0]])
        idf = np.array([x for place in filled for x in held[place][1]], dtype=np.float32)
        starts = np.cumsum([0, *(len(held[place][0]) for place in filled[:-1])])
        cosines = self._encoder.word_vectors(asked) @ vectors.T  # (words of the text, words of all labels)
        weights = np.array(asked_idf, dtype=np.float32)
        best = np.maximum.reduceat(cosines, starts, axis=1)  # (words of the text, labels)
        out[filled, 0] = weights @ best / weights.sum()
        out[filled, 1] = np.add.reduceat(cosines.max(axis=0) * idf, starts) / np.add.reduceat(idf, starts)
        counting = weights >= weights.max() / 2
        out[filled, 2] = best[counting].min(axis=0)
        of_label = cosines.max(axis=0)
        of_condition[filled, 0] = of_label[starts + np.array([_head(held[place][0]) for place in filled])]
        conditions = np.array([x for place in filled for x in held[place][2]], dtype=np.float32)
        of_condition[filled, 1] = np.add.reduceat(of_label * conditions, starts) / np.add.reduceat(conditions, starts)
        return out, of_condition

    def _wordings(self, texts: Sequence[str]) -> Floats:
        """(n, dim) unit vectors of wordings that come back often: the labels of categories."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._kept_wordings]
        if missing:
            if len(self._kept_wordings) > 20_000:
                self._kept_wordings.clear()
                missing = list(dict.fromkeys(texts))
            self._kept_wordings.update(zip(missing, self._encoder.encode(missing), strict=True))
        return np.stack([self._kept_wordings[text] for text in texts])

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


@lru_cache(maxsize=1)
def _packaged_features() -> PairFeatures:
    return PairFeatures(EmbeddedEncoder.from_package(), ExpressionMemory.from_package(), LexicalWeights.from_package())


def split_passage(passage: str) -> tuple[str, str]:
    """(label, label of the category) of a passage; the label twice where it names no category."""
    label, _, category = passage.partition(PASSAGE_SEPARATOR)
    return label, category or label


_Words = tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]
#: Words that head a label and say nothing: « Autres hernies ».
_NO_HEAD = frozenset(("autre", "autres", "certain", "certains", "certaine", "certaines", "precise", "precisee"))
#: What the weight of a word by the condition it names is at least.
_LEAST_CONDITION = 0.05


@lru_cache(maxsize=60_000)
def _weighted_words(text: str, lexical: LexicalWeights) -> _Words:
    """Content words of a text, each with the highest idf of its stems and how much they name a condition."""
    weighted = []
    for word in spoken_words(text):
        ids = [stem_id(stem) for stem in tokens(word)]
        if ids:
            condition = max(_LEAST_CONDITION, *map(lexical.condition, ids))
            weighted.append((word, max(map(lexical.idf, ids)), condition))
    found, idf, conditions = zip(*weighted, strict=True) if weighted else ((), (), ())
    return found, idf, conditions


def _head(found: Sequence[str]) -> int:
    """Place of the word that heads a label; the first where none does."""
    return next((place for place, word in enumerate(found) if word not in _NO_HEAD), 0)


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
