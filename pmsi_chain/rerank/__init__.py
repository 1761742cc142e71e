"""Reading a query beside each candidate: the reranker, and the evidence scorer built on it."""

from __future__ import annotations

from pmsi_chain.rerank.compressor import PmsiRerank
from pmsi_chain.rerank.evidence import EvidenceScorer

__all__ = ["EvidenceScorer", "PmsiRerank"]
