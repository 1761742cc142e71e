"""`pmsi-chain bench retrieval`: hits and reciprocal rank of every stage, on the same queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.retrievers import BaseRetriever, RetrieverLike

from pmsi_chain.engine import Nomenclature, RAGEngine
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.evaluation.data import Expression, find_one, read_expressions
from pmsi_chain.evaluation.metrics import Estimate, first_hit, hit_at, mean_estimate, reciprocal_rank

CUTS = (1, 5, 10, 50)


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


def evaluate(variant: str, queries: list[Expression], search: Callable[[str], list[str]]) -> RetrievalRow:
    """Run every query through `search`, which answers codes, best first."""
    ranks, categories = [], []
    for query in queries:
        codes = search(query.text)
        ranks.append(first_hit(codes[: max(CUTS)], query.accepted))
        wanted = {code[:3] for code in query.accepted}
        categories.append(float(bool(codes) and codes[0][:3] in wanted))
    return RetrievalRow(
        variant,
        {k: mean_estimate([hit_at(rank, k) for rank in ranks]) for k in CUTS},
        mean_estimate([reciprocal_rank(rank) for rank in ranks]),
        mean_estimate(categories),
    )


def variants(engine: RAGEngine, nomenclature: Nomenclature, stock: bool) -> Iterator[tuple[str, RetrieverLike]]:
    """Each leg, the fusion and the reranker of the engine, and the stock lexical leg of the card."""
    ensemble = engine.as_ensemble(nomenclature).model_copy(update={"k": 50})
    lexical, vectors = ensemble.retrievers
    yield "bm25 (français)", lexical
    yield "qdrant", vectors
    yield "rrf", ensemble
    yield "rrf + rerank", engine.as_retriever(nomenclature, k=50)
    if stock:
        yield "BM25Retriever de LangChain", stock_bm25(engine, nomenclature)


def stock_bm25(engine: RAGEngine, nomenclature: Nomenclature) -> BaseRetriever:
    """LangChain's own `BM25Retriever` with its default tokeniser, on the same chunks.

    Raises:
        ConfigurationError: `rank_bm25` is not installed (extra `[bench]`).
    """
    import warnings
    from importlib.util import find_spec

    if find_spec("rank_bm25") is None:
        raise ConfigurationError("--stock demande rank-bm25 : installer pmsi-chain[bench]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langchain-community announces its end at import
        from langchain_community.retrievers import BM25Retriever
    retriever: BaseRetriever = BM25Retriever.from_documents(engine.index(nomenclature).documents, k=50)
    return retriever


def codes_of(retriever: RetrieverLike) -> Callable[[str], list[str]]:
    """The codes that a retriever answers, each once, in order."""

    def search(query: str) -> list[str]:
        return list(dict.fromkeys(d.metadata["code"] for d in retriever.invoke(query)))

    return search


def bench_retrieval(
    engine: RAGEngine,
    data: Path,
    nomenclature: Nomenclature = "cim10",
    limit: int | None = None,
    stock: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> list[RetrievalRow]:
    """Bench the one `expressions_*.csv` (CIM-10) or `ccam_short_*.csv` (CCAM) of a directory.

    Args:
        limit: only the first so many queries.
        stock: add LangChain's own BM25 retriever (slow: every query scans every chunk in Python).
    """
    queries = read_expressions(find_one(data, "expressions_*.csv" if nomenclature == "cim10" else "ccam_short_*.csv"))
    queries = queries[:limit]
    rows = []
    for name, retriever in variants(engine, nomenclature, stock):
        progress(f"{name} : {len(queries)} requêtes…")
        rows.append(evaluate(name, queries, codes_of(retriever)))
    return rows


def as_json(rows: list[RetrievalRow]) -> list[dict[str, Any]]:
    """The rows as plain values."""

    def figures(estimate: Estimate) -> list[float]:
        return [round(estimate.value, 4), round(estimate.low, 4), round(estimate.high, 4)]

    return [
        {
            "variant": row.variant,
            "n": row.mrr.n,
            **{f"hit@{k}": figures(estimate) for k, estimate in row.hits.items()},
            "mrr": figures(row.mrr),
            "category_hit": figures(row.category_hit),
        }
        for row in rows
    ]
