"""A French BM25 retriever: our analyser in front of `bm25s`, usable alone in any LangChain chain.

Unlike LangChain's own `BM25Retriever` it folds case and accents, keeps one-letter words (« hépatite B »), returns
scores, never returns a document that shares no word with the query, takes a filter, and is saved without pickle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import bm25s
import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from pydantic import ConfigDict, Field

from pmsi_chain.retriever_base import StrictRetriever, fresh
from pmsi_chain.text import tokens


class FrenchBM25:
    """A BM25 index over texts; documents are known by their position.

    Attributes:
        k1, b: Lucene's BM25 parameters. Labels are short, so that length counts more than in prose.
    """

    def __init__(self, model: bm25s.BM25, n_documents: int) -> None:
        self._model = model
        self.n_documents = n_documents

    @classmethod
    def from_texts(cls, texts: Sequence[str], k1: float = 0.9, b: float = 0.6) -> Self:
        """Index these texts with the project's French analyser."""
        model = bm25s.BM25(method="lucene", k1=k1, b=b, backend="numpy")
        # bm25s cannot index a corpus without a single term: one empty-named term keeps it total.
        model.index([tokens(text) or [""] for text in texts], show_progress=False)
        return cls(model, len(texts))

    def save(self, path: Path) -> None:
        """Write to a directory: NumPy arrays and JSON, no pickle."""
        self._model.save(str(path), show_progress=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        model = bm25s.BM25.load(str(path), show_progress=False)
        return cls(model, int(model.scores["num_docs"]))

    def scores(self, query: str) -> np.ndarray:
        """(n_documents,) BM25 scores, 0 where no term is shared."""
        known = [t for t in dict.fromkeys(tokens(query)) if t in self._model.vocab_dict]
        if not known:
            return np.zeros(self.n_documents, dtype=np.float32)
        found: np.ndarray = self._model.get_scores(known)
        return found

    def top(self, query: str, k: int, allowed: np.ndarray | None = None) -> list[tuple[int, float]]:
        """The k best (position, score), best first, ties by position, zero scores left out.

        Args:
            allowed: (n_documents,) booleans; the others are left out before the cut at k.
        """
        scores = self.scores(query)
        if allowed is not None:
            scores = np.where(allowed, scores, 0.0)
        positive = np.flatnonzero(scores > 0)
        if len(positive) > 4 * k:  # only those that can be in the answer, ties at the cut included
            threshold = np.partition(scores[positive], len(positive) - k)[len(positive) - k]
            positive = positive[scores[positive] >= threshold]
        order = positive[np.lexsort((positive, -scores[positive]))][:k]
        return [(int(i), float(scores[i])) for i in order]


class FrenchBM25Retriever(StrictRetriever):
    """BM25 over documents; each answer's metadata holds `bm25_score` and `bm25_rank` (from 1).

    Attributes:
        k: documents returned at most.
        allowed: (n_documents,) booleans, or None for all.
        expand: applied to the query before analysis, such as a lexicon's expansion of abbreviations.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: FrenchBM25
    documents: Sequence[Document] = Field(repr=False)
    k: int = Field(default=10, ge=1)
    allowed: Any = Field(default=None, repr=False)
    expand: Callable[[str], str] | None = Field(default=None, repr=False)

    @classmethod
    def from_documents(cls, documents: Sequence[Document], k: int = 10, **options: Any) -> Self:
        """Index the page contents of these documents."""
        index = FrenchBM25.from_texts([d.page_content for d in documents])
        return cls(index=index, documents=documents, k=k, **options)

    @classmethod
    def from_texts(cls, texts: Sequence[str], k: int = 10, **options: Any) -> Self:
        """Index these texts."""
        return cls.from_documents([Document(page_content=text) for text in texts], k=k, **options)

    def save(self, path: Path) -> None:
        """Write index and documents to a directory: NumPy arrays and JSON, no pickle; what `load` gives is not kept.

        Raises:
            TypeError: a document's metadata that JSON cannot hold.
        """
        path.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps([d.id, d.page_content, d.metadata], ensure_ascii=False) for d in self.documents]
        (path / "documents.jsonl").write_text("\n".join(rows), encoding="utf-8")
        self.index.save(path / "bm25")

    @classmethod
    def load(cls, path: Path, **options: Any) -> Self:
        """Read what `save` wrote; `k`, `allowed` and `expand` are given anew."""
        rows = [json.loads(line) for line in (path / "documents.jsonl").read_text(encoding="utf-8").split("\n") if line]
        documents = [Document(id=id_, page_content=text, metadata=metadata) for id_, text, metadata in rows]
        return cls(index=FrenchBM25.load(path / "bm25"), documents=documents, **options)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        asked = self.expand(query) if self.expand else query
        return [
            fresh(self.documents[i], {"bm25_score": score, "bm25_rank": rank})
            for rank, (i, score) in enumerate(self.index.top(asked, self._limit(k, self.k), self.allowed), start=1)
        ]
