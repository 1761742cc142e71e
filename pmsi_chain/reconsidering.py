"""The decision seen again with the second reading: what it adds, what it sends to review, what is only shown.

The rules decide from names and sections. The second reading gives each code the chance that a coder would code it
(`pmsi_chain.describing`). Where it is sure enough, a code that the rules left aside is coded; where it hardly believes
in a DAS of theirs, that goes to review; in between, what was told without being named is shown for review. A DP that
the situation imposes stands; any other gives way to a code that the second reading finds clearly likelier.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from pmsi_chain.codes import cim10_display
from pmsi_chain.combining import is_asterisk
from pmsi_chain.decision import explained
from pmsi_chain.describing import Candidate, Outlook
from pmsi_chain.domain import ReviewItem
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.proposals import Proposals, same_problem
from pmsi_chain.reading import Report
from pmsi_chain.rules import position_rule
from pmsi_chain.selection import Choice, Proposal, Selection, for_review

#: Chances, in [0, 1]: from the first a code is added; under the second a DAS of the rules goes to review; from the
#: third a code is shown for review. Chosen on invented reports by cross-validation (`models/reader.md`).
ADDED, DOUBTED, SHOWN = 0.5, 0.35, 0.25
#: Settings that the first and the third go with: a stricter `code_threshold` or `review_threshold` raises them alike.
_USUAL_CODE, _USUAL_REVIEW = 0.7, 0.5
#: By how much a code must be likelier as DP than the rules' own; the least chance of a DP where they found none; and
#: the least chance, of all, that it is coded.
DP_MARGIN, DP_LEAST, DP_CODED = 0.05, 0.3, 0.2
_MAX_SHOWN = 6
#: Characters of a text from which chances are shown: the forests have learned from none that is shorter.
_LEAST_CHARS = 900
#: Beginnings of codes that this reading leaves to the rules: circumstances, germs, treatments that impose a DP.
_LEFT_TO_RULES = ("V", "W", "X", "Y", "B95", "B96", "B97", "B98", "Z51")
#: States and histories: DP of nothing but a negative exam, which the rules see.
_STATES = ("Z8", "Z90", "Z91", "Z92", "Z93", "Z99")
#: Sections that list what the patient also has: nobody says there that it was cared for.
_LISTS = frozenset({"comorbidites", "identite"})
TOLD = "dit par le texte sans être nommé"
UNLIKELY = "peu probable au vu de l'ensemble du compte rendu"

_ProposalOf = Callable[[str], Proposal]


def reconsider(
    report: Report,
    edition: Cim10Edition,
    outlook: Outlook,
    proposed: Proposals,
    selection: Selection,
    code_threshold: float = _USUAL_CODE,
    review_threshold: float = _USUAL_REVIEW,
) -> tuple[tuple[Proposal, ...], Selection]:
    """The proposals with those of the second reading, and the selection with what it changes.

    Args:
        outlook: of the second reading.
        proposed: what the rules decided on. What a value and a care suggest stays for review: the Guide wants it named.
        code_threshold, review_threshold: the settings, in [0, 1].
    """
    added = min(1.0, ADDED * code_threshold / _USUAL_CODE)
    least = min(1.0, SHOWN * review_threshold / _USUAL_REVIEW)
    proposals = {p.code: p for p in proposed.present}
    measured = {category for p in proposed.measured for category in same_problem(p.code)}
    unnamed = {c.code for c in outlook.candidates.values() if c.code[:3] in measured and not c.is_named}

    def proposal_of(code: str) -> Proposal:
        found = proposals.get(code) or _proposal(report, edition, outlook, code)
        proposals[code] = found = max(found, _as_likely(outlook, found), key=lambda p: p.probability)
        return found

    said_otherwise = _said_otherwise(outlook)
    selection = _with_dp(report, edition, outlook, selection, unnamed | said_otherwise, proposal_of)
    taken = {c.proposal.code for c in (selection.dp, selection.dr) if c is not None}
    coded: dict[str, Choice] = {}
    review: list[ReviewItem] = []
    for choice in selection.das:
        code = choice.proposal.code
        named = _is_named(outlook, code) and not is_asterisk(code) and "conclusion" not in choice.proposal.sections
        if named and outlook.chances[code] < DOUBTED:
            review.append(_doubt(choice.proposal, outlook, UNLIKELY))
        else:
            coded[code] = choice
    shown: list[str] = []
    for code in sorted(outlook.chances, key=lambda c: (-outlook.chances[c], c)):
        chance = outlook.chances[code]
        if chance < least or code in taken or code in coded or code.startswith(_LEFT_TO_RULES):
            continue
        vaguer = _vaguer(edition, code, coded)
        if vaguer is None and any(other[:3] == code[:3] for other in (*taken, *coded)):
            continue
        if code in said_otherwise or explained(code, {*taken, *coded}):
            continue
        listed_only = code in proposals and proposals[code].sections <= _LISTS
        if chance < added or is_asterisk(code) or listed_only or code in unnamed:
            shown.append(code)
            continue
        if vaguer is not None:
            del coded[vaguer]
        found = proposal_of(code)
        reasons = found.reasons or (TOLD,)
        coded[code] = Choice(found, "das", position_rule("das", code).id, reasons)
    for code in list(coded):
        why = explained(code, {*taken, *coded} - {code})
        if why:
            review.append(_doubt(coded.pop(code).proposal, outlook, why))
    left = {*coded, *taken}
    review = [item for item in (*selection.review, *review) if item.code not in left]
    listed = {item.code for item in review}
    review += [
        _doubt(_proposal(report, edition, outlook, code), outlook, f"{TOLD} : à confirmer")
        for code in shown
        if code not in listed and code not in left
    ][:_MAX_SHOWN]
    selection = replace(selection, das=tuple(coded.values()), review=tuple(review))
    if len(report.text) >= _LEAST_CHARS:
        selection = _with_chances(outlook, selection)
    return tuple(proposals.values()), selection


def _with_dp(
    report: Report,
    edition: Cim10Edition,
    outlook: Outlook,
    selection: Selection,
    barred: Collection[str],
    proposal_of: _ProposalOf,
) -> Selection:
    """The selection with the likeliest DP, the rules' own one among the DAS."""
    ours = selection.dp
    if ours is not None and (
        ours.proposal.code.startswith("Z")
        or not _is_named(outlook, ours.proposal.code)
        or ours.rule_id != position_rule("dp", ours.proposal.code).id
    ):
        return selection  # imposed by the situation, or made of several codes
    able = [
        code
        for code in outlook.principal
        if edition.is_allowed(code, "dp")
        and code not in barred
        and not is_asterisk(code)
        and not code.startswith((*_LEFT_TO_RULES, *_STATES))
        and outlook.chances[code] >= DP_CODED
        and (
            ours is None
            or code[:3] != ours.proposal.code[:3]
            or outlook.chances[code] > outlook.chances[ours.proposal.code]
        )
    ]
    best = max(able, key=lambda code: (outlook.principal[code], code), default=None)
    least = DP_LEAST
    if ours is not None:
        likelier = outlook.principal[ours.proposal.code] + DP_MARGIN
        least = likelier if len(report.text) >= _LEAST_CHARS else max(likelier, DP_LEAST)
    if best is None or outlook.principal[best] < least or (ours is not None and best == ours.proposal.code):
        return selection
    found = proposal_of(best)
    chance = _share(outlook.principal[best])
    rule = position_rule("dp", best).id
    reasons = (f"seconde lecture : {chance} d'être le DP", *(found.reasons or (TOLD,)))
    das = [choice for choice in selection.das if choice.proposal.code != best]
    runner_up = selection.runner_up
    if ours is not None:
        code = ours.proposal.code
        runner_up = (
            f"{cim10_display(code)} {ours.proposal.label} ; choisi par les règles, {_share(outlook.principal[code])} "
            f"d'être le DP selon la seconde lecture, contre {chance}"
        )
        if edition.is_allowed(code, "das") and code[:3] != best[:3]:
            das.insert(0, Choice(ours.proposal, "das", position_rule("das", code).id, ours.proposal.reasons))
    dp = Choice(found, "dp", rule, reasons)
    return replace(selection, dp=dp, das=tuple(das), runner_up=runner_up)


def _with_chances(outlook: Outlook, selection: Selection) -> Selection:
    """The chance that a choice is right instead of the one that its wording is known, where words name it."""

    def weighed(choice: Choice) -> Choice:
        is_named = _is_named(outlook, choice.proposal.code)
        return replace(choice, proposal=_as_likely(outlook, choice.proposal)) if is_named else choice

    dp = weighed(selection.dp) if selection.dp is not None else None
    return replace(selection, dp=dp, das=tuple(map(weighed, selection.das)))


def _as_likely(outlook: Outlook, proposal: Proposal) -> Proposal:
    return replace(proposal, probability=round(outlook.chances[proposal.code], 4))


def _is_named(outlook: Outlook, code: str) -> bool:
    """Whether words name the code itself, and no rule has made it of others or left it to the situation."""
    candidate = outlook.candidates.get(code)
    return candidate is not None and candidate.is_named and not code.startswith(_LEFT_TO_RULES)


def _said_otherwise(outlook: Outlook) -> set[str]:
    """Codes whose very words say another one of their category: L89.0 by « escarre de stade II »."""
    literal: dict[str, list[Candidate]] = {}
    for candidate in outlook.candidates.values():
        if candidate.is_literal:
            literal.setdefault(candidate.code[:3], []).append(candidate)
    return {
        code
        for code, candidate in outlook.candidates.items()
        if not candidate.is_named
        and any(o.start < candidate.end and o.end > candidate.start for o in literal.get(code[:3], ()))
    }


def _share(chance: float) -> str:
    return f"{round(100 * chance)} %"


def _vaguer(edition: Cim10Edition, code: str, coded: Collection[str]) -> str | None:
    """A coded « sans précision » code that this one says more precisely."""
    for root in (code[:3], code[:4]):
        child = default_child(edition, root)
        if child is not None and child in coded and child != code and len(code) >= len(child):
            return child
    return None


def _proposal(report: Report, edition: Cim10Edition, outlook: Outlook, code: str) -> Proposal:
    candidate, chance = outlook.candidates[code], round(outlook.chances[code], 4)
    return Proposal(
        code=code,
        label=edition.entry(code).label,
        probability=chance,
        evidence=(report.proof(candidate.start, candidate.end, chance),),
        positions=edition.positions(code),
    )


def _doubt(proposal: Proposal, outlook: Outlook, reason: str) -> ReviewItem:
    return for_review(_as_likely(outlook, proposal), "das", reason)
