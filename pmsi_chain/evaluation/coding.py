"""`pmsi-chain bench coding`: whole reports against a gold coding, and where recall is lost on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pmsi_chain.chain import CodingChain
from pmsi_chain.display import html_page
from pmsi_chain.domain import CodedAct, CodedDiagnosis, Coding, Position, Stay
from pmsi_chain.evaluation.data import GoldReport, find_one, read_reports
from pmsi_chain.evaluation.metrics import Estimate, bootstrap, counts, macro, mean_estimate, micro, reliability

FIGURES = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class CodingResult:
    """Figures of one run over gold reports.

    Attributes:
        exact, category: micro precision, recall, F1 on whole codes and on their first three characters.
        macro: the same, each report with the same weight.
        by_position: micro F1 of DP, DR and DAS apart.
        dp_exact: share of reports whose DP is a gold DP.
        stages: share of gold codes still there after each stage, in order.
        lawful: emitted codes; all of them exist, are legal in their position and proven by a verbatim quote, or the
            bench fails.
        seconds: seconds per report, (median, 95th percentile).
    """

    n_reports: int
    exact: dict[str, Estimate]
    category: dict[str, Estimate]
    macro: dict[str, Estimate]
    by_position: dict[Position, Estimate]
    dp_exact: Estimate
    stages: dict[str, float]
    calibration: list[dict[str, float]]
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
    exact, category, dp_hits, seconds, lawful = [], [], [], [], 0
    positions: dict[Position, list[tuple[int, int, int]]] = {"dp": [], "dr": [], "das": []}
    stages: dict[str, int] = {}
    probabilities: list[float] = []
    outcomes: list[int] = []
    for number, report in enumerate(reports, start=1):
        if number % 20 == 1:
            progress(f"Compte rendu {number} sur {len(reports)}…")
        stay = Stay(text=report.text)
        start = time.perf_counter()
        coding, seen = chain.invoke_with_stages(stay)
        seconds.append(time.perf_counter() - start)
        lawful += assert_lawful(coding, stay, chain)
        proposed = frozenset(d.code for d in coding.diagnoses)
        exact.append(counts(proposed, report.codes))
        category.append(counts(frozenset(c[:3] for c in proposed), frozenset(c[:3] for c in report.codes)))
        dp_hits.append(float(coding.dp is not None and coding.dp.code in report.dp))
        for position, gold in report.positions.items():
            here = frozenset(d.code for d in coding.diagnoses if d.position == position)
            positions[position].append(counts(here, frozenset(gold)))
        for stage, codes in {**seen, "à sa place": right_places(coding, report)}.items():
            stages[stage] = stages.get(stage, 0) + len(report.codes & codes)
        for item in coding.diagnoses:
            probabilities.append(item.confidence)
            outcomes.append(int(item.code in report.codes))
        if pages is not None:
            write_page(pages, report, coding)
    n_gold = sum(len(r.codes) for r in reports)
    rows, category_rows = np.array(exact), np.array(category)
    return CodingResult(
        n_reports=len(reports),
        exact={name: bootstrap(rows, lambda r, i=i: micro(r, i)) for i, name in enumerate(FIGURES)},  # type: ignore[misc]
        category={name: bootstrap(category_rows, lambda r, i=i: micro(r, i)) for i, name in enumerate(FIGURES)},  # type: ignore[misc]
        macro={name: bootstrap(rows, lambda r, i=i: macro(r, i)) for i, name in enumerate(FIGURES)},  # type: ignore[misc]
        by_position={p: bootstrap(np.array(r), lambda x: micro(x, 2)) for p, r in positions.items()},
        dp_exact=mean_estimate(dp_hits),
        stages={stage: found / n_gold for stage, found in stages.items()},
        calibration=reliability(probabilities, outcomes, 5),
        lawful=lawful,
        seconds=(float(np.median(seconds)), float(np.percentile(seconds, 95))),
    )


def right_places(coding: Coding, report: GoldReport) -> frozenset[str]:
    """Codes that stand in the position that the gold coding gives them."""
    return frozenset(d.code for d in coding.diagnoses if d.code in report.positions[d.position])


def write_page(directory: Path, report: GoldReport, coding: Coding) -> None:
    """One HTML page: the proposal with its proofs, the gold coding below."""
    directory.mkdir(parents=True, exist_ok=True)
    gold = f"<h2>Codage de référence</h2><p>DP {', '.join(report.dp)} ; DR {', '.join(report.dr) or '–'} ; DAS "
    gold += f"{', '.join(report.das) or '–'}</p><h2>Compte rendu</h2>"
    page = html_page(coding, report.text).replace("<h2>Compte rendu</h2>", gold, 1)
    (directory / f"{report.report_id}.html").write_text(page, encoding="utf-8")
