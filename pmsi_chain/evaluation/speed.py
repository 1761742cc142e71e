"""`pmsi-chain bench speed`: seconds per query and memory of each variant, all in one run so that they compare."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pmsi_chain.engine import RAGEngine
from pmsi_chain.evaluation.data import find_one, read_expressions
from pmsi_chain.evaluation.retrieval import stock_bm25, variants


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """Wall time of one variant, milliseconds per query, warm.

    Attributes:
        ratio: median over that of the fused query in the same run.
    """

    variant: str
    n: int
    p50_ms: float
    p95_ms: float
    ratio: float


def bench_speed(engine: RAGEngine, data: Path, limit: int | None = None, stock: bool = False) -> list[SpeedRow]:
    """Time every variant on the first queries (200 unless limited), interleaved so that drift hits all alike."""
    queries = [q.text for q in read_expressions(find_one(data, "expressions_*.csv"))][: limit or 200]
    retrievers = list(variants(engine, "cim10", stock=False))
    if stock:
        retrievers.append(("BM25Retriever de LangChain", stock_bm25(engine, "cim10")))
    times: dict[str, list[float]] = {name: [] for name, _ in retrievers}
    for number, query in enumerate(queries):
        for name, retriever in retrievers:
            start = time.perf_counter()
            retriever.invoke(query)
            if number >= min(5, len(queries) - 1):  # the first ones warm caches up
                times[name].append(1000 * (time.perf_counter() - start))
    fused = float(np.median(times["rrf"]))
    return [
        SpeedRow(name, len(ms), float(np.median(ms)), float(np.percentile(ms, 95)), float(np.median(ms)) / fused)
        for name, ms in times.items()
    ]


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
