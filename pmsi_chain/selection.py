"""From proposals to positions: the values that the rule-based and the LLM selection share.

A `Proposal` is a code that the report may attest, with its proof; a `Selection` puts some of them in positions. Any
selector is a callable `(SelectionRequest) -> Selection`; whatever it answers is verified afterwards
(`pmsi_chain.verification`), so that no code and no quote can come out that did not go in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import CodeType, Evidence, Position, ReviewItem, Stay


@dataclass(frozen=True, slots=True)
class Proposal:
    """A code that the report may attest.

    Attributes:
        probability: calibrated probability, in [0, 1], that the report attests it.
        evidence: its proofs, strongest first; never empty.
        positions: where type MCO allows it.
        context: qualifiers that hold at *every* place of it ("negated", "hypothesis", "family", "history", …).
        reasons: what speaks for it, short French phrases.
        rivals: codes of the same words with a lower probability, best first.
    """

    code: str
    label: str
    probability: float
    evidence: tuple[Evidence, ...]
    positions: tuple[Position, ...]
    context: frozenset[str] = frozenset()
    reasons: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()

    @property
    def sections(self) -> frozenset[str]:
        """Sections in which it is attested."""
        return frozenset(e.section for e in self.evidence)


@dataclass(frozen=True, slots=True)
class Choice:
    """A proposal put in a position by a rule.

    Attributes:
        rule_id: id of the Guide's rule (`pmsi_chain.rules`) that puts it there.
        reasons: why, short French phrases, strongest first.
    """

    proposal: Proposal
    position: Position
    rule_id: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Chosen positions; the rest is for review or left out."""

    dp: Choice | None = None
    dr: Choice | None = None
    das: tuple[Choice, ...] = ()
    review: tuple[ReviewItem, ...] = ()
    runner_up: str | None = None
    decided_by: str = "rules"
    notes: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """DP, DR and DAS in this order, those that there are."""
        return (*(choice for choice in (self.dp, self.dr) if choice is not None), *self.das)

    @property
    def codes(self) -> frozenset[str]:
        """Codes in any position."""
        return frozenset(choice.proposal.code for choice in self.choices)


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """What a selector decides on.

    Attributes:
        stay: the stay, with the report's text.
        proposals: the closed list, most probable first.
        rules: per code, the Guide's criteria that apply to it, in French.
        default: what the rules would decide; an LLM selector falls back on it.
    """

    stay: Stay
    proposals: tuple[Proposal, ...]
    rules: dict[str, tuple[str, ...]] = field(default_factory=dict)
    default: Selection | None = None


Selector = Callable[[SelectionRequest], Selection]


def for_review(proposal: Proposal, position: CodeType, reason: str) -> ReviewItem:
    """A proposal that a person should decide on, with its strongest proof."""
    return ReviewItem(
        code=proposal.code,
        display=cim10_display(proposal.code),
        label=proposal.label,
        position=position,
        probability=proposal.probability,
        reason=reason,
        evidence=proposal.evidence[:1],
    )
