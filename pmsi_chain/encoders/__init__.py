"""Dense and sparse encoders: embedded ones that work with nothing else, and BGE-M3 when its weights are there.

The sparse and BGE-M3 classes import langchain-qdrant, which takes a second and more: they load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pmsi_chain.encoders.dense import EmbeddedEncoder

if TYPE_CHECKING:
    from pmsi_chain.encoders.bge_m3 import BgeM3Encoder
    from pmsi_chain.encoders.sparse import EmbeddedSparseEncoder

__all__ = ["BgeM3Encoder", "EmbeddedEncoder", "EmbeddedSparseEncoder"]


def __getattr__(name: str) -> Any:
    if name == "EmbeddedSparseEncoder":
        from pmsi_chain.encoders.sparse import EmbeddedSparseEncoder

        return EmbeddedSparseEncoder
    if name == "BgeM3Encoder":
        from pmsi_chain.encoders.bge_m3 import BgeM3Encoder

        return BgeM3Encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
