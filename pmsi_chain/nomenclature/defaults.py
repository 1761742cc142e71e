"""The code that stands for a parent when the report says no more: « Hypokaliémie » (E87.6, a parent) is E87.68.

ATIH splits many WHO codes with extensions, and the parent may then no longer be used. What a clinician writes is
nearly always the parent's wording, so the child « sans précision » carries it.
"""

from __future__ import annotations

import re

from pmsi_chain.nomenclature.cim10 import Cim10Edition, Cim10Entry
from pmsi_chain.text import fold

_UNSPECIFIED = re.compile(
    r"sans precision|non precisee?s?\b|sans autre (?:indication|precision)|\bsai\b|non specifiee?s?\b"
)
_UNCOMPLICATED = re.compile(r"sans complication|sans mention|sans autre")
_DEPTH = 4
_NONE = 9


def default_child(edition: Cim10Edition, code: str) -> str | None:
    """The codable descendant that says no more than `code` itself; `code` when it is codable; None without one.

    Among the children of a category, the one in .9 stands for it if it is « sans précision » or « sans complication »;
    among ATIH's extensions of a code, the one that adds « sans précision », else the residual one (a last 8 or 9). A
    single child stands for its parent. Deleted codes never do.
    """
    entry = edition.get(code)
    if entry is None:
        return None
    for _ in range(_DEPTH):
        if entry.type_mco != 3:
            return entry.code
        children = [child for child in map(edition.get, edition.children(entry.code)) if child and not child.deleted]
        parent = fold(entry.label)
        ranked = [(_rank(child, parent), child.code, child) for child in children]
        best = min(ranked, key=lambda item: item[:2], default=None)
        if best is None or (best[0] == _NONE and len(children) > 1):
            return None
        entry = best[2]
    return None


def _rank(child: Cim10Entry, parent: str) -> int:
    label = fold(child.label)
    unspecified = bool(_UNSPECIFIED.search(label)) and not _UNSPECIFIED.search(parent)
    if len(child.code) == 4:
        return 0 if child.code[-1] == "9" and (unspecified or _UNCOMPLICATED.search(label)) else _NONE
    if unspecified:
        return 1
    return {"9": 2, "8": 3}.get(child.code[-1], _NONE)
