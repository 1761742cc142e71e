"""The index on disk: whole or absent, checked at every opening, shared by processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pmsi_chain import RAGEngine, Settings
from pmsi_chain.chunking import ccam_chunks, ccam_corpus
from pmsi_chain.errors import ConfigurationError, IndexMismatchError
from pmsi_chain.index import CodeIndex, open_or_build


@pytest.fixture(scope="module")
def engine(settings: Settings) -> RAGEngine:
    return RAGEngine.from_settings(settings)


def build(engine: RAGEngine, directory: Path, rebuild: bool = False) -> CodeIndex:
    edition = engine.ccam()
    corpus = replace(ccam_corpus(edition), cut=lambda: ccam_chunks(edition)[:60])
    return open_or_build(directory, corpus, engine.encoder, engine.sparse, rebuild=rebuild)


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
    assert manifest["encoder"] == engine.encoder.encoder_id
    manifest["encoder"] = "another"
    (index.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexMismatchError, match=r"encoder.*--rebuild"):
        build(engine, tmp_path)
    assert build(engine, tmp_path, rebuild=True).manifest.encoder == engine.encoder.encoder_id


@pytest.mark.parametrize("broken", ["manifest.json", "bm25", "qdrant"])
def test_a_broken_index_says_what_mends_it(engine: RAGEngine, tmp_path: Path, broken: str) -> None:
    path = build(engine, tmp_path).path / broken
    shutil.rmtree(path) if path.is_dir() else path.write_bytes(b"{")
    with pytest.raises(IndexMismatchError, match="--rebuild"):
        build(engine, tmp_path)


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
