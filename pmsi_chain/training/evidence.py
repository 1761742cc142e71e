"""Fit the evidence model: a ridge-penalised logistic regression, judged by cross-validation over codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import Floats
from pmsi_chain.rerank.evidence import EVIDENCE_COLUMNS, EvidenceModel, EvidenceScorer
from pmsi_chain.rerank.features import PairFeatures

#: The columns used: what says how close the passage comes, and how much closer another code would be.
USED_COLUMNS = (
    "cosine_label",
    "window_cosine",
    "margin_all",
    "margin_sibling",
    "aligned_head",
    "aligned_condition",
    "covered_text",
    "passage_condition",
    "passage_well",
)
RIDGE = 3.0

Doubles = npt.NDArray[np.float64]


def fit_evidence(
    models_dir: Path, rows: Sequence[tuple[str, str, str, bool]], seed: int, n_folds: int = 10
) -> dict[str, Any]:
    """What `EvidenceModel.from_path` reads, with the cross-validated measures beside it.

    Args:
        models_dir: holds the files of the encoder.
        rows: (code, label, passage, whether the passage attests the code).
    """
    columns = evidence_columns(PairFeatures.from_path(models_dir), rows)
    return fit_columns(columns, np.array([attests for *_, attests in rows]), [code for code, *_ in rows], seed, n_folds)


def evidence_columns(features: PairFeatures, rows: Sequence[tuple[str, str, str, bool]]) -> Floats:
    """(n, len(EVIDENCE_COLUMNS)) columns of the rows."""
    no_model = EvidenceModel((), np.zeros(0), np.ones(0), np.zeros(0), 0.0)
    return EvidenceScorer(features, no_model).columns([(code, label, text) for code, label, text, _ in rows])


def fit_columns(
    columns: Floats, attests: npt.NDArray[np.bool_], codes: Sequence[str], seed: int, n_folds: int = 10
) -> dict[str, Any]:
    """Fit on everything, and measure with folds that share no code."""
    x = columns[:, [EVIDENCE_COLUMNS.index(name) for name in USED_COLUMNS]].astype(np.float64)
    mean, std = x.mean(axis=0), x.std(axis=0)
    std = np.where(std > 1e-4, std, 1.0)  # a column that never changes says nothing, and is written with five digits
    z, y = (x - mean) / std, attests.astype(np.float64)
    distinct = np.array(sorted(set(codes)))
    np.random.default_rng(seed).shuffle(distinct)
    fold_of = {str(code): i % n_folds for i, code in enumerate(distinct)}
    folds = np.array([fold_of[code] for code in codes])
    held_out = np.zeros(len(y))
    for fold in range(n_folds):
        weights, intercept = _logistic(z[folds != fold], y[folds != fold])
        held_out[folds == fold] = 1 / (1 + np.exp(-(z[folds == fold] @ weights + intercept)))
    weights, intercept = _logistic(z, y)
    low, high = auc_interval(y, held_out, seed)
    return {
        "columns": list(USED_COLUMNS),
        "mean": np.round(mean, 5).tolist(),
        "std": np.round(std, 5).tolist(),
        "weights": np.round(weights, 5).tolist(),
        "intercept": round(float(intercept), 5),
        "cross_validation": {
            "n": len(y),
            "n_folds": n_folds,
            "roc_auc": round(roc_auc(y, held_out), 4),
            "roc_auc_95": [round(low, 4), round(high, 4)],
            "brier": round(float(np.mean((held_out - y) ** 2)), 4),
            "reliability": reliability(y, held_out),
        },
    }


def roc_auc(y: Doubles, scores: Doubles) -> float:
    """Chance that a true pair scores above a false one; ties count half."""
    true, false = scores[y == 1], np.sort(scores[y == 0])
    below, up_to = np.searchsorted(false, true, side="left"), np.searchsorted(false, true, side="right")
    return float((below + up_to).sum() / 2 / (len(true) * len(false)))


def auc_interval(y: Doubles, scores: Doubles, seed: int, n_resamples: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of `roc_auc` over rows."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(n_resamples):
        rows = rng.integers(0, len(y), len(y))
        if 0 < y[rows].sum() < len(y):
            values.append(roc_auc(y[rows], scores[rows]))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def reliability(y: Doubles, probabilities: Doubles) -> list[dict[str, float]]:
    """Mean probability and observed share in five bands of probability; empty bands left out."""
    bands = np.minimum((probabilities * 5).astype(int), 4)
    return [
        {
            "from": band / 5,
            "to": (band + 1) / 5,
            "n": int((bands == band).sum()),
            "mean_probability": round(float(probabilities[bands == band].mean()), 3),
            "observed_rate": round(float(y[bands == band].mean()), 3),
        }
        for band in range(5)
        if (bands == band).any()
    ]


def _logistic(z: Doubles, y: Doubles) -> tuple[Doubles, float]:
    return logistic_regression(z, y, np.ones(len(y)), RIDGE)


def logistic_regression(z: Doubles, y: Doubles, weights: Doubles, ridge: float) -> tuple[Doubles, float]:
    """Newton's method on the penalised likelihood: (coefficients, intercept); the intercept is not penalised."""
    x = np.column_stack([z, np.ones(len(z))])
    penalty = np.append(np.full(z.shape[1], ridge), 1e-6)
    p = np.zeros(x.shape[1])
    for _ in range(50):
        rate = 1 / (1 + np.exp(-np.clip(x @ p, -30, 30)))
        gradient = x.T @ (weights * (rate - y)) + penalty * p
        curvature = (x * (weights * rate * (1 - rate))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        p = p - step * min(1.0, 5.0 / max(1e-9, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-8:
            break
    return p[:-1], float(p[-1])
