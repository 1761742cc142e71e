"""Build and open the index of one edition: a Qdrant collection (dense + sparse), its BM25 leg and its manifest.

An index is a directory under `state_dir/indexes`, named after what it was made of. It is built in a temporary
directory and renamed into place, so that a reader sees a whole index or none, and of two processes that build at
the same time one wins and both answer. Embedded, the collection is held by Qdrant's own engine in this process;
with `PMSI_QDRANT_URL` it lives on a server or cluster.

    indexes/cim10-2025-1f0c…/
        manifest.json   what it was made of; checked at every opening
        qdrant/         the collection (embedded engine only)
        bm25/           the lexical leg
        chunks.jsonl    the indexed chunks
        wordings.json   their codes and texts alone, which load ten times faster
        vectors.npy     (n_chunks, dim) float32, rows in the order of chunks.jsonl, L2-normalised
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from langchain_core.documents import Document
from langchain_qdrant.sparse_embeddings import SparseVector
from qdrant_client import QdrantClient, models

from pmsi_chain.bm25 import FrenchBM25
from pmsi_chain.errors import ConfigurationError, IndexMismatchError, ServiceError
from pmsi_chain.qdrant_embedded import EmbeddedQdrant
from pmsi_chain.text import ANALYSER_VERSION

INDEX_FORMAT = 4
DENSE, SPARSE = "dense", "sparse"
_BATCH = 2048

Progress = Callable[[str], None]


QueryClient = QdrantClient | EmbeddedQdrant


class DenseCodeEncoder(Protocol):
    """What an index needs of a dense encoder, besides LangChain's `Embeddings`."""

    encoder_id: str
    dim: int

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> np.ndarray:
        """(n, dim) float32, L2-normalised: the vector of each code's passage."""
        ...


class SparseCodeEncoder(Protocol):
    """What an index needs of a sparse encoder, besides LangChain's `SparseEmbeddings`."""

    encoder_id: str

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> list[SparseVector]:
        """One sparse vector per code's passage."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """One indexed passage about one code.

    Attributes:
        chunk_id: unique in the index ("cim10-2025/C221/0").
        text: what is embedded, reranked and shown; keywords: further words for the lexical leg only.
        positions: where the code may stand ("dp", "dr", "das"; "ccam" for an act).
        group: "main", or "external" for chapter XX of CIM-10, which is searched apart.
        is_label: whether `text` is the code's own wording rather than one of its synonyms or notes.
        facts: what else the edition says of the code (hierarchy, notes, marks, limits), for the payload.
    """

    chunk_id: str
    code: str
    label: str
    text: str
    nomenclature: str
    edition: str
    positions: tuple[str, ...]
    group: str = "main"
    keywords: str = ""
    is_label: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_document(self) -> Document:
        """The chunk as LangChain sees it; `metadata` is also the payload that filters read."""
        metadata = {
            "code": self.code,
            "label": self.label,
            "chunk_id": self.chunk_id,
            "nomenclature": self.nomenclature,
            "edition": self.edition,
            "positions": list(self.positions),
            "group": self.group,
            **self.facts,
        }
        return Document(page_content=self.text, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index was made of; two indexes with equal manifests hold the same.

    Attributes:
        edition_sha256: fingerprint of the edition, its notes and thesaurus included.
        chunking: version of the way in which chunks are cut (`pmsi_chain.chunking`).
    """

    nomenclature: str
    edition: str
    edition_sha256: str
    chunking: str
    encoder: str
    sparse_encoder: str
    dim: int
    analyser: str = ANALYSER_VERSION
    format: int = INDEX_FORMAT

    @property
    def key(self) -> str:
        """Short digest of the whole manifest."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Name of the index directory and of the collection on a server."""
        return f"{self.nomenclature}-{self.edition}-{self.key}"

    @property
    def alias(self) -> str:
        """Name under which a server's collection is searched; switched when a new one is ready."""
        return f"pmsi-{self.nomenclature}-{self.edition}"


@dataclass(frozen=True, slots=True)
class Corpus:
    """What an index is to be made of; its chunks are cut only when it has to be made.

    Attributes:
        nomenclature: "cim10", "cim10-xx" or "ccam"; edition: its version.
        fingerprint: of the edition; chunking: version of `cut`.
    """

    nomenclature: str
    edition: str
    fingerprint: str
    chunking: str
    cut: Callable[[], Sequence[Chunk]]

    def manifest(self, encoder: DenseCodeEncoder, sparse: SparseCodeEncoder) -> Manifest:
        """The manifest of the index that these parts make."""
        return Manifest(
            nomenclature=self.nomenclature,
            edition=self.edition,
            edition_sha256=self.fingerprint,
            chunking=self.chunking,
            encoder=encoder.encoder_id,
            sparse_encoder=sparse.encoder_id,
            dim=encoder.dim,
        )


class CodeIndex:
    """An open index; every attribute is read only.

    Attributes:
        manifest: what it was made of.
        client, collection: what `QdrantVectorStore` searches.
        bm25: the lexical leg, over the same chunks in the same order.
    """

    def __init__(self, path: Path, manifest: Manifest, client: QueryClient, collection: str, bm25: FrenchBM25) -> None:
        self.path = path
        self.manifest = manifest
        self.client = client
        self.collection = collection
        self.bm25 = bm25

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The indexed chunks, in the order of the rows of `vectors`."""
        with (self.path / "chunks.jsonl").open(encoding="utf-8") as file:
            return tuple(Chunk(**{**row, "positions": tuple(row["positions"])}) for row in map(json.loads, file))

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """The chunks as LangChain sees them, made once for all the retrievers over this index."""
        return tuple(chunk.as_document() for chunk in self.chunks)

    @cached_property
    def wordings(self) -> tuple[tuple[str, str], ...]:
        """(code, text) of every chunk, in the order of the rows of `vectors`."""
        return tuple(map(tuple, json.loads((self.path / "wordings.json").read_text(encoding="utf-8"))))

    @cached_property
    def vectors(self) -> np.ndarray:
        """(n_chunks, dim) float32, L2-normalised rows."""
        vectors: np.ndarray = np.load(self.path / "vectors.npy", allow_pickle=False)
        return vectors


def open_or_build(
    state_dir: Path,
    corpus: Corpus,
    encoder: DenseCodeEncoder,
    sparse: SparseCodeEncoder,
    *,
    server: QdrantClient | None = None,
    progress: Progress = lambda message: None,
    rebuild: bool = False,
) -> CodeIndex:
    """Open the index of this corpus; make it first where it is not there.

    Args:
        server: a client of a Qdrant server; None for the embedded engine. A collection that is already on the
            server is never rewritten: a new one is filled, then the alias is switched to it.
        rebuild: make it anew even if one is there (embedded only).

    Raises:
        IndexMismatchError: the directory holds something else, or is broken.
        ConfigurationError: the state directory cannot be written.
    """
    manifest = corpus.manifest(encoder, sparse)
    path = state_dir / "indexes" / manifest.name
    if rebuild and path.exists():
        trash = path.with_name(f".{path.name}-{os.getpid()}-old")
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
    if not path.exists():
        chunks = corpus.cut()
        progress(f"Index {manifest.nomenclature} {manifest.edition} : {len(chunks)} passages…")
        _build(path, manifest, chunks, encoder, sparse, embedded=server is None)
    return _open(path, manifest, server, sparse)


def _build(
    path: Path,
    manifest: Manifest,
    chunks: Sequence[Chunk],
    encoder: DenseCodeEncoder,
    sparse: SparseCodeEncoder,
    *,
    embedded: bool,
) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise ConfigurationError(
            f"répertoire d'état {path.parent.parent} : écriture impossible ({error.strerror}) ; "
            "donner à PMSI_STATE_DIR un répertoire où écrire"
        ) from error
    try:
        vectors = encoder.encode_codes(_learned(chunks), [c.text for c in chunks]).astype(np.float32)
        np.save(temporary / "vectors.npy", vectors, allow_pickle=False)
        with (temporary / "chunks.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(chunk), ensure_ascii=False) + "\n" for chunk in chunks)
        wordings = json.dumps([[c.code, c.text] for c in chunks], ensure_ascii=False)
        (temporary / "wordings.json").write_text(wordings, encoding="utf-8")
        FrenchBM25.from_texts([f"{c.text} {c.keywords}" for c in chunks]).save(temporary / "bm25")
        if embedded:
            collection = EmbeddedQdrant.create(temporary / "qdrant", DENSE, manifest.dim, SPARSE)
            for points in _batches(_points(chunks, vectors, sparse)):
                collection.upsert(points)
            collection.index_payload(["metadata.positions", "metadata.group", "metadata.code"])
            collection.close()
        (temporary / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        try:
            temporary.rename(path)
        except OSError:
            if not (path / "manifest.json").exists():  # not another process that was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open(path: Path, manifest: Manifest, server: QdrantClient | None, sparse: SparseCodeEncoder) -> CodeIndex:
    mend = "lancer `pmsi-chain index build --rebuild`, ou donner un autre répertoire à PMSI_STATE_DIR"
    try:
        found = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if found != asdict(manifest):
            differing = sorted(k for k, v in asdict(manifest).items() if found.get(k) != v)
            raise IndexMismatchError(f"index {path} : fait d'autre chose (diffèrent : {', '.join(differing)}) ; {mend}")
        bm25 = FrenchBM25.load(path / "bm25")
        if server is None:
            return CodeIndex(path, manifest, EmbeddedQdrant.load(path / "qdrant"), manifest.name, bm25)
    except IndexMismatchError:
        raise
    except Exception as error:
        raise IndexMismatchError(f"index {path} : illisible ({type(error).__name__}) ; {mend}") from error
    index = CodeIndex(path, manifest, server, manifest.alias, bm25)
    _fill_server(server, manifest, index, sparse)
    return index


def _fill_server(server: QdrantClient, manifest: Manifest, index: CodeIndex, sparse: SparseCodeEncoder) -> None:
    """Put the collection on the server unless it is there, then point the alias at it."""
    try:
        if not server.collection_exists(manifest.name):
            server.create_collection(
                manifest.name,
                vectors_config={DENSE: models.VectorParams(size=manifest.dim, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams()},
            )
            for field in ("metadata.positions", "metadata.group", "metadata.code"):
                server.create_payload_index(manifest.name, field, models.PayloadSchemaType.KEYWORD)
        if server.count(manifest.name, exact=True).count != len(index.chunks):
            for points in _batches(_points(index.chunks, index.vectors, sparse)):
                server.upsert(manifest.name, points, wait=True)
        aliases = {a.alias_name: a.collection_name for a in server.get_aliases().aliases}
        if aliases.get(manifest.alias) != manifest.name:
            create = models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=manifest.name, alias_name=manifest.alias)
            )
            delete = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=manifest.alias))
            server.update_collection_aliases([delete, create] if manifest.alias in aliases else [create])
    except Exception as error:
        raise ServiceError(
            f"le serveur Qdrant n'a pas pris la collection {manifest.name} ({type(error).__name__}) : "
            "vérifier PMSI_QDRANT_URL et PMSI_QDRANT_API_KEY, ou retirer PMSI_QDRANT_URL pour le moteur embarqué"
        ) from error


def _points(chunks: Sequence[Chunk], vectors: np.ndarray, sparse: SparseCodeEncoder) -> Iterator[models.PointStruct]:
    sparse_vectors = sparse.encode_codes(_learned(chunks), [c.text for c in chunks])
    for row, (chunk, sparse_vector) in enumerate(zip(chunks, sparse_vectors, strict=True)):
        document = chunk.as_document()
        yield models.PointStruct(
            id=row,
            vector={
                DENSE: vectors[row].tolist(),
                SPARSE: models.SparseVector(indices=sparse_vector.indices, values=sparse_vector.values),
            },
            payload={"page_content": document.page_content, "metadata": document.metadata},
        )


def _learned(chunks: Sequence[Chunk]) -> list[str]:
    """The code whose learned vector a chunk takes: a label its code's; a further wording none, it says itself."""
    return [chunk.code if chunk.is_label else "" for chunk in chunks]


def _batches(points: Iterable[models.PointStruct]) -> Iterator[list[models.PointStruct]]:
    batch: list[models.PointStruct] = []
    for point in points:
        batch.append(point)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
