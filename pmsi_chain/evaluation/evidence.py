"""`pmsi-chain bench evidence`: does a passage attest a code?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pmsi_chain.engine import RAGEngine
from pmsi_chain.errors import CodeError
from pmsi_chain.evaluation.data import EvidencePair, find_one, read_evidence
from pmsi_chain.evaluation.metrics import (
    CurvePoint,
    Estimate,
    bootstrap,
    brier,
    calibration_error,
    least_threshold,
    precision_curve,
    reliability,
    roc_auc,
)
from pmsi_chain.text import tokens

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TARGET_PRECISION = 0.90
#: Share of a label's words from which a passage is taken to repeat it.
_REPEATS = 0.8


@dataclass(frozen=True, slots=True)
class EvidenceResult:
    """Figures of the evidence scorer.

    The pairs do not say which passages a physician wrote and which were generated. What form shows is given apart:
    passages that repeat the official label of their code, and the others, which are harder; the split is of the
    passage and its label, and no claim on who wrote it.

    Attributes:
        auc: over all pairs; auc_repeats, auc_own_words: over passages that repeat the label and over the others, None
            where one side has no positive or no negative.
        curve: precision (interval over pairs) and recall of « attested » at each threshold.
        threshold: lowest threshold from which precision stays at `TARGET_PRECISION`; None: never.
        brier, calibration_error: of the probabilities, lower is better.
        unknown_codes: pairs left out because the edition does not hold their code.
    """

    auc: Estimate
    auc_repeats: Estimate | None
    auc_own_words: Estimate | None
    curve: list[CurvePoint]
    threshold: CurvePoint | None
    calibration: list[dict[str, float]]
    brier: float
    calibration_error: float
    unknown_codes: int


def repeats_label(passage: str, label: str) -> bool:
    """Whether a passage holds nearly all words of a label."""
    wanted = set(tokens(label))
    return bool(wanted) and len(wanted & set(tokens(passage))) >= _REPEATS * len(wanted)


def bench_evidence(engine: RAGEngine, data: Path) -> EvidenceResult:
    """Bench the one `evidence_*.csv` of a directory."""
    scored: list[tuple[EvidencePair, float]] = []
    unknown = 0
    for pair in read_evidence(find_one(data, "evidence_*.csv")):
        try:
            scored.append((pair, engine.score_evidence([(pair.code, pair.passage)])[0]))
        except CodeError:
            unknown += 1
    labels, scores = [pair.label for pair, _ in scored], [score for _, score in scored]
    edition = engine.cim10()
    repeated = [(p, s) for p, s in scored if repeats_label(p.passage, edition.entry(p.code).label)]
    others = [item for item in scored if item not in repeated]
    curve = precision_curve([[(s, p.label)] for p, s in scored], sum(labels), THRESHOLDS)
    overall = _auc(scored)
    if overall is None:
        raise ValueError("ROC-AUC needs a positive and a negative pair: give a file with both labels")
    return EvidenceResult(
        auc=overall,
        auc_repeats=_auc(repeated),
        auc_own_words=_auc(others),
        curve=curve,
        threshold=least_threshold(curve, TARGET_PRECISION),
        calibration=reliability(scores, labels),
        brier=brier(scores, labels),
        calibration_error=calibration_error(scores, labels),
        unknown_codes=unknown,
    )


def _auc(scored: Sequence[tuple[EvidencePair, float]]) -> Estimate | None:
    rows = np.array([(pair.label, score) for pair, score in scored]).reshape(len(scored), 2)
    if not 0 < rows[:, 0].sum() < len(rows):
        return None

    def auc(sample: np.ndarray) -> float:
        return roc_auc(sample[:, 0], sample[:, 1]) if 0 < sample[:, 0].sum() < len(sample) else 0.5  # type: ignore[arg-type]

    return bootstrap(rows, auc)
