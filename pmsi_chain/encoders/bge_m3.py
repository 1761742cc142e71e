"""BGE-M3 through FlagEmbedding (extra `pmsi-chain[bge-m3]`): dense and lexical vectors from one forward pass.

Its weights (2.3 GB) are the user's to fetch; nothing here downloads on its own unless a hub name is given.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_qdrant.sparse_embeddings import SparseEmbeddings, SparseVector

from pmsi_chain.encoders.dense import Floats
from pmsi_chain.errors import ConfigurationError

#: At least what an index encodes at once, so that its dense and its sparse side share one pass.
_CACHE_SIZE = 1024
_BATCH = 12
#: Longest text read, in tokens: labels and mentions are short, and the cost grows with the square.
_MAX_LENGTH = 256
#: Without the last two FlagEmbedding draws their weights at random and says nothing.
_NEEDED = ("config.json", "tokenizer_config.json", "sparse_linear.pt", "colbert_linear.pt")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_NOT_NEEDED = ["flax_model.msgpack", "rust_model.ot", "tf_model.h5", "onnx/*", "imgs/*"]


_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class BgeM3Encoder(Embeddings):
    """Dense side of BGE-M3; `sparse` is its lexical side on the same passes.

    Attributes:
        encoder_id: name and digest of the weights, for index manifests.
        dim: length of a dense vector (1 024 for BAAI/bge-m3).
        sparse: a `SparseEmbeddings` whose indices are token ids.
    """

    def __init__(self, model: Any, dim: int, digest: str) -> None:
        """Assign the parts.

        Args:
            model: a `FlagEmbedding.BGEM3FlagModel`, or anything with its `encode`.
            digest: of the weights; other weights need another one.
        """
        self._model = model
        self.dim = dim
        self.encoder_id = f"bge-m3/{digest}"
        self._kept: OrderedDict[str, tuple[Floats, SparseVector]] = OrderedDict()
        self._lock = Lock()
        self.sparse = BgeM3SparseEncoder(self)

    @classmethod
    def from_path(cls, path_or_hub_id: Path | str, device: str = "cpu") -> BgeM3Encoder:
        """Load a local directory, or a model of the hub by name (which downloads it).

        Args:
            path_or_hub_id: directory with config.json, weights, tokenizer files, sparse_linear.pt and
                colbert_linear.pt; or "BAAI/bge-m3".
            device: "cpu", "cuda" or "cuda:0"; half precision is used off the CPU.

        Raises:
            ConfigurationError: FlagEmbedding is not installed, or the weights are not whole or cannot be loaded.
        """
        try:
            from FlagEmbedding import BGEM3FlagModel
        except ImportError as error:
            raise ConfigurationError(
                "BGE-M3 demande FlagEmbedding, qui n'est pas installé : `pip install 'pmsi-chain[bge-m3]'`, ou retirer "
                "PMSI_BGE_M3 pour les encodeurs embarqués"
            ) from error
        directory = _directory(path_or_hub_id)
        try:
            model = BGEM3FlagModel(str(directory), use_fp16=device != "cpu", devices=device)
            dim = int(model.encode(["test"], return_dense=True)["dense_vecs"].shape[1])
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ConfigurationError(
                f"BGE-M3, {directory} : chargement impossible ({type(error).__name__}) ; {_EXPECTED}"
            ) from error
        return cls(model, dim, _digest(directory))

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors of `texts`, (n, dim)."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.stack([dense for dense, _ in self.both(texts)])

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> Floats:
        """Unit vectors of the passages, (n, dim); BGE-M3 knows nothing of codes."""
        return self.encode(passages)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """LangChain's port: `encode` as lists."""
        return [[float(x) for x in vector] for vector in self.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        """LangChain's port: one text."""
        return self.embed_documents([text])[0]

    def both(self, texts: Sequence[str]) -> list[tuple[Floats, SparseVector]]:
        """Dense and lexical vectors of each text, in one pass for those not asked lately."""
        with self._lock:
            missing = [text for text in dict.fromkeys(texts) if text not in self._kept]
            fresh: dict[str, tuple[Floats, SparseVector]] = {}
            if missing:
                output = self._model.encode(
                    missing,
                    batch_size=_BATCH,
                    max_length=_MAX_LENGTH,
                    return_dense=True,
                    return_sparse=True,
                    return_colbert_vecs=False,
                )
                for text, dense, lexical in zip(missing, output["dense_vecs"], output["lexical_weights"], strict=True):
                    fresh[text] = (np.asarray(dense, dtype=np.float32), _as_vector(lexical))
            found = [fresh.get(text) or self._kept[text] for text in texts]
            self._kept.update(fresh)
            while len(self._kept) > _CACHE_SIZE:
                self._kept.popitem(last=False)
        return found


class BgeM3SparseEncoder(SparseEmbeddings):
    """Lexical weights of BGE-M3 as sparse vectors; shares passes and cache with its dense side.

    Attributes:
        encoder_id: that of the dense side, for index manifests.
    """

    def __init__(self, encoder: BgeM3Encoder) -> None:
        """Assign the encoder."""
        self._encoder = encoder
        self.encoder_id = f"{encoder.encoder_id}/lexical"

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        """Weights of the tokens of each text, ids ascending."""
        return [sparse for _, sparse in self._encoder.both(texts)]

    def embed_query(self, text: str) -> SparseVector:
        """Weights of the tokens of one text."""
        return self.embed_documents([text])[0]

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> list[SparseVector]:
        """Weights of the tokens of the passages."""
        return self.embed_documents(list(passages))


_EXPECTED = (
    "donner un répertoire avec config.json, model.safetensors ou pytorch_model.bin, les fichiers du tokeniseur, "
    "sparse_linear.pt et colbert_linear.pt, ou le nom d'un modèle du hub (BAAI/bge-m3)"
)


def _directory(path_or_hub_id: Path | str) -> Path:
    """The directory of the weights, whole; a name of the hub is downloaded to the hub's own cache."""
    directory = Path(path_or_hub_id)
    if not directory.is_dir():
        if isinstance(path_or_hub_id, Path) or not _HUB_NAME.fullmatch(path_or_hub_id):
            raise ConfigurationError(f"BGE-M3, {path_or_hub_id} : répertoire absent ; {_EXPECTED}")
        from huggingface_hub import snapshot_download

        try:
            directory = Path(snapshot_download(path_or_hub_id, ignore_patterns=_NOT_NEEDED))
        except Exception as error:
            raise ConfigurationError(
                f"BGE-M3, {path_or_hub_id} : ni un répertoire, ni un modèle que le hub donne "
                f"({type(error).__name__}) ; {_EXPECTED}"
            ) from error
    missing = [name for name in _NEEDED if not (directory / name).is_file()]
    if not any((directory / name).is_file() for name in _WEIGHTS):
        missing.append(" ou ".join(_WEIGHTS))
    if missing:
        raise ConfigurationError(f"BGE-M3, {directory} : il manque {', '.join(missing)} ; {_EXPECTED}")
    return directory


def _digest(directory: Path) -> str:
    """Of the small files whole, and of the large one's size and of a thousand places in it."""
    digest = hashlib.sha256()
    for name in (*_NEEDED, "tokenizer.json", *_WEIGHTS):
        path = directory / name
        if path.is_file():
            size = path.stat().st_size
            digest.update(f"{name} {size}".encode())
            with path.open("rb") as file:
                for start in range(0, size, max(4096, size // 1000)):
                    file.seek(start)
                    digest.update(file.read(4096))
    return digest.hexdigest()[:12]


def _as_vector(lexical: dict[str, Any]) -> SparseVector:
    weights = {int(token): float(weight) for token, weight in lexical.items()}
    ids = sorted(weights)
    return SparseVector(indices=ids, values=[weights[i] for i in ids])
