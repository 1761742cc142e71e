"""The score that a coder reads beside a candidate: how sure the search is of its category.

The reranker's probability says whether a code is *the* right one, and of a list one code at most is: from the second
place on it falls near 0 even for close codes. The score shown is the chance that the code is right to its category
(three characters of CIM-10), a logistic function of the logit of that probability with two fitted numbers. It keeps
the reranker's order, lies in [0, 1], and means the same from one query to another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pmsi_chain.encoders.dense import MODELS_DIR
from pmsi_chain.errors import ConfigurationError

KEY = "similarity"
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Similarity:
    """score = sigmoid(slope · logit(probability) + intercept).

    Attributes:
        slope: above 0, so that the order stays; 1 with intercept 0 leaves the probability as it is.
        n: candidates that it was fitted on.
    """

    slope: float = 1.0
    intercept: float = 0.0
    n: int = 0

    @classmethod
    def from_package(cls) -> Similarity:
        """The numbers beside the reranker's blend; the probability itself where nothing was fitted for it."""
        return _packaged()

    @classmethod
    def from_path(cls, path: Path) -> Similarity:
        """Read them from a `blend.json`.

        Raises:
            ConfigurationError: no JSON there, or a slope that would turn the order round.
        """
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")).get(KEY, {}))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"{path} : étalonnage illisible ({type(error).__name__}) ; lancer `pmsi-chain train reranker`"
            ) from error
        if found.slope <= 0:
            raise ConfigurationError(
                f"{path} : pente {found.slope}, attendue au-dessus de 0 ; lancer `pmsi-chain train reranker`"
            )
        return found

    @classmethod
    def fit(cls, probabilities: Sequence[float], right: Sequence[bool]) -> Similarity:
        """Fit on candidates: the reranker's probability of each, and whether its category is a right one.

        Raises:
            ValueError: nothing to learn from: all right or all wrong, or likelier ones are not more often right.
        """
        from pmsi_chain.training.evidence import logistic_regression

        y = np.asarray(right, dtype=np.float64)
        if not 0 < y.sum() < len(y):
            raise ValueError(f"{len(y)} candidates, {int(y.sum())} of them right: give some of both kinds")
        x = np.array([_logit(p) for p in probabilities])
        slopes, intercept = logistic_regression(x[:, None], y, np.ones(len(y)), ridge=0.0)
        if slopes[0] <= 0:
            raise ValueError("likelier candidates are not more often right: another reranker is needed")
        return cls(round(float(slopes[0]), 4), round(intercept, 4), len(y))

    def score(self, probability: float) -> float:
        """In [0, 1], growing with the probability."""
        return 1 / (1 + math.exp(-(self.slope * _logit(probability) + self.intercept)))


def _logit(probability: float) -> float:
    inside = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(inside / (1 - inside))


@lru_cache(maxsize=1)
def _packaged() -> Similarity:
    return Similarity.from_path(MODELS_DIR / "blend.json")
