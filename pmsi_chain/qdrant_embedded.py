"""Qdrant's own engine inside this process, behind the calls of `QdrantClient` that a search makes.

`EmbeddedQdrant.query_points` takes what `QdrantClient.query_points` takes and answers alike, so that one retriever,
and LangChain's `QdrantVectorStore`, serve the embedded engine and a server. Fusion is done here, by the server's
formula with ties broken on the point id, because the engine's own fusion breaks ties at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import qdrant_edge as edge
from qdrant_client import models

from pmsi_chain.errors import ConfigurationError

#: Qdrant's default for RRF when a query names none; its ranks start at 0.
QDRANT_RRF_K = 2


class EmbeddedQdrant:
    """One collection on a directory, readable by several processes at once."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self._shard = shard

    @classmethod
    def create(cls, path: Path, dense: Mapping[str, int], sparse: Sequence[str] = ()) -> EmbeddedQdrant:
        """Make an empty collection; without a write-ahead log, which would lock other processes out.

        Args:
            dense: length by name of dense vector, compared by cosine; sparse: names of sparse vectors.
        """
        path.mkdir(parents=True, exist_ok=True)
        config = edge.EdgeConfig(
            vectors={
                name: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine) for name, dim in dense.items()
            },
            sparse_vectors={name: edge.EdgeSparseVectorParams() for name in sparse},
            wal_enabled=False,
        )
        return cls(edge.EdgeShard.create(str(path), config))

    @classmethod
    def load(cls, path: Path) -> EmbeddedQdrant:
        """Open an existing collection; raises whatever the engine raises if it is broken."""
        return cls(edge.EdgeShard.load(str(path)))

    def upsert(self, collection_name: str, points: Sequence[models.PointStruct]) -> None:
        """Insert or replace points with named dense and sparse vectors; the shard is the collection, any name does."""
        self._shard.update(edge.UpdateOperation.upsert_points([_edge_point(point) for point in points]))

    def index_payload(self, fields: Sequence[str]) -> None:
        """Keyword-index these payload paths, so that filters are cheap."""
        for field in fields:
            self._shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))

    def close(self) -> None:
        """Optimise, flush and release."""
        self._shard.optimize()
        self._shard.flush()
        self._shard.close()

    def query_points(
        self,
        collection_name: str,
        query: Any = None,
        using: str | None = None,
        prefetch: Sequence[models.Prefetch] = (),
        query_filter: models.Filter | None = None,
        search_params: models.SearchParams | None = None,
        limit: int = 10,
        offset: int = 0,
        with_payload: bool = True,
        with_vectors: bool = False,
        score_threshold: float | None = None,
        consistency: Any = None,
    ) -> SimpleNamespace:
        """Answer like `QdrantClient.query_points`: `.points`, each with `id`, `score` and `payload`, best first.

        A dense or sparse vector is searched exactly; a fusion query fuses its prefetches.
        """
        request = models.QueryRequest(
            query=query, using=using, prefetch=list(prefetch), filter=query_filter, params=search_params, limit=limit,
            offset=offset, with_payload=with_payload, with_vector=with_vectors, score_threshold=score_threshold,
        )  # fmt: skip
        return self.query_batch_points(collection_name, [request])[0]

    def query_batch_points(
        self, collection_name: str, requests: Sequence[models.QueryRequest], consistency: Any = None
    ) -> list[SimpleNamespace]:
        """Answer like `QdrantClient.query_batch_points`; a list that several of the requests need is searched once."""
        found: dict[Any, list[SimpleNamespace]] = {}
        return [SimpleNamespace(points=self._answer(request, found)) for request in requests]

    def _answer(self, request: models.QueryRequest, found: dict[Any, list[SimpleNamespace]]) -> list[SimpleNamespace]:
        offset, limit = request.offset or 0, request.limit or 10
        if isinstance(request.query, models.FusionQuery | models.RrfQuery):
            prefetch = request.prefetch if isinstance(request.prefetch, list) else [request.prefetch]
            points = _fused(request.query, [self._nearest(leg, leg.limit or 10, 0, found) for leg in prefetch if leg])
            points = points[offset : offset + limit]
            if request.score_threshold is not None:
                points = [p for p in points if p.score >= request.score_threshold]
            return points
        return self._nearest(request, limit, offset, found)

    def _nearest(
        self,
        asked: models.QueryRequest | models.Prefetch,
        limit: int,
        offset: int,
        found: dict[Any, list[SimpleNamespace]],
    ) -> list[SimpleNamespace]:
        vector = _edge_vector(asked.query)
        vector_key = (
            (tuple(vector.indices), tuple(vector.values)) if isinstance(vector, edge.SparseVector) else tuple(vector)
        )
        with_vector = bool(getattr(asked, "with_vector", False))
        key = (asked.using, limit, offset, id(asked.filter), asked.score_threshold, with_vector, vector_key)
        if key not in found:
            answer = self._shard.query(
                edge.QueryRequest(
                    limit=limit,
                    offset=offset,
                    query=edge.Query.Nearest(vector, using=asked.using),
                    filter=edge_filter(asked.filter),
                    params=edge.SearchParams(exact=True),
                    score_threshold=asked.score_threshold,
                    with_payload=True,
                    with_vector=with_vector,
                )
            )
            points = [SimpleNamespace(id=p.id, score=p.score, payload=p.payload, vector=p.vector) for p in answer]
            found[key] = sorted(points, key=lambda p: (-p.score, p.id))
        return found[key]


def rrf_share(rank: int, weight: float, k: int) -> float:
    """What a list adds to the score of its `rank`-th point (from 1) in Qdrant's RRF; 0 for a weight of 0."""
    return 1 / (rank / weight + k - 1) if weight > 0 else 0.0


def _fused(
    query: models.FusionQuery | models.RrfQuery, lists: Sequence[Sequence[SimpleNamespace]]
) -> list[SimpleNamespace]:
    """Reciprocal rank fusion as the server does it.

    A list's weight divides its ranks instead of multiplying its share: 1 / (rank / weight + k - 1), ranks from 1, so
    that with weights 3 and 1 every fourth place goes to the second list.
    """
    if isinstance(query, models.FusionQuery) and query.fusion != models.Fusion.RRF:
        raise ConfigurationError(f"fusion {query.fusion!r} demandée : le moteur embarqué ne connaît que RRF")
    rrf = query.rrf if isinstance(query, models.RrfQuery) else models.Rrf()
    k = QDRANT_RRF_K if rrf.k is None else rrf.k
    weights = rrf.weights or [1.0] * len(lists)
    scores: dict[Any, float] = {}
    points: dict[Any, SimpleNamespace] = {}
    for weight, leg in zip(weights, lists, strict=True):
        for rank, point in enumerate(leg, start=1):
            scores[point.id] = scores.get(point.id, 0.0) + rrf_share(rank, weight, k)
            points[point.id] = point
    order = sorted(scores, key=lambda point_id: (-scores[point_id], point_id))
    return [SimpleNamespace(id=i, score=scores[i], payload=points[i].payload, vector=None) for i in order]


def edge_filter(query_filter: models.Filter | None) -> edge.Filter | None:
    """A client filter of keyword and range conditions (any depth of must, should, must_not) for the engine.

    Raises:
        ConfigurationError: a kind of condition that the embedded engine is not given here.
    """
    if query_filter is None:
        return None

    def conditions(given: Any) -> list[Any] | None:
        if given is None:
            return None
        return [_edge_condition(c) for c in (given if isinstance(given, list) else [given])]

    return edge.Filter(
        must=conditions(query_filter.must),
        should=conditions(query_filter.should),
        must_not=conditions(query_filter.must_not),
    )


def _edge_condition(condition: Any) -> Any:
    if isinstance(condition, models.Filter):
        return edge_filter(condition)
    if isinstance(condition, models.FieldCondition):
        match condition.match:
            case models.MatchValue(value=value):
                return edge.FieldCondition(condition.key, match=edge.MatchValue(value))
            case models.MatchAny(any=values):
                return edge.FieldCondition(condition.key, match=edge.MatchAny(values))
        if isinstance(condition.range, models.Range):
            limits = condition.range
            span = edge.RangeFloat(gte=limits.gte, gt=limits.gt, lte=limits.lte, lt=limits.lt)
            return edge.FieldCondition(condition.key, range=span)
    raise ConfigurationError(
        f"filtre {type(condition).__name__} : le moteur embarqué prend des égalités (MatchValue, MatchAny) et des "
        "intervalles de nombres (Range) ; "
        "pour d'autres, un serveur Qdrant (PMSI_QDRANT_URL)"
    )


def _edge_vector(vector: Any) -> Any:
    if isinstance(vector, models.SparseVector):
        return edge.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector


def _edge_point(point: models.PointStruct) -> edge.Point:
    vectors = point.vector if isinstance(point.vector, dict) else {"": point.vector}
    named = {name: _edge_vector(vector) for name, vector in vectors.items()}
    return edge.Point(id=point.id, vector=named, payload=point.payload or {})
