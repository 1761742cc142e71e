"""One probability per candidate, out of the cross-encoder's logit and the retrieval features of the whole list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import Floats
from pmsi_chain.errors import ConfigurationError

#: Feature columns whose distance to the best of the list is a column of its own.
_RELATIVE = (0, 1, 2, 3)


def with_list_columns(features: Floats, logits: Floats) -> Floats:
    """Append the logit and the distances to the list's best: (n, n_features + 1 + len(_RELATIVE) + 1)."""
    relative = features[:, _RELATIVE] - features[:, _RELATIVE].max(axis=0)
    return np.concatenate([features, logits[:, None], relative, (logits - logits.max())[:, None]], axis=1)


@dataclass(frozen=True, slots=True)
class Blend:
    """A network of one hidden layer over standardised columns.

    Attributes:
        mean, std: (n_columns,) of the training columns.
        hidden, hidden_bias: (n_columns, n_hidden) and (n_hidden,).
        out: (n_hidden,); skip: (n_columns,), straight from columns to score.
        slope, intercept: probability = sigmoid(slope * score + intercept).
    """

    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    hidden: npt.NDArray[np.float64]
    hidden_bias: npt.NDArray[np.float64]
    out: npt.NDArray[np.float64]
    skip: npt.NDArray[np.float64]
    slope: float
    intercept: float

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> Blend:
        """Build from the JSON that `as_dict` makes."""
        arrays = {name: np.array(values[name], dtype=np.float64) for name in _ARRAYS}
        return cls(**arrays, slope=float(values["slope"]), intercept=float(values["intercept"]))  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, object]:
        """Plain lists and numbers, for JSON."""
        arrays: dict[str, object] = {name: np.round(getattr(self, name), 5).tolist() for name in _ARRAYS}
        return arrays | {"slope": self.slope, "intercept": self.intercept}

    def scores(self, columns: Floats) -> npt.NDArray[np.float64]:
        """(n,) scores to rank by; any real number, higher is better."""
        x = (columns.astype(np.float64) - self.mean) / self.std
        scores: npt.NDArray[np.float64] = np.tanh(x @ self.hidden + self.hidden_bias) @ self.out + x @ self.skip
        return scores

    def probabilities(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n,) in (0, 1): the chance that the candidate is a right one; same order as the scores."""
        return 1 / (1 + np.exp(-np.clip(self.slope * scores + self.intercept, -30, 30)))


_ARRAYS = ("mean", "std", "hidden", "hidden_bias", "out", "skip")


def read_blends(path: Path) -> dict[str, Blend]:
    """The blends of a file written by `pmsi-chain train reranker`, by kind of code ("known", "label_only").

    Raises:
        ConfigurationError: the file is missing or is no such file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {kind: Blend.from_dict(values[kind]) for kind in ("known", "label_only")}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as the reranker's blend ({type(error).__name__}): give a file written by "
            "`pmsi-chain train reranker`, or reinstall the package."
        ) from error
