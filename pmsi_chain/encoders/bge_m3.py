"""BGE-M3 through FlagEmbedding (extra `pmsi-chain[bge-m3]`): dense and lexical vectors from one forward pass.

Its weights (2.3 GB) are the user's to fetch; nothing here downloads on its own unless a hub name is given.
"""

from __future__ import annotations

import hashlib
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

_CACHE_SIZE = 512
_BATCH = 12
#: Longest text read, in tokens: labels and mentions are short, and the cost grows with the square.
_MAX_LENGTH = 256


class BgeM3Encoder(Embeddings):
    """Dense side of BGE-M3; `sparse` is its lexical side on the same passes.

    Attributes:
        encoder_id: name and where the weights came from, for index manifests.
        dim: length of a dense vector (1 024 for BAAI/bge-m3).
        sparse: a `SparseEmbeddings` whose indices are token ids.
    """

    def __init__(self, model: Any, dim: int, origin: str) -> None:
        """Assign the parts.

        Args:
            model: a `FlagEmbedding.BGEM3FlagModel`, or anything with its `encode`.
            origin: path or hub name of the weights.
        """
        self._model = model
        self.dim = dim
        self.encoder_id = f"bge-m3/{hashlib.sha256(origin.encode()).hexdigest()[:12]}"
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
            ConfigurationError: FlagEmbedding is not installed, or the weights cannot be loaded.
        """
        try:
            from FlagEmbedding import BGEM3FlagModel
        except ImportError as error:
            raise ConfigurationError(
                "BGE-M3 needs FlagEmbedding, which is not installed: `pip install 'pmsi-chain[bge-m3]'`, or leave "
                "the encoder setting out to use the embedded one."
            ) from error
        try:
            model = BGEM3FlagModel(str(path_or_hub_id), use_fp16=device != "cpu", devices=device)
            dim = int(model.encode(["test"], return_dense=True)["dense_vecs"].shape[1])
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"BGE-M3 could not be loaded from {path_or_hub_id} ({type(error).__name__}): give a directory that "
                "holds config.json, the weights, the tokenizer files, sparse_linear.pt and colbert_linear.pt."
            ) from error
        return cls(model, dim, str(path_or_hub_id))

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


def _as_vector(lexical: dict[str, Any]) -> SparseVector:
    weights = {int(token): float(weight) for token, weight in lexical.items()}
    ids = sorted(weights)
    return SparseVector(indices=ids, values=[weights[i] for i in ids])
