"""The retrievers: fusion against its definition, LangChain's conformance suite, filters, and what they refuse."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_qdrant import QdrantVectorStore, RetrievalMode
from langchain_tests.integration_tests import RetrieversIntegrationTests
from qdrant_client import QdrantClient, models

from pmsi_chain import RAGEngine, Settings
from pmsi_chain.bm25 import FrenchBM25Retriever
from pmsi_chain.chunking import ccam_chunks, ccam_corpus, cim10_chunks
from pmsi_chain.errors import ConfigurationError, EditionError, IndexMismatchError, InputError, ServiceError
from pmsi_chain.index import Corpus, open_or_build
from pmsi_chain.qdrant_embedded import EmbeddedQdrant, edge_filter
from pmsi_chain.retrieval import CodeEnsembleRetriever, QdrantHybridRetriever, payload_filter

LABELS = ["Hépatite aigüe A", "Hépatite aigüe B", "Appendicite aiguë", "Fracture du fémur", "Embolie pulmonaire"]


@pytest.fixture
def own_server(settings: Settings) -> Settings:
    """Settings on the real Qdrant server that the environment names; skips without one."""
    if not os.environ.get("PMSI_QDRANT_URL"):
        pytest.skip("no Qdrant server: set PMSI_QDRANT_URL")
    return Settings()


# -- fusion --------------------------------------------------------------------------------------------------------


class Fixed(BaseRetriever):
    """Answers always these codes, in this order."""

    codes: list[str]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [
            Document(page_content=f"texte {c}", metadata={"code": c, f"seen_by_{id(self)}": True}) for c in self.codes
        ]


code_lists = st.lists(st.sampled_from([f"C{n}" for n in range(8)]), max_size=10)


@given(code_lists, code_lists, st.sampled_from([1, 10, 60]), st.floats(0.1, 3), st.floats(0.1, 3))
def test_fusion_is_weighted_rrf_over_codes(left: list[str], right: list[str], c: int, w1: float, w2: float) -> None:
    fused = CodeEnsembleRetriever(
        retrievers=[Fixed(codes=left), Fixed(codes=right)], weights=[w1, w2], c=c, k=100
    ).invoke("q")
    expected: dict[str, float] = {}
    for weight, codes in ((w1, left), (w2, right)):
        for rank, code in enumerate(dict.fromkeys(codes), start=1):
            expected[code] = expected.get(code, 0.0) + weight / (c + rank)
    order = sorted(expected, key=lambda code: (-expected[code], code))
    assert [d.metadata["code"] for d in fused] == order
    top = (w1 + w2) / (c + 1)
    for rank, document in enumerate(fused, start=1):
        assert document.metadata["fused_score"] == pytest.approx(expected[document.metadata["code"]] / top)
        assert 0 <= document.metadata["fused_score"] <= 1
        assert document.metadata["fused_rank"] == rank


def test_two_codes_with_one_label_stay_two() -> None:
    same = [Document(page_content="Asphyxie", metadata={"code": code}) for code in ("R090", "T71")]
    legs = [FrenchBM25Retriever.from_documents(same, k=5), FrenchBM25Retriever.from_documents(same[::-1], k=5)]
    found = CodeEnsembleRetriever(retrievers=legs, weights=[1, 1], k=5).invoke("asphyxie")
    assert {d.metadata["code"] for d in found} == {"R090", "T71"}


# -- Qdrant: the embedded engine against the client's own --------------------------------------------------------------


@pytest.fixture(scope="module")
def points() -> list[models.PointStruct]:
    return [
        models.PointStruct(
            id=n,
            vector={
                "dense": [float((n * 7) % 11), float((n * 3) % 5), 1.0],
                "sparse": models.SparseVector(indices=[n % 4, 10 + n % 3], values=[1.0, 0.5]),
            },
            payload={
                "page_content": f"t{n}",
                "metadata": {
                    "group": "ab"[n % 2],
                    "positions": ["dp", "das"][: 1 + n % 2],
                    "valid_from": 20200101 + n,
                    "valid_to": 20200110 + n,
                },
            },
        )
        for n in range(30)
    ]


@pytest.fixture(scope="module")
def both(points: list[models.PointStruct], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, QdrantClient]:
    embedded = EmbeddedQdrant.create(tmp_path_factory.mktemp("edge") / "q", {"dense": 3}, ["sparse"])
    embedded.upsert("c", points)
    embedded.index_payload(["metadata.group", "metadata.positions"])
    client = QdrantClient(":memory:")
    client.create_collection(
        "c",
        vectors_config={"dense": models.VectorParams(size=3, distance=models.Distance.COSINE)},
        sparse_vectors_config={"sparse": models.SparseVectorParams()},
    )
    client.upsert("c", points)
    return embedded, client


QUERIES: list[dict[str, Any]] = [
    {"query": [1.0, 2.0, 0.5], "using": "dense"},
    {"query": models.SparseVector(indices=[1, 11], values=[1.0, 1.0]), "using": "sparse"},
    {"query": [1.0, 0.0, 1.0], "using": "dense", "query_filter": payload_filter(group="a")},
    {"query": [1.0, 0.0, 1.0], "using": "dense", "query_filter": payload_filter(positions=["das"], group="b")},
    {"query": [1.0, 0.0, 1.0], "using": "dense", "query_filter": payload_filter(date(2020, 1, 12), group="b")},
]


@pytest.mark.parametrize("query", QUERIES)
def test_the_embedded_engine_scores_as_the_client_does(both: tuple[Any, QdrantClient], query: dict[str, Any]) -> None:
    embedded, client = both
    mine = embedded.query_points("c", limit=30, **query).points
    theirs = client.query_points("c", limit=30, **query).points
    # the client's engine also lists points that share no sparse index, at score 0
    scores = {p.id: p.score for p in theirs if p.score > 0 or query["using"] == "dense"}
    assert {p.id: pytest.approx(p.score, abs=1e-5) for p in mine} == scores
    assert [p.score for p in mine] == sorted((p.score for p in mine), reverse=True)


def test_embedded_fusion_is_the_servers_formula_with_ties_by_id(both: tuple[Any, QdrantClient]) -> None:
    embedded, _ = both
    legs = [
        models.Prefetch(query=[1.0, 2.0, 0.5], using="dense", limit=12),
        models.Prefetch(query=models.SparseVector(indices=[1], values=[1.0]), using="sparse", limit=12),
    ]
    ranked = [[p.id for p in embedded.query_points("c", query=g.query, using=g.using, limit=12).points] for g in legs]
    fused = embedded.query_points(
        "c", prefetch=legs, query=models.RrfQuery(rrf=models.Rrf(k=60, weights=[2.0, 1.0])), limit=50
    ).points
    expected: dict[int, float] = {}
    for weight, ids in zip((2.0, 1.0), ranked, strict=True):
        for rank, point_id in enumerate(ids):
            expected[point_id] = expected.get(point_id, 0.0) + 1 / ((rank + 1) / weight + 60 - 1)
    assert [p.id for p in fused] == sorted(expected, key=lambda i: (-expected[i], i))
    assert [p.score for p in fused] == pytest.approx(sorted(expected.values(), reverse=True))


def test_a_filter_the_embedded_engine_lacks_is_refused() -> None:
    odd = models.Filter(must=[models.FieldCondition(key="metadata.label", match=models.MatchText(text="rein"))])
    with pytest.raises(ConfigurationError, match="PMSI_QDRANT_URL"):
        edge_filter(odd)


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")  # the in-memory client has none
def test_a_server_gets_the_collection_and_its_alias_and_answers_alike(
    engine: RAGEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    edition = engine.ccam()
    corpus = replace(ccam_corpus(edition), cut=lambda: ccam_chunks(edition)[:200])
    server = QdrantClient(":memory:")
    parts = (corpus, engine.encoders)
    remote = open_or_build(tmp_path_factory.mktemp("remote"), *parts, server=server)
    local = open_or_build(tmp_path_factory.mktemp("local"), *parts)
    assert server.count(remote.manifest.name).count == 200
    for query in ("hématome sous-dural chronique", "scanner cérébral"):
        for leg in ("dense", "sparse"):
            theirs, ours = (
                QdrantHybridRetriever.from_index(index, engine.encoders, {leg: 1.0}, k=20, exact=False).invoke(query)
                for index in (remote, local)
            )
            # the in-memory client also lists points that share no sparse index, at score 0
            theirs = [d for d in theirs if d.metadata["vector_score"] > 0 or leg == "dense"]
            assert [(d.id, round(d.metadata["vector_score"], 4)) for d in theirs] == [
                (d.id, round(d.metadata["vector_score"], 4)) for d in ours
            ]
        weights = {"dense": 1.0, "sparse": 0.3}
        for index in (remote, local):  # each fuses by itself; the ranks of its legs say what the result must be
            fused = QdrantHybridRetriever.from_index(index, engine.encoders, weights, k=20, exact=False).invoke(query)
            for document in fused:
                ranks = {leg: document.metadata.get(f"{leg}_rank") for leg in weights}
                expected = sum(1 / (rank / weights[leg] + 60 - 1) for leg, rank in ranks.items() if rank)
                assert document.metadata["vector_score"] == pytest.approx(expected, rel=1e-4)


def small(engine: RAGEngine, n: int, fingerprint: str = "a") -> Corpus:
    edition = engine.ccam()
    return replace(ccam_corpus(edition), cut=lambda: ccam_chunks(edition)[:n], fingerprint=fingerprint)


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
def test_another_collection_in_service_is_left_alone_until_it_is_asked_for(engine: RAGEngine, tmp_path: Path) -> None:
    server = QdrantClient(":memory:")
    opened = partial(open_or_build, encoders=engine.encoders, server=server)
    old = opened(tmp_path / "old", small(engine, 30))
    told: list[str] = []
    with pytest.raises(IndexMismatchError, match=r"edition_sha256.*index build"):
        opened(tmp_path / "new", small(engine, 40, "b"))
    assert not server.collection_exists(small(engine, 40, "b").manifest(engine.encoders).name)

    new = opened(tmp_path / "new", small(engine, 40, "b"), publish=True, progress=told.append)
    aliases = {a.alias_name: a.collection_name for a in server.get_aliases().aliases}
    assert aliases == {new.manifest.alias: new.collection}
    assert old.collection in told[-1]
    for index in (old, new):  # whoever searched the old one goes on
        assert QdrantHybridRetriever.from_index(index, engine.encoders, exact=False).invoke("scanner")
    with pytest.raises(IndexMismatchError, match="index build"):
        opened(tmp_path / "old", small(engine, 30))


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")
def test_a_collection_in_part_is_reported_and_filled_on_demand(engine: RAGEngine, tmp_path: Path) -> None:
    server = QdrantClient(":memory:")
    corpus = small(engine, 30)
    index = open_or_build(tmp_path, corpus, engine.encoders, server=server)
    server.delete(index.collection, [3, 4])
    with pytest.raises(IndexMismatchError, match=r"28 points au lieu de 30.*index build"):
        open_or_build(tmp_path, corpus, engine.encoders, server=server)
    open_or_build(tmp_path, corpus, engine.encoders, server=server, publish=True)
    assert server.count(index.collection).count == 30


def test_a_server_that_does_not_answer_is_an_error_of_ours(engine: RAGEngine, tmp_path: Path) -> None:
    away = RAGEngine.from_settings(Settings(state_dir=tmp_path, qdrant_url="http://127.0.0.1:9"))
    with pytest.raises(ServiceError, match="PMSI_QDRANT_URL"):
        away.search_ccam("cataracte")
    with pytest.raises(ConfigurationError, match="http://serveur:6333"):
        RAGEngine.from_settings(Settings(state_dir=tmp_path, qdrant_url="http://a b:6333")).search_ccam("cataracte")


def test_the_server_given_by_the_environment_answers_as_the_embedded_engine(
    engine: RAGEngine, tmp_path: Path, own_server: Settings
) -> None:
    """Against a real server, wherever PMSI_QDRANT_URL names one."""
    remote = RAGEngine.from_settings(own_server.model_copy(update={"state_dir": tmp_path}))
    remote.build_index("ccam")
    for query in ("cataracte", "appendicectomie", "scanner du crâne"):
        mine, theirs = (
            [(c.code, round(c.similarity_score, 3)) for c in e.search_ccam(query)] for e in (engine, remote)
        )
        assert sorted(mine) == sorted(theirs)


# -- LangChain's conformance suite -------------------------------------------------------------------------------------


class TestBM25Conformance(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> Any:
        return FrenchBM25Retriever.from_texts

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"texts": LABELS}

    @property
    def retriever_query_example(self) -> str:
        return "hépatite aiguë, appendicite aiguë, fracture, embolie"


@pytest.fixture(scope="module")
def hybrid_options(engine: RAGEngine) -> dict[str, Any]:
    return {"index": engine.index("ccam"), "encoders": engine.encoders}


class TestHybridConformance(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _parts(self, hybrid_options: dict[str, Any]) -> None:
        self.options = hybrid_options

    @property
    def retriever_constructor(self) -> Any:
        return QdrantHybridRetriever.from_index

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {**self.options, "weights": {"dense": 1.0, "sparse": 0.3}}

    @property
    def retriever_query_example(self) -> str:
        return "appendicectomie"


class TestEnsembleConformance(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _engine(self, engine: RAGEngine) -> None:
        self.engine = engine

    @property
    def retriever_constructor(self) -> Any:
        return lambda k=3: self.engine.as_ensemble("ccam").model_copy(update={"k": k})

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {}

    @property
    def retriever_query_example(self) -> str:
        return "appendicectomie"


class TestCompressionConformance(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _engine(self, engine: RAGEngine) -> None:
        self.engine = engine

    @property
    def retriever_constructor(self) -> Any:
        return lambda k=3: self.engine.as_retriever("ccam", k=k)

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {}

    @property
    def retriever_query_example(self) -> str:
        return "appendicectomie"


def test_a_langchain_store_is_searched_by_its_own_parts(engine: RAGEngine) -> None:
    store = QdrantVectorStore.from_texts(
        LABELS,
        engine.encoder,
        metadatas=[{"code": str(n), "dense_rank": 99, "fused_score": 1.0} for n in range(len(LABELS))],
        sparse_embedding=engine.embedded_encoders.sparse["sparse"],  # type: ignore[arg-type]
        retrieval_mode=RetrievalMode.HYBRID,
        location=":memory:",
        vector_name="dense",
        sparse_vector_name="sparse",
    )
    found = QdrantHybridRetriever.from_store(store, (1.0, 0.3), k=3, exact=False).invoke("appendicite")
    assert found[0].page_content == "Appendicite aiguë"
    assert found[0].metadata["dense_rank"] == found[0].metadata["vector_rank"] == 1, "what was stored never wins"
    assert all("fused_score" not in document.metadata for document in found)
    only = QdrantHybridRetriever.from_store(store, (0.0, 1.0), k=3, exact=False).invoke("appendicite")
    assert "dense_rank" not in only[0].metadata
    with pytest.raises(TypeError, match="it takes k"):
        QdrantHybridRetriever.from_store(store, exact=False).invoke("appendicite", filter={})


def test_as_many_candidates_as_asked_pass_the_reranker(engine: RAGEngine) -> None:
    assert len(engine.search_icd10("fracture", top_k=30)) == 30
    assert len(engine.as_retriever("cim10", k=30).invoke("fracture")) == 30


async def test_the_compressor_answers_alike_off_the_event_loop(engine: RAGEngine) -> None:
    documents = engine.as_ensemble("ccam").invoke("appendicectomie")
    assert await engine.reranker.acompress_documents(documents, "appendicectomie") == (
        engine.reranker.compress_documents(documents, "appendicectomie")
    )
    with pytest.raises(TypeError):
        engine.reranker.compress_documents(documents, "appendicectomie", top_k=3)  # type: ignore[call-arg]


def test_only_acts_of_that_day(engine: RAGEngine, tmp_path: Path) -> None:
    edition = engine.ccam()
    ended = replace(edition.entry("HHFA016"), valid_to=date(2020, 1, 1))
    chunks = ccam_chunks(Edition(edition, {"HHFA016": ended}))  # type: ignore[arg-type]
    corpus = replace(ccam_corpus(edition), cut=lambda: [c for c in chunks if c.code.startswith("HHFA")])
    index = open_or_build(tmp_path, corpus, engine.encoders)
    everything = engine.ensemble_over(index).invoke("appendicectomie coelio")
    after = engine.ensemble_over(index, on=date(2026, 3, 1)).invoke("appendicectomie coelio")
    assert "HHFA016" in {d.metadata["code"] for d in everything}
    assert {d.metadata["code"] for d in everything} - {d.metadata["code"] for d in after} == {"HHFA016"}
    assert engine.search_ccam("cataracte", 3, on=date(2026, 3, 1)) == engine.search_ccam("cataracte", 3)
    with pytest.raises(InputError, match="version="):
        engine.as_retriever("cim10", on=date(2026, 3, 1))


def test_an_act_is_searched_by_the_words_of_its_list(engine: RAGEngine) -> None:
    """« pct » is « percutané » there; in a report the lexicon reads « procalcitonine »."""
    for nomenclature, expands in (("ccam", False), ("cim10", True)):
        lexical, vectors = engine.as_ensemble(nomenclature).retrievers  # type: ignore[arg-type]
        assert isinstance(lexical, FrenchBM25Retriever)
        assert isinstance(vectors, QdrantHybridRetriever)
        assert lexical.expand is not None
        assert (vectors.expand is not None) == expands


def test_candidates_hold_scores_ranks_and_sources(engine: RAGEngine) -> None:
    found = engine.search_icd10("fracture du col du fémur", top_k=5)
    assert len(found) == 5
    assert found[0].code.startswith("S720")
    assert [c.similarity_score for c in found] == sorted((c.similarity_score for c in found), reverse=True)
    for rank, candidate in enumerate(found, start=1):
        assert candidate.source == "reranked"
        assert candidate.ranks["reranked"] == rank
        assert "fused" in candidate.ranks
        assert {"bm25", "vector"} & set(candidate.ranks)
        assert candidate.version == "2025"
    json.dumps([c.model_dump() for c in found])


def test_position_filters_by_type_mco(engine: RAGEngine) -> None:
    edition = engine.cim10()
    for position in ("dp", "dr", "das"):
        found = engine.search_icd10("antécédent d'infection", top_k=20, position=position)
        assert found
        assert all(edition.is_allowed(c.code, position) for c in found)


def test_external_causes_answer_when_the_words_announce_one(engine: RAGEngine) -> None:
    assert engine.search_icd10("chute dans un escalier", top_k=5)[0].code.startswith("W10")
    assert not any(c.code[0] in "VWXY" for c in engine.search_icd10("chute dans un escalier", external_causes=False))
    assert not any(c.code[0] in "VWXY" for c in engine.search_icd10("chute dans un escalier", position="dp"))


def test_wording_of_a_split_code_finds_its_default_extension(engine: RAGEngine) -> None:
    for query, code in (("hypokaliémie", "E8768"), ("diabète de type 2", "E1198"), ("DNID", "E1198")):
        assert engine.search_icd10(query, top_k=1)[0].code == code


def test_batch_and_async_equal_one_by_one(engine: RAGEngine) -> None:
    queries = ["embolie pulmonaire", "BPCO"]
    one_by_one = [engine.search_icd10(q, top_k=3) for q in queries]
    assert engine.search_icd10_batch(queries, top_k=3) == one_by_one
    assert engine.search_ccam_batch(["cataracte"], top_k=2) == [engine.search_ccam("cataracte", top_k=2)]


async def test_async_search_equals_search(engine: RAGEngine) -> None:
    assert await engine.asearch_icd10_batch(["BPCO"], 3) == engine.search_icd10_batch(["BPCO"], 3)
    assert await engine.asearch_ccam_batch(["cataracte"], 3) == engine.search_ccam_batch(["cataracte"], 3)
    assert await engine.asearch_icd10("embolie pulmonaire", 3) == engine.search_icd10("embolie pulmonaire", 3)
    assert await engine.asearch_ccam("cataracte", 3) == engine.search_ccam("cataracte", 3)


def test_acts_are_found_by_wording_and_by_meaning(engine: RAGEngine) -> None:
    assert engine.search_ccam("appendicectomie coelio", top_k=1)[0].code == "HHFA016"


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ({"query": " "}, InputError),
        ({"query": "x", "top_k": 0}, InputError),
        ({"query": "x", "position": "dad"}, InputError),
        ({"query": "x", "top_k": 2.5}, InputError),
        ({"query": None}, InputError),
        ({"query": "?"}, InputError),
        ({"query": "\ud800"}, InputError),
        ({"query": "x", "version": "1999"}, EditionError),
    ],
)
def test_bad_searches_are_refused(engine: RAGEngine, call: dict[str, Any], refused: type[Exception]) -> None:
    with pytest.raises(refused):
        engine.search_icd10(**call)


@pytest.mark.parametrize(
    "call",
    [
        {"nomenclature": "CIM10"},
        {"nomenclature": None},
        {"position": "DP"},
        {"nomenclature": "ccam", "position": "dp"},
        {"group": "zz"},
        {"k": 0},
    ],
)
def test_a_retriever_of_nothing_known_is_refused(engine: RAGEngine, call: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        engine.as_retriever(**call)


def test_one_text_is_no_batch(engine: RAGEngine) -> None:
    with pytest.raises(InputError, match="liste"):
        engine.search_icd10_batch("asthme")


def test_more_than_the_reranker_reads_may_be_asked(engine: RAGEngine) -> None:
    assert len(engine.search_icd10("asthme", top_k=70)) > engine.settings.rerank_k


def test_criteria_and_evidence_follow_the_contract(engine: RAGEngine) -> None:
    rules = engine.retrieve_eligibility_criteria("E43", "das")
    assert rules[0].code == "E43"
    assert any("Guide méthodologique MCO 2026" in rule.guide_section for rule in rules)
    attested, foreign = engine.score_evidence(
        [("I269", "embolie pulmonaire bilatérale"), ("I269", "fracture du tibia")]
    )
    assert 0 <= foreign < attested <= 1


def test_unknown_keywords_are_refused(engine: RAGEngine) -> None:
    for retriever in (engine.as_retriever("ccam"), engine.as_ensemble("ccam")):
        with pytest.raises(TypeError, match="it takes k"):
            retriever.invoke("x", filter={})


# -- the Guide, and what an edition adds to the chunks ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("quand coder une anémie après une intervention ?", "GM2026-V-D62"),
        ("diabète de type 2 traité par insuline", "GM2026-V-INSULINE"),
        ("quel diagnostic principal pour une séance de chimiothérapie ?", "GM2026-V-Z-34"),
        ("comment coder un accident vasculaire cérébral ?", "GM2026-V-AVC"),
    ],
)
def test_a_question_in_french_finds_the_article(engine: RAGEngine, question: str, rule: str) -> None:
    found = engine.search_guide(question, top_k=5)
    assert any(hit.id.startswith(rule) for hit, _ in found), [hit.id for hit, _ in found]
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_a_hospitals_synonyms_become_chunks_and_facts_stand_in_the_payload(engine: RAGEngine) -> None:
    edition = engine.cim10()
    entry = edition.entry("K353")
    known = {c.code: c for c in cim10_chunks(edition, "main") if c.is_label}
    assert known["K353"].as_document().metadata["category"] == "K35"
    assert known["C61"].facts["sex"] == "M"
    assert known["G01"].facts["mark"] == "*"
    own = Edition(edition, {"K353": replace(entry, synonyms=("ventre de bois appendiculaire",))})
    chunks = [c for c in cim10_chunks(own, "main") if c.code == "K353"]  # type: ignore[arg-type]
    assert [c.text.split(" — ")[0] for c in chunks] == [entry.label, "ventre de bois appendiculaire"]
    assert len({c.chunk_id for c in chunks}) == 2


class Edition:
    """An edition of which some entries are replaced."""

    def __init__(self, edition: Any, entries: dict[str, Any]) -> None:
        self._edition, self._entries = edition, entries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._edition, name)

    def __iter__(self) -> Any:
        return iter(self._edition)

    def codable(self, position: Any = None) -> list[Any]:
        return [self._entries.get(e.code, e) for e in self._edition.codable(position)]
