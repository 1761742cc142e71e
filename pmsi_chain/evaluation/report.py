"""Run a bench and print it: tables on a terminal, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, Group
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
    *,
    bge_m3: str | None = None,
    without: bool = False,
    growth: bool = False,
) -> None:
    """Run the bench of that name and print it on `out`.

    Args:
        bge_m3: for retrieval, BGE-M3's weights: the same stages with it.
        without: for retrieval, the whole search and without each of its parts instead, as Markdown.
        growth: for speed, synthetic indexes of growing size instead.
    """
    if nomenclature not in ("cim10", "ccam"):
        raise InputError(f"--nomenclature {nomenclature} : valeur refusée ; donner cim10 ou ccam")
    engine = RAGEngine.from_settings(Settings(), progress=progress)
    payload: Any
    table: Table | Group | str
    match what:
        case "retrieval" if without:
            payload, table = _ablation(engine, data, nomenclature, limit, progress)  # type: ignore[arg-type]
        case "retrieval":
            payload, table = _retrieval(engine, data, nomenclature, limit, stock, bge_m3, progress)  # type: ignore[arg-type]
        case "evidence":
            payload, table = _evidence(engine, data)
        case "speed" if growth:
            payload, table = _growth(engine, data, limit, progress)
        case "speed":
            payload, table = _speed(engine, data, limit, stock, progress)
        case _:
            payload, table = _coding(engine, data, limit, html, progress)
    if as_json:
        print_json(out, json.dumps(payload, ensure_ascii=False, indent=2))
    else:
        out.print(table, markup=False, soft_wrap=isinstance(table, str))


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
    bge_m3: str | None,
    progress: Callable[[str], None],
) -> tuple[Any, Group]:
    from pmsi_chain.evaluation.retrieval import READ, as_json, bench_retrieval

    bench = bench_retrieval(engine, data, nomenclature, limit, stock, bge_m3, progress)
    names = [f"hit@{k}" for k in bench.rows[0].hits]
    n = bench.losses.n
    table = _table(f"Recherche {nomenclature}, n = {n}, IC à 95 %", "Variante", *names, "MRR", "catégorie")
    for row in bench.rows:
        figures = [*row.hits.values(), row.mrr, row.category_hit]
        table.add_row(row.variant, *(f"{e.value:.3f}\n[{e.low:.3f}–{e.high:.3f}]" for e in figures))
    settings, lost = engine.settings, bench.losses
    stages = (
        ("absents de l'index", lost.not_indexed),
        (f"dans aucune voie (les {settings.fetch_k} premiers de chacune)", lost.legs),
        (f"perdus par la fusion (coupée à {settings.rerank_k})", lost.fusion),
        (f"perdus par le reclassement (au-delà du {READ}e)", lost.rerank),
        (f"parmi les {READ} premiers", lost.kept),
    )
    losses = _table("Où se perdent les codes attendus", "Étape", "Requêtes", "Part")
    for name, count in stages:
        losses.add_row(name, str(count), f"{count / n:.3f}")
    return as_json(bench), Group(table, losses)


def _ablation(
    engine: RAGEngine,
    data: Path,
    nomenclature: Nomenclature,
    limit: int | None,
    progress: Callable[[str], None],
) -> tuple[Any, str]:
    from pmsi_chain.evaluation.retrieval import ablate, as_markdown, row_json

    rows = ablate(engine, data, nomenclature, limit, progress)
    return [row_json(row) for row in rows], as_markdown(rows)


def _evidence(engine: RAGEngine, data: Path) -> tuple[Any, Table]:
    from pmsi_chain.evaluation.evidence import bench_evidence

    result = bench_evidence(engine, data)
    table = _table("Preuve : ce passage atteste-t-il ce code ?", "Mesure", "Valeur")
    table.add_row("ROC-AUC", str(result.auc))
    table.add_row("ROC-AUC, passages qui répètent le libellé", str(result.auc_repeats or "non mesurable"))
    table.add_row("ROC-AUC, autres passages", str(result.auc_own_words or "non mesurable"))
    for point in result.curve:
        table.add_row(f"seuil {point.threshold:.2f}", f"précision {point.precision}, rappel {point.recall:.3f}")
    chosen = result.threshold
    shown = f"{chosen.threshold:.2f} (rappel {chosen.recall:.3f})" if chosen else "aucun"
    table.add_row("seuil pour une précision ≥ 0,90", shown)
    table.add_row("Brier ; erreur de calibration", f"{result.brier:.3f} ; {result.calibration_error:.3f}")
    for row in result.calibration:
        table.add_row(
            f"{row['from']:.1f}–{row['to']:.1f}",
            f"prédit {row['mean_probability']:.2f}, observé {row['observed_rate']:.2f} (n={row['n']:.0f})",
        )
    table.add_row("codes inconnus de l'édition", str(result.unknown_codes))
    return asdict(result), table


def _speed(
    engine: RAGEngine, data: Path, limit: int | None, stock: bool, progress: Callable[[str], None]
) -> tuple[Any, Table]:
    from pmsi_chain.evaluation.speed import bench_speed, peak_memory_mb

    rows = bench_speed(engine, data, limit, stock, progress)
    memory = peak_memory_mb()
    table = _table(
        f"Temps par requête, mémoire maximale {memory:.0f} Mo", "Variante", "p50 ms", "p95 ms", "/ rrf", "Mo ajoutés"
    )
    for row in rows:
        table.add_row(row.variant, f"{row.p50_ms:.1f}", f"{row.p95_ms:.1f}", f"{row.ratio:.2f}", f"{row.added_mb:.0f}")
    return {"rows": [asdict(row) for row in rows], "peak_memory_mb": memory}, table


def _growth(engine: RAGEngine, data: Path, limit: int | None, progress: Callable[[str], None]) -> tuple[Any, Table]:
    from pmsi_chain.evaluation.speed import bench_growth

    rows = list(bench_growth(engine, data, limit=limit, progress=progress))
    names = list(rows[0].p50_ms)
    table = _table(
        "Index synthétiques : millisecondes par requête, p50 / p95",
        "Passages", "construit en s", "Mo sur disque", "Mo en mémoire", *names,
    )  # fmt: skip
    for row in rows:
        times = (f"{row.p50_ms[name]:.1f} / {row.p95_ms[name]:.1f}" for name in names)
        table.add_row(f"{row.n_chunks:,}".replace(",", " "), f"{row.build_s:.0f}", f"{row.disk_mb:.0f}",
                      f"{row.added_mb:.0f}", *times)  # fmt: skip
    return [asdict(row) for row in rows], table


def _coding(
    engine: RAGEngine, data: Path, limit: int | None, html: Path | None, progress: Callable[[str], None]
) -> tuple[Any, Table]:
    from pmsi_chain.chain import CodingChain
    from pmsi_chain.evaluation.coding import TARGET_PRECISION, bench_coding

    result = bench_coding(CodingChain(engine), data, limit, html, progress)
    table = _table(f"Codage de {result.n_reports} comptes rendus, IC à 95 %", "Mesure", "Valeur")

    def add(name: str, estimate: Estimate) -> None:
        table.add_row(name, f"{estimate.value:.3f} [{estimate.low:.3f}–{estimate.high:.3f}]")

    french = {"precision": "précision", "recall": "rappel", "f1": "F1"}
    for title, figures in (("codes exacts", result.exact), ("3 caractères", result.category), ("macro", result.macro)):
        for name, estimate in figures.items():
            add(f"{title}, {french[name]}", estimate)
    for position, figures in result.by_position.items():
        for name, estimate in figures.items():
            add(f"{position.upper()}, {french[name]}", estimate)
    for name, estimate in result.automatic.items():
        add(f"marqués automatiques, {french[name]}", estimate)
    add("DP exact", result.dp_exact)
    for stage, estimate in result.stages.items():
        add(f"codes de référence : {stage}", estimate)
    for point in result.curve:
        table.add_row(
            f"seuil {point.threshold:.2f}", f"précision {point.precision}, rappel {point.recall:.3f}, n codes {point.n}"
        )
    chosen = result.threshold
    table.add_row(
        f"seuil pour une précision ≥ {TARGET_PRECISION:.2f}",
        f"{chosen.threshold:.2f} (rappel {chosen.recall:.3f})" if chosen else "aucun : tout est à relire",
    )
    if result.held_out is not None:
        precision, recall = result.held_out
        table.add_row("seuil choisi sur 4/5, mesuré sur 1/5", f"précision {precision}, rappel {recall:.3f}")
    for row in result.calibration:
        table.add_row(
            f"confiance {row['from']:.1f}–{row['to']:.1f}",
            f"moyenne {row['mean_probability']:.2f}, exacts {row['observed_rate']:.2f} (n={row['n']:.0f})",
        )
    table.add_row("Brier ; erreur de calibration", f"{result.brier:.3f} ; {result.calibration_error:.3f}")
    table.add_row("codes émis, tous légaux, prouvés, avec règle", str(result.lawful))
    table.add_row("secondes par compte rendu, p50 / p95", f"{result.seconds[0]:.2f} / {result.seconds[1]:.2f}")
    return asdict(result), table
