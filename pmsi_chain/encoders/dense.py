"""The embedded dense encoder: hashed words, character n-grams and word pairs, summed; numpy only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from pmsi_chain.encoders.features import FEATURES_VERSION, text_features, word_features
from pmsi_chain.encoders.nibbles import unpack_rows
from pmsi_chain.errors import ConfigurationError

Floats = npt.NDArray[np.float32]

MODELS_DIR = Path(__file__).resolve().parent.parent / "models"
#: Between a label and its category's in an index passage; only what stands before it is encoded for a code.
PASSAGE_SEPARATOR = " — "


class EmbeddedEncoder(Embeddings):
    """Texts and codes as unit vectors in one space; their dot product is the cosine.

    The text side is a sum of learned vectors, so a word's vector is computed once and kept. The code side is the
    vector of the official label plus a residual learned from clinicians' expressions; a code that the training did
    not know has its label only. Several encoders trained apart may stand side by side in one, each in its slice of
    the vector: the cosine is then the mean of theirs.

    Attributes:
        encoder_id: name and content hash, for index manifests.
        dim: length of a vector.
        codes: CIM-10 codes with a learned residual, stored form.
    """

    def __init__(
        self,
        table: npt.NDArray[np.int8],
        scale: npt.NDArray[np.float16],
        codes: Sequence[str],
        residuals: npt.NDArray[np.int8],
        residual_scale: npt.NDArray[np.float16],
        vectors: npt.NDArray[np.int8],
        n_members: int = 1,
    ) -> None:
        """Assign the arrays.

        Args:
            table: (n_buckets, dim), one row per hashed feature.
            scale: (n_buckets,), what one step of `table` is worth in each row.
            codes: CIM-10 codes that have a residual, stored form.
            residuals: (n_codes, dim).
            residual_scale: (n_codes,).
            vectors: (n_codes, dim), the codes under their official labels, in steps of any size.
            n_members: encoders trained apart that share the rows, each with dim / n_members columns.
        """
        self._table = table
        self._scale = scale.astype(np.float32)
        self._residuals = residuals
        self._residual_scale = residual_scale.astype(np.float32)
        self._vectors = vectors
        self._n_members = n_members
        self.codes = tuple(codes)
        self._code_row = {code: row for row, code in enumerate(codes)}
        self.dim = int(table.shape[1])
        digest = hashlib.sha256(table[:: max(1, len(table) // 512)].tobytes() + residuals[::97].tobytes())
        self.encoder_id = f"pmsi-embedded/{FEATURES_VERSION}/{digest.hexdigest()[:12]}"
        self._lock = Lock()  # over the kept word vectors
        self._word_row: dict[str, int] = {}
        self._word_vectors = np.zeros((4096, self.dim), dtype=np.float32)

    @classmethod
    def from_package(cls) -> EmbeddedEncoder:
        """The encoder that ships with the package, loaded once per process."""
        return _packaged_encoder()

    @classmethod
    def from_path(cls, path: Path) -> EmbeddedEncoder:
        """An encoder written by `pmsi-chain train encoder`.

        Raises:
            ConfigurationError: the file is missing or is not such an encoder.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if str(arrays["features_version"]) != FEATURES_VERSION:
                    raise ConfigurationError(
                        f"{path.name} was trained for features {arrays['features_version']}, this version computes "
                        f"{FEATURES_VERSION}: train it again with `pmsi-chain train encoder`."
                    )
                return cls(
                    unpack_rows(arrays["table"]),
                    arrays["scale"],
                    [str(code) for code in arrays["codes"]],
                    unpack_rows(arrays["residuals"]),
                    arrays["residual_scale"],
                    unpack_rows(arrays["vectors"]),
                    int(arrays["n_members"]),
                )
        except (OSError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as an embedded encoder ({type(error).__name__}): give a file written by "
                "`pmsi-chain train encoder`, or reinstall the package."
            ) from error

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of `texts`, (n, dim); a text without a letter or digit is the zero vector."""
        return self._encode_features([text_features(text, len(self._table)) for text in texts])

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> Floats:
        """Unit vectors of codes, (n, dim): label, plus the residual where one was learned.

        Args:
            codes: stored form, any nomenclature.
            passages: the index text of each code; what follows " — " (the category's label) is left out.
        """
        vectors = self.encode([passage.split(PASSAGE_SEPARATOR, 1)[0] for passage in passages])
        known = [(place, self._code_row[code]) for place, code in enumerate(codes) if code in self._code_row]
        if known:
            places, rows = (np.array(column) for column in zip(*known, strict=True))
            label = vectors[places] * np.sqrt(np.float32(self._n_members))  # each member's of length 1 again
            vectors[places] = self._unit(label + self._residuals[rows] * self._residual_scale[rows, None])
        return vectors

    def word_vectors(self, words: Sequence[str]) -> Floats:
        """Unit vectors of single words as `spoken_words` gives them, (n, dim)."""
        with self._lock:
            rows = self._rows_of(words)
            return self._unit(self._word_vectors[rows])

    @cached_property
    def code_vectors(self) -> Floats:
        """Unit vectors of `codes` under their official labels, (n_codes, dim)."""
        return self._unit(self._vectors.astype(np.float32))

    def knows(self, code: str) -> bool:
        """Whether a residual was learned for this code, stored form."""
        return code in self._code_row

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """LangChain's port: `encode` as lists."""
        return [[float(x) for x in vector] for vector in self.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        """LangChain's port: one text."""
        return self.embed_documents([text])[0]

    def _encode_features(self, features: Sequence[tuple[list[str], list[int]]]) -> Floats:
        sums = np.zeros((len(features), self.dim), dtype=np.float32)
        with self._lock:
            rows = self._rows_of(word for words, _ in features for word in words)
            word_vectors = self._word_vectors[rows]
        _add_segments(sums, word_vectors, [len(words) for words, _ in features])
        pairs = np.array([pair for _, text_pairs in features for pair in text_pairs], dtype=np.int64)
        pair_vectors = self._table[pairs] * self._scale[pairs, None]
        _add_segments(sums, pair_vectors, [len(text_pairs) for _, text_pairs in features])
        return self._unit(sums)

    def _unit(self, vectors: Floats) -> Floats:
        """Every member's slice scaled to the same length, the whole to 1; a zero vector stays zero."""
        parts = vectors.reshape(len(vectors), self._n_members, self.dim // self._n_members)
        lengths = np.linalg.norm(parts, axis=2, keepdims=True) * np.sqrt(np.float32(self._n_members))
        units: Floats = np.divide(parts, lengths, out=np.zeros_like(parts), where=lengths > 1e-9)
        return units.reshape(vectors.shape)

    def _rows_of(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        """Rows of `words` in the kept word vectors, computing those never seen."""
        if len(self._word_row) > 300_000:  # a service that runs for months: start the cache anew
            self._word_row.clear()
        rows = []
        for word in words:
            row = self._word_row.get(word)
            if row is None:
                row = self._keep(word)
            rows.append(row)
        return np.array(rows, dtype=np.int64)

    def _keep(self, word: str) -> int:
        row = len(self._word_row)
        if row == len(self._word_vectors):
            self._word_vectors = np.concatenate([self._word_vectors, np.zeros_like(self._word_vectors)])
        ids = np.array(word_features(word, len(self._table)))
        self._word_vectors[row] = self._scale[ids] @ self._table[ids].astype(np.float32)
        self._word_row[word] = row
        return row


@lru_cache(maxsize=1)
def _packaged_encoder() -> EmbeddedEncoder:
    return EmbeddedEncoder.from_path(MODELS_DIR / "encoder.npz")


def _add_segments(sums: Floats, vectors: Floats, lengths: Sequence[int]) -> None:
    """Add consecutive runs of `vectors`, `lengths[i]` of them, onto `sums[i]`."""
    counts = np.array(lengths, dtype=np.int64)
    filled = np.flatnonzero(counts)
    if len(filled):
        starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]])
        sums[filled] += np.add.reduceat(vectors, starts, axis=0)
