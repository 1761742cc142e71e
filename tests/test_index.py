"""The index on disk: whole or absent, checked at every opening, shared by processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from pmsi_chain import RAGEngine
from pmsi_chain.chunking import ccam_chunks, ccam_corpus
from pmsi_chain.encoders import EmbeddedEncoder
from pmsi_chain.errors import ConfigurationError, IndexMismatchError
from pmsi_chain.index import CodeIndex, Encoders, open_or_build
from pmsi_chain.retrieval import QdrantHybridRetriever


def build(engine: RAGEngine, directory: Path, rebuild: bool = False, encoders: Encoders | None = None) -> CodeIndex:
    edition = engine.ccam()
    corpus = replace(ccam_corpus(edition), cut=lambda: ccam_chunks(edition)[:60])
    return open_or_build(directory, corpus, encoders or engine.encoders, rebuild=rebuild)


def test_an_index_is_made_once_and_opened_again(engine: RAGEngine, tmp_path: Path) -> None:
    first = build(engine, tmp_path)
    stamp = (first.path / "manifest.json").stat().st_mtime_ns
    second = build(engine, tmp_path)
    assert second.path == first.path
    assert (second.path / "manifest.json").stat().st_mtime_ns == stamp
    assert len(second.chunks) == 60 == len(second.vectors)
    assert [p.name for p in (tmp_path / "indexes").iterdir()] == [first.path.name]  # no temporary left


def test_what_it_was_made_of_is_in_its_name_and_checked(engine: RAGEngine, tmp_path: Path) -> None:
    index = build(engine, tmp_path)
    manifest = json.loads((index.path / "manifest.json").read_text())
    assert manifest["analyser"]
    assert manifest["encoders"]["dense"] == engine.encoder.encoder_id
    manifest["encoders"]["dense"] = "another"
    (index.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexMismatchError, match=r"encoders.*--rebuild"):
        build(engine, tmp_path)
    assert build(engine, tmp_path, rebuild=True).manifest == build(engine, tmp_path).manifest


@pytest.mark.parametrize("broken", ["manifest.json", "bm25", "qdrant/edge_config.json"])
def test_a_broken_index_says_what_mends_it(engine: RAGEngine, tmp_path: Path, broken: str) -> None:
    path = build(engine, tmp_path).path / broken
    shutil.rmtree(path) if path.is_dir() else path.write_bytes(b"{")
    with pytest.raises(IndexMismatchError, match="--rebuild"):
        build(engine, tmp_path)


class Reversed(Embeddings):
    """A further dense encoder: the first one's vectors back to front, cut to 64."""

    encoder_id, dim = "reversed/1", 64

    def __init__(self, encoder: EmbeddedEncoder) -> None:
        self._encoder = encoder

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> np.ndarray:
        cut = self._encoder.encode_codes(codes, passages)[:, ::-1][:, :64]
        return np.ascontiguousarray(cut / np.linalg.norm(cut, axis=1, keepdims=True))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(x) for x in row] for row in self.encode_codes([""] * len(texts), texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def test_a_further_dense_encoder_is_a_named_vector_of_the_same_collection(engine: RAGEngine, tmp_path: Path) -> None:
    encoders = Encoders.of(engine.encoder, engine.embedded_encoders.sparse["sparse"], reversed=Reversed(engine.encoder))
    index = build(engine, tmp_path, encoders=encoders)
    assert index.manifest.dims == {"dense": engine.encoder.dim, "reversed": 64}
    assert index.manifest.name != build(engine, tmp_path).manifest.name
    found = QdrantHybridRetriever.from_index(index, encoders, {"dense": 1.0, "sparse": 0.3, "reversed": 0.5}).invoke(
        "hématome sous-dural"
    )
    assert {"dense_rank", "sparse_rank", "reversed_rank"} <= set(found[0].metadata)
    alone = QdrantHybridRetriever.from_index(index, encoders, {"reversed": 1.0}).invoke("hématome sous-dural")
    assert [d.metadata["reversed_rank"] for d in alone] == [d.metadata["vector_rank"] for d in alone]
    texts = [code_text for _, code_text in index.wordings]
    cosines = encoders.dense["reversed"].encode_codes([c.code for c in index.chunks], texts) @ np.array(
        encoders.dense["reversed"].embed_query("hématome sous-dural")
    )
    assert alone[0].metadata["reversed_score"] == pytest.approx(float(cosines.max()), abs=1e-5)
    with pytest.raises(ValueError, match="the index holds dense, reversed, sparse"):
        QdrantHybridRetriever.from_index(index, encoders, {"contextual": 1.0})


def test_a_collection_that_is_not_there_is_filled_from_the_other_files(engine: RAGEngine, tmp_path: Path) -> None:
    path = build(engine, tmp_path).path
    shutil.rmtree(path / "qdrant")
    found = QdrantHybridRetriever.from_index(build(engine, tmp_path), engine.encoders).invoke("hématome sous-dural")
    assert found
    assert [p.name for p in path.iterdir() if p.name.startswith(".")] == []


def test_a_state_directory_that_cannot_be_written(engine: RAGEngine, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigurationError, match="PMSI_STATE_DIR"):
        build(engine, blocked)


SCRIPT = """
import sys
from pmsi_chain import RAGEngine, Settings
engine = RAGEngine.from_settings(Settings(state_dir=sys.argv[1], rerank=False))
print(engine.search_ccam("cataracte", top_k=1)[0].code)
"""


def test_two_processes_started_at_once_on_a_fresh_machine_both_answer(tmp_path: Path) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], [e.decode()[-500:] for _, e in answers]
    assert answers[0][0] == answers[1][0] != b""
