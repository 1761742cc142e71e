"""Report → pseudonymised report, and the way back.

Rules, not a guarantee: what follows a title ("Mme", "Dr") or a field ("Nom :", "IPP :") or has a form of its own (date,
phone, e-mail, NIR, address, long number) is replaced, then every other place of a name found so. A name that nothing
announces ("Jean Dupont" alone on a line), and a town or a hospital in a sentence, stay. Pure.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from pmsi_chain.privacy.dates import date_spans, shifted
from pmsi_chain.privacy.finding import Kind, identifying_spans, letter_runs, name_tokens, name_words
from pmsi_chain.text import fold


@dataclass(frozen=True, slots=True)
class Replacement:
    """A span of the original, [start, end), and what stands for it in the pseudonymised text, from `at` on."""

    start: int
    end: int
    at: int
    surrogate: str
    kind: Kind


@dataclass(frozen=True)
class Pseudonymised:
    """A text whose identifying spans were replaced, and the way back.

    Attributes:
        original, text: before and after.
        replacements: in order.
        offset_days: how far dates were moved; 0 when nothing was.
        names: the original name words, folded, each with its surrogate.
    """

    original: str
    text: str
    replacements: tuple[Replacement, ...] = ()
    offset_days: int = 0
    names: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_identity(cls, text: str) -> Self:
        """The text as it is, for a reader who may know whom it is about."""
        return cls(text, text)

    @cached_property
    def _starts(self) -> list[int]:
        return [r.start for r in self.replacements]

    @cached_property
    def _ats(self) -> list[int]:
        return [r.at for r in self.replacements]

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original behind [start, end) of `text`; a touched replacement counts as a whole."""
        return self._back(start, opening=True), self._back(end, opening=False)

    def to_pseudonymised(self, start: int, end: int) -> tuple[int, int]:
        """The span of `text` for [start, end) of the original; a touched replacement counts as a whole."""
        return self._forth(start, opening=True), self._forth(end, opening=False)

    def _back(self, place: int, *, opening: bool) -> int:
        index = bisect_right(self._ats, place if opening else place - 1) - 1
        if index < 0:
            return place
        r = self.replacements[index]
        after = r.at + len(r.surrogate)
        if place < after if opening else place <= after:
            return r.start if opening else r.end
        return r.end + place - after

    def _forth(self, place: int, *, opening: bool) -> int:
        index = bisect_right(self._starts, place if opening else place - 1) - 1
        if index < 0:
            return place
        r = self.replacements[index]
        after = r.at + len(r.surrogate)
        if place < r.end if opening else place <= r.end:
            return r.at if opening else after
        return after + place - r.end

    def restore_dates(self, text: str) -> str:
        """A model's sentence with its dates as the original has them; other surrogates stay."""
        if not self.offset_days:
            return text
        known = {r.surrogate: self.original[r.start : r.end] for r in self.replacements if r.kind == "date"}
        pieces: list[str] = []
        last = 0
        for start, end in sorted(date_spans(text)):
            if start < last:
                continue
            written = text[start:end]
            pieces += [text[last:start], known.get(written) or shifted(written, -self.offset_days) or written]
            last = end
        return "".join([*pieces, text[last:]])

    def mask(self, text: str) -> str:
        """A sentence without the identifying words of the original: surrogates stand for them. Dates stay."""
        wordings = {
            self.original[r.start : r.end]: r.surrogate for r in self.replacements if r.kind not in ("date", "name")
        }
        for wording in sorted(wordings, key=len, reverse=True):
            text = text.replace(wording, wordings[wording])
        names = dict(self.names)
        pieces: list[str] = []
        last = 0
        for run in letter_runs(text):
            surrogate = names.get(fold(run.group()))
            if surrogate:
                pieces += [text[last : run.start()], surrogate]
                last = run.end()
        return "".join([*pieces, text[last:]])


class Pseudonymiser:
    """Report → pseudonymised report: one surrogate per person or number, one date shift per report."""

    def __init__(self, rng: random.Random | None = None) -> None:
        """`rng` draws the date shift; None: the system's source of randomness."""
        self._rng = rng or random.SystemRandom()

    def __call__(self, text: str) -> Pseudonymised:
        """Replace names, numbers, addresses and contacts by `[NOM_1]`…, and move every date by the same days.

        The shift is a whole number of weeks between 4 and 52, back or forth: delays and week days stay true.
        """
        offset = 7 * self._rng.randint(4, 52) * self._rng.choice((-1, 1))
        surrogates = _Surrogates(text)
        pieces: list[str] = []
        replacements: list[Replacement] = []
        last = at = 0
        for start, end, kind in identifying_spans(text):
            written = text[start:end]
            surrogate = (shifted(written, offset) if kind == "date" else None) or surrogates.of(kind, written)
            at += start - last
            pieces += [text[last:start], surrogate]
            replacements.append(Replacement(start, end, at, surrogate, kind))
            at += len(surrogate)
            last = end
        names = tuple((word, surrogates.of("name", word)) for word in sorted(name_words(text)))
        return Pseudonymised(text, "".join([*pieces, text[last:]]), tuple(replacements), offset, names)


class _Surrogates:
    """`[NOM_1]`, `[TEL_1]`…: one number per distinct value, never one that the text holds already."""

    _WORDS: Mapping[Kind, str] = {
        "email": "EMAIL", "nir": "NIR", "phone": "TEL", "id": "ID", "address": "ADRESSE", "name": "NOM", "date": "DATE",
    }  # fmt: skip

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[tuple[Kind, str], str] = {}
        self._last: dict[Kind, int] = {}

    def of(self, kind: Kind, written: str) -> str:
        keys = name_tokens(written) if kind == "name" else []
        keys = keys or [re.sub(r"\W", "", fold(written))]
        found = next((self._known[kind, key] for key in keys if (kind, key) in self._known), None)
        if found is None:
            number = self._last.get(kind, 0) + 1
            while f"[{self._WORDS[kind]}_{number}]" in self._text:
                number += 1
            self._last[kind] = number
            found = f"[{self._WORDS[kind]}_{number}]"
        for key in keys:
            self._known.setdefault((kind, key), found)
        return found
