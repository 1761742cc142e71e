"""Grow the two forests of the second reading on invented reports, chances of the first out of fold for the second."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pmsi_chain.chain import CodingChain
from pmsi_chain.describing import (
    ATTESTED_COLUMNS,
    PRINCIPAL_COLUMNS,
    Candidate,
    Describer,
    attested_matrix,
    principal_matrix,
)
from pmsi_chain.domain import Stay
from pmsi_chain.encoders.dense import Floats
from pmsi_chain.evaluation.data import GoldReport
from pmsi_chain.rerank.features import PairFeatures
from pmsi_chain.rules.guide import knowledge
from pmsi_chain.selection import Selection
from pmsi_chain.training.forest import grow, write_forest

N_FOLDS = 5
#: Leaves of a tree of the second forest: there is one DP a report.
_PRINCIPAL_LEAVES = 8


@dataclass(frozen=True)
class Example:
    """One report as the forests see it.

    Attributes:
        matrix: (n, len(ATTESTED_COLUMNS)) of its candidates; right, principal: (n,) gold codes, gold DP.
        selection: what the rules chose.
    """

    candidates: tuple[Candidate, ...]
    matrix: Floats
    right: npt.NDArray[np.bool_]
    principal: npt.NDArray[np.bool_]
    selection: Selection


def invented_reports() -> list[GoldReport]:
    """The reports that the package brings for this (`knowledge/invented_reports.jsonl`), with their coding."""
    text = knowledge("invented_reports.jsonl").read_text(encoding="utf-8")
    return [
        GoldReport(row["id"], row["text"], *(tuple(row[name]) for name in ("dp", "dr", "das", "may")))
        for row in map(json.loads, text.splitlines())
    ]


def run_reader(out_dir: Path, seed: int, progress: Callable[[str], None] = lambda message: None) -> None:
    """See `pmsi_chain.training.train_reader`."""
    examples = examples_of(CodingChain.from_settings(), invented_reports(), progress)
    attested, principal = fit_reader(examples, seed)
    out_dir.mkdir(parents=True, exist_ok=True)
    write_forest(out_dir / "reader_attested.npz", attested, ATTESTED_COLUMNS)
    write_forest(out_dir / "reader_principal.npz", principal, PRINCIPAL_COLUMNS)


def examples_of(
    chain: CodingChain, reports: Sequence[GoldReport], progress: Callable[[str], None] = lambda message: None
) -> list[Example]:
    """What the second reading sees of each report, with the gold coding; codes that count on neither side left out."""
    describer = Describer(chain.engine.cim10(), PairFeatures.from_package())
    examples = []
    for number, report in enumerate(reports, start=1):
        if number % 50 == 1:
            progress(f"Compte rendu {number} sur {len(reports)}…")
        case = chain.by_rules(Stay(text=report.text))
        assert case.report is not None  # noqa: S101  # the first step made it
        found = [
            candidate
            for candidate in describer.candidates(case.report, case.links, case.stay)
            if candidate.code in report.codes or not candidate.code.startswith(report.may or ("-",))
        ]
        if not found:
            continue
        examples.append(
            Example(
                tuple(found),
                attested_matrix(found, case.proposals.present, case.selection),
                np.array([candidate.code in report.codes for candidate in found]),
                np.array([candidate.code in report.dp for candidate in found]),
                case.selection,
            )
        )
    return examples


def fit_reader(examples: Sequence[Example], seed: int) -> tuple[object, object]:
    """The fitted classifiers: of codes, and of the DP among them."""
    matrix = np.concatenate([example.matrix for example in examples])
    right = np.concatenate([example.right for example in examples])
    fold = np.concatenate([np.full(len(example.right), i % N_FOLDS) for i, example in enumerate(examples)])
    chances = np.zeros(len(right))
    for held_out in range(N_FOLDS):
        model = grow(matrix[fold != held_out], right[fold != held_out], seed)
        chances[fold == held_out] = model.predict_proba(matrix[fold == held_out])[:, 1]
    ends = np.cumsum([len(example.right) for example in examples])
    wide = np.concatenate(
        [
            principal_matrix(e.matrix, chances[end - len(e.right) : end], e.candidates, e.selection)
            for e, end in zip(examples, ends, strict=True)
        ]
    )
    is_dp = np.concatenate([example.principal for example in examples])
    return grow(matrix, right, seed), grow(wide, is_dp, seed, max_leaf_nodes=_PRINCIPAL_LEAVES)
