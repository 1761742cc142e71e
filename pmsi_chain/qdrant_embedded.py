"""Qdrant's own engine inside this process, behind the two calls of `QdrantClient` that LangChain's store makes.

`EmbeddedQdrant.query_points` takes what `QdrantClient.query_points` takes and answers alike, so that one
`QdrantVectorStore` serves the embedded engine and a server. Fusion is done here, by the server's formula with ties
broken on the point id, because the engine's own fusion breaks ties at random.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    def create(cls, path: Path, dense: str, dim: int, sparse: str) -> EmbeddedQdrant:
        """Make an empty collection; without a write-ahead log, which would lock other processes out."""
        path.mkdir(parents=True)
        config = edge.EdgeConfig(
            vectors={dense: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine)},
            sparse_vectors={sparse: edge.EdgeSparseVectorParams()},
            wal_enabled=False,
        )
        return cls(edge.EdgeShard.create(str(path), config))

    @classmethod
    def load(cls, path: Path) -> EmbeddedQdrant:
        """Open an existing collection; raises whatever the engine raises if it is broken."""
        return cls(edge.EdgeShard.load(str(path)))

    def upsert(self, points: Sequence[models.PointStruct]) -> None:
        """Insert or replace points with named dense and sparse vectors."""
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
        if isinstance(query, models.FusionQuery | models.RrfQuery):
            points = self._fused(query, prefetch, with_payload)[offset : offset + limit]
            if score_threshold is not None:
                points = [p for p in points if p.score >= score_threshold]
            return SimpleNamespace(points=points)
        found = self._shard.query(
            edge.QueryRequest(
                limit=limit,
                offset=offset,
                query=edge.Query.Nearest(_edge_vector(query), using=using),
                filter=edge_filter(query_filter),
                params=edge.SearchParams(exact=True),
                score_threshold=score_threshold,
                with_payload=with_payload,
                with_vector=with_vectors,
            )
        )
        points = [SimpleNamespace(id=p.id, score=p.score, payload=p.payload, vector=p.vector) for p in found]
        points.sort(key=lambda p: (-p.score, p.id))
        return SimpleNamespace(points=points)

    def _fused(
        self, query: models.FusionQuery | models.RrfQuery, prefetch: Sequence[models.Prefetch], with_payload: bool
    ) -> list[SimpleNamespace]:
        rrf = query.rrf if isinstance(query, models.RrfQuery) else models.Rrf()
        if isinstance(query, models.FusionQuery) and query.fusion != models.Fusion.RRF:
            raise ConfigurationError(f"fusion {query.fusion!r} demandée : le moteur embarqué ne connaît que RRF")
        k = QDRANT_RRF_K if rrf.k is None else rrf.k
        weights = rrf.weights or [1.0] * len(prefetch)
        scores: dict[Any, float] = {}
        payloads: dict[Any, Any] = {}
        for weight, leg in zip(weights, prefetch, strict=True):
            answer = self.query_points(
                "", query=leg.query, using=leg.using, query_filter=leg.filter, limit=leg.limit or 10,
                with_payload=with_payload,
            )  # fmt: skip
            for rank, point in enumerate(answer.points):
                scores[point.id] = scores.get(point.id, 0.0) + weight / (k + rank)
                payloads[point.id] = point.payload
        order = sorted(scores, key=lambda point_id: (-scores[point_id], point_id))
        return [SimpleNamespace(id=i, score=scores[i], payload=payloads[i], vector=None) for i in order]


def edge_filter(query_filter: models.Filter | None) -> edge.Filter | None:
    """A client filter of keyword conditions (any depth of must, should, must_not) for the engine.

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
    raise ConfigurationError(
        f"filtre {type(condition).__name__} : le moteur embarqué prend des égalités (MatchValue, MatchAny) ; "
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
