"""Metrics as pure functions, each checked in the tests against a brute-force oracle.

All rates and scores are in [0, 1], higher is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % percentile bootstrap interval over n independent units."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}–{self.high:.3f}] (n={self.n})"


def bootstrap(
    units: np.ndarray, statistic: Callable[[np.ndarray], float], n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Estimate a statistic of units resampled with replacement.

    Args:
        units: (n, …) one row per independent unit (a query, a report).
        statistic: from an array of such rows to a number.

    Raises:
        ValueError: without a unit there is nothing to estimate.
    """
    if len(units) == 0:
        raise ValueError("no unit to estimate from: give at least one query or report")
    rng = np.random.default_rng(seed)
    values = [statistic(units[rng.integers(0, len(units), len(units))]) for _ in range(n_resamples)]
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(statistic(units), float(low), float(high), len(units))


def mean_estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """Mean of values with its bootstrap interval."""
    return bootstrap(np.asarray(values, dtype=float), lambda rows: float(rows.mean()), seed=seed)


def first_hit(ranked: Sequence[str], accepted: frozenset[str]) -> int | None:
    """Rank, from 1, of the first accepted code; None if there is none."""
    return next((rank for rank, code in enumerate(ranked, start=1) if code in accepted), None)


def hit_at(rank: int | None, k: int) -> float:
    """1.0 if the first hit is among the first k."""
    return float(rank is not None and rank <= k)


def reciprocal_rank(rank: int | None) -> float:
    """1 / rank of the first hit, 0.0 without one."""
    return 0.0 if rank is None else 1.0 / rank


def roc_auc(labels: Sequence[int], scores: Sequence[float]) -> float:
    """Probability that a positive scores above a negative, ties counted as one half.

    Raises:
        ValueError: without both a positive and a negative it is undefined.
    """
    y = np.asarray(labels, dtype=bool)
    n_pos, n_neg = int(y.sum()), int((~y).sum())
    if not n_pos or not n_neg:
        raise ValueError("ROC-AUC needs at least one positive and one negative")
    _, inverse, counts = np.unique(np.asarray(scores, dtype=float), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    return float((mean_rank[inverse][y].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def precision_recall_f1(true_positives: float, proposed: float, gold: float) -> tuple[float, float, float]:
    """(precision, recall, F1) from counts; 0.0 where a denominator is zero."""
    precision = true_positives / proposed if proposed else 0.0
    recall = true_positives / gold if gold else 0.0
    total = proposed + gold
    return precision, recall, 2 * true_positives / total if total else 0.0


def counts(proposed: frozenset[str], gold: frozenset[str]) -> tuple[int, int, int]:
    """(true positives, proposed, gold) of one report."""
    return len(proposed & gold), len(proposed), len(gold)


def micro(rows: np.ndarray, which: int) -> float:
    """Micro precision (0), recall (1) or F1 (2) over rows of `counts`, shape (n_reports, 3)."""
    tp, proposed, gold = rows.sum(axis=0)
    return precision_recall_f1(tp, proposed, gold)[which]


def macro(rows: np.ndarray, which: int) -> float:
    """Macro figure: the mean over reports of each report's own; a report with neither side counts as 1."""
    values = [
        1.0 if not proposed and not gold else precision_recall_f1(tp, proposed, gold)[which]
        for tp, proposed, gold in rows
    ]
    return float(np.mean(values))


def reliability(probabilities: Sequence[float], outcomes: Sequence[int], n_bins: int = 10) -> list[dict[str, float]]:
    """Calibration table: per bin of equal width its mean probability, its observed rate and its size."""
    p, y = np.asarray(probabilities, dtype=float), np.asarray(outcomes, dtype=float)
    bins = np.minimum((p * n_bins).astype(int), n_bins - 1)
    return [
        {
            "from": b / n_bins,
            "to": (b + 1) / n_bins,
            "mean_probability": float(p[bins == b].mean()),
            "observed_rate": float(y[bins == b].mean()),
            "n": int((bins == b).sum()),
        }
        for b in range(n_bins)
        if (bins == b).any()
    ]


def brier(probabilities: Sequence[float], outcomes: Sequence[int]) -> float:
    """Mean squared distance of probability and outcome, in [0, 1], lower is better."""
    p, y = np.asarray(probabilities, dtype=float), np.asarray(outcomes, dtype=float)
    return float(((p - y) ** 2).mean())


def calibration_error(probabilities: Sequence[float], outcomes: Sequence[int], n_bins: int = 10) -> float:
    """Expected calibration error: mean distance of predicted and observed rate over bins, weighted by their size."""
    rows = reliability(probabilities, outcomes, n_bins)
    total = sum(row["n"] for row in rows)
    return sum(row["n"] * abs(row["mean_probability"] - row["observed_rate"]) for row in rows) / total


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a threshold keeps.

    Attributes:
        precision: share of the kept that is right, with its interval over units (reports, pairs).
        recall: share of all gold that is kept; n: how many are kept.
    """

    threshold: float
    precision: Estimate
    recall: float
    n: int


def precision_curve(
    units: Sequence[Sequence[tuple[float, int]]], n_gold: int, thresholds: Sequence[float]
) -> list[CurvePoint]:
    """Precision and recall above each threshold, resampling units because what one unit holds is not independent.

    Args:
        units: per report, or per pair, its scored items as (probability, 1 if right else 0).
        n_gold: gold items of all units, the denominator of recall.
    """
    points = []
    for threshold in thresholds:
        kept = np.array(
            [(sum(y for p, y in unit if p >= threshold), sum(p >= threshold for p, _ in unit)) for unit in units],
            dtype=float,
        )
        right, total = kept.sum(axis=0)
        estimate = bootstrap(kept, lambda rows: float(rows[:, 0].sum() / max(1.0, rows[:, 1].sum())))
        points.append(CurvePoint(threshold, estimate, float(right / max(1, n_gold)), int(total)))
    return points


def least_threshold(points: Sequence[CurvePoint], target: float) -> CurvePoint | None:
    """The lowest threshold whose precision, and that of every higher one that keeps something, reaches the target."""
    found: CurvePoint | None = None
    for point in sorted(points, key=lambda p: -p.threshold):
        if point.n == 0:
            continue
        if point.precision.value < target:
            break
        found = point
    return found
