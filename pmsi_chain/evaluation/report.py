"""Run a bench and print it: tables on a terminal, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from pmsi_chain.display import print_json
from pmsi_chain.engine import Nomenclature, RAGEngine
from pmsi_chain.errors import InputError
from pmsi_chain.evaluation.metrics import Estimate
from pmsi_chain.settings import Settings

Bench = Literal["retrieval", "evidence", "coding", "speed"]


def run_bench(
    what: str,
    data: Path,
    nomenclature: str,
    limit: int | None,
    stock: bool,
    html: Path | None,
    as_json: bool,
    out: Console,
    progress: Callable[[str], None],
) -> None:
    """Run the bench of that name and print it on `out`."""
    if nomenclature not in ("cim10", "ccam"):
        raise InputError(f"--nomenclature {nomenclature} : valeur refusée ; donner cim10 ou ccam")
    engine = RAGEngine.from_settings(Settings(), progress=progress)
    payload: Any
    match what:
        case "retrieval":
            payload, table = _retrieval(engine, data, nomenclature, limit, stock, progress)  # type: ignore[arg-type]
        case "evidence":
            payload, table = _evidence(engine, data)
        case "speed":
            payload, table = _speed(engine, data, limit, stock)
        case _:
            payload, table = _coding(engine, data, limit, html, progress)
    if as_json:
        print_json(out, json.dumps(payload, ensure_ascii=False, indent=2))
    else:
        out.print(table)


def _table(title: str, *headers: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, header in enumerate(headers):
        table.add_column(header, justify="left" if number == 0 else "right")
    return table


def _retrieval(
    engine: RAGEngine,
    data: Path,
    nomenclature: Nomenclature,
    limit: int | None,
    stock: bool,
    progress: Callable[[str], None],
) -> tuple[Any, Table]:
    from pmsi_chain.evaluation.retrieval import as_json, bench_retrieval

    rows = bench_retrieval(engine, data, nomenclature, limit, stock, progress)
    names = [f"hit@{k}" for k in rows[0].hits]
    table = _table(f"Recherche {nomenclature}, n = {rows[0].mrr.n}, IC à 95 %", "Variante", *names, "MRR", "catégorie")
    for row in rows:
        figures = [*row.hits.values(), row.mrr, row.category_hit]
        table.add_row(row.variant, *(f"{e.value:.3f}\n[{e.low:.3f}–{e.high:.3f}]" for e in figures))
    return as_json(rows), table


def _evidence(engine: RAGEngine, data: Path) -> tuple[Any, Table]:
    from pmsi_chain.evaluation.evidence import bench_evidence

    result = bench_evidence(engine, data)
    table = _table("Preuve : ce passage atteste-t-il ce code ?", "Mesure", "Valeur")
    table.add_row("ROC-AUC", str(result.auc))
    for threshold, (precision, recall) in result.at.items():
        table.add_row(f"seuil {threshold}", f"précision {precision:.3f}, rappel {recall:.3f}")
    for row in result.calibration:
        table.add_row(
            f"{row['from']:.1f}–{row['to']:.1f}",
            f"prédit {row['mean_probability']:.2f}, observé {row['observed_rate']:.2f} (n={row['n']:.0f})",
        )
    table.add_row("codes inconnus de l'édition", str(result.unknown_codes))
    return asdict(result), table


def _speed(engine: RAGEngine, data: Path, limit: int | None, stock: bool) -> tuple[Any, Table]:
    from pmsi_chain.evaluation.speed import bench_speed, peak_memory_mb

    rows = bench_speed(engine, data, limit, stock)
    memory = peak_memory_mb()
    table = _table(f"Temps par requête, mémoire maximale {memory:.0f} Mo", "Variante", "p50 ms", "p95 ms", "/ rrf")
    for row in rows:
        table.add_row(row.variant, f"{row.p50_ms:.1f}", f"{row.p95_ms:.1f}", f"{row.ratio:.2f}")
    return {"rows": [asdict(row) for row in rows], "peak_memory_mb": memory}, table


def _coding(
    engine: RAGEngine, data: Path, limit: int | None, html: Path | None, progress: Callable[[str], None]
) -> tuple[Any, Table]:
    from pmsi_chain.chain import CodingChain
    from pmsi_chain.evaluation.coding import bench_coding

    result = bench_coding(CodingChain(engine), data, limit, html, progress)
    table = _table(f"Codage de {result.n_reports} comptes rendus, IC à 95 %", "Mesure", "Valeur")

    def add(name: str, estimate: Estimate) -> None:
        table.add_row(name, f"{estimate.value:.3f} [{estimate.low:.3f}–{estimate.high:.3f}]")

    french = {"precision": "précision", "recall": "rappel", "f1": "F1"}
    for title, figures in (("codes exacts", result.exact), ("3 caractères", result.category), ("macro", result.macro)):
        for name, estimate in figures.items():
            add(f"{title}, {french[name]}", estimate)
    for position, estimate in result.by_position.items():
        add(f"F1 {position.upper()}", estimate)
    add("DP exact", result.dp_exact)
    for stage, share in result.stages.items():
        table.add_row(f"codes de référence : {stage}", f"{share:.3f}")
    for row in result.calibration:
        table.add_row(
            f"confiance {row['from']:.1f}–{row['to']:.1f}",
            f"moyenne {row['mean_probability']:.2f}, exacts {row['observed_rate']:.2f} (n={row['n']:.0f})",
        )
    table.add_row("codes émis, tous légaux, prouvés, avec règle", str(result.lawful))
    table.add_row("secondes par compte rendu, p50 / p95", f"{result.seconds[0]:.2f} / {result.seconds[1]:.2f}")
    return asdict(result), table
