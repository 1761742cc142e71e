"""`pmsi-chain bench retrieval`: hits and reciprocal rank of every stage on the same queries, and what each loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_core.retrievers import RetrieverLike

from pmsi_chain.engine import Nomenclature, RAGEngine
from pmsi_chain.evaluation.data import Expression, find_one, read_expressions
from pmsi_chain.evaluation.metrics import Estimate, first_hit, hit_at, mean_estimate, reciprocal_rank
from pmsi_chain.evaluation.stock import stock_variants
from pmsi_chain.retrieval import CodeEnsembleRetriever, QdrantHybridRetriever

CUTS = (1, 5, 10, 50)
#: Where a coder stops reading: a gold code further down counts as lost by the reranker.
READ = 10
FUSED, RERANKED = "rrf", "rrf + rerank"
LEG = "voie "

Ranked = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class RetrievalRow:
    """Figures of one variant on one set.

    Attributes:
        hits: hit@k per k; mrr: mean reciprocal rank over the first 50.
        category_hit: the first answer is in the category (3 characters) of an accepted code.
    """

    variant: str
    hits: dict[int, Estimate]
    mrr: Estimate
    category_hit: Estimate


@dataclass(frozen=True, slots=True)
class Losses:
    """Where the queries stop having an accepted code; the counts add up to `n`.

    Attributes:
        not_indexed: no accepted code is in the edition's index.
        legs: none is in the list of any leg (`fetch_k` deep).
        fusion: a leg had one, the fused list cut at `rerank_k` has none.
        rerank: the fused list had one, the first `READ` reranked have none.
        kept: among the first `READ` reranked.
    """

    n: int
    not_indexed: int
    legs: int
    fusion: int
    rerank: int
    kept: int


@dataclass(frozen=True, slots=True)
class RetrievalBench:
    """One row per variant, in the order of the stages, and the losses of the chain."""

    rows: tuple[RetrievalRow, ...]
    losses: Losses


def row_of(variant: str, queries: Sequence[Expression], ranked: Ranked) -> RetrievalRow:
    """Figures of the codes answered to each query, best first."""
    ranks, categories = [], []
    for query, codes in zip(queries, ranked, strict=True):
        ranks.append(first_hit(codes[: max(CUTS)], query.accepted))
        wanted = {code[:3] for code in query.accepted}
        categories.append(float(bool(codes) and codes[0][:3] in wanted))
    return RetrievalRow(
        variant,
        {k: mean_estimate([hit_at(rank, k) for rank in ranks]) for k in CUTS},
        mean_estimate([reciprocal_rank(rank) for rank in ranks]),
        mean_estimate(categories),
    )


def losses_of(
    queries: Sequence[Expression],
    indexed: frozenset[str],
    legs: Sequence[Ranked],
    fused: Ranked,
    reranked: Ranked,
    rerank_k: int,
) -> Losses:
    """Count each query at the first stage after which it has no accepted code left."""
    counts = dict.fromkeys(("not_indexed", "legs", "fusion", "rerank", "kept"), 0)
    for i, query in enumerate(queries):
        if not query.accepted & indexed:
            stage = "not_indexed"
        elif not any(query.accepted.intersection(leg[i]) for leg in legs):
            stage = "legs"
        elif not query.accepted.intersection(fused[i][:rerank_k]):
            stage = "fusion"
        elif not query.accepted.intersection(reranked[i][:READ]):
            stage = "rerank"
        else:
            stage = "kept"
        counts[stage] += 1
    return Losses(len(queries), **counts)


def leg_variants(ensemble: CodeEnsembleRetriever) -> Iterator[tuple[str, RetrieverLike]]:
    """Each leg alone: BM25, then every named vector of the collection; then the vectors fused by Qdrant."""
    for part in ensemble.retrievers:
        if isinstance(part, QdrantHybridRetriever):
            for leg in part.legs:
                yield f"{LEG}{leg.name}", part.model_copy(update={"legs": [leg]})
            if len(part.legs) > 1:
                yield "qdrant", part
        else:
            yield f"{LEG}bm25", part


def variants(engine: RAGEngine, nomenclature: Nomenclature) -> Iterator[tuple[str, RetrieverLike]]:
    """Each leg, each fusion, the reranker."""
    ensemble = engine.as_ensemble(nomenclature).model_copy(update={"k": max(CUTS)})
    yield from leg_variants(ensemble)
    yield FUSED, ensemble
    if engine.settings.rerank:
        yield RERANKED, engine.as_retriever(nomenclature, k=max(CUTS))


def codes_of(retriever: RetrieverLike, query: str) -> list[str]:
    """The codes that a retriever answers, each once, in order."""
    return list(dict.fromkeys(document.metadata["code"] for document in retriever.invoke(query)))


def bench_retrieval(
    engine: RAGEngine,
    data: Path,
    nomenclature: Nomenclature = "cim10",
    limit: int | None = None,
    stock: bool = False,
    bge_m3: str | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> RetrievalBench:
    """Bench the one `expressions_*.csv` (CIM-10) or `ccam_short_*.csv` (CCAM) of a directory.

    Args:
        limit: only the first so many queries.
        stock: add the stock chain of the model card (slow: its BM25 scans every chunk in Python for every query).
        bge_m3: directory of BGE-M3's weights, or its name on the hub: add the same stages with it.
    """
    queries = read_queries(data, nomenclature)[:limit]
    found = _run(variants(engine, nomenclature), queries, progress)
    rows = [row_of(name, queries, ranked) for name, ranked in found.items()]
    if bge_m3 is not None:
        other = _run(variants(engine.with_settings(bge_m3=bge_m3), nomenclature), queries, progress, skip=f"{LEG}bm25")
        rows += [row_of(f"BGE-M3, {name}", queries, ranked) for name, ranked in other.items()]
    if stock:
        theirs = _run(stock_variants(engine, nomenclature, max(CUTS), progress), queries, progress)
        rows += [row_of(name, queries, ranked) for name, ranked in theirs.items()]
    losses = losses_of(
        queries,
        frozenset(code for code, _ in engine.index(nomenclature).wordings),
        [ranked for name, ranked in found.items() if name.startswith(LEG)],
        found[FUSED],
        found.get(RERANKED, found[FUSED]),
        engine.settings.rerank_k,
    )
    return RetrievalBench(tuple(rows), losses)


def ablate(
    engine: RAGEngine,
    data: Path,
    nomenclature: Nomenclature = "cim10",
    limit: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> list[RetrievalRow]:
    """The whole search, then without each of its parts: every weight of the settings at 0, no reranker."""
    queries = read_queries(data, nomenclature)[:limit]
    weights = [name for name in type(engine.settings).model_fields if name.endswith("_weight")]
    changes: dict[str, dict[str, Any]] = {"complet": {}}
    for name in weights:
        if getattr(engine.settings, name) > 0:
            changes[f"sans {name.removesuffix('_weight')}"] = {name: 0.0}
    changes["sans rerank"] = {"rerank": False}
    retrievers = (
        (name, engine.with_settings(**change).as_retriever(nomenclature, k=max(CUTS)))
        for name, change in changes.items()
    )
    found = _run(retrievers, queries, progress)
    return [row_of(name, queries, ranked) for name, ranked in found.items()]


def read_queries(data: Path, nomenclature: Nomenclature) -> list[Expression]:
    """The queries of a directory for that nomenclature."""
    return read_expressions(find_one(data, "expressions_*.csv" if nomenclature == "cim10" else "ccam_short_*.csv"))


def _run(
    retrievers: Iterator[tuple[str, RetrieverLike]],
    queries: Sequence[Expression],
    progress: Callable[[str], None],
    skip: str = "",
) -> dict[str, list[list[str]]]:
    found = {}
    for name, retriever in retrievers:
        if name != skip:
            progress(f"{name} : {len(queries)} requêtes…")
            found[name] = [codes_of(retriever, query.text) for query in queries]
    return found


def as_json(bench: RetrievalBench) -> dict[str, Any]:
    """Rows and losses as plain values."""
    return {"rows": [row_json(row) for row in bench.rows], "lost_gold": asdict(bench.losses)}


def row_json(row: RetrievalRow) -> Mapping[str, Any]:
    """A row as plain values: [value, low, high] of every figure."""

    def figures(estimate: Estimate) -> list[float]:
        return [round(estimate.value, 4), round(estimate.low, 4), round(estimate.high, 4)]

    return {
        "variant": row.variant,
        "n": row.mrr.n,
        **{f"hit@{k}": figures(estimate) for k, estimate in row.hits.items()},
        "mrr": figures(row.mrr),
        "category_hit": figures(row.category_hit),
    }


def as_markdown(rows: Sequence[RetrievalRow]) -> str:
    """The rows as a Markdown table, to paste into a model card."""
    names = [f"hit@{k}" for k in rows[0].hits] + ["MRR", "catégorie"]
    lines = [f"| Variante (n = {rows[0].mrr.n}) | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        figures = (*row.hits.values(), row.mrr, row.category_hit)
        cells = " | ".join(f"{e.value:.3f} [{e.low:.3f}–{e.high:.3f}]" for e in figures)
        lines.append(f"| {row.variant} | {cells} |")
    return "\n".join(lines)
