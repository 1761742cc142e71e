"""pmsi_chain: from a hospital report to a justified PMSI coding, offline.

    from pmsi_chain import CodingChain, Settings, Stay

    coding = CodingChain.from_settings(Settings()).invoke(Stay(text=report))

Names are loaded at their first use: importing the package reads no file and imports no model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pmsi_chain.chain import CodingChain
    from pmsi_chain.checking import check_coding
    from pmsi_chain.codes import CcamCode, Cim10Code
    from pmsi_chain.domain import (
        CodeCandidate,
        CodedAct,
        CodedDiagnosis,
        Coding,
        EligibilityCriteria,
        Evidence,
        Finding,
        ReviewItem,
        Rum,
        RumAct,
        Stay,
    )
    from pmsi_chain.engine import RAGEngine
    from pmsi_chain.errors import PmsiChainError
    from pmsi_chain.settings import Settings

_HOMES = {
    "CcamCode": "codes",
    "Cim10Code": "codes",
    "CodeCandidate": "domain",
    "CodedAct": "domain",
    "CodedDiagnosis": "domain",
    "Coding": "domain",
    "CodingChain": "chain",
    "EligibilityCriteria": "domain",
    "Evidence": "domain",
    "Finding": "domain",
    "PmsiChainError": "errors",
    "RAGEngine": "engine",
    "ReviewItem": "domain",
    "Rum": "domain",
    "RumAct": "domain",
    "Settings": "settings",
    "Stay": "domain",
    "check_coding": "checking",
}

__all__ = [
    "CcamCode",
    "Cim10Code",
    "CodeCandidate",
    "CodedAct",
    "CodedDiagnosis",
    "Coding",
    "CodingChain",
    "EligibilityCriteria",
    "Evidence",
    "Finding",
    "PmsiChainError",
    "RAGEngine",
    "ReviewItem",
    "Rum",
    "RumAct",
    "Settings",
    "Stay",
    "check_coding",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
