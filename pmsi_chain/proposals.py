"""Links to proposals: what the report attests, code by code, with its proof, its context and its probability.

A code is proposed only from words that say it of the patient, now, as a fact. What is negated, a hypothesis, about a
relative or planned is no proof; a disease of the past becomes the history code that CIM-10 has for it (Z85–Z88).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pmsi_chain.combining import combine
from pmsi_chain.domain import Stay
from pmsi_chain.extensions import extended
from pmsi_chain.linking import Link
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Report
from pmsi_chain.reading.context import NOT_PRESENT
from pmsi_chain.refining import refine
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches
from pmsi_chain.rules.guide import knowledge
from pmsi_chain.selection import Proposal
from pmsi_chain.valued import valued

#: (code, label, passage) triples to probabilities in [0, 1].
EvidenceFunction = Callable[[Sequence[tuple[str, str, str]]], list[float]]

#: Cosine at which a wording near a code is as likely wrong as right, and how fast that changes with it.
_EVEN_COSINE, _STEEPNESS = 0.77, 25.0
_CERTAIN = 0.99
#: Cosine by which a code must beat its best sibling; else the code « sans précision » that they share stands for both.
SIBLING_MARGIN = 0.02
#: Probability from which a precise code stands for a vague one.
_LIKELY = 0.5
#: Probability of what a turn of phrase of the project's tables tells.
_TOLD = 0.9
_MAX_RIVALS = 4
#: Categories of one problem, as values tell it.
_PROBLEMS = tuple(
    frozenset(group.split()) for group in ("E40 E41 E43 E44 E46 R63 R64", "D50 D51 D52 D53 D62 D63 D64 O99 O90",
    "N17 N18 N19 R39 R94 O90", "J96 J80 J81 P22", "D50 E61", "E16 E10 E11 E13 E14")
)  # fmt: skip

#: Diseases that last: named under « antécédents », they are still there (Guide MCO 2026, ch. V, Antécédents, p. 82).
_LASTING = re.compile(
    r"E(?:0[0-7]|1[0-4]|2[0-7]|66|7[0-9]|8[0-5])|I(?:1[0-5]|2[05]|27|3[4-7]|4[2-9]|50|69|7[0-3])|J4[0-7]|J84|J96[1]|"
    r"N18|K7[0-4]|K5[01]|M0[5-9]|M1[0-9]|M3|M4|M8[01]|G(?:1|2|3|4[0-3]|47|7|8[0-3])|F0|F1|F2|F3|F7|F84|B18|B20|B21|B22|"
    r"B23|B24|D5[5-8]|D6[6-8]|H(?:25|26|35|36|40|54|9)|Q|Z"
)
#: What is over once it stands in a list of antecedents, dated or not: injuries, poisonings, pregnancies.
_OVER = re.compile(r"S|T(?:[0-6]|7[0-79])|O(?!09|1[0-6]|2[4-9]|3)")
#: First characters of a past disease → code of personal history.
_HISTORY: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"C(?:1[5-9]|2[0-6])", "Z850"), (r"C3[34]", "Z851"), (r"C3", "Z852"), (r"C50|D05", "Z853"),
        (r"C(?:5[1-8]|6[0-3])", "Z854"), (r"C6[4-8]", "Z855"), (r"C9[1-5]", "Z856"), (r"C(?:8[1-9]|90|96)", "Z857"),
        (r"C7[7-9]", ""), (r"C", "Z858"), (r"D(?:[0-3]|4[0-8])", "Z860"), (r"[AB]", "Z861"), (r"D", "Z862"),
        (r"E", "Z863"), (r"F1", "Z864"), (r"F", "Z865"), (r"[GH]", "Z866"), (r"I2[1-2]", "I252"), (r"I", "Z867"),
        (r"J", "Z870"), (r"K", "Z871"), (r"L", "Z872"), (r"M", "Z873"), (r"N", "Z874"), (r"O", "Z875"), (r"Q", "Z877"),
        (r"[ST]", "Z878"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposals:
    """What may be coded, and what was read but is no proof.

    Attributes:
        present: attested, most probable first.
        doubtful: only ever a hypothesis; for review.
        recalled: only told again from an earlier stay; for review.
        measured: a value and a care that suggest a diagnosis which nobody named; for review.
    """

    present: tuple[Proposal, ...]
    doubtful: tuple[Proposal, ...] = ()
    recalled: tuple[Proposal, ...] = ()
    measured: tuple[Proposal, ...] = ()


def build_proposals(
    report: Report, links: Sequence[Link], edition: Cim10Edition, stay: Stay, score: EvidenceFunction
) -> Proposals:
    """Group links by code and weigh them.

    Args:
        score: calibrated probability that a passage attests a code.
    """
    groups: dict[str, list[tuple[Link, bool]]] = {}
    doubtful: dict[str, list[Link]] = {}
    recalled: dict[str, list[Link]] = {}
    for link in links:
        context = link.mention.context
        link = _settled(link, edition)
        if not edition.entry(link.code).fits(stay.sex, stay.age):
            continue
        if context & NOT_PRESENT:
            if context & NOT_PRESENT <= {"hypothesis"}:
                doubtful.setdefault(link.code, []).append(link)
            elif context & NOT_PRESENT <= {"previous_stay"}:
                recalled.setdefault(link.code, []).append(link)
            continue
        past = _is_past(link)
        code = _history_code(link.code, edition) if past else link.code
        if code is not None:
            groups.setdefault(code, []).append((link, past))
    triples = []
    for items in groups.values():
        triples += [(link.code, edition.entry(link.code).label, link.mention.term) for link, _ in items]
    attested = iter(score(triples) if triples else ())
    present = []
    for code, items in groups.items():
        weighed = [(_probability(link, next(attested)), link) for link, _ in items]
        present.append(_proposal(report, edition, code, weighed))
    told, unsure = valued(report, edition)
    present = refine(report, edition, _with(present, told))
    present += _states(report, edition, {p.code for p in present})
    present = extended(report, edition, combine(report, edition, present))
    present = without_vaguer(edition, present)
    kept = {p.code for p in present}
    order = sorted(present, key=lambda p: (-p.probability, p.evidence[0].start, p.code))
    measured = tuple(p for p in unsure if not any(code[:3] in same_problem(p.code) for code in kept))
    return Proposals(
        tuple(order), _unsure(report, edition, doubtful, kept), _unsure(report, edition, recalled, kept), measured
    )


def _with(present: Sequence[Proposal], more: Sequence[Proposal]) -> list[Proposal]:
    """The proposals and those of other categories among the further ones."""
    known = {p.code[:4] for p in present if p.probability >= _LIKELY}
    return [*present, *(p for p in more if p.code[:4] not in known)]


def same_problem(code: str) -> frozenset[str]:
    """Categories one of which, once attested, leaves nothing to ask of a value."""
    return next((group for group in _PROBLEMS if code[:3] in group), frozenset((code[:3],)))


def _unsure(
    report: Report, edition: Cim10Edition, found: Mapping[str, list[Link]], kept: set[str]
) -> tuple[Proposal, ...]:
    """Proposals that attest nothing, in the order of the report."""
    proposals = [
        _proposal(report, edition, code, [(min(0.49, link.score / 2), link) for link in items])
        for code, items in found.items()
        if code not in kept
    ]
    return tuple(sorted(proposals, key=lambda p: p.evidence[0].start))


def _settled(link: Link, edition: Cim10Edition) -> Link:
    """A code must beat its best sibling by a margin; without it, what the two have in common « sans précision ».

    A literal wording settles it. Siblings share the first four characters, or the category.
    """
    if link.exact or len(link.codes) < 2 or link.code[0] == "Z":
        return link
    best, score = link.codes[0]
    close = [c for c, s in link.codes[1:] if c[:3] == best[:3] and s > score - SIBLING_MARGIN]
    if not close or any(c.startswith(best) for c in close):
        return link
    root = best[:4] if all(c[:4] == best[:4] for c in close) else best[:3]
    child = default_child(edition, root)
    if child is None or child == best or child in close:
        return (
            replace(link, codes=((child, score), *(item for item in link.codes if item[0] != child))) if child else link
        )
    return replace(link, codes=((child, score), *link.codes))


def _is_past(link: Link) -> bool:
    """Whether the words speak of a disease of the past; what was cured during the stay is not of the past."""
    context = link.mention.context
    if "resolved" in context and ("history" in context or link.mention.section == "antecedents"):
        return True
    if "listed_history" in context and _OVER.match(link.code):
        return True
    return "history" in context and not _LASTING.match(link.code)


def _probability(link: Link, attested: float) -> float:
    """Probability that a link is right: a known wording is; else both its nearness and the evidence must say so."""
    near = 1.0 / (1.0 + math.exp(-_STEEPNESS * (link.score - _EVEN_COSINE)))
    return _CERTAIN if link.exact else min(_CERTAIN, near, attested)


def _history_code(code: str, edition: Cim10Edition) -> str | None:
    if code.startswith("Z"):
        return code
    for pattern, history in _HISTORY:
        if pattern.match(code):
            return default_child(edition, history) if history else None
    return None


def _proposal(report: Report, edition: Cim10Edition, code: str, weighed: Sequence[tuple[float, Link]]) -> Proposal:
    ordered = sorted(weighed, key=lambda item: (-item[0], item[1].mention.start))
    evidence = tuple(report.proof(link.mention.start, link.mention.end, p) for p, link in ordered)
    rivals = [c for _, link in ordered for c, _ in link.codes if c != code]
    entry = edition.entry(code)
    return Proposal(
        code=code,
        label=entry.label,
        probability=round(ordered[0][0], 4),
        evidence=evidence,
        positions=edition.positions(code),
        context=frozenset.intersection(*(link.mention.context for _, link in ordered)),
        reasons=("formulation connue du code",) if ordered[0][1].exact else (),
        rivals=tuple(dict.fromkeys(rivals))[:_MAX_RIVALS],
    )


@lru_cache(maxsize=1)
def _state_cues() -> tuple[tuple[str, re.Pattern[str]], ...]:
    text = knowledge("status_cues.csv").read_text(encoding="utf-8")
    return tuple((row["code"], re.compile(row["pattern"])) for row in csv.DictReader(text.splitlines(), delimiter=";"))


def _states(report: Report, edition: Cim10Edition, known: set[str]) -> list[Proposal]:
    """Lasting states that a turn of phrase tells rather than a name: « anticoagulée au long cours »."""
    found: dict[str, Proposal] = {}
    for code, pattern in _state_cues():
        if code in known or code in found or not edition.is_allowed(code, "das"):
            continue
        for _, start, end in report.matches(pattern):
            if not report.context_at(start, end) & NOT_PRESENT:
                evidence = report.proof(start, end, _TOLD)
                found[code] = Proposal(code, edition.entry(code).label, _TOLD, (evidence,), edition.positions(code))
                break
    return list(found.values())


def without_vaguer(edition: Cim10Edition, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Leave out « sans précision » codes beside a more precise one of the same problem."""
    codes = [proposal.code for proposal in proposals if proposal.probability >= _LIKELY]
    categories: dict[str, int] = {}
    for code in codes:
        categories[code[:3]] = categories.get(code[:3], 0) + 1
    vague = {code for code in codes if categories[code[:3]] > 1 and code == default_child(edition, code[:3])}
    for blurred, precise in check_tables().unspecified:
        if any(any_matches(precise, code) for code in codes):
            vague |= {code for code in codes if any_matches(blurred, code) and not any_matches(precise, code)}
    return [_with_vaguer(proposal, proposals, vague) for proposal in proposals if proposal.code not in vague]


def _with_vaguer(proposal: Proposal, proposals: Sequence[Proposal], vague: set[str]) -> Proposal:
    """The only precise code of a category with the places of its vague one: they tell of the same condition."""
    category = [p for p in proposals if p.code[:3] == proposal.code[:3]]
    dropped = [p for p in category if p.code in vague]
    if not dropped or len(category) != 1 + len(dropped):
        return proposal
    places = {(e.start, e.end) for e in proposal.evidence}
    more = tuple(e for p in dropped for e in p.evidence if (e.start, e.end) not in places)
    return replace(proposal, evidence=(*proposal.evidence, *more))
