"""`pmsi-chain bench evidence`: does a passage attest a code?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pmsi_chain.engine import RAGEngine
from pmsi_chain.errors import CodeError
from pmsi_chain.evaluation.data import find_one, read_evidence
from pmsi_chain.evaluation.metrics import Estimate, bootstrap, reliability, roc_auc


@dataclass(frozen=True, slots=True)
class EvidenceResult:
    """Figures of the evidence scorer.

    Attributes:
        at: per threshold (precision, recall) of "attested".
        unknown_codes: pairs left out because the edition does not hold their code.
    """

    auc: Estimate
    at: dict[float, tuple[float, float]]
    calibration: list[dict[str, float]]
    unknown_codes: int


def bench_evidence(engine: RAGEngine, data: Path) -> EvidenceResult:
    """Bench the one `evidence_*.csv` of a directory."""
    pairs = read_evidence(find_one(data, "evidence_*.csv"))
    labels, scores, unknown = [], [], 0
    for pair in pairs:
        try:
            scores.append(engine.score_evidence([(pair.code, pair.passage)])[0])
        except CodeError:
            unknown += 1
            continue
        labels.append(pair.label)
    rows = np.array(list(zip(labels, scores, strict=True)))

    def auc(sample: np.ndarray) -> float:
        return roc_auc(sample[:, 0], sample[:, 1]) if 0 < sample[:, 0].sum() < len(sample) else 0.5  # type: ignore[arg-type]

    at = {}
    for threshold in (0.3, 0.5, 0.7, 0.9):
        chosen = rows[:, 1] >= threshold
        hits = float(rows[chosen, 0].sum())
        at[threshold] = (hits / max(1, int(chosen.sum())), hits / float(rows[:, 0].sum()))
    return EvidenceResult(bootstrap(rows, auc), at, reliability(scores, labels), unknown)
