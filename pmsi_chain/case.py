"""A stay on its way through the chain: every step adds what it found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from pmsi_chain.domain import CodedAct, ReviewItem, Stay
from pmsi_chain.linking import Link
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition
from pmsi_chain.proposals import Proposals
from pmsi_chain.reading import Report
from pmsi_chain.selection import Selection


@dataclass(frozen=True)
class Case:
    """A stay and what has been found so far.

    Attributes:
        run: id of this passage, for the audit log.
        advised: a language model was asked.
        timings_s: seconds per step done.
    """

    stay: Stay
    edition: Cim10Edition
    ccam: CcamEdition
    report: Report | None = None
    links: tuple[Link, ...] = ()
    proposals: Proposals = field(default_factory=lambda: Proposals(()))
    acts: tuple[CodedAct, ...] = ()
    act_review: tuple[ReviewItem, ...] = ()
    selection: Selection = field(default_factory=Selection)
    advised: bool = False
    timings_s: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    run: str = field(default_factory=lambda: uuid4().hex)

    def then(self, step: str, start: float, **found: Any) -> Case:
        """The case with what a step found and how long it took."""
        timings = {**self.timings_s, step: round(time.perf_counter() - start, 4)}
        return replace(self, timings_s=timings, **found)

    @property
    def counts(self) -> dict[str, int]:
        """Sizes of what was found by the steps done."""
        found = {"chars": len(self.stay.text)}
        if self.report is not None:
            found["mentions"] = len(self.report.mentions)
        if "link" in self.timings_s:
            found["candidates"] = sum(len(link.codes) for link in self.links)
        if "propose" in self.timings_s:
            found["attested"] = len(self.proposals.present)
        return found
