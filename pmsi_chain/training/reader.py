"""Grow the three forests of the second reading on invented reports, each on chances of the one before out of fold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pmsi_chain.case import Case
from pmsi_chain.chain import CodingChain
from pmsi_chain.describing import (
    AMONG_COLUMNS,
    ATTESTED_COLUMNS,
    PRINCIPAL_COLUMNS,
    Candidate,
    Describer,
    Forests,
    among_matrix,
    attested_matrix,
    principal_matrix,
)
from pmsi_chain.domain import Stay
from pmsi_chain.encoders.dense import Floats
from pmsi_chain.evaluation.data import GoldReport
from pmsi_chain.evaluation.metrics import precision_recall_f1
from pmsi_chain.reconsidering import reconsider
from pmsi_chain.rerank.features import PairFeatures
from pmsi_chain.rules.guide import knowledge
from pmsi_chain.selection import Selection
from pmsi_chain.settings import Settings
from pmsi_chain.training.forest import forest_of, grow, write_forest

N_FOLDS = 5
#: Settings of the three forests, over the defaults of `grow`; there is one DP a report, hence fewer leaves.
ATTESTED: dict[str, Any] = {"max_iter": 400, "max_leaf_nodes": 16}
AMONG: dict[str, Any] = {"max_iter": 200, "max_leaf_nodes": 8, "learning_rate": 0.05}
PRINCIPAL: dict[str, Any] = {"max_iter": 250, "max_leaf_nodes": 12}
#: First letter of an invented report's id → the manner it is written in (`models/reader.md`).
MANNERS = {"p": "fictif, libellés repris", "a": "fictif, libellés reformulés", "s": "comme à l'hôpital"}

Progress = Callable[[str], None]
_Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Example:
    """One report as the forests see it.

    Attributes:
        case: as the rules decide it; candidates: of the second reading.
        matrix: (n, len(ATTESTED_COLUMNS)) of the candidates; right, principal: (n,) gold codes, gold DP.
        counts: (n,) False where a code counts on neither side, so that nothing is learned from it.
    """

    gold: GoldReport
    case: Case
    candidates: tuple[Candidate, ...]
    matrix: Floats
    right: _Bools
    principal: _Bools
    counts: _Bools


@dataclass(frozen=True)
class FoldMeasure:
    """What coding without and with the second reading gives on reports of one manner, none of them learned from.

    Attributes:
        rules_alone: without the second reading.
        precision, recall, f1: of exact codes; dp: share of exact DP; in_review: share of gold codes listed for review.
        sure_precision, sure_recall: of the codes that would be marked automatic.
    """

    manner: str
    rules_alone: bool
    n: int
    precision: float
    recall: float
    f1: float
    dp: float
    in_review: float
    sure_precision: float
    sure_recall: float


def invented_reports() -> list[GoldReport]:
    """The reports that the package brings for this (`knowledge/invented_reports.jsonl`), with their coding."""
    text = knowledge("invented_reports.jsonl").read_text(encoding="utf-8")
    return [
        GoldReport(row["id"], row["text"], *(tuple(row[name]) for name in ("dp", "dr", "das", "may")))
        for row in map(json.loads, text.splitlines())
    ]


def run_reader(out_dir: Path, seed: int, folds: bool, progress: Progress) -> list[FoldMeasure]:
    """See `pmsi_chain.training.train_reader`."""
    examples = examples_of(CodingChain.from_settings(), invented_reports(), progress)
    measures = measure_folds(examples, seed, progress) if folds else []
    progress("Forêts…")
    out_dir.mkdir(parents=True, exist_ok=True)
    names = ("reader_attested.npz", "reader_among.npz", "reader_principal.npz")
    for name, model, columns in zip(names, fit_reader(examples, seed), _ALL_COLUMNS, strict=True):
        write_forest(out_dir / name, model, columns)
    return measures


_ALL_COLUMNS = (ATTESTED_COLUMNS, AMONG_COLUMNS, PRINCIPAL_COLUMNS)


def examples_of(
    chain: CodingChain, reports: Sequence[GoldReport], progress: Progress = lambda message: None
) -> list[Example]:
    """What the second reading sees of each report, with the gold coding; reports without a candidate left out."""
    describer = Describer(chain.engine.cim10(), PairFeatures.from_package())
    examples = []
    for number, gold in enumerate(reports, start=1):
        if number % 50 == 1:
            progress(f"Compte rendu {number} sur {len(reports)}…")
        case = chain.by_rules(Stay(text=gold.text))
        assert case.report is not None  # noqa: S101  # the first step made it
        found = describer.candidates(case.report, case.links, case.stay)
        if found:
            examples.append(
                Example(
                    gold,
                    case,
                    tuple(found),
                    attested_matrix(found, case.proposals.present, case.selection),
                    np.array([c.code in gold.codes for c in found]),
                    np.array([c.code in gold.dp for c in found]),
                    np.array([c.code in gold.codes or not c.code.startswith(gold.may or ("-",)) for c in found]),
                )
            )
    return examples


def fit_reader(examples: Sequence[Example], seed: int) -> tuple[Any, Any, Any]:
    """The fitted classifiers: of a code by itself, of a code among the others, of the DP among them."""
    counts = np.concatenate([e.counts for e in examples])
    fold = np.concatenate([np.full(len(e.right), i % N_FOLDS) for i, e in enumerate(examples)])
    ends = np.cumsum([len(e.right) for e in examples])
    starts = ends - [len(e.right) for e in examples]
    right = np.concatenate([e.right for e in examples])

    def out_of_fold(matrix: Floats, settings: dict[str, Any]) -> npt.NDArray[np.float64]:
        chances = np.zeros(len(right))
        for held_out in range(N_FOLDS):
            learned = (fold != held_out) & counts
            model = grow(matrix[learned], right[learned], seed, **settings)
            chances[fold == held_out] = model.predict_proba(matrix[fold == held_out])[:, 1]
        return chances

    alone = np.concatenate([e.matrix for e in examples])
    first = out_of_fold(alone, ATTESTED)
    among = np.concatenate(
        [among_matrix(e.matrix, first[a:b], e.candidates) for e, a, b in zip(examples, starts, ends, strict=True)]
    )
    second = out_of_fold(among, AMONG)
    wide = np.concatenate(
        [
            principal_matrix(e.matrix, second[a:b], e.candidates, e.case.selection)
            for e, a, b in zip(examples, starts, ends, strict=True)
        ]
    )
    is_dp = np.concatenate([e.principal for e in examples])
    return (
        grow(alone[counts], right[counts], seed, **ATTESTED),
        grow(among[counts], right[counts], seed, **AMONG),
        grow(wide[counts], is_dp[counts], seed, **PRINCIPAL),
    )


def measure_folds(
    examples: Sequence[Example], seed: int, progress: Progress = lambda message: None
) -> list[FoldMeasure]:
    """Whole coding of each report by forests grown on the other four fifths, by manner, the rules alone beside."""
    rows: dict[tuple[str, bool], list[tuple[int, ...]]] = {}
    for held_out in range(N_FOLDS):
        progress(f"Pli {held_out + 1} sur {N_FOLDS}…")
        learned = [e for i, e in enumerate(examples) if i % N_FOLDS != held_out]
        forests = Forests(*(forest_of(m, c) for m, c in zip(fit_reader(learned, seed), _ALL_COLUMNS, strict=True)))
        for example in examples[held_out::N_FOLDS]:
            for rules_alone, selection in _both(example, forests):
                key = (example.gold.report_id[0], rules_alone)
                rows.setdefault(key, []).append(_counted(example.gold, selection))
    return [
        _measure(MANNERS[letter], alone, np.array(rows[letter, alone]))
        for letter in MANNERS
        for alone in (True, False)
        if (letter, alone) in rows
    ]


def _both(example: Example, forests: Forests) -> Iterator[tuple[bool, Selection]]:
    case = example.case
    assert case.report is not None  # noqa: S101  # see `examples_of`
    yield True, case.selection
    outlook = forests.outlook(example.candidates, case.proposals.present, case.selection)
    yield False, reconsider(case.report, case.edition, outlook, case.proposals, case.selection)[1]


def _counted(gold: GoldReport, selection: Selection) -> tuple[int, ...]:
    proposed = gold.counted(selection.codes)
    review = frozenset(item.code for item in selection.review)
    right_dp = selection.dp is not None and selection.dp.proposal.code in gold.dp
    least = Settings().automatic_threshold
    sure = gold.counted(frozenset(c.proposal.code for c in selection.choices if c.proposal.probability >= least))
    return (
        *(len(proposed & gold.codes), len(proposed), len(gold.codes)),
        *(right_dp, len(review & gold.codes)),
        *(len(sure & gold.codes), len(sure)),
    )


def _measure(manner: str, rules_alone: bool, rows: npt.NDArray[np.int64]) -> FoldMeasure:
    right, proposed, gold, dp, in_review, sure_right, sure = rows.sum(axis=0)
    scores = precision_recall_f1(right, proposed, gold)
    sure_precision, sure_recall, _ = precision_recall_f1(sure_right, sure, gold)
    shares = dp / len(rows), in_review / gold
    return FoldMeasure(manner, rules_alone, len(rows), *scores, *shares, sure_precision, sure_recall)
