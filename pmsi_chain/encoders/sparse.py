"""The embedded sparse encoder: `LexicalWeights` behind LangChain's `SparseEmbeddings`.

A query counts each of its stems once; all weighting stands on the document's side, so that the dot product of the two
vectors is the BM25 score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from langchain_qdrant.sparse_embeddings import SparseEmbeddings, SparseVector

from pmsi_chain.encoders.dense import PASSAGE_SEPARATOR
from pmsi_chain.encoders.lexical import LexicalWeights, stem_id
from pmsi_chain.text import tokens


class EmbeddedSparseEncoder(SparseEmbeddings):
    """BM25 as sparse vectors, codes widened by what clinicians call them.

    Attributes:
        encoder_id: name, analyser version and sizes, for index manifests.
    """

    def __init__(self, weights: LexicalWeights) -> None:
        """Assign the word weights."""
        self._weights = weights
        self.encoder_id = f"pmsi-sparse/{weights.weights_id}"

    @classmethod
    def from_package(cls) -> EmbeddedSparseEncoder:
        """The sparse encoder that ships with the package."""
        return cls(LexicalWeights.from_package())

    @classmethod
    def from_path(cls, path: Path) -> EmbeddedSparseEncoder:
        """A sparse encoder written by `pmsi-chain train encoder`."""
        return cls(LexicalWeights.from_path(path))

    def embed_query(self, text: str) -> SparseVector:
        """Every distinct stem once, weight 1, ids ascending; empty for a text without content."""
        ids = sorted({stem_id(stem) for stem in tokens(text)})
        return SparseVector(indices=ids, values=[1.0] * len(ids))

    def embed_documents(self, texts: list[str]) -> list[SparseVector]:
        """BM25 weights of the stems of each text, ids ascending."""
        return [_as_vector(self._weights.of_text(text)) for text in texts]

    def encode_codes(self, codes: Sequence[str], passages: Sequence[str]) -> list[SparseVector]:
        """Sparse vectors of codes: the learned weights, or the label's own where nothing was learned.

        Args:
            codes: stored form, any nomenclature.
            passages: the index text of each code; what follows " — " (the category's label) is left out.
        """
        vectors = []
        for code, passage in zip(codes, passages, strict=True):
            learned = self._weights.of_code(code)
            label = passage.split(PASSAGE_SEPARATOR, 1)[0]
            vectors.append(_as_vector(self._weights.of_text(label) if learned is None else learned))
        return vectors


def _as_vector(weights: Mapping[int, float]) -> SparseVector:
    ids = sorted(weights)
    return SparseVector(indices=ids, values=[weights[i] for i in ids])
