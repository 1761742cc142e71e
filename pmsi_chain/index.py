"""Build and open the index of one edition: a Qdrant collection (dense + sparse), its BM25 leg and its manifest.

An index is a directory under `state_dir/indexes`, named after what it was made of. It is built in a temporary
directory and renamed into place, so that a reader sees a whole index or none, and of two processes that build at
the same time one wins and both answer. Embedded, the collection is held by Qdrant's own engine in this process;
with `PMSI_QDRANT_URL` it lives on a server or cluster (`qdrant_server`).

    indexes/cim10-2025-1f0c…/
        manifest.json   what it was made of; checked at every opening
        qdrant/         the collection (embedded engine only)
        bm25/           the lexical leg
        chunks.jsonl    the indexed chunks
        wordings.json   their codes and texts alone, which load ten times faster
        vectors/        one file per named vector of the collection, rows in the order of chunks.jsonl:
                        dense (n_chunks, dim) float32, L2-normalised, or sparse (starts, indices, values)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from langchain_core.documents import Document
from langchain_qdrant.sparse_embeddings import SparseVector
from qdrant_client import QdrantClient, models

from pmsi_chain.bm25 import FrenchBM25
from pmsi_chain.errors import ConfigurationError, IndexMismatchError
from pmsi_chain.problems import cause
from pmsi_chain.qdrant_embedded import EmbeddedQdrant
from pmsi_chain.qdrant_server import Collection, put_in_service
from pmsi_chain.text import ANALYSER_VERSION

INDEX_FORMAT = 5
#: Names of the vectors that every collection holds; a further dense vector has a name of its own.
DENSE, SPARSE = "dense", "sparse"
#: Payload fields that filters read.
FILTERED = ("metadata.positions", "metadata.group", "metadata.code")
_ENCODED_AT_ONCE = 512
_SENT_AT_ONCE = 2048

Progress = Callable[[str], None]


QueryClient = QdrantClient | EmbeddedQdrant


class DenseCodeEncoder(Protocol):
    """What an index and its search need of a dense encoder; each one is a LangChain `Embeddings` besides."""

    encoder_id: str
    dim: int

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> np.ndarray:
        """(n, dim) float32, L2-normalised: the vector of each code's passage."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """The vector of what is looked for, in the same space."""
        ...


class SparseCodeEncoder(Protocol):
    """What an index and its search need of a sparse encoder; each one is a `SparseEmbeddings` besides."""

    encoder_id: str

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> list[SparseVector]:
        """One sparse vector per code's passage."""
        ...

    def embed_query(self, text: str) -> SparseVector:
        """The sparse vector of what is looked for."""
        ...


@dataclass(frozen=True, slots=True)
class Encoders:
    """The encoders of a collection, by the name of their vector in it.

    Attributes:
        dense: at least `DENSE`; a second dense encoder stands under a name of its own, with its own size.
        sparse: usually `SPARSE` alone.
    """

    dense: Mapping[str, DenseCodeEncoder]
    sparse: Mapping[str, SparseCodeEncoder]

    @classmethod
    def of(cls, dense: DenseCodeEncoder, sparse: SparseCodeEncoder, **further: DenseCodeEncoder) -> Encoders:
        """The usual pair, and further dense encoders by the name of their vector."""
        return cls({DENSE: dense, **further}, {SPARSE: sparse})


@dataclass(frozen=True, slots=True)
class Chunk:
    """One indexed passage about one code.

    Attributes:
        chunk_id: unique in the index ("cim10-2025/C221/0").
        text: what is embedded, reranked and shown; keywords: further words for the lexical leg only.
        positions: where the code may stand ("dp", "dr", "das"; "ccam" for an act).
        group: "main", "external" for chapter XX of CIM-10, which is searched apart, or "lent" (`chunking.LENT`).
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
        return Document(id=self.chunk_id, page_content=self.text, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index was made of; two indexes with equal manifests hold the same.

    Attributes:
        edition_sha256: fingerprint of the edition, its notes and thesaurus included.
        chunking: version of the way in which chunks are cut (`pmsi_chain.chunking`).
        encoders: encoder id by name of vector; dims: length by name of dense vector.
    """

    nomenclature: str
    edition: str
    edition_sha256: str
    chunking: str
    encoders: Mapping[str, str]
    dims: Mapping[str, int]
    analyser: str = ANALYSER_VERSION
    format: int = INDEX_FORMAT

    @property
    def sparse(self) -> tuple[str, ...]:
        """Names of the sparse vectors."""
        return tuple(name for name in self.encoders if name not in self.dims)

    def differences(self, found: Mapping[str, Any]) -> list[str]:
        """Names of the fields in which a manifest read from elsewhere differs."""
        return sorted(k for k, v in asdict(self).items() if found.get(k) != v)

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
        """Name on a server of the collection in service; switched when a new one is ready."""
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

    def manifest(self, encoders: Encoders) -> Manifest:
        """The manifest of the index that these parts make."""
        return Manifest(
            nomenclature=self.nomenclature,
            edition=self.edition,
            edition_sha256=self.fingerprint,
            chunking=self.chunking,
            encoders={
                **{name: encoder.encoder_id for name, encoder in encoders.dense.items()},
                **{name: encoder.encoder_id for name, encoder in encoders.sparse.items()},
            },
            dims={name: encoder.dim for name, encoder in encoders.dense.items()},
        )


class CodeIndex:
    """An open index; every attribute is read only.

    Attributes:
        manifest: what it was made of.
        client, collection: where its vectors are searched. On a server it is the collection itself and not the alias,
            so that a process goes on with the vectors that it knows when another puts a new collection in service.
        bm25: the lexical leg, over the same chunks in the same order.
    """

    def __init__(self, path: Path, manifest: Manifest, client: QueryClient, bm25: FrenchBM25) -> None:
        self.path = path
        self.manifest = manifest
        self.client = client
        self.collection = manifest.name
        self.bm25 = bm25

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The indexed chunks, in the order of the rows of `vectors`."""
        return _read_chunks(self.path)

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
        """(n_chunks, dim) float32, L2-normalised rows: the vectors named `DENSE`."""
        return _dense_vectors(self.path, DENSE)


def open_or_build(
    state_dir: Path,
    corpus: Corpus,
    encoders: Encoders,
    *,
    server: QdrantClient | None = None,
    progress: Progress = lambda message: None,
    rebuild: bool = False,
    publish: bool = False,
) -> CodeIndex:
    """Open the index of this corpus; make it first where it is not there.

    Args:
        server: a client of a Qdrant server; None for the embedded engine.
        rebuild: make it anew even if one is there.
        publish: put it in service on the server even where another collection is: fill a new one, then switch the
            alias. Without it a server that serves something else is left as it is.

    Raises:
        IndexMismatchError: the directory or the server holds something else, or is broken.
        ConfigurationError: the state directory cannot be written.
        ServiceError: the server does not answer.
    """
    manifest = corpus.manifest(encoders)
    path = state_dir / "indexes" / manifest.name
    if rebuild and path.exists():
        trash = path.with_name(f".{path.name}-{os.getpid()}-old")
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
    if not path.exists():
        chunks = corpus.cut()
        progress(f"Index {manifest.nomenclature} {manifest.edition} : {len(chunks)} passages…")
        with _placed(path) as temporary:
            _write(temporary, manifest, chunks, encoders)
    if server is None and not (path / "qdrant").exists() and (path / "manifest.json").exists():
        with _placed(path / "qdrant") as temporary:
            _fill_embedded(temporary, path, manifest)
    if server is None:
        return _open(path, manifest)
    index = _open(path, manifest, server)
    put_in_service(
        server,
        Collection(
            manifest.name, manifest.alias, manifest.dims, manifest.sparse, FILTERED, asdict(manifest),
            len(index.wordings),
        ),
        lambda: _batches(_points(path, index.chunks, manifest)),
        publish=publish or rebuild,
        refill=rebuild,
        progress=progress,
    )  # fmt: skip
    return index


@contextmanager
def _placed(target: Path) -> Iterator[Path]:
    """A temporary directory that becomes `target` at the end, unless another process was faster."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise ConfigurationError(
            f"répertoire d'état : écriture impossible dans {target.parent} ({cause(error)}) ; "
            "donner à PMSI_STATE_DIR un répertoire où écrire"
        ) from error
    try:
        yield temporary
        try:
            temporary.rename(target)
        except OSError:
            if not target.exists():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(directory: Path, manifest: Manifest, chunks: Sequence[Chunk], encoders: Encoders) -> None:
    """Everything but the collection; encoders that share a pass see the same texts one after the other."""
    codes = [chunk.code if chunk.is_label else "" for chunk in chunks]  # a further wording says itself what it means
    texts = [chunk.text for chunk in chunks]
    dense = {name: np.zeros((len(chunks), dim), dtype=np.float32) for name, dim in manifest.dims.items()}
    sparse: dict[str, list[SparseVector]] = {name: [] for name in encoders.sparse}
    for start in range(0, len(chunks), _ENCODED_AT_ONCE):
        part = slice(start, start + _ENCODED_AT_ONCE)
        for name, encoder in encoders.dense.items():
            dense[name][part] = encoder.encode_codes(codes[part], texts[part])
        for name, sparse_encoder in encoders.sparse.items():
            sparse[name] += sparse_encoder.encode_codes(codes[part], texts[part])
    (directory / "vectors").mkdir()
    for name, rows in dense.items():
        np.save(directory / "vectors" / f"{name}.npy", rows, allow_pickle=False)
    for name, vectors in sparse.items():
        np.savez(
            directory / "vectors" / f"{name}.npz",
            starts=np.cumsum([0, *(len(v.indices) for v in vectors)], dtype=np.int64),
            indices=np.array([i for v in vectors for i in v.indices], dtype=np.uint32),
            values=np.array([x for v in vectors for x in v.values], dtype=np.float32),
        )
    with (directory / "chunks.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(chunk), ensure_ascii=False) + "\n" for chunk in chunks)
    wordings = json.dumps([[c.code, c.text] for c in chunks], ensure_ascii=False)
    (directory / "wordings.json").write_text(wordings, encoding="utf-8")
    FrenchBM25.from_texts([f"{c.text} {c.keywords}" for c in chunks]).save(directory / "bm25")
    (directory / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")


def _fill_embedded(directory: Path, path: Path, manifest: Manifest) -> None:
    collection = EmbeddedQdrant.create(directory, manifest.dims, manifest.sparse)
    for points in _batches(_points(path, _read_chunks(path), manifest)):
        collection.upsert(manifest.name, points)
    collection.index_payload(FILTERED)
    collection.close()


def _open(path: Path, manifest: Manifest, server: QdrantClient | None = None) -> CodeIndex:
    mend = "lancer `pmsi-chain index build --rebuild`, ou donner un autre répertoire à PMSI_STATE_DIR"
    try:
        differing = manifest.differences(json.loads((path / "manifest.json").read_text(encoding="utf-8")))
        if differing:
            raise IndexMismatchError(f"index {path} : fait d'autre chose (diffèrent : {', '.join(differing)}) ; {mend}")
        bm25 = FrenchBM25.load(path / "bm25")
        client = EmbeddedQdrant.load(path / "qdrant") if server is None else server
    except IndexMismatchError:
        raise
    except Exception as error:
        raise IndexMismatchError(f"index {path} : illisible ({type(error).__name__}) ; {mend}") from error
    return CodeIndex(path, manifest, client, bm25)


def _points(path: Path, chunks: Sequence[Chunk], manifest: Manifest) -> Iterator[models.PointStruct]:
    """The points of the collection, from the files of the index."""
    dense = {name: _dense_vectors(path, name) for name in manifest.dims}
    sparse = {name: _sparse_vectors(path, name) for name in manifest.sparse}
    for row, chunk in enumerate(chunks):
        document = chunk.as_document()
        vectors: dict[str, Any] = {name: vectors[row].tolist() for name, vectors in dense.items()}
        yield models.PointStruct(
            id=row,
            vector=vectors | {name: vectors[row] for name, vectors in sparse.items()},
            payload={"page_content": document.page_content, "metadata": document.metadata},
        )


def _read_chunks(path: Path) -> tuple[Chunk, ...]:
    with (path / "chunks.jsonl").open(encoding="utf-8") as file:
        return tuple(Chunk(**{**row, "positions": tuple(row["positions"])}) for row in map(json.loads, file))


def _dense_vectors(path: Path, name: str) -> np.ndarray:
    vectors: np.ndarray = np.load(path / "vectors" / f"{name}.npy", allow_pickle=False)
    return vectors


def _sparse_vectors(path: Path, name: str) -> list[models.SparseVector]:
    with np.load(path / "vectors" / f"{name}.npz", allow_pickle=False) as arrays:
        indices, values, starts = arrays["indices"].tolist(), arrays["values"].tolist(), arrays["starts"].tolist()
    return [models.SparseVector(indices=indices[a:b], values=values[a:b]) for a, b in pairwise(starts)]


def _batches(points: Iterable[models.PointStruct]) -> Iterator[list[models.PointStruct]]:
    kept = iter(points)
    while batch := list(islice(kept, _SENT_AT_ONCE)):
        yield batch
