"""Does this passage attest this code? A calibrated probability."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import MODELS_DIR, Floats
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.rerank.features import FEATURE_NAMES, PairFeatures
from pmsi_chain.text import words

#: Lengths, in words, of the windows of a passage that are compared one by one.
WINDOW_LENGTHS = (2, 3, 4, 6, 8)

EVIDENCE_COLUMNS = (
    *FEATURE_NAMES,
    "window_cosine",  # best window of the passage · code
    "margin_sibling",  # cosine_code minus that of the best other code of the category
    "margin_all",  # cosine_code minus that of the best code of the edition
    "passage_words",  # log(1 + words)
    "passage_condition",  # how much its words, denials apart, name conditions, rather than organs or acts; mean
    "passage_well",  # 1 when a word of the passage says that nothing is wrong
)
#: Words, and beginnings of words, that say that nothing is wrong: « sans », « d'aspect satisfaisant », « intact ».
_NOTHING = frozenset(("sans", "absence", "absent", "absente", "aucun", "aucune", "pas", "non", "ni"))
_WELL = ("satisfais", "normal", "intact", "present", "conserv", "sain", "libre", "respect", "indemne")


@dataclass(frozen=True, slots=True)
class EvidenceModel:
    """Logistic regression on a choice of `EVIDENCE_COLUMNS`.

    Attributes:
        columns: names of the columns used.
        mean, std, weights: (n_columns,) each; intercept: of the logit.
    """

    columns: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    intercept: float

    @classmethod
    def from_path(cls, path: Path) -> EvidenceModel:
        """Read `evidence.json`.

        Raises:
            ConfigurationError: the file is missing or is no such file.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            mean, std, weights = (np.array(values[name], dtype=np.float64) for name in ("mean", "std", "weights"))
            return cls(tuple(values["columns"]), mean, std, weights, float(values["intercept"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as the evidence model ({type(error).__name__}): give a file written by "
                "`pmsi-chain train reranker`, or reinstall the package."
            ) from error

    def probabilities(self, columns: Floats) -> npt.NDArray[np.float64]:
        """(n,) in (0, 1) from (n, len(EVIDENCE_COLUMNS)) columns."""
        used = columns[:, [EVIDENCE_COLUMNS.index(name) for name in self.columns]]
        logits = ((used - self.mean) / self.std) @ self.weights + self.intercept
        return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


class EvidenceScorer:
    """Probability that a passage attests a code, calibrated on passages of French reports."""

    def __init__(self, features: PairFeatures, model: EvidenceModel) -> None:
        """Assign the parts."""
        self._features = features
        self._encoder = encoder = features.encoder
        self._model = model
        self._category = np.array([code[:3] for code in encoder.codes])
        self._row = {code: row for row, code in enumerate(encoder.codes)}

    @classmethod
    def from_package(cls) -> EvidenceScorer:
        """The scorer that ships with the package."""
        return cls(PairFeatures.from_package(), EvidenceModel.from_path(MODELS_DIR / "evidence.json"))

    def score(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """Probabilities in [0, 1], one per (code, label, passage).

        Args:
            triples: code in stored form, its label, the passage. A passage without a word scores 0.
        """
        if not triples:
            return []
        probabilities = self._model.probabilities(self.columns(triples))
        return [float(p) if words(passage) else 0.0 for p, (_, _, passage) in zip(probabilities, triples, strict=True)]

    def columns(self, triples: Sequence[tuple[str, str, str]]) -> Floats:
        """(n, len(EVIDENCE_COLUMNS)) float32."""
        rows = [self._row_of(code, label, passage) for code, label, passage in triples]
        return np.array(rows, dtype=np.float32).reshape(len(triples), len(EVIDENCE_COLUMNS))

    def _row_of(self, code: str, label: str, passage: str) -> list[float]:
        features = self._features.matrix(passage, [code], [label])
        target = self._encoder.encode_codes([code], [label])[0]
        found = words(passage)
        windows = [
            " ".join(found[i : i + n])
            for n in WINDOW_LENGTHS
            if n < len(found)
            for i in range(0, len(found) - n + 1, max(1, n // 2))
        ]
        vectors = self._encoder.encode([passage, *windows])
        cosines = vectors @ target
        others = self._encoder.code_vectors @ vectors[0]
        own = self._row.get(code)
        if own is not None:
            others[own] = -1.0
        siblings = others[self._category == code[:3]]
        best_sibling = float(siblings.max()) if len(siblings) > (own is not None) else 0.0
        return [
            *features[0].tolist(),
            float(cosines.max()),
            float(cosines[0]) - best_sibling,
            float(cosines[0]) - float(others.max()),
            float(np.log1p(len(found))),
            self._features.condition(" ".join(word for word in found if word not in _NOTHING)),
            float(any(word in _NOTHING or word.startswith(_WELL) for word in found)),
        ]
