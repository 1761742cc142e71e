"""`PmsiRerank`: LangChain's FlashRank compressor with our cross-encoder and fresh, calibrated scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.callbacks import Callbacks
from langchain_core.documents import Document
from pydantic import ConfigDict, Field, PrivateAttr

from pmsi_chain.encoders.dense import MODELS_DIR, Floats
from pmsi_chain.names import codes_named
from pmsi_chain.rerank.blend import Blend, read_blends, with_list_columns
from pmsi_chain.rerank.cross_encoder import MODEL_NAME, cross_logits, load_ranker, packaged_ranker
from pmsi_chain.rerank.features import PairFeatures, split_passage

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # langchain-community announces its end at import
    from langchain_community.document_compressors.flashrank_rerank import FlashrankRerank


#: A code of which the query is a name is right at least this often; the others share what is left.
NAMED_PROBABILITY = 0.9


class PmsiRerank(FlashrankRerank):
    """Reads the query beside each candidate and orders candidates by the chance that they are right.

    Each document needs `metadata["code"]`. The score blends the cross-encoder's logit with what the encoder knows of
    the code (cosines with its vector, its label and its nearest known expression) and with shared words; a code that
    the encoder never met is judged on its wording alone, by weights of its own. Codes of which the query is a name
    (`pmsi_chain.names`) come first, at `NAMED_PROBABILITY` or more.

    Documents come back as copies with `relevance_score` (a probability, float in [0, 1]), `relevance_rank` (from 1)
    and `cross_encoder_score` (the sigmoid of the logit alone). Scores that the documents carried are replaced.
    """

    top_n: int = Field(default=10, ge=1)

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    _features: PairFeatures = PrivateAttr()
    _blends: dict[str, Blend] = PrivateAttr()

    @classmethod
    def from_package(cls, top_n: int = 10) -> PmsiRerank:
        """The reranker that ships with the package.

        Args:
            top_n: documents returned at most.
        """
        return cls._build(packaged_ranker(), PairFeatures.from_package(), MODELS_DIR, top_n)

    @classmethod
    def from_path(cls, models_dir: Path, top_n: int = 10) -> PmsiRerank:
        """A reranker on a directory written by `pmsi-chain train`.

        Raises:
            ConfigurationError: a file is missing there.
        """
        return cls._build(load_ranker(models_dir / MODEL_NAME), PairFeatures.from_path(models_dir), models_dir, top_n)

    @classmethod
    def _build(cls, ranker: Any, features: PairFeatures, models_dir: Path, top_n: int) -> PmsiRerank:
        reranker = cls(client=ranker, top_n=top_n)
        reranker._features = features
        reranker._blends = read_blends(models_dir / "blend.json")
        return reranker

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The `top_n` best documents, best first; ties keep the order that they came in."""
        if not documents:
            return []
        codes = [document.metadata["code"] for document in documents]
        scores, probabilities, logits = self.score(query, codes, [document.page_content for document in documents])
        order = sorted(range(len(documents)), key=lambda i: -scores[i])[: self.top_n]
        return [
            Document(
                id=documents[i].id,
                page_content=documents[i].page_content,
                metadata=documents[i].metadata
                | {
                    "relevance_score": float(probabilities[i]),
                    "relevance_rank": rank,
                    "cross_encoder_score": float(1 / (1 + np.exp(-logits[i]))),
                },
            )
            for rank, i in enumerate(order, start=1)
        ]

    def score(
        self, query: str, codes: Sequence[str], passages: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(score to rank by, probability in (0, 1), cross-encoder logit) of each candidate, each (n,).

        Args:
            codes: stored form.
            passages: « label » or « label — category's label », one per code.
        """
        features, logits = self.columns(query, codes, passages)
        columns = with_list_columns(features, logits)
        known = np.array([self._features.encoder.knows(code) for code in codes])
        blend = self._blends["known" if known.any() else "label_only"]
        scores = blend.scores(columns)
        probabilities = blend.probabilities(scores)
        named = codes_named(query)
        if named:
            is_named = np.array([code in named for code in codes])
            scores = np.where(is_named, scores + np.ptp(scores) + 1, scores)
            probabilities = np.where(is_named, np.maximum(probabilities, NAMED_PROBABILITY), probabilities)
            probabilities = np.where(is_named | ~is_named.any(), probabilities, probabilities * (1 - NAMED_PROBABILITY))
        return scores, probabilities, logits

    def columns(self, query: str, codes: Sequence[str], passages: Sequence[str]) -> tuple[Floats, Floats]:
        """Retrieval features, (n, len(FEATURE_NAMES)), and cross-encoder logits, (n,), of each candidate."""
        wordings = [split_passage(passage)[0] for passage in passages]
        return self._features.matrix(query, codes, passages), cross_logits(self.client, query, wordings)
