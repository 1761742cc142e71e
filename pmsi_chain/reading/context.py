"""What qualifies a span: negated, hypothesis, family, history, planned, resolved.

A cue qualifies a span when its reach covers the span's first word, the head of a French group, or half of the span,
and the cue stands outside it: « diverticulose sans perforation ni abcès » is not negated by its own words.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

#: listed_history: stands in a section of antecedents, where chronic diseases of today are listed too.
#: previous_stay: told again from a stay before this one; other_patient: stands in a report of someone else.
FLAGS: tuple[str, ...] = (
    "negated", "hypothesis", "family", "history", "listed_history", "planned", "resolved", "previous_stay",
    "other_patient",
)  # fmt: skip
#: Under which words attest nothing about the patient today; and nothing that happens in this stay.
NOT_PRESENT: frozenset[str] = frozenset(
    {"negated", "hypothesis", "family", "planned", "previous_stay", "other_patient"}
)
NOT_NOW: frozenset[str] = NOT_PRESENT | {"history"}


@dataclass(frozen=True, slots=True)
class Scope:
    """A cue and its reach, in characters of the report."""

    flag: str
    start: int
    end: int
    cue_start: int
    cue_end: int


@dataclass(frozen=True, slots=True)
class ContextMap:
    """The scopes of a report by sentence, to qualify any span.

    Attributes:
        starts, ends: places of the sentences.
        scopes: scopes of each sentence.
        base: flags that the section gives to the whole sentence.
    """

    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    scopes: tuple[tuple[Scope, ...], ...] = ()
    base: tuple[frozenset[str], ...] = ()

    def at(self, start: int, end: int) -> frozenset[str]:
        """Flags of [start, end), which should lie in one sentence: the one that holds `start` decides."""
        index = bisect_right(self.starts, start) - 1
        if index < 0 or start >= self.ends[index] or end <= start:
            return frozenset()
        flags = self.base[index]
        found = {
            scope.flag
            for scope in self.scopes[index]
            if (scope.start <= start < scope.end or 2 * (min(end, scope.end) - max(start, scope.start)) >= end - start)
            and (scope.cue_end <= start or scope.cue_start >= end)
        }
        return flags | found if found else flags
