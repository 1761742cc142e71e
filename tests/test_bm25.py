"""The lexical leg: its scores against the formula, its French against what coders type."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from pmsi_chain.bm25 import FrenchBM25, FrenchBM25Retriever
from pmsi_chain.text import tokens

words = st.sampled_from(["hépatite", "virale", "aiguë", "B", "C", "Rein", "calcul", "l'œdème", "de", "PIED"])
texts = st.lists(st.lists(words, max_size=6).map(" ".join), min_size=1, max_size=12)


def lucene_bm25(corpus: list[str], query: str, k1: float, b: float) -> list[float]:
    """Lucene's BM25 written out from its definition."""
    documents = [tokens(text) or [""] for text in corpus]
    mean_length = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        counts, total = Counter(document), 0.0
        for term in dict.fromkeys(tokens(query)):
            n = sum(term in other for other in documents)
            if counts[term]:
                idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
                tf = counts[term]
                total += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean_length))
        scores.append(total)
    return scores


@given(texts, st.lists(words, min_size=1, max_size=4).map(" ".join))
def test_scores_are_lucenes(corpus: list[str], query: str) -> None:
    index = FrenchBM25.from_texts(corpus, k1=1.2, b=0.5)
    assert np.allclose(index.scores(query), lucene_bm25(corpus, query, 1.2, 0.5), atol=1e-5)


@given(texts, words, st.integers(1, 12))
def test_top_is_the_sorted_head_without_zeros(corpus: list[str], query: str, k: int) -> None:
    index = FrenchBM25.from_texts(corpus)
    scores = index.scores(query)
    expected = sorted((i for i in range(len(corpus)) if scores[i] > 0), key=lambda i: (-scores[i], i))[:k]
    assert [i for i, _ in index.top(query, k)] == expected


def test_top_leaves_out_what_is_not_allowed_before_the_cut() -> None:
    index = FrenchBM25.from_texts(["calcul", "calcul du rein", "calcul de la vessie"])
    allowed = np.array([False, True, True])
    assert {i for i, _ in index.top("calcul", 2, allowed)} == {1, 2}


LABELS = ["Hépatite aigüe A", "Hépatite aigüe B", "Hépatite virale C chronique", "Œdème du larynx", "Fracture du fémur"]


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("HEPATITE B", 1),
        ("hépatite C", 2),
        ("oedème laryngé du larynx", 3),
        ("l'hépatite a", 0),
        ("fractures fémur", 4),
    ],
)
def test_the_french_of_coders_finds_its_label(query: str, best: int) -> None:
    assert FrenchBM25.from_texts(LABELS).top(query, 1)[0][0] == best


def test_saved_index_answers_alike_and_holds_no_pickle(tmp_path: Path) -> None:
    index = FrenchBM25.from_texts(LABELS)
    index.save(tmp_path / "bm25")
    assert FrenchBM25.load(tmp_path / "bm25").top("hépatite B", 3) == index.top("hépatite B", 3)
    for file in (tmp_path / "bm25").iterdir():
        assert file.suffix in (".json", ".npy")
        if file.suffix == ".npy":
            np.load(file, allow_pickle=False)


def test_saved_retriever_answers_alike(tmp_path: Path) -> None:
    documents = [Document(id=f"d{n}", page_content=text, metadata={"n": n}) for n, text in enumerate(LABELS)]
    retriever = FrenchBM25Retriever.from_documents(documents, k=2)
    retriever.save(tmp_path / "r")
    assert FrenchBM25Retriever.load(tmp_path / "r", k=2).invoke("hépatite B") == retriever.invoke("hépatite B") != []
    assert {p.suffix for p in (tmp_path / "r").rglob("*") if p.is_file()} <= {".json", ".jsonl", ".npy"}
    odd = FrenchBM25Retriever.from_documents([Document(page_content="x", metadata={"o": object()})])
    with pytest.raises(TypeError):
        odd.save(tmp_path / "odd")


def test_scores_of_an_earlier_search_never_win() -> None:
    stale = {"bm25_score": 99.0, "bm25_rank": 7, "fused_score": 1.0, "relevance_score": 1.0, "apgar_score": 10}
    found = FrenchBM25Retriever.from_documents([Document(page_content="asthme", metadata=stale)]).invoke("asthme")
    assert found[0].metadata["bm25_rank"] == 1
    assert found[0].metadata["bm25_score"] < 99
    assert set(found[0].metadata) == {"bm25_score", "bm25_rank", "apgar_score"}


def test_retriever_gives_scores_and_refuses_what_it_does_not_know() -> None:
    retriever = FrenchBM25Retriever.from_texts(LABELS, k=2)
    found = retriever.invoke("hépatite B")
    assert [d.metadata["bm25_rank"] for d in found] == [1, 2]
    assert found[0].page_content == "Hépatite aigüe B"
    assert found[0].metadata["bm25_score"] >= found[1].metadata["bm25_score"] > 0
    assert len(retriever.invoke("hépatite B", k=1)) == 1
    assert retriever.invoke("zzz") == []
    with pytest.raises(TypeError, match="it takes k"):
        retriever.invoke("hépatite", filter="A")
    with pytest.raises(ValueError, match="1 or more"):
        retriever.invoke("hépatite", k=0)


async def test_async_answers_alike() -> None:
    retriever = FrenchBM25Retriever.from_texts(LABELS, k=2, expand=lambda query: query.replace("VHB", "hépatite B"))
    assert await retriever.ainvoke("VHB") == retriever.invoke("VHB") != []
