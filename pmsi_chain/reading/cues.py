"""Cues of context, found in a sentence. Data: `knowledge/reading_cues.csv`, words, flag, side and reach.

| reach | how far |
|---|---|
| `list` | to the end of an enumeration |
| `sans` | as `list`, for « sans » |
| `clause` | to the end of the clause, commas passed when the enumeration goes on |
| `sentence` | to the end of the sentence |
| `near` | a few words |
| `past` | as `near`, in a section of antecedents only |
| `opening` | as `list`, at the start of a statement only |
| `field` | the group before the answer of a form |
| `none` | no reach: the cue shields its own words |
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from pmsi_chain.reading.tokens import STRONG_SIGN, Token
from pmsi_chain.reading.words import word_classes

_DE = frozenset({"de", "d'", "du", "des"})


@dataclass(frozen=True, slots=True)
class Cue:
    """One reading of a cue: `side` is "before" or "after" what it qualifies; flag "none" shields its own words."""

    flag: str
    side: str
    reach: str


@dataclass(frozen=True, slots=True)
class FoundCue:
    """A cue at its place.

    Attributes:
        cues: its readings, of one side or of both.
        first, after: its first token, and the first token after it.
        next_word: the word after it, an elided article included, endings cut; "" at the end.
        start, end: characters of the report.
    """

    cues: tuple[Cue, ...]
    first: int
    after: int
    next_word: str
    start: int
    end: int


@lru_cache(maxsize=1)
def cue_table() -> Mapping[str, tuple[tuple[tuple[str, ...], tuple[Cue, ...]], ...]]:
    """First word → (words, readings), longest first."""
    source = files("pmsi_chain").joinpath("knowledge", "reading_cues.csv").read_text(encoding="utf-8")
    readings: dict[tuple[str, ...], list[Cue]] = {}
    for row in csv.DictReader(source.splitlines(), delimiter=";"):
        if row["cue"][0] in ":=?":
            continue  # answers of a form, read by `pmsi_chain.reading.scopes`
        words = tuple(bare(word) for word in re.findall(r"[^\s']+'?", row["cue"].replace("-", " ").replace("/", " ")))
        readings.setdefault(words, []).append(Cue(row["flag"], row["side"], row["reach"]))
    table: dict[str, list[tuple[tuple[str, ...], tuple[Cue, ...]]]] = {}
    for words, cues in sorted(readings.items(), key=lambda item: -len(item[0])):
        table.setdefault(words[0], []).append((words, tuple(cues)))
    return {first: tuple(entries) for first, entries in table.items()}


@lru_cache(maxsize=50_000)
def bare(word: str) -> str:
    """A word without its feminine and plural endings, and one form for « de, d', du, des »."""
    if word in _DE:
        return "de"
    if len(word) <= 4 or word.endswith("'"):
        return word
    bare = word.rstrip("es")
    return bare[:-1] if bare.endswith(("ll", "nn", "tt")) and len(bare) > 4 else bare


def find_cues(tokens: Sequence[Token]) -> Iterator[FoundCue]:
    """Cues of a sentence from left to right, the longest at each place, never overlapping; shields left out."""
    adverbs = word_classes()["adverb"]
    stream: list[tuple[str, int, bool]] = []
    for index, token in enumerate(tokens):
        if token.elided:
            stream.append((bare(token.elided), index, True))
        if token.word not in adverbs:  # « élimine formellement », « a été clairement écartée »
            stream.append((bare(token.word), index, False))
    position = 0
    while position < len(stream):
        found = _longest(tokens, stream, position)
        if found is None:
            position += 1
            continue
        length, cues = found
        _, first, _ = stream[position]
        _, last, is_elided = stream[position + length - 1]
        position += length
        if any(cue.flag == "none" for cue in cues):
            continue
        # A cue that ends with an elided article ends before the word that carries it.
        after = last if is_elided else last + 1
        start = tokens[first].start
        end = tokens[after - 1].end if after > first else start
        yield FoundCue(cues, first, after, stream[position][0] if position < len(stream) else "", start, end)


def _longest(
    tokens: Sequence[Token], stream: Sequence[tuple[str, int, bool]], position: int
) -> tuple[int, tuple[Cue, ...]] | None:
    for words, cues in cue_table().get(stream[position][0], ()):
        stretch = stream[position : position + len(words)]
        if len(stretch) < len(words) or any(got != word for (got, _, _), word in zip(stretch, words, strict=True)):
            continue
        inside = tokens[stretch[0][1] + 1 : stretch[-1][1] + 1]
        if not any("," in token.gap or STRONG_SIGN.search(token.gap) for token in inside):
            return len(words), cues
    return None
