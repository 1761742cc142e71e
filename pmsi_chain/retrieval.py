"""The retrievers of the chain, each usable alone: Qdrant hybrid, weighted RRF ensemble, compression by reranking.

    EnsembleRetriever( FrenchBM25Retriever , QdrantHybridRetriever )   fused by code, scores and ranks kept
    └─ ContextualCompressionRetriever( PmsiRerank )                    reranked, fresh scores

They are LangChain's own classes, extended where those lose what a coder needs: which leg found a code, at which
rank, with which score; and that two codes with one label stay two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from langchain_classic.retrievers import ContextualCompressionRetriever, EnsembleRetriever
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.runnables.config import RunnableConfig
from langchain_qdrant import QdrantVectorStore
from langchain_qdrant.sparse_embeddings import SparseVector
from pydantic import ConfigDict, Field
from qdrant_client import models
from qdrant_client.http.exceptions import ApiException

from pmsi_chain.chunking import VALID_FROM, VALID_TO, day_number
from pmsi_chain.index import CodeIndex, Encoders
from pmsi_chain.qdrant_server import unreachable
from pmsi_chain.retriever_base import StrictRetriever, fresh

CODE = "code"


def payload_filter(on: date | None = None, **equal: str | Sequence[str] | None) -> models.Filter | None:
    """A filter on a chunk's metadata: `payload_filter(positions="dp", group="main")`; None values are left out.

    Args:
        on: only acts that may be coded on that day.
        equal: field and its value, or the values of which one must be there.
    """
    conditions: list[models.Condition] = [
        models.FieldCondition(
            key=f"metadata.{name}",
            match=models.MatchValue(value=value) if isinstance(value, str) else models.MatchAny(any=list(value)),
        )
        for name, value in equal.items()
        if value is not None
    ]
    if on is not None:
        day = day_number(on)
        conditions += [
            models.FieldCondition(key=f"metadata.{VALID_FROM}", range=models.Range(lte=day)),
            models.FieldCondition(key=f"metadata.{VALID_TO}", range=models.Range(gte=day)),
        ]
    return models.Filter(must=conditions) if conditions else None


@dataclass(frozen=True, slots=True)
class VectorLeg:
    """One named vector of a collection and what makes the query's.

    Attributes:
        name: of the vector in the collection; the documents' metadata hold `<name>_rank` and `<name>_score`.
        embed: the query's dense or sparse vector.
        weight: in the fusion, above 0.
    """

    name: str
    embed: Callable[[str], list[float] | SparseVector]
    weight: float = 1.0


class QdrantHybridRetriever(StrictRetriever):
    """Named vectors of one Qdrant collection, dense and sparse, any number of them, fused by Qdrant's RRF.

    Each answer's metadata holds `vector_score` (the RRF score, or the vector's own score with one leg) and
    `vector_rank` (from 1), and of every leg that found it `<name>_score` and `<name>_rank`. The legs and their fusion
    travel in one request; a server fuses them itself.

    Attributes:
        client: of a server, or an `EmbeddedQdrant`; collection: its name there.
        legs: what is searched.
        k: documents returned at most; fetch_k: depth of each leg before fusion, at least k.
        rrf_k: the constant of Qdrant's RRF, whose weights divide ranks (`qdrant_embedded.rrf_share`).
        exact: compare with every vector instead of asking the approximate graph; the embedded engine always does.
        query_filter: on the payload, see `payload_filter`.
        expand: applied to the query first, such as a lexicon's expansion of abbreviations.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: Any = Field(repr=False)
    collection: str
    legs: Sequence[VectorLeg] = Field(repr=False, min_length=1)
    k: int = Field(default=10, ge=1)
    fetch_k: int = Field(default=60, ge=1)
    rrf_k: int = Field(default=60, ge=1)
    exact: bool = True
    query_filter: models.Filter | None = Field(default=None, repr=False)
    expand: Callable[[str], str] | None = Field(default=None, repr=False)

    @classmethod
    def from_index(
        cls, index: CodeIndex, encoders: Encoders, weights: Mapping[str, float] | None = None, **options: Any
    ) -> QdrantHybridRetriever:
        """Search an open index with the encoders that it was made with.

        Args:
            weights: by name of vector; without any, all count alike. A vector of weight 0, or not named, is left out.
        """
        embed: dict[str, Callable[[str], list[float] | SparseVector]] = {
            **{name: encoder.embed_query for name, encoder in encoders.dense.items()},
            **{name: encoder.embed_query for name, encoder in encoders.sparse.items()},
        }
        given = dict.fromkeys(embed, 1.0) if weights is None else weights
        unknown = sorted(set(given) - set(embed))
        if unknown:
            raise ValueError(f"weights of {', '.join(unknown)}: the index holds {', '.join(sorted(embed))}")
        legs = [VectorLeg(name, embed[name], weight) for name, weight in given.items() if weight > 0]
        return cls(client=index.client, collection=index.collection, legs=legs, **options)

    @classmethod
    def from_store(
        cls, store: QdrantVectorStore, weights: tuple[float, float] = (1.0, 1.0), **options: Any
    ) -> QdrantHybridRetriever:
        """Search the collection of a LangChain store, whatever its retrieval mode.

        Args:
            weights: of its dense and of its sparse vector; a zero leaves one out.
        """
        legs = []
        if weights[0] > 0:
            legs.append(VectorLeg(store.vector_name, store.embeddings.embed_query, weights[0]))  # type: ignore[union-attr]
        if weights[1] > 0:
            legs.append(VectorLeg(store.sparse_vector_name, store.sparse_embeddings.embed_query, weights[1]))
        return cls(client=store.client, collection=store.collection_name, legs=legs, **options)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        asked = self.expand(query) if self.expand else query
        limit = self._limit(k, self.k)
        answers = self._ask(asked, limit, max(limit, self.fetch_k))
        legs = answers[-len(self.legs) :]
        places: dict[Any, dict[str, float]] = {}
        for leg, points in zip(self.legs, legs, strict=True):
            for rank, point in enumerate(points, start=1):
                places.setdefault(point.id, {}).update({f"{leg.name}_score": point.score, f"{leg.name}_rank": rank})
        return [
            fresh(
                _document(point),
                {"vector_score": float(point.score), "vector_rank": rank, **places.get(point.id, {})},
                [leg.name for leg in self.legs],
            )
            for rank, point in enumerate(sorted(answers[0], key=_best_first)[:limit], start=1)
        ]

    def _ask(self, query: str, limit: int, depth: int) -> list[list[Any]]:
        """The fused points, then those of each leg; with one leg, that leg's alone."""
        params = models.SearchParams(exact=True) if self.exact else None
        vectors = [_query_vector(leg.embed(query)) for leg in self.legs]
        alone = len(self.legs) == 1
        requests = [
            models.QueryRequest(
                query=vector, using=leg.name, filter=self.query_filter, params=params, limit=depth, with_payload=alone
            )
            for leg, vector in zip(self.legs, vectors, strict=True)
        ]
        if not alone:
            prefetch = [
                models.Prefetch(query=r.query, using=r.using, filter=r.filter, params=params, limit=depth)
                for r in requests
            ]
            rrf = models.RrfQuery(rrf=models.Rrf(k=self.rrf_k, weights=[leg.weight for leg in self.legs]))
            requests.insert(0, models.QueryRequest(prefetch=prefetch, query=rrf, limit=limit, with_payload=True))
        try:
            found = self.client.query_batch_points(self.collection, requests)
        except ApiException as error:
            raise unreachable(error) from error
        return [answer.points for answer in found]


def _best_first(point: Any) -> tuple[float, str]:
    """Order of points, ties by id: a server leaves them in any order."""
    return -point.score, str(point.id).rjust(20)


def _document(point: Any) -> Document:
    metadata = point.payload.get("metadata") or {}
    return Document(
        id=metadata.get("chunk_id", str(point.id)),
        page_content=point.payload.get("page_content", ""),
        metadata=metadata,
    )


def _query_vector(vector: list[float] | SparseVector) -> list[float] | models.SparseVector:
    if isinstance(vector, SparseVector):
        return models.SparseVector(indices=vector.indices, values=vector.values)
    return vector


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
        ids: dict[str, str | None] = {}
        metadata: dict[str, dict[str, Any]] = {}
        for weight, documents in zip(self.weights, doc_lists, strict=True):
            if weight == 0:
                continue
            for rank, document in enumerate(best_per_code(documents), start=1):
                key = document.metadata.get(CODE, document.page_content)
                scores[key] = scores.get(key, 0.0) + weight / (self.c + rank)
                texts.setdefault(key, document.page_content)
                ids.setdefault(key, document.id)
                metadata[key] = {**document.metadata, **metadata.get(key, {})}
        top = rrf_maximum(self.weights, self.c)
        order = sorted(scores, key=lambda key: (-scores[key], key))[: self.k]
        return [
            Document(
                id=ids[key],
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
