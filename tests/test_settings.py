"""Every setting changes something, and the environment is read here alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import pmsi_chain
from pmsi_chain import CodingChain, RAGEngine, Settings
from pmsi_chain.reading_edsnlp import EdsQualifiers

PACKAGE = Path(pmsi_chain.__file__).parent


def engine_with(settings: Settings, **changes: Any) -> RAGEngine:
    return RAGEngine.from_settings(Settings(**{**settings.model_dump(), **changes}))


def codes(engine: RAGEngine, query: str = "hématome sous-dural", top_k: int = 10) -> list[str]:
    return [c.code for c in engine.search_ccam(query, top_k)]


def test_the_environment_is_read_by_settings_alone() -> None:
    reading = re.compile(r"os\.environ|os\.getenv|getenv\(")
    allowed = {"settings.py"}
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if reading.search(path.read_text(encoding="utf-8")) and path.name not in allowed
    }
    # the tracing guard looks for LangSmith's own variables, which are not ours
    assert {name for name in found if not name.startswith("privacy/")} == set()


def test_every_setting_has_its_line_of_documentation() -> None:
    documented = Settings.__doc__ or ""
    for name in Settings.model_fields:
        assert re.search(rf"\b{name}\b", documented), name


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="extra"):
        Settings(reranker="x")  # type: ignore[call-arg]


def test_rerank_off_leaves_the_fused_order(settings: Settings) -> None:
    found = engine_with(settings, rerank=False).search_ccam("hématome sous-dural", 5)
    assert {c.source for c in found} <= {"bm25", "vector"}
    assert [c.ranks["fused"] for c in found] == [1, 2, 3, 4, 5]
    assert {c.source for c in engine_with(settings).search_ccam("hématome sous-dural", 5)} == {"reranked"}


def test_weights_choose_the_legs(settings: Settings) -> None:
    lexical = engine_with(settings, rerank=False, bm25_weight=1.0, vector_weight=0.0)
    vectors = engine_with(settings, rerank=False, bm25_weight=0.0, vector_weight=1.0)
    assert {c.source for c in lexical.search_ccam("hématome sous-dural", 5)} == {"bm25"}
    assert {c.source for c in vectors.search_ccam("hématome sous-dural", 5)} == {"vector"}
    sparse_only = engine_with(settings, rerank=False, bm25_weight=0.0, sparse_weight=50.0)
    assert codes(vectors) != codes(sparse_only)


def test_rrf_k_fetch_k_and_rerank_k_have_effect(settings: Settings) -> None:
    first, last = (
        engine_with(settings, rerank=False, rrf_k=k).search_ccam("hématome sous-dural", 10)[9].similarity_score
        for k in (1, 1000)
    )
    assert first < last
    vectors = {"rerank": False, "bm25_weight": 0.0, "sparse_weight": 1.0}
    sharp, flat = (engine_with(settings, qdrant_rrf_k=k, **vectors) for k in (1, 1000))
    queries = ("hématome sous-dural", "prothèse de hanche", "ablation de la vésicule", "pose d'une sonde")
    assert [codes(sharp, query) for query in queries] != [codes(flat, query) for query in queries]
    assert len(codes(engine_with(settings, rerank=False, fetch_k=2), top_k=50)) < len(
        codes(engine_with(settings, rerank=False, fetch_k=40), top_k=50)
    )
    assert len(codes(engine_with(settings, rerank_k=3), top_k=2)) == 2


def test_edition_and_state_directory_are_used(settings: Settings, tmp_path: Path) -> None:
    assert engine_with(settings, edition="2025").cim10().version == "2025"
    from pmsi_chain.errors import EditionError

    with pytest.raises(EditionError):
        engine_with(settings, edition="1999").cim10()
    elsewhere = engine_with(settings, state_dir=tmp_path / "elsewhere", rerank=False)
    codes(elsewhere)
    assert list((tmp_path / "elsewhere" / "indexes").iterdir())


REPORT = "Conclusion : embolie pulmonaire traitée par héparine. Insuffisance rénale chronique connue."


def test_thresholds_move_codes_to_review_and_out(settings: Settings) -> None:
    strict = CodingChain(engine_with(settings, code_threshold=1.0, review_threshold=0.9)).invoke(REPORT)
    usual = CodingChain(engine_with(settings)).invoke(REPORT)
    assert len(strict.das) < len(usual.das) or len(strict.to_review) != len(usual.to_review)
    silent = CodingChain(engine_with(settings, code_threshold=1.0, review_threshold=1.0)).invoke(REPORT)
    assert len(silent.to_review) <= len(strict.to_review)


def test_context_reader_edsnlp_reads_context_its_own_way(settings: Settings) -> None:
    text = "Conclusion : embolie pulmonaire. Pas d'insuffisance cardiaque. Père diabétique."
    for mode in ("edsnlp", "both"):
        coding = CodingChain(engine_with(settings, context_reader=mode)).invoke(text)
        assert {d.code[:3] for d in coding.diagnoses} == {"I26"}


def test_edsnlp_flags_negation_hypothesis_family_and_history() -> None:
    text = "Pas d'embolie pulmonaire. Suspicion de pneumopathie. Père diabétique. ATCD d'IDM en 2012. Fracture."
    spans = [
        (text.index(w), text.index(w) + len(w)) for w in ("embolie", "pneumopathie", "diabétique", "IDM", "Fracture")
    ]
    flags = EdsQualifiers().flags(text, spans)
    assert [sorted(f) for f in flags] == [["negated"], ["hypothesis"], ["family"], ["history"], []]
