"""Metrics against brute-force oracles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsi_chain.evaluation import metrics

pairs = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=30)


@given(pairs)
def test_roc_auc_is_the_share_of_well_ordered_pairs(rows: list[tuple[int, int]]) -> None:
    positives = [score for label, score in rows if label]
    negatives = [score for label, score in rows if not label]
    if not positives or not negatives:
        with pytest.raises(ValueError, match="at least one positive"):
            metrics.roc_auc([label for label, _ in rows], [score for _, score in rows])
        return
    won = sum((p > n) + 0.5 * (p == n) for p, n in itertools.product(positives, negatives))
    assert metrics.roc_auc([label for label, _ in rows], [score for _, score in rows]) == pytest.approx(
        won / (len(positives) * len(negatives))
    )


codes = st.frozensets(st.sampled_from(["A00", "B01", "C50", "I10", "J44"]))


@given(st.lists(st.tuples(codes, codes), min_size=1, max_size=8))
def test_micro_figures_count_pairs_of_report_and_code(reports: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    proposed = {(i, code) for i, (p, _) in enumerate(reports) for code in p}
    gold = {(i, code) for i, (_, g) in enumerate(reports) for code in g}
    rows = np.array([metrics.counts(p, g) for p, g in reports])
    tp = len(proposed & gold)
    assert metrics.micro(rows, 0) == pytest.approx(tp / len(proposed) if proposed else 0.0)
    assert metrics.micro(rows, 1) == pytest.approx(tp / len(gold) if gold else 0.0)
    precision, recall = metrics.micro(rows, 0), metrics.micro(rows, 1)
    harmonic = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert metrics.micro(rows, 2) == pytest.approx(harmonic)


def test_macro_gives_every_report_the_same_weight() -> None:
    rows = np.array([(1, 1, 1), (0, 4, 4), (0, 0, 0)])
    assert metrics.macro(rows, 2) == pytest.approx((1 + 0 + 1) / 3)


@given(st.lists(st.sampled_from("ABCD"), max_size=6), st.frozensets(st.sampled_from("ABCD")))
def test_first_hit_and_what_is_made_of_it(ranked: list[str], accepted: frozenset[str]) -> None:
    rank = metrics.first_hit(ranked, accepted)
    hits = [i + 1 for i, code in enumerate(ranked) if code in accepted]
    assert rank == (min(hits) if hits else None)
    for k in range(1, 7):
        assert metrics.hit_at(rank, k) == float(bool(set(ranked[:k]) & accepted))
    assert metrics.reciprocal_rank(rank) == (1 / min(hits) if hits else 0.0)


def test_bootstrap_interval_holds_the_value_and_narrows_with_n() -> None:
    rng = np.random.default_rng(1)
    small = metrics.mean_estimate(list(rng.random(50)))
    large = metrics.mean_estimate(list(rng.random(5000)))
    for estimate in (small, large):
        assert estimate.low <= estimate.value <= estimate.high
    assert large.high - large.low < small.high - small.low
    with pytest.raises(ValueError, match="no unit"):
        metrics.mean_estimate([])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_reliability_bins_hold_every_case_once(rows: list[tuple[float, int]]) -> None:
    table = metrics.reliability([p for p, _ in rows], [y for _, y in rows])
    assert sum(row["n"] for row in table) == len(rows)
    for row in table:
        inside = [(p, y) for p, y in rows if row["from"] <= p < row["to"] or (p == 1.0 and row["to"] == 1.0)]
        assert row["observed_rate"] == pytest.approx(sum(y for _, y in inside) / len(inside))


scored_units = st.lists(
    st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.7, 0.9]), st.integers(0, 1)), max_size=4), min_size=1, max_size=8
)


@given(scored_units)
def test_a_precision_curve_counts_what_each_threshold_keeps(units: list[list[tuple[float, int]]]) -> None:
    n_gold = sum(y for unit in units for _, y in unit) + 1
    for point in metrics.precision_curve(units, n_gold, (0.3, 0.6, 0.8)):
        kept = [y for unit in units for p, y in unit if p >= point.threshold]
        assert point.n == len(kept)
        assert point.precision.value == pytest.approx(sum(kept) / max(1, len(kept)))
        assert point.recall == pytest.approx(sum(kept) / n_gold)


def test_the_least_threshold_holds_its_precision_from_there_on() -> None:
    units = [[(0.9, 1)], [(0.9, 1)], [(0.7, 0)], [(0.7, 1)], [(0.5, 1)], [(0.5, 1)], [(0.5, 1)], [(0.5, 1)]]
    curve = metrics.precision_curve(units, 7, (0.5, 0.7, 0.9, 0.99))
    found = metrics.least_threshold(curve, 0.9)
    assert found is not None
    assert found.threshold == 0.9  # at 0.5 the precision is back at 7/8, at 0.7 it was 3/4
    assert metrics.least_threshold(curve, 0.75) is not None
    assert metrics.least_threshold(metrics.precision_curve([[(0.9, 0)]], 1, (0.5,)), 0.9) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=20))
def test_brier_and_calibration_error_against_their_definitions(rows: list[tuple[float, int]]) -> None:
    p, y = [row[0] for row in rows], [row[1] for row in rows]
    assert metrics.brier(p, y) == pytest.approx(sum((a - b) ** 2 for a, b in rows) / len(rows))
    bins: dict[int, list[tuple[float, int]]] = {}
    for a, b in rows:
        bins.setdefault(min(int(a * 5), 4), []).append((a, b))
    expected = sum(abs(sum(a for a, _ in found) - sum(b for _, b in found)) for found in bins.values()) / len(rows)
    assert metrics.calibration_error(p, y, 5) == pytest.approx(expected)
