"""`pmsi-chain bench coding`: whole reports against a gold coding, and where recall is lost on the way."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pmsi_chain.chain import CodingChain
from pmsi_chain.codes import cim10_display
from pmsi_chain.decision import FAR_FROM_LABEL
from pmsi_chain.display import html_page
from pmsi_chain.domain import CodedAct, CodedDiagnosis, Coding, Position, Stay
from pmsi_chain.evaluation.data import GoldReport, find_one, read_reports
from pmsi_chain.evaluation.metrics import (
    CurvePoint,
    Estimate,
    bootstrap,
    brier,
    calibration_error,
    counts,
    least_threshold,
    macro,
    mean_estimate,
    micro,
    precision_curve,
    reliability,
)
from pmsi_chain.nomenclature import Cim10Edition

FIGURES = ("precision", "recall", "f1")
#: Thresholds of the curve, and the precision that automatic coding is asked for.
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
TARGET_PRECISION = 0.90
_FOLDS = 5
#: (probability, 1 if a gold code else 0) of one report.
Scored = list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class CodingResult:
    """Figures of one run over gold reports.

    Attributes:
        exact, category: micro precision, recall, F1 on whole codes and on their first three characters.
        macro: the same, each report with the same weight.
        by_position: micro precision, recall and F1 of DP, DR and DAS apart, keyed "dp", "dr", "das".
        automatic: micro precision, recall and F1 of the codes that are marked automatic, alone.
        dp_exact: share of reports whose DP is a gold DP.
        stages: share of gold codes still there after each stage, in order, with its interval over reports.
        curve: precision (interval over reports) and recall of what would be coded automatically at each threshold:
            the codes that the rules accept, by probability, whether this run coded them or listed them for review.
        threshold: lowest threshold of the curve from which precision stays at `TARGET_PRECISION`; None: never.
        held_out: precision and recall on held-out fifths of the reports at the threshold chosen on the other four.
        brier, calibration_error: of the emitted confidences, against the gold coding.
        lawful: emitted codes; all of them exist, are legal in their position and proven by a verbatim quote, or the
            bench fails.
        seconds: seconds per report, (median, 95th percentile).
    """

    n_reports: int
    exact: dict[str, Estimate]
    category: dict[str, Estimate]
    macro: dict[str, Estimate]
    by_position: dict[Position, dict[str, Estimate]]
    automatic: dict[str, Estimate]
    dp_exact: Estimate
    stages: dict[str, Estimate]
    curve: list[CurvePoint]
    threshold: CurvePoint | None
    held_out: tuple[Estimate, float] | None
    calibration: list[dict[str, float]]
    brier: float
    calibration_error: float
    lawful: int
    seconds: tuple[float, float]


def assert_lawful(coding: Coding, stay: Stay, chain: CodingChain) -> int:
    """Count the emitted codes, each of which must exist, be legal where it stands and be proven verbatim.

    Raises:
        AssertionError: one is not; named by code and position, never by the report's words.
    """
    edition = chain.engine.cim10(coding.trace.cim10_edition)
    ccam = chain.engine.ccam(coding.trace.ccam_edition)
    emitted = 0
    for item in coding.diagnoses:
        if not edition.is_allowed(item.code, item.position):
            raise AssertionError(f"{item.code} is not legal as {item.position}")
        emitted += 1
    for act in coding.acts:
        if act.code not in ccam:
            raise AssertionError(f"{act.code} is not in CCAM {ccam.version}")
        emitted += 1
    everything: tuple[CodedDiagnosis | CodedAct, ...] = (*coding.diagnoses, *coding.acts)
    for proven in everything:
        if not proven.rule_id or not proven.rule_source:
            raise AssertionError(f"{proven.code} cites no rule")
        for evidence in proven.evidence:
            if not evidence.quote or stay.text[evidence.start : evidence.end] != evidence.quote:
                raise AssertionError(f"a quote of {proven.code} is not a span of the report")
    return emitted


def bench_coding(
    chain: CodingChain,
    data: Path,
    limit: int | None = None,
    pages: Path | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> CodingResult:
    """Code every report of the one `crh_*.jsonl` of a directory and compare.

    Args:
        limit: only the first so many reports.
        pages: a directory for one HTML page per report (text, highlighted proofs, gold beside proposal).
    """
    reports = read_reports(find_one(data, "crh_*.jsonl"))[:limit]
    exact, category, automatic, dp_hits, seconds, lawful = [], [], [], [], [], 0
    positions: dict[Position, list[tuple[int, int, int]]] = {"dp": [], "dr": [], "das": []}
    stages: dict[str, list[tuple[int, int]]] = {}
    scored: list[Scored] = []
    emitted: Scored = []
    for number, report in enumerate(reports, start=1):
        if number % 20 == 1:
            progress(f"Compte rendu {number} sur {len(reports)}…")
        stay = Stay(text=report.text)
        start = time.perf_counter()
        coding, seen = chain.invoke_with_stages(stay)
        seconds.append(time.perf_counter() - start)
        lawful += assert_lawful(coding, stay, chain)
        proposed = report.counted(frozenset(d.code for d in coding.diagnoses))
        exact.append(counts(proposed, report.codes))
        category.append(counts(frozenset(c[:3] for c in proposed), frozenset(c[:3] for c in report.codes)))
        sure = report.counted(frozenset(d.code for d in coding.diagnoses if d.automatic))
        automatic.append(counts(sure, report.codes))
        dp_hits.append(float(coding.dp is not None and coding.dp.code in report.dp))
        for position, gold in report.positions.items():
            here = report.counted(frozenset(d.code for d in coding.diagnoses if d.position == position))
            positions[position].append(counts(here, frozenset(gold)))
        for stage, codes in {**seen, "à sa place": right_places(coding, report)}.items():
            stages.setdefault(stage, []).append((len(report.codes & codes), len(report.codes)))
        coded = [(d.confidence, int(d.code in report.codes)) for d in coding.diagnoses if d.code in proposed]
        emitted += coded
        scored.append(coded + _below_threshold(coding, report))
        if pages is not None:
            write_page(pages, report, coding, chain.engine.cim10(coding.trace.cim10_edition))
    n_gold = sum(len(r.codes) for r in reports)
    curve = precision_curve(scored, n_gold, THRESHOLDS)
    return CodingResult(
        n_reports=len(reports),
        exact=_figures(exact),
        category=_figures(category),
        macro=_figures(exact, macro),
        by_position={position: _figures(rows) for position, rows in positions.items()},
        automatic=_figures(automatic),
        dp_exact=mean_estimate(dp_hits),
        stages={
            stage: bootstrap(np.array(found), lambda x: float(x[:, 0].sum() / x[:, 1].sum()))
            for stage, found in stages.items()
        },
        curve=curve,
        threshold=least_threshold(curve, TARGET_PRECISION),
        held_out=_held_out(scored, [len(r.codes) for r in reports]),
        calibration=reliability(*_columns(emitted), 5),
        brier=brier(*_columns(emitted)),
        calibration_error=calibration_error(*_columns(emitted), 5),
        lawful=lawful,
        seconds=(float(np.median(seconds)), float(np.percentile(seconds, 95))),
    )


def _figures(
    rows: Sequence[tuple[int, int, int]], average: Callable[[np.ndarray, int], float] = micro
) -> dict[str, Estimate]:
    """Precision, recall and F1 of (right, proposed, gold) counts of each report, with intervals over reports."""
    return {name: bootstrap(np.array(rows), partial(_at, average, i)) for i, name in enumerate(FIGURES)}


def _at(average: Callable[[np.ndarray, int], float], i: int, rows: np.ndarray) -> float:
    return average(rows, i)


def _columns(items: Scored) -> tuple[list[float], list[int]]:
    return [p for p, _ in items], [y for _, y in items]


def _below_threshold(coding: Coding, report: GoldReport) -> Scored:
    """What only the threshold kept from being coded."""
    return [
        (item.probability, int(item.code in report.codes))
        for item in coding.to_review
        if item.reason == FAR_FROM_LABEL and report.counted(frozenset({item.code}))
    ]


def _held_out(scored: Sequence[Scored], n_gold: Sequence[int]) -> tuple[Estimate, float] | None:
    """Precision and recall of thresholds on reports that did not choose them; None with too few reports."""
    if len(scored) < 2 * _FOLDS:
        return None
    kept: list[tuple[int, int]] = []
    for fold in range(_FOLDS):
        rest = [unit for number, unit in enumerate(scored) if number % _FOLDS != fold]
        curve = precision_curve(rest, sum(n for i, n in enumerate(n_gold) if i % _FOLDS != fold), THRESHOLDS)
        point = least_threshold(curve, TARGET_PRECISION) or max(curve, key=lambda p: p.threshold)
        for unit in (u for number, u in enumerate(scored) if number % _FOLDS == fold):
            above = [y for p, y in unit if p >= point.threshold]
            kept.append((sum(above), len(above)))
    rows = np.array(kept, dtype=float)
    estimate = bootstrap(rows, lambda x: float(x[:, 0].sum() / max(1.0, x[:, 1].sum())))
    return estimate, float(rows[:, 0].sum() / sum(n_gold))


def right_places(coding: Coding, report: GoldReport) -> frozenset[str]:
    """Codes that stand in the position that the gold coding gives them."""
    return frozenset(d.code for d in coding.diagnoses if d.code in report.positions[d.position])


def write_page(directory: Path, report: GoldReport, coding: Coding, edition: Cim10Edition) -> None:
    """One HTML page: gold coding and proposal side by side, then the proposal with its proofs and the text."""
    directory.mkdir(parents=True, exist_ok=True)
    page = html_page(coding, report.text, _side_by_side(report, coding, edition))
    (directory / f"{report.report_id}.html").write_text(page, encoding="utf-8")


def _side_by_side(report: GoldReport, coding: Coding, edition: Cim10Edition) -> str:
    """A row per position: the gold codes on the left, the proposed ones on the right, coloured by agreement."""
    rows = []
    review = {item.code: item.reason for item in coding.to_review}
    for position, gold in report.positions.items():
        proposed = [d.code for d in coding.diagnoses if d.position == position]
        left = "".join(_cell(code, edition, code in proposed, review.get(code, "")) for code in gold)
        right = "".join(_cell(code, edition, code in gold, "") for code in proposed)
        rows.append(f"<tr><td>{position.upper()}</td><td>{left or '–'}</td><td>{right or '–'}</td></tr>")
    header = "<tr><th></th><th>Codage de référence</th><th>Proposition</th></tr>"
    return f"<h2>Référence et proposition</h2><table>{header}{''.join(rows)}</table><h2>Proposition</h2>"


def _cell(code: str, edition: Cim10Edition, agrees: bool, reason: str) -> str:
    entry = edition.get(code)
    label = f" {html.escape(entry.label)}" if entry else ""
    why = f" <span class='dim'>à revoir : {html.escape(reason)}</span>" if reason and not agrees else ""
    kind = "right" if agrees else "wrong"
    return f"<div class='{kind}'><b>{html.escape(cim10_display(code))}</b>{label}{why}</div>"
