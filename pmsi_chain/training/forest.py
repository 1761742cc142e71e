"""Grow the trees that `pmsi_chain.forest` reads, with scikit-learn's histogram boosting."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import Floats
from pmsi_chain.forest import Forest


def grow(matrix: Floats, right: npt.NDArray[np.bool_], seed: int, **settings: Any) -> Any:
    """A fitted classifier.

    Args:
        matrix: (n, n_columns); right: (n,).
        settings: of `HistGradientBoostingClassifier`, over the defaults here.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    defaults = {"max_iter": 150, "learning_rate": 0.06, "max_leaf_nodes": 12, "min_samples_leaf": 25}
    chosen = {**defaults, "l2_regularization": 5.0, "early_stopping": False, **settings}
    return HistGradientBoostingClassifier(random_state=seed, **chosen).fit(matrix, right)


def forest_of(model: Any, columns: tuple[str, ...]) -> Forest:
    """A fitted classifier as arrays."""
    trees = [stage[0].nodes for stage in model._predictors]
    size = max(len(nodes) for nodes in trees)
    feature, left, right = (np.zeros((len(trees), size), np.int16) for _ in range(3))
    threshold, value = (np.zeros((len(trees), size), np.float32) for _ in range(2))
    depth = 0
    for i, nodes in enumerate(trees):
        place = np.arange(len(nodes), dtype=np.int16)
        leaf = nodes["is_leaf"].astype(bool)
        depth = max(depth, int(nodes["depth"].max()))
        feature[i, : len(nodes)] = np.where(leaf, 0, nodes["feature_idx"])
        left[i, : len(nodes)] = np.where(leaf, place, nodes["left"])
        right[i, : len(nodes)] = np.where(leaf, place, nodes["right"])
        threshold[i, : len(nodes)] = nodes["num_threshold"]
        value[i, : len(nodes)] = np.where(leaf, nodes["value"], 0.0)
    baseline = float(np.ravel(model._baseline_prediction)[0])
    return Forest(columns, feature, left, right, threshold, value, baseline, depth)


def write_forest(path: Path, model: Any, columns: tuple[str, ...]) -> None:
    """Write a fitted classifier for `Forest.from_path`."""
    arrays: dict[str, Any] = {name: np.array(value) for name, value in asdict(forest_of(model, columns)).items()}
    np.savez_compressed(path, **arrays)
