"""`Reader`: a report in, what it says and where out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from pmsi_chain.reading.context import ContextMap, Scope
from pmsi_chain.reading.dictionary import TermDictionary
from pmsi_chain.reading.documents import find_documents, mixed, weighed
from pmsi_chain.reading.report import LabValue, Mention, Origin, Report, Section, Sentence
from pmsi_chain.reading.scopes import admission_year, find_scopes
from pmsi_chain.reading.sections import find_sections
from pmsi_chain.reading.sentences import find_instructions, find_sentences
from pmsi_chain.reading.tokens import Token, tokens_of
from pmsi_chain.reading.values import find_values
from pmsi_chain.reading.windows import Window, find_windows
from pmsi_chain.text import fold
from pmsi_chain.text import tokens as index_terms

if TYPE_CHECKING:
    from pmsi_chain.lexicon import Lexicon
    from pmsi_chain.nomenclature import Cim10Edition

#: A title with the first names that may follow it on its line; a place that bears a name.
_NAME_BEFORE = re.compile(
    r"(?:\b(?:MM?|Mr|D[rR]s?|P[rR]s?|(?i:Mme|Mlle|monsieur|madame|mademoiselle|docteur|professeur))\b"
    r"(?:\.[^\S\n]*|[^\S\n]+)(?:(?:[A-ZÀ-Ý][\wÀ-ÿ'’-]*|[A-ZÀ-Ý]\.(?:-?[A-ZÀ-Ý]\.)?)[^\S\n]+){0,2}"
    r"|\bnée?\s+|(?i:\b(?:h[ôo]pital|clinique|chu?|chs|centre|rue|unit[ée]|ehpad|accueil de jour))\s+(?:de\s+|d['’])?)$"
)
#: No condition is read from these: names, dates, addressees.
_SILENT_SECTIONS = frozenset({"identite"})
_NAMES_A_CONDITION = re.compile(r"hypo|hyper|anem|thrombop|thrombocytose|leucop|neutrop|amaigr|perte|fievre|acidos")


class Reader:
    """Reads French reports against one edition of the CIM-10 and one lexicon.

    Reading is linear in the length of the report; no model takes part and nothing leaves the process.
    """

    def __init__(self, dictionary: TermDictionary, lexicon: Lexicon) -> None:
        self._dictionary = dictionary
        self._lexicon = lexicon

    @classmethod
    def from_edition(cls, edition: Cim10Edition, lexicon: Lexicon) -> Self:
        """A reader that knows the edition's labels and notes, and the lexicon's abbreviations and synonyms."""
        return cls(TermDictionary.from_edition(edition), lexicon)

    def read(self, text: str, year: int | None = None) -> Report:
        """Read a report.

        Args:
            text: the report(s) as given; never changed, all offsets point into it.
            year: year of the stay, against which "in 2012" is past; by default the latest full date of the report.
        """
        documents = find_documents(text)
        other = mixed(text, documents)
        sections = weighed(find_sections(text, documents), documents, other)
        sentences = find_sentences(text, sections)
        instructions = find_instructions(text, sentences)
        tokens = tokens_of(text)
        starts = [token.start for token in tokens]
        by_sentence = [tokens[bisect_left(starts, s.start) : bisect_left(starts, s.end)] for s in sentences]
        contexts = _contexts(text, sections, sentences, by_sentence, admission_year(text) if year is None else year)
        values = find_values(text, sentences)
        mentions = self._mentions(text, sentences, by_sentence, contexts, frozenset(instructions), values)
        return Report(text, sections, sentences, mentions, values, instructions, contexts, documents, other)

    def _mentions(
        self,
        text: str,
        sentences: Sequence[Sentence],
        by_sentence: Sequence[Sequence[Token]],
        contexts: ContextMap,
        silent: frozenset[tuple[int, int]],
        values: Sequence[LabValue],
    ) -> tuple[Mention, ...]:
        measured = _measured(text, values)
        hits = [
            (start, end, entry)
            for start, end, entry in self._lexicon.find(text)
            if start not in measured and not (entry.kind == "lay" and _is_a_name(text, start))
        ]
        hit_starts = [start for start, _, _ in hits]
        out: list[Mention] = []
        for index, (sentence, tokens) in enumerate(zip(sentences, by_sentence, strict=True)):
            if sentence.section in _SILENT_SECTIONS or (sentence.start, sentence.end) in silent or not tokens:
                continue
            whole = text[sentence.start : sentence.end]
            expansions: dict[int, tuple[int, str]] = {}
            readings: dict[str, str] = {}
            first, last = bisect_left(hit_starts, sentence.start), bisect_left(hit_starts, sentence.end)
            for start, end, entry in hits[first:last]:
                written = text[start:end]
                if written not in readings:  # an ambiguous term keeps one sense throughout a sentence
                    readings[written] = fold(self._lexicon.expand(written, whole) if entry.senses else entry.expansion)
                if readings[written] != fold(written):
                    expansions[start] = (end, readings[written])
            maker = _MentionMaker(text, index, sentence, tokens, contexts, expansions, self._lexicon)
            taken: set[tuple[int, int]] = set()
            token_starts = [token.start for token in tokens]
            for i, j, codes in self._dictionary.matches(tokens):
                taken.add((i, j))
                out.append(maker.of(Window(i, j, ((i, j),)), "dictionary", codes))
            for start, (end, expanded) in expansions.items():
                i, j = bisect_left(token_starts, start), bisect_left(token_starts, end) - 1
                if i <= j and (i, j) not in taken:
                    taken.add((i, j))
                    codes = self._dictionary.codes_of(expanded)
                    out.append(maker.of(Window(i, j, ((i, j),)), "dictionary", codes))
            for window in find_windows(tokens, contexts.scopes[index]):
                if tokens[window.first].start in measured:
                    continue
                if len(window.parts) == 1 and (window.first, window.last) in taken:
                    continue
                if len(window.parts) == 1:
                    out.append(maker.of(window, "window", ()))
                else:
                    out.append(self._spelled_out(maker.of(window, "composed", ())))
        out.sort(key=lambda mention: (mention.start, mention.end, mention.origin))
        return tuple(out)

    def _spelled_out(self, composed: Mention) -> Mention:
        """A composed form in the lexicon's words: « métastases (hépatiques et) osseuses » is an abbreviation too."""
        term = fold(self._lexicon.expand(composed.term))
        return replace(composed, term=term, key=" ".join(index_terms(term)), codes=self._dictionary.codes_of(term))


class _MentionMaker:
    """Turns windows of one sentence into mentions."""

    def __init__(
        self,
        text: str,
        index: int,
        sentence: Sentence,
        tokens: Sequence[Token],
        contexts: ContextMap,
        expansions: dict[int, tuple[int, str]],
        lexicon: Lexicon,
    ) -> None:
        self._lexicon = lexicon
        self._text = text
        self._index = index
        self._sentence = sentence
        self._tokens = tokens
        self._contexts = contexts
        self._expansions = expansions

    def of(self, window: Window, origin: Origin, codes: tuple[str, ...]) -> Mention:
        tokens = self._tokens
        start, end = tokens[window.first].start, tokens[window.last].end
        term = " ".join(self._words(i, j) for i, j in window.parts)
        context = self._contexts.at(start, end)
        if len(window.parts) > 1:
            for i, j in window.parts:
                context |= self._contexts.at(tokens[i].start, tokens[j].end)
        return Mention(
            start, end, self._sentence.section, self._index, context, origin, codes, term, " ".join(index_terms(term))
        )

    def _words(self, first: int, last: int) -> str:
        """Folded words of a run, abbreviations spelled out."""
        words: list[str] = []
        index = first
        while index <= last:
            token = self._tokens[index]
            expansion = self._expansions.get(token.start)
            following = self._tokens[last + 1] if last + 1 < len(self._tokens) else None
            if expansion is not None and following is not None and following.start < expansion[0]:
                # The window holds the beginning of a term only: what it holds may be a term of its own.
                words.append(fold(self._lexicon.expand(self._text[token.start : self._tokens[last].end])))
                break
            if expansion is not None:
                words.append(expansion[1])
                while index <= last and self._tokens[index].start < expansion[0]:
                    index += 1
                continue
            words.append(f"{token.elided}{token.word}" if token.elided and index > first else token.word)
            index += 1
        return " ".join(words)


def _is_a_name(text: str, start: int) -> bool:
    """Whether a capitalised word is a name: « le Dr Crohn », « Mme Jeanne Horton », « accueil de jour Alzheimer »."""
    return text[start].isupper() and _NAME_BEFORE.search(text[max(0, start - 60) : start]) is not None


def _measured(text: str, values: Sequence[LabValue]) -> frozenset[int]:
    """Offsets inside values named by a substance: « K 3,1 mmol/L » is no condition, « anémie à 8 g/dL » is one."""
    return frozenset(
        offset
        for value in values
        if not _NAMES_A_CONDITION.match(fold(text[value.start : value.end]))
        for offset in range(value.start, value.end)
    )


def _contexts(
    text: str,
    sections: Sequence[Section],
    sentences: Sequence[Sentence],
    by_sentence: Sequence[Sequence[Token]],
    year: int | None,
) -> ContextMap:
    scopes: list[tuple[Scope, ...]] = []
    base: list[frozenset[str]] = []
    section_index = 0
    for sentence, tokens in zip(sentences, by_sentence, strict=True):
        while sections[section_index].end <= sentence.start:
            section_index += 1
        section = sections[section_index]
        base.append(section.context)
        tail = text[tokens[-1].end : sentence.end] if tokens else ""
        scopes.append(find_scopes(tokens, tail, year, section.name))
    return ContextMap(tuple(s.start for s in sentences), tuple(s.end for s in sentences), tuple(scopes), tuple(base))
