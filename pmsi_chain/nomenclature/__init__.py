"""Official nomenclature files in, versioned editions out: CIM-10 FR and CCAM."""

from pmsi_chain.nomenclature.ccam import CcamEdition, CcamEntry
from pmsi_chain.nomenclature.cim10 import Cim10Edition, Cim10Entry
from pmsi_chain.nomenclature.store import EditionRecord, editions, load_ccam, load_cim10

__all__ = [
    "CcamEdition", "CcamEntry", "Cim10Edition", "Cim10Entry", "EditionRecord", "editions", "load_ccam", "load_cim10",
]  # fmt: skip
