"""The package's own French cross-encoder, loaded by FlashRank from FlashRank's own format."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmsi_chain.encoders.dense import MODELS_DIR, Floats
from pmsi_chain.errors import ConfigurationError

if TYPE_CHECKING:
    from flashrank import Ranker

MODEL_NAME = "pmsi-reranker-fr"
MODEL_FILE = "model.onnx"
#: Tokens of a query and its passage together; a query is cut to `MAX_QUERY_WORDS` first so that the passage stays.
MAX_LENGTH = 96
MAX_QUERY_WORDS = 24


def load_ranker(folder: Path) -> Ranker:
    """A `flashrank.Ranker` on a local model folder; nothing is downloaded.

    Raises:
        ConfigurationError: the folder does not hold a model in FlashRank's format.
    """
    missing = [
        name
        for name in (MODEL_FILE, "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
        if not (folder / name).is_file()
    ]
    if missing:
        raise ConfigurationError(
            f"{folder} holds no FlashRank model: {', '.join(missing)} missing. Give a folder written by "
            "`pmsi-chain train reranker`, or reinstall the package."
        )
    from flashrank import Ranker
    from flashrank.Config import model_file_map

    model_file_map.setdefault(folder.name, MODEL_FILE)
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    ranker = Ranker(model_name=folder.name, cache_dir=str(folder.parent), max_length=MAX_LENGTH, log_level="WARNING")
    root.handlers[:], root.level = before  # FlashRank configures the root logger: that is the application's to do
    return ranker


@lru_cache(maxsize=1)
def packaged_ranker() -> Ranker:
    """The ranker on the model that ships with the package, loaded once per process."""
    return load_ranker(MODELS_DIR / MODEL_NAME)


def cross_logits(ranker: Any, query: str, passages: Sequence[str]) -> Floats:
    """Logits of the cross-encoder, (n,), in the order of `passages`; higher means more relevant."""
    from flashrank import RerankRequest

    if not passages:
        return np.zeros(0, dtype=np.float32)
    cut = " ".join(query.split()[:MAX_QUERY_WORDS])
    request = RerankRequest(query=cut, passages=[{"id": i, "text": text} for i, text in enumerate(passages)])
    probabilities = np.zeros(len(passages), dtype=np.float64)
    for answer in ranker.rerank(request):
        probabilities[answer["id"]] = float(answer["score"])
    inside = np.clip(probabilities, 1e-6, 1 - 1e-6)
    logits: Floats = np.log(inside / (1 - inside)).astype(np.float32)
    return logits
