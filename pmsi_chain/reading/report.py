"""What reading gives back: frozen values whose offsets point into the report as given, end excluded."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pmsi_chain.domain import Evidence
from pmsi_chain.reading.care import refers_back, tells_care
from pmsi_chain.reading.context import ContextMap
from pmsi_chain.text import fold, fold_with_offsets

Origin = Literal["dictionary", "window", "composed"]
Flag = Literal["low", "high", "normal"]

#: Normalised section names; "entete" is what stands before the first heading.
SECTION_NAMES: tuple[str, ...] = (
    "entete", "identite", "motif", "antecedents", "mode_de_vie", "traitement_entree", "histoire", "examen",
    "complementaires", "biologie", "evolution", "operatoire", "comorbidites", "conclusion", "traitement_sortie",
    "suites", "autre",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report under one heading.

    Attributes:
        name: one of `SECTION_NAMES`.
        title: the heading's words as printed, without Markdown marks and colon; "" when there is none.
        start, end: from the heading's line to the next heading.
        body: where the text after the heading begins.
        context: flags that the heading gives to all that follows: "family" ("Antécédents familiaux"), "history"
            ("Hospitalisation précédente"), "hypothesis" ("Diagnostics différentiels"), "negated", "listed_history".
    """

    name: str
    title: str
    start: int
    end: int
    body: int
    context: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Document:
    """One report of the input.

    Attributes:
        kind: "stay", "unit", "emergency", "operation" or "result" (see `pmsi_chain.reading.documents`).
        start, end: characters of the text.
    """

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, a bullet or a table row; `section` is the normalised name."""

    start: int
    end: int
    section: str


@dataclass(frozen=True, slots=True)
class Mention:
    """A place of the report that may name a condition or an act.

    Attributes:
        start, end: the quote is `report.text[start:end]`; for a composed form it covers the whole coordination.
        section, sentence: normalised section name, index into `Report.sentences`.
        context: qualifiers, see `pmsi_chain.reading.context.FLAGS`.
        origin: "dictionary" (equals a label, note or lexicon term), "window" (to be matched by meaning) or
            "composed" (a coordination spelled out: « insuffisance rénale et cardiaque » → insuffisance cardiaque).
        codes: candidate CIM-10 codes of a dictionary hit, stored form, best first; () otherwise.
        term: folded words that stand for the mention, to search with.
        key: stems of the term without stop words, the form under which equal mentions are joined.
    """

    start: int
    end: int
    section: str
    sentence: int
    context: frozenset[str]
    origin: Origin
    codes: tuple[str, ...]
    term: str
    key: str


@dataclass(frozen=True, slots=True)
class LabValue:
    """A measured value: a fact, never a code by itself.

    Attributes:
        name: normalised analyte ("kaliemie", "natremie", "hemoglobine", "albumine", "imc", "spo2", "glasgow"…).
        value, unit: as printed; unit "" when none is printed.
        start, end: from the analyte's name to the last sign of the value, unit and range.
        low, high: reference bounds as printed beside the value; None when that side is not printed.
        flag: "low", "high" or "normal"; None when neither a printed nor a usual range applies.
        flag_source: "printed" (range beside the value) or "usual" (adult range of the knowledge file); None as flag.
    """

    name: str
    value: float
    unit: str
    start: int
    end: int
    section: str
    low: float | None = None
    high: float | None = None
    flag: Flag | None = None
    flag_source: Literal["printed", "usual"] | None = None


@dataclass(frozen=True)
class Report:
    """A report as read.

    Attributes:
        text: as given; every offset points into it.
        sections, sentences: in order, without holes between sections.
        mentions: in order of start, then of end.
        values: laboratory and clinical values, in order.
        instructions: spans of sentences addressed to a machine; no mention is read from them.
        documents: the reports that the input holds, in order.
        mixed: "two_patients" or "two_stays" where the documents are not of one stay; only the last is then coded.
    """

    text: str
    sections: tuple[Section, ...]
    sentences: tuple[Sentence, ...]
    mentions: tuple[Mention, ...]
    values: tuple[LabValue, ...]
    instructions: tuple[tuple[int, int], ...] = ()
    contexts: ContextMap = field(default_factory=ContextMap, repr=False)
    documents: tuple[Document, ...] = ()
    mixed: Literal["two_patients", "two_stays"] | None = None

    def proof(self, start: int, end: int, probability: float | None = None) -> Evidence:
        """The words [start, end) as evidence, with their section and their qualifiers."""
        return Evidence(
            quote=self.text[start:end],
            start=start,
            end=end,
            section=self.section_at(start),
            probability=None if probability is None else round(probability, 4),
            context=tuple(sorted(self.context_at(start, end))),
        )

    @property
    def folded(self) -> str:
        """The text as patterns read it: lower case, without accents (`pmsi_chain.text.fold`)."""
        return self._folding[0]

    def matches(
        self, pattern: re.Pattern[str], sentence: Sentence | None = None, group: str | int = 0
    ) -> Iterator[tuple[re.Match[str], int, int]]:
        """Matches of a pattern in the folded text, or in one sentence of it, with the place of a group in `text`.

        The group must take part in every match and hold a character.
        """
        folded, offsets = self._folding
        shift = 0
        if sentence is not None:
            shift = bisect_left(offsets, sentence.start)
            folded = folded[shift : bisect_left(offsets, sentence.end)]
        for match in pattern.finditer(folded):
            yield match, offsets[shift + match.start(group)], offsets[shift + match.end(group) - 1] + 1

    def section_at(self, position: int) -> str:
        """Normalised name of the section that holds a character offset; "autre" outside the text."""
        index = bisect_right(self._section_starts, position) - 1
        if index < 0 or position >= self.sections[index].end:
            return "autre"
        return self.sections[index].name

    def sentence_at(self, position: int) -> int | None:
        """Index of the sentence that holds a character offset, None between sentences."""
        index = bisect_right(self._sentence_starts, position) - 1
        if index < 0 or position >= self.sentences[index].end:
            return None
        return index

    def context_at(self, start: int, end: int) -> frozenset[str]:
        """Qualifiers of the span [start, end), whatever it is; cues inside the span do not qualify it."""
        return self.contexts.at(start, end)

    @cached_property
    def forms(self) -> Mapping[str, tuple[Mention, ...]]:
        """Mentions by `key`: the distinct forms to look up, each with its places in order."""
        places: dict[str, list[Mention]] = {}
        for mention in self.mentions:
            places.setdefault(mention.key, []).append(mention)
        return {key: tuple(found) for key, found in places.items()}

    @cached_property
    def cares(self) -> tuple[bool, ...]:
        """Per sentence, whether it tells a care, or the one behind it that refers back to it."""
        folded = [fold(self.text[s.start : s.end]) for s in self.sentences]
        own = [tells_care(sentence) for sentence in folded]
        behind = [
            after and refers_back(text) and self.sentences[i].section == self.sentences[i + 1].section
            for i, (after, text) in enumerate(zip(own[1:], folded[1:], strict=True))
        ]
        return tuple(a or b for a, b in zip(own, [*behind, False], strict=True)) if own else ()

    @cached_property
    def _folding(self) -> tuple[str, list[int]]:
        return fold_with_offsets(self.text)

    @cached_property
    def _section_starts(self) -> list[int]:
        return [section.start for section in self.sections]

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [sentence.start for sentence in self.sentences]
