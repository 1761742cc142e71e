"""BGE-M3's two sides on a scripted model: FlagEmbedding and its weights are not part of the test installation."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pmsi_chain.encoders.bge_m3 import BgeM3Encoder
from pmsi_chain.errors import ConfigurationError


class ScriptedModel:
    """Answers like BGEM3FlagModel and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], **options: Any) -> dict[str, Any]:
        assert options["return_dense"]
        assert options["return_sparse"]
        self.asked.append(list(texts))
        dense = np.array([[len(text), 1.0, 0.0] for text in texts], dtype=np.float16)
        return {
            "dense_vecs": dense,
            "lexical_weights": [{"7": np.float32(0.5), "3": np.float32(len(t))} for t in texts],
        }


def test_one_pass_serves_both_sides() -> None:
    model = ScriptedModel()
    encoder = BgeM3Encoder(model, 3, "somewhere")
    assert encoder.embed_query("toux") == [4.0, 1.0, 0.0]
    sparse = encoder.sparse.embed_query("toux")
    assert (sparse.indices, sparse.values) == ([3, 7], [4.0, 0.5])
    assert model.asked == [["toux"]]


def test_texts_come_back_in_order_each_encoded_once() -> None:
    model = ScriptedModel()
    encoder = BgeM3Encoder(model, 3, "somewhere")
    assert encoder.encode(["a", "bbb", "a"])[:, 0].tolist() == [1.0, 3.0, 1.0]
    assert model.asked == [["a", "bbb"]]
    assert encoder.encode([]).shape == (0, 3)


def test_a_batch_larger_than_the_cache_is_whole() -> None:
    encoder = BgeM3Encoder(ScriptedModel(), 3, "somewhere")
    texts = ["x" * n for n in range(1, 700)]
    assert encoder.encode_codes(["I10"] * len(texts), texts)[:, 0].tolist() == pytest.approx(range(1, 700))
    assert encoder.encode(["x", "xx"])[:, 0].tolist() == [1.0, 2.0]


@pytest.mark.skipif(importlib.util.find_spec("FlagEmbedding") is not None, reason="FlagEmbedding is installed")
def test_a_missing_extra_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pmsi-chain\[bge-m3\]"):
        BgeM3Encoder.from_path(tmp_path)
