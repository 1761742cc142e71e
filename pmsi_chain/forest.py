"""Boosted trees written as arrays: inference with numpy alone, no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import Floats
from pmsi_chain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Forest:
    """A sum of regression trees on the scale of the logit.

    Attributes:
        columns: names of the columns that the trees were grown on, in order.
        feature, left, right: (n_trees, n_nodes), the column a node asks for and its two followers; a leaf follows
            itself.
        threshold: (n_trees, n_nodes), left when the column is at most it.
        value: (n_trees, n_nodes), what a leaf adds.
        baseline: logit before any tree.
        depth: steps that reach every leaf.
    """

    columns: tuple[str, ...]
    feature: npt.NDArray[np.int16]
    left: npt.NDArray[np.int16]
    right: npt.NDArray[np.int16]
    threshold: npt.NDArray[np.float32]
    value: npt.NDArray[np.float32]
    baseline: float
    depth: int

    @classmethod
    def from_path(cls, path: Path, columns: tuple[str, ...]) -> Forest:
        """Read what `pmsi_chain.training.forest` writes.

        Args:
            columns: the columns that will be given.

        Raises:
            ConfigurationError: the file is missing, is no forest, or was grown on other columns.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found = cls(
                    tuple(str(name) for name in arrays["columns"]),
                    arrays["feature"], arrays["left"], arrays["right"], arrays["threshold"], arrays["value"],
                    float(arrays["baseline"]), int(arrays["depth"]),
                )  # fmt: skip
        except (OSError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{path} : forêt illisible ({type(error).__name__}) ; donner un fichier écrit par "
                "`pmsi-chain train reader`, ou réinstaller le paquet"
            ) from error
        if found.columns != columns:
            raise ConfigurationError(f"{path} : colonnes d'une autre version ; refaire avec `pmsi-chain train reader`")
        return found

    def probabilities(self, matrix: Floats) -> npt.NDArray[np.float64]:
        """(n,) in (0, 1) from (n, len(columns))."""
        n, trees = len(matrix), np.arange(len(self.feature))
        node = np.zeros((n, len(trees)), dtype=np.int16)
        rows = np.arange(n)[:, None]
        for _ in range(self.depth):
            goes_left = matrix[rows, self.feature[trees, node]] <= self.threshold[trees, node]
            node = np.where(goes_left, self.left[trees, node], self.right[trees, node])
        logits = self.baseline + self.value[trees, node].astype(np.float64).sum(axis=1)
        probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        return probabilities
