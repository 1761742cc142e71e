"""`pmsi-chain bench speed`: time per query and memory of each variant in one run, and how they grow with the index."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from langchain_core.retrievers import RetrieverLike

from pmsi_chain.engine import RAGEngine
from pmsi_chain.evaluation.data import find_one, read_expressions
from pmsi_chain.evaluation.retrieval import FUSED, leg_variants, variants
from pmsi_chain.evaluation.stock import stock_variants
from pmsi_chain.index import Chunk, Corpus

#: Sizes of the synthetic indexes, in chunks.
GROWTH = (4_000, 40_000, 400_000)
_WARM = 5


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """Wall time of one variant, milliseconds per query, warm.

    Attributes:
        ratio: median over that of the fused query in the same run.
        added_mb: growth of resident memory from its making to its last warm-up query, after the variants above it.
    """

    variant: str
    n: int
    p50_ms: float
    p95_ms: float
    ratio: float
    added_mb: float


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """A synthetic index of `n_chunks`: what it costs to make, to keep and to search.

    Attributes:
        build_s: vectors, collection and BM25; disk_mb: the whole index; added_mb: of resident memory, opened and warm.
        p50_ms, p95_ms: per query, by variant ("voie bm25", "voie dense", …, "rrf").
    """

    n_chunks: int
    build_s: float
    disk_mb: float
    added_mb: float
    p50_ms: dict[str, float]
    p95_ms: dict[str, float]


def bench_speed(
    engine: RAGEngine,
    data: Path,
    limit: int | None = None,
    stock: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> list[SpeedRow]:
    """Time every variant on the first queries (200 unless limited), interleaved so that drift hits all alike."""
    queries = [q.text for q in read_expressions(find_one(data, "expressions_*.csv"))][: limit or 200]
    made: Iterator[tuple[str, RetrieverLike]] = variants(engine, "cim10")
    if stock:
        made = chain(made, stock_variants(engine, "cim10", 50, progress))
    retrievers: dict[str, RetrieverLike] = {}
    added: dict[str, float] = {}
    before = resident_mb()
    for name, retriever in made:
        for query in queries[:_WARM]:
            retriever.invoke(query)
        retrievers[name], now = retriever, resident_mb()
        added[name], before = now - before, now
    times = _timed(retrievers, queries)
    fused = float(np.median(times[FUSED]))
    return [
        SpeedRow(name, len(ms), _p50(ms), _p95(ms), _p50(ms) / fused, round(added[name], 1))
        for name, ms in times.items()
    ]


def bench_growth(
    engine: RAGEngine,
    data: Path,
    sizes: Sequence[int] = GROWTH,
    limit: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Iterator[GrowthRow]:
    """Make and search synthetic indexes in a temporary directory: chunks of two labels' halves, one code each.

    The vectors are those of the engine's encoders, the collection is that of the embedded engine. The reranker reads
    the same number of candidates whatever the size, so that it is left out.
    """
    queries = [q.text for q in read_expressions(find_one(data, "expressions_*.csv"))][: limit or 100]
    labels = [entry.label for entry in engine.cim10().codable()]
    for size in sizes:
        with tempfile.TemporaryDirectory() as directory:
            progress(f"{size} passages…")
            own = engine.with_settings(state_dir=Path(directory), qdrant_url=None, rerank=False)
            before, start = resident_mb(), time.perf_counter()
            ensemble = own.ensemble_over(own.open_corpus(synthetic_corpus(labels, size)))
            build_s = time.perf_counter() - start
            retrievers = {**dict(leg_variants(ensemble)), FUSED: ensemble}
            times = _timed(retrievers, queries)
            disk = sum(f.stat().st_size for f in Path(directory).rglob("*") if f.is_file()) / 1e6
            yield GrowthRow(
                size,
                round(build_s, 1),
                round(disk, 1),
                round(resident_mb() - before, 1),
                {name: _p50(ms) for name, ms in times.items()},
                {name: _p95(ms) for name, ms in times.items()},
            )


def synthetic_corpus(labels: Sequence[str], n_chunks: int, seed: int = 0) -> Corpus:
    """A corpus of the words and lengths of the labels, as large as asked; equal arguments give equal chunks."""

    def cut() -> list[Chunk]:
        rng = random.Random(seed)  # noqa: S311  # no secret is drawn
        words = [label.split() for label in labels]
        chunks = []
        for n in range(n_chunks):
            left, right = rng.choice(words), rng.choice(words)
            text = " ".join([*left[: (len(left) + 1) // 2], *right[len(right) // 2 :]])
            code = f"X{n:06d}"
            chunks.append(
                Chunk(f"synthetic/{code}", code, text, text, "cim10", str(n_chunks), ("das",), is_label=False)
            )
        return chunks

    return Corpus("synthetic", str(n_chunks), f"{seed}-{len(labels)}", "synthetic/1", cut)


def _timed(retrievers: dict[str, RetrieverLike], queries: Sequence[str]) -> dict[str, list[float]]:
    """Milliseconds of every query but the first ones, which warm caches up."""
    times: dict[str, list[float]] = {name: [] for name in retrievers}
    for number, query in enumerate(queries):
        for name, retriever in retrievers.items():
            start = time.perf_counter()
            retriever.invoke(query)
            if number >= min(_WARM, len(queries) - 1):
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def _p50(milliseconds: Sequence[float]) -> float:
    return round(float(np.median(milliseconds)), 2)


def _p95(milliseconds: Sequence[float]) -> float:
    return round(float(np.percentile(milliseconds, 95)), 2)


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    """Resident memory of this process now, in megabytes; the peak where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return peak_memory_mb()
