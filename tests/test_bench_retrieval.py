"""The retrieval and speed benches: losses against an oracle, every variant run, options with an effect."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsi_chain import RAGEngine
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.evaluation.data import Expression
from pmsi_chain.evaluation.retrieval import (
    ablate,
    as_json,
    as_markdown,
    bench_retrieval,
    losses_of,
    row_of,
)
from pmsi_chain.evaluation.speed import bench_growth, bench_speed, synthetic_corpus

HEADER = "expression,codes\n"
ACTS = (
    "APPENDICECTOMIE COELIO,HHFA016\nCATARACTE !,BFGA002\nscanner cérébral injecté,ACQH003\nun acte inventé,ZZZZ999\n"
)
DISEASES = "infarctus,I2198\nembolie pulmonaire,I269\nappendicite aiguë,K358\nBPCO,J449\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bench")
    (directory / "ccam_short_own.csv").write_text(HEADER + ACTS, encoding="utf-8")
    (directory / "expressions_own.csv").write_text(HEADER + DISEASES, encoding="utf-8")
    return directory


codes = st.lists(st.sampled_from("ABCDEF"), max_size=15)
queries = st.lists(
    st.tuples(st.frozensets(st.sampled_from("ABCDEFG"), min_size=1, max_size=2), codes, codes, codes, codes), min_size=1
)


@given(queries, st.integers(1, 6))
def test_a_query_is_lost_at_the_first_stage_that_has_none_of_its_codes(
    rows: list[tuple[frozenset[str], list[str], list[str], list[str], list[str]]], rerank_k: int
) -> None:
    asked = [Expression("q", row[0]) for row in rows]
    _, left, right, fused, reranked = zip(*rows, strict=True)
    found = losses_of(asked, frozenset("ABCDEF"), [left, right], fused, reranked, rerank_k)
    n_left = [
        sum(bool(accepted & frozenset("ABCDEF")) for accepted, *_ in rows),
        sum(any(c in a for c in x + y) and a != frozenset("G") for a, x, y, _, _ in rows),
    ]
    assert found.n == len(rows)
    assert found.not_indexed == len(rows) - n_left[0]
    assert found.legs == n_left[0] - n_left[1]
    after_fusion = [row for row in rows if any(c in row[0] for c in row[1] + row[2])]
    assert found.fusion == sum(not any(c in a for c in f[:rerank_k]) for a, _, _, f, _ in after_fusion)
    assert found.not_indexed + found.legs + found.fusion + found.rerank + found.kept == found.n


def test_figures_of_a_variant() -> None:
    asked = [Expression("a", frozenset({"A101"})), Expression("b", frozenset({"B20", "B21"}))]
    row = row_of("v", asked, [["A109", "A101"], ["B21"]])
    assert {k: estimate.value for k, estimate in row.hits.items()} == {1: 0.5, 5: 1.0, 10: 1.0, 50: 1.0}
    assert row.mrr.value == 0.75
    assert row.category_hit.value == 1.0
    table = as_markdown([row])
    assert table.splitlines()[0].startswith("| Variante (n = 2) | hit@1 |")
    assert "| v | 0.500 [" in table


def test_every_leg_every_fusion_and_the_reranker_have_their_row(engine: RAGEngine, data: Path) -> None:
    bench = bench_retrieval(engine, data, "ccam")
    assert [row.variant for row in bench.rows] == [
        "voie bm25",
        "voie dense",
        "voie sparse",
        "qdrant",
        "rrf",
        "rrf + rerank",
    ]
    assert all(row.mrr.n == 4 for row in bench.rows)
    assert bench.losses.n == 4
    assert bench.losses.not_indexed == 1
    assert bench.losses.kept >= 2
    assert as_json(bench)["lost_gold"]["not_indexed"] == 1
    assert [row.mrr.n for row in bench_retrieval(engine, data, "ccam", limit=2).rows] == [2] * 6


def test_ablation_leaves_one_part_out_at_a_time(engine: RAGEngine, data: Path) -> None:
    rows = ablate(engine, data, "ccam")
    assert [row.variant for row in rows] == ["complet", "sans bm25", "sans vector", "sans sparse", "sans rerank"]


@pytest.mark.skipif(importlib.util.find_spec("rank_bm25") is None, reason="the extra [bench] is not installed")
def test_the_stock_chain_runs_on_the_same_queries(
    engine: RAGEngine, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flashrank.Config.default_cache_dir", str(tmp_path))
    told: list[str] = []
    rows = bench_retrieval(engine, data, "ccam", stock=True, progress=told.append).rows
    assert [row.variant for row in rows[-2:]] == ["LangChain BM25Retriever", "LangChain EnsembleRetriever"]
    assert any("sa ligne manque" in message for message in told)
    assert rows[-2].mrr.value < rows[0].mrr.value, "whitespace tokens against French ones"


@pytest.mark.skipif(importlib.util.find_spec("rank_bm25") is not None, reason="the extra [bench] is installed")
def test_the_stock_chain_names_its_extra(engine: RAGEngine, data: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pmsi-chain\[bench\]"):
        bench_retrieval(engine, data, "ccam", stock=True)


def test_speed_times_every_variant_and_says_what_it_keeps(engine: RAGEngine, data: Path) -> None:
    rows = bench_speed(engine, data)
    assert [row.variant for row in rows] == [
        "voie bm25", "voie dense", "voie sparse", "qdrant", "rrf", "rrf + rerank",
    ]  # fmt: skip
    assert all(0 < row.p50_ms <= row.p95_ms for row in rows)
    assert next(row.ratio for row in rows if row.variant == "rrf") == pytest.approx(1, abs=0.01)


def test_growth_is_measured_on_synthetic_chunks_of_any_number(engine: RAGEngine, data: Path) -> None:
    small, large = bench_growth(engine, data, sizes=(100, 1000), limit=3)
    assert (small.n_chunks, large.n_chunks) == (100, 1000)
    assert small.disk_mb < large.disk_mb
    assert set(large.p50_ms) == {"voie bm25", "voie dense", "voie sparse", "qdrant", "rrf"}


def test_synthetic_chunks_are_reproducible_and_each_a_code_of_its_own() -> None:
    first, again = (synthetic_corpus(["Fracture du col du fémur", "Asthme aigu"], 50).cut() for _ in range(2))
    assert first == again
    assert len({chunk.code for chunk in first}) == 50
