"""The retrievers of the chain, each usable alone: Qdrant hybrid, weighted RRF ensemble, compression by reranking.

    EnsembleRetriever( FrenchBM25Retriever , QdrantHybridRetriever )   fused by code, scores and ranks kept
    └─ ContextualCompressionRetriever( PmsiRerank )                    reranked, fresh scores

They are LangChain's own classes, extended where those lose what a coder needs: which leg found a code, at which
rank, with which score; and that two codes with one label stay two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from langchain_classic.retrievers import ContextualCompressionRetriever, EnsembleRetriever
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables.config import RunnableConfig
from langchain_qdrant import QdrantVectorStore, RetrievalMode
from langchain_qdrant.sparse_embeddings import SparseEmbeddings
from pydantic import ConfigDict, Field
from qdrant_client import models

from pmsi_chain.index import DENSE, SPARSE, CodeIndex
from pmsi_chain.retriever_base import StrictRetriever

CODE = "code"


def payload_filter(**equal: str | Sequence[str] | None) -> models.Filter | None:
    """A filter on a chunk's metadata: `payload_filter(positions="dp", group="main")`; None values are left out."""
    conditions: list[models.Condition] = [
        models.FieldCondition(
            key=f"metadata.{name}",
            match=models.MatchValue(value=value) if isinstance(value, str) else models.MatchAny(any=list(value)),
        )
        for name, value in equal.items()
        if value is not None
    ]
    return models.Filter(must=conditions) if conditions else None


class QdrantHybridRetriever(StrictRetriever):
    """Dense and sparse vectors of one Qdrant collection, fused by Qdrant's RRF.

    Each answer's metadata holds `vector_score` (the cosine in dense mode, the RRF score in hybrid mode) and
    `vector_rank` (from 1).

    Attributes:
        store: a `QdrantVectorStore` on the embedded engine or on a server.
        k: documents returned at most; fetch_k: depth of each leg before fusion, at least k.
        weights: of the dense and the sparse leg in the fusion; a zero leaves that leg out.
        rrf_k: the constant of Qdrant's RRF, with ranks from 0.
        query_filter: on the payload, see `payload_filter`.
        expand: applied to the query first, such as a lexicon's expansion of abbreviations.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    store: QdrantVectorStore = Field(repr=False)
    k: int = Field(default=10, ge=1)
    fetch_k: int = Field(default=60, ge=1)
    weights: tuple[float, float] = (1.0, 0.0)
    rrf_k: int = Field(default=60, ge=1)
    query_filter: models.Filter | None = Field(default=None, repr=False)
    expand: Callable[[str], str] | None = Field(default=None, repr=False)

    @classmethod
    def from_index(
        cls, index: CodeIndex, embedding: Embeddings, sparse_embedding: SparseEmbeddings, **options: Any
    ) -> QdrantHybridRetriever:
        """Search an open index."""
        dense, sparse = options.get("weights", cls.model_fields["weights"].default)
        modes = {(True, True): RetrievalMode.HYBRID, (True, False): RetrievalMode.DENSE}
        store = QdrantVectorStore(
            client=index.client,  # type: ignore[arg-type]  # the two calls it needs, see qdrant_embedded
            collection_name=index.collection,
            embedding=embedding,
            sparse_embedding=sparse_embedding,
            retrieval_mode=modes.get((dense > 0, sparse > 0), RetrievalMode.SPARSE),
            vector_name=DENSE,
            sparse_vector_name=SPARSE,
            validate_embeddings=False,
            validate_collection_config=False,
        )
        return cls(store=store, **options)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        asked = self.expand(query) if self.expand else query
        limit = self._limit(k, self.k)
        options: dict[str, Any] = {"k": max(limit, self.fetch_k), "filter": self.query_filter}
        if self.store.retrieval_mode == RetrievalMode.HYBRID:
            options["hybrid_fusion"] = models.RrfQuery(rrf=models.Rrf(k=self.rrf_k, weights=list(self.weights)))
        found = self.store.similarity_search_with_score(asked, **options)[:limit]
        return [
            document.model_copy(
                update={"metadata": {**document.metadata, "vector_score": float(score), "vector_rank": rank}}
            )
            for rank, (document, score) in enumerate(found, start=1)
        ]


def best_per_code(documents: Iterable[Document]) -> list[Document]:
    """The first document of each code, in the order given; a document without a code stands for itself."""
    seen: set[str] = set()
    kept = []
    for document in documents:
        key = document.metadata.get(CODE, document.page_content)
        if key not in seen:
            seen.add(key)
            kept.append(document)
    return kept


def rrf_maximum(weights: Sequence[float], c: int) -> float:
    """The score of a document that is first in every leg: what RRF scores are divided by to lie in [0, 1]."""
    return sum(weights) / (c + 1)


class CodeEnsembleRetriever(EnsembleRetriever):
    """LangChain's `EnsembleRetriever`, fused by code instead of text, with what it found kept on the documents.

    A code counts once per leg, at its best rank. Ties are broken on the code, so that equal input gives equal
    output. Metadata of all legs is merged; `fused_score` is the weighted RRF score divided by its maximum, in
    [0, 1], and `fused_rank` counts from 1.

    Attributes:
        k: documents returned at most.
    """

    k: int = Field(default=60, ge=1)
    id_key: str | None = CODE

    def weighted_reciprocal_rank(self, doc_lists: list[list[Document]]) -> list[Document]:
        """Fuse ranked lists, one per leg, best first."""
        scores: dict[str, float] = {}
        texts: dict[str, str] = {}
        metadata: dict[str, dict[str, Any]] = {}
        for weight, documents in zip(self.weights, doc_lists, strict=True):
            if weight == 0:
                continue
            for rank, document in enumerate(best_per_code(documents), start=1):
                key = document.metadata.get(CODE, document.page_content)
                scores[key] = scores.get(key, 0.0) + weight / (self.c + rank)
                texts.setdefault(key, document.page_content)
                metadata[key] = {**document.metadata, **metadata.get(key, {})}
        top = rrf_maximum(self.weights, self.c)
        order = sorted(scores, key=lambda key: (-scores[key], key))[: self.k]
        return [
            Document(
                page_content=texts[key],
                metadata={**metadata[key], "fused_score": min(1.0, scores[key] / top), "fused_rank": rank},
            )
            for rank, key in enumerate(order, start=1)
        ]

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Search every leg and fuse; takes no keyword but `k`, which cuts the fused list for this call."""
        k = _only_k(self, kwargs)
        return super().invoke(input, config)[: k or self.k]

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Like `invoke`, legs searched concurrently."""
        k = _only_k(self, kwargs)
        return (await super().ainvoke(input, config))[: k or self.k]


class CodeCompressionRetriever(ContextualCompressionRetriever):
    """LangChain's `ContextualCompressionRetriever`, cut at k and refusing unknown keywords.

    Attributes:
        k: documents returned at most, after reranking.
        expand: applied to the query first, for the legs and the reranker alike, such as a lexicon's expansion.
    """

    k: int = Field(default=10, ge=1)
    expand: Callable[[str], str] | None = Field(default=None, repr=False)

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Retrieve, rerank, cut; takes no keyword but `k`."""
        k = _only_k(self, kwargs)
        return super().invoke(self._spelt_out(input), config)[: k or self.k]

    def _spelt_out(self, query: str) -> str:
        return self.expand(query) if self.expand else query

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Like `invoke`."""
        k = _only_k(self, kwargs)
        return (await super().ainvoke(self._spelt_out(input), config))[: k or self.k]


def _only_k(retriever: object, given: dict[str, Any]) -> int | None:
    unknown = sorted(set(given) - {"k"})
    if unknown:
        raise TypeError(f"{type(retriever).__name__} got {', '.join(unknown)}: it takes k")
    k: int | None = given.get("k")
    if k is not None and k < 1:
        raise ValueError(f"k={k} was given: give 1 or more")
    return k
