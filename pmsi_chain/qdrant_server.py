"""A collection on a Qdrant server or cluster: filled beside the one in service, then switched to by its alias.

A server's data belong to whoever runs it: what is there is never rewritten in silence. Of a collection that was made
of something else the caller learns by an error which names the command that puts the right one in service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from pmsi_chain.errors import ConfigurationError, IndexMismatchError, ServiceError

#: Key of the manifest in a collection's own metadata, on servers that keep such (Qdrant 1.16).
MANIFEST = "pmsi_chain"


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection is to be.

    Attributes:
        name: holds a digest of the manifest, so that another content has another name.
        alias: name of the collection in service, whatever it was made of.
        dense: length by name of dense vector; sparse: names of sparse vectors; filtered: payload fields to index.
        manifest: what it was made of, plain values; n_points: how many points it holds when it is whole.
    """

    name: str
    alias: str
    dense: Mapping[str, int]
    sparse: Sequence[str]
    filtered: Sequence[str]
    manifest: Mapping[str, Any]
    n_points: int


def connect(url: str, api_key: str | None) -> QdrantClient:
    """A client of the server at that address; nothing is asked of it yet.

    Raises:
        ConfigurationError: no address of a server.
    """
    try:
        return QdrantClient(url=url, api_key=api_key, check_compatibility=False)
    except ValueError as error:
        raise ConfigurationError(
            f"PMSI_QDRANT_URL={url!r} : adresse refusée ; l'écrire comme http://serveur:6333"
        ) from error


def put_in_service(
    server: QdrantClient,
    wanted: Collection,
    batches: Callable[[], Iterable[Sequence[models.PointStruct]]],
    *,
    publish: bool = False,
    refill: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> None:
    """Make sure that the wanted collection is whole and in service.

    Where the alias points nowhere yet, the collection is made and filled. Where it points to another collection, or
    to one that is not whole, `publish` is needed: the wanted one is filled, and the alias is switched to it in one
    step. The collection that was in service stays, for the processes that search it.

    Args:
        batches: makes the points, called only when they are to be sent.
        refill: send them even if the collection is whole.

    Raises:
        IndexMismatchError: something else is in service, or a part only, and `publish` is False.
        ServiceError: the server cannot be reached or refuses.
    """
    try:
        serving = {a.alias_name: a.collection_name for a in server.get_aliases().aliases}.get(wanted.alias)
        if serving is not None and not publish:
            _check(server, wanted, serving)
            return
        if not server.collection_exists(wanted.name):
            _create(server, wanted)
        if refill or _count(server, wanted.name) != wanted.n_points:
            progress(f"Qdrant : remplissage de la collection {wanted.name}…")
            for points in batches():
                server.upsert(wanted.name, list(points), wait=True)
        if serving != wanted.name:
            _switch(server, wanted, serving)
            if serving is not None:
                progress(
                    f"Qdrant : {wanted.name} en service ; l'ancienne collection {serving} reste sur le serveur, "
                    "à supprimer quand plus aucun processus ne la cherche"
                )
    except (ApiException, OSError) as error:
        raise unreachable(error) from error


def unreachable(error: Exception) -> ServiceError:
    """The error for whatever the client raised; the address and the key are not repeated."""
    return ServiceError(
        f"le serveur Qdrant ne répond pas ou refuse ({type(error).__name__}) : vérifier PMSI_QDRANT_URL et "
        "PMSI_QDRANT_API_KEY, ou retirer PMSI_QDRANT_URL pour le moteur embarqué"
    )


def _check(server: QdrantClient, wanted: Collection, serving: str) -> None:
    mend = "lancer `pmsi-chain index build` pour mettre la bonne en service, sans interruption"
    if serving != wanted.name:
        found = (server.get_collection(serving).config.metadata or {}).get(MANIFEST, {})
        differing = sorted(name for name, value in wanted.manifest.items() if found.get(name) != value)
        told = f"diffèrent : {', '.join(differing)}" if found else "elle ne dit pas de quoi elle est faite"
        raise IndexMismatchError(
            f"serveur Qdrant, alias {wanted.alias} : en service {serving}, attendue {wanted.name} ({told}) ; {mend}"
        )
    n_points = _count(server, serving)
    if n_points != wanted.n_points:
        raise IndexMismatchError(
            f"serveur Qdrant, collection {serving} : {n_points} points au lieu de {wanted.n_points} ; {mend}"
        )


def _count(server: QdrantClient, name: str) -> int:
    return server.count(name, exact=True).count


def _create(server: QdrantClient, wanted: Collection) -> None:
    try:
        server.create_collection(
            wanted.name,
            vectors_config={
                name: models.VectorParams(size=dim, distance=models.Distance.COSINE)
                for name, dim in wanted.dense.items()
            },
            sparse_vectors_config={name: models.SparseVectorParams() for name in wanted.sparse},
            metadata={MANIFEST: dict(wanted.manifest)},
        )
    except ApiException:
        if not server.collection_exists(wanted.name):  # not another process that was faster
            raise
    for field in wanted.filtered:
        server.create_payload_index(wanted.name, field, models.PayloadSchemaType.KEYWORD)


def _switch(server: QdrantClient, wanted: Collection, serving: str | None) -> None:
    create = models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name=wanted.name, alias_name=wanted.alias)
    )
    delete = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=wanted.alias))
    server.update_collection_aliases([create] if serving is None else [delete, create])
