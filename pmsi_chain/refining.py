"""A code to its most precise form: the sibling whose own words stand where the condition is told.

CIM-10 tells codes of one family apart by a few words (« utilisation actuelle », « en rémission partielle », « FEVG
inférieure à 40 »). They are often said in the same sentence as the condition, not inside its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Report
from pmsi_chain.selection import Proposal
from pmsi_chain.text import STOP_WORDS, tokens, words

_MAX_FAMILY = 60
#: Share of a sibling's own words that must be said, and by how much it must beat the present code.
_SUPPORT = 0.74
_MARGIN = 0.3
_VAGUE = frozenset(tokens("sans précision autre autres non précisé précisée précisés classé ailleurs personne mention"))
_NEGATIONS = frozenset({"sans", "non"})


def refine(report: Report, edition: Cim10Edition, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Replace codes by the more precise sibling that the sentences around their proofs support."""
    return [_refined(report, edition, proposal) for proposal in proposals]


def _refined(report: Report, edition: Cim10Edition, proposal: Proposal) -> Proposal:
    family = _family(edition, proposal.code)
    if len(family) < 2 or len(family) > _MAX_FAMILY:
        return proposal
    own = _own_words(edition, family)
    said = _said(report, proposal)
    ranked = sorted(
        ((_support(own[code], said), len(own[code]), code) for code in family), key=lambda r: (-r[0], -r[1], r[2])
    )
    best_support, _, best = ranked[0]
    present = _support(own[proposal.code], said) if own[proposal.code] else 0.0
    if best == proposal.code or best_support < _SUPPORT or best_support < present + _MARGIN:
        return proposal
    if not set(proposal.positions) <= {p for p in proposal.positions if edition.is_allowed(best, p)}:
        return proposal
    entry = edition.entry(best)
    return replace(
        proposal,
        code=best,
        label=entry.label,
        reasons=(*proposal.reasons, "précisé par la phrase qui l'énonce"),
        rivals=(proposal.code, *proposal.rivals),
    )


def _family(edition: Cim10Edition, code: str) -> tuple[str, ...]:
    """The code itself and the codable codes split from the same four characters; of the category for its vague code."""
    root = code[:3] if code == default_child(edition, code[:3]) else code[:4]
    return tuple(c for c in (root, *edition.descendants(root)) if edition.get(c) and edition.is_allowed(c, "das"))


def _own_words(edition: Cim10Edition, family: Sequence[str]) -> dict[str, frozenset[str]]:
    """Per code, the words of its label that not every label of the family has."""
    sets = {code: frozenset(_content(edition.entry(code).label)) for code in family}
    seen = Counter(word for found in sets.values() for word in found)
    return {code: frozenset(w for w in found if seen[w] < len(family)) - _VAGUE for code, found in sets.items()}


def _content(text: str) -> list[str]:
    """Words that tell labels apart: content words, and the negations and numbers among them."""
    return [w for w in words(re.sub(r"\bFEVG\b", "", text)) if w not in STOP_WORDS or w in _NEGATIONS]


def _said(report: Report, proposal: Proposal) -> frozenset[str]:
    """Words of the sentences that hold its proofs."""
    found = {i for e in proposal.evidence if (i := report.sentence_at(e.start)) is not None}
    return frozenset(w for i in found for w in words(report.text[report.sentences[i].start : report.sentences[i].end]))


def _support(own: frozenset[str], said: frozenset[str]) -> float:
    if not own:
        return 0.0
    return sum(any(_same(word, other) for other in said) for word in own) / len(own)


def _same(word: str, other: str) -> bool:
    """Equal but for an ending: « abstinent », « abstinente »; numbers and short words must be equal."""
    if word == other:
        return True
    shared = min(len(word), len(other)) - 2
    return shared >= 5 and word[:shared] == other[:shared] and abs(len(word) - len(other)) <= 3
