"""The clinical lexicon: abbreviations and synonyms of French reports, each mapped to words of the nomenclatures.

The data is `knowledge/lexicon.csv` (`;`-separated, UTF-8): `term;expansion;kind;senses;note`.

| kind | matched | example |
|---|---|---|
| `abbreviation` | from three letters on: in any case; up to two: in capitals, or in a short query | HTA, FA |
| `capitals` | in capitals, or in a short query: in lower case its letters are a French word | IRA, AIT |
| `cased` | as written only, never inside a passage in capitals: its letters are a French word | LES, K |
| `shortening` | any case, with its full stop; up to three letters: in a short query, or full stop | cœlio |
| | written with a full stop in the file: only before one that ends no sentence | abl., inf. |
| `synonym`, `lay` | any case, singular or plural | escarre, crise cardiaque |

`senses` is empty, or lists every reading of an ambiguous term, the default first, each with the words that
point to it: `insuffisance rénale aiguë (créatinine, dialyse)|insuffisance respiratoire aiguë (SpO2)`.
A reading equal to the term leaves the text as it is. Pure: `load_lexicon` alone reads, the package's own file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import NamedTuple, Self

from pmsi_chain.errors import SourceFileError
from pmsi_chain.text import fold, stem

COLUMNS = ("term", "expansion", "kind", "senses", "note")
KINDS = frozenset({"abbreviation", "capitals", "cased", "shortening", "synonym", "lay"})

#: A text up to this length without a line break is taken for a query, where nobody writes capitals.
QUERY_CHARS = 80
#: Words looked at on each side of an ambiguous term for the cues of its senses.
CUE_WINDOW = 25

_CAPITALS = "A-ZÀ-ÖØ-Þ"
_MARKS = "\u0300-\u036f"
#: A dotted acronym (its last full stop only where the sentence goes on), a word with its combining marks,
#: or the sign of « ST+ » and « ST- ».
_WORD = re.compile(
    rf"(?:[{_CAPITALS}]\.)+[{_CAPITALS}](?![^\W_])(?:\.(?=\s*[^\W\d_A-ZÀ-Þ]))?"
    rf"|(?:[^\W_][{_MARKS}]*)+|\+|(?<=[Ss][Tt])-(?![^\W_])"
)
#: What may stand between two words of one term.
_GAP = re.compile(r"(?:\s{0,3}|[ ]?['’ʼ`´\-‐‑–./][ ]?)\Z")
_PREFIX = re.compile(r"[-‐‑](?=[^\W\d_])")
_SENSE = re.compile(r"([^()|]+?)\s*(?:\(([^()|]+)\))?")


@dataclass(frozen=True, slots=True)
class Sense:
    """One reading of a term, and the words whose presence nearby points to it."""

    expansion: str
    cues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LexiconEntry:
    """One row of the lexicon.

    Attributes:
        term: as reports write it; expansion: its default reading in words of the CIM-10 or the CCAM.
        senses: every reading, the default first; empty where the term has one only.
    """

    term: str
    expansion: str
    kind: str
    senses: tuple[Sense, ...] = ()
    note: str = ""

    @property
    def is_ambiguous(self) -> bool:
        """Whether the term has more than one reading."""
        return len(self.senses) > 1


class _Word(NamedTuple):
    """A word of a text: its key (stem of the folded form), its folded and written forms, its place."""

    key: str
    folded: str
    written: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A term as a sequence of words to find; without an entry, an expansion to leave as it is."""

    keys: tuple[str, ...]
    folded: tuple[str, ...]
    written: tuple[str, ...]
    n_letters: int
    entry: LexiconEntry | None

    @classmethod
    def of(cls, text: str, entry: LexiconEntry | None) -> Self:
        words = _split(text)
        return cls(
            keys=tuple(w.key for w in words),
            folded=tuple(w.folded for w in words),
            written=tuple(w.written.replace(".", "") for w in words),
            n_letters=sum(len(w.folded) for w in words),
            entry=entry,
        )


@lru_cache(maxsize=100_000)
def _forms(written: str) -> tuple[str, str]:
    """(key, folded) of one word."""
    folded = fold(written).replace(".", "")
    return stem(folded), folded


def _split(text: str) -> list[_Word]:
    out: list[_Word] = []
    for match in _WORD.finditer(text):
        written = match.group()
        key, folded = _forms(written)
        out.append(_Word(key, folded, written, match.start(), match.end()))
    return out


class Lexicon:
    """The entries, ready to be found in a text and expanded.

    Example:
        >>> load_lexicon().expand("IDM chez un patient suivi pour HTA")
        'infarctus du myocarde chez un patient suivi pour hypertension artérielle'
    """

    def __init__(self, entries: tuple[LexiconEntry, ...], patterns: dict[str, tuple[_Pattern, ...]]) -> None:
        """Takes the entries and their patterns by first word; see `from_rows` and `from_csv`."""
        self.entries = entries
        self._patterns = patterns
        self._by_term = {fold(e.term): e for e in reversed(entries)}

    @classmethod
    def from_rows(cls, rows: Iterable[LexiconEntry]) -> Self:
        """Builds the lexicon from its entries; among terms of equal length the first one wins."""
        entries = tuple(rows)
        by_first: dict[str, list[_Pattern]] = {}
        for entry in entries:
            pattern = _Pattern.of(entry.term, entry)
            by_first.setdefault(pattern.keys[0], []).append(pattern)
            beginning = entry.term[:3].lower()
            for reading in {entry.expansion, *(s.expansion for s in entry.senses)}:
                if beginning not in reading.lower():
                    continue  # most readings: not worth the words
                whole = _Pattern.of(reading, None)
                if set(pattern.keys) < set(whole.keys):  # the reading holds its own term: once is enough
                    by_first.setdefault(whole.keys[0], []).append(whole)
        return cls(entries, {k: tuple(sorted(v, key=lambda p: -len(p.keys))) for k, v in by_first.items()})

    @classmethod
    def from_csv(cls, text: str, origin: str = "lexicon.csv") -> Self:
        """Reads the CSV form.

        Args:
            text: the whole file, header included.
            origin: the file's name, for messages.

        Raises:
            SourceFileError: wrong columns, an empty or unknown value, a repeated term, senses that do not begin
                with the expansion; the message names the line.
        """
        reader = csv.reader(io.StringIO(text), delimiter=";", quoting=csv.QUOTE_NONE)
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise SourceFileError(
                f"{origin}, line 1: columns {';'.join(header) or 'none'} were given, "
                f"expected {';'.join(COLUMNS)}; restore the header"
            )
        entries: list[LexiconEntry] = []
        lines: dict[tuple[str, ...], int] = {}
        for row in reader:
            entry = _entry_of(row, f"{origin}, line {reader.line_num}")
            identity = tuple(w.folded for w in _split(entry.term))
            if identity in lines:
                raise SourceFileError(
                    f"{origin}, line {reader.line_num}: the term {entry.term!r} already stands on line "
                    f"{lines[identity]}; keep one row and list its readings in the column senses"
                )
            lines[identity] = reader.line_num
            entries.append(entry)
        if not entries:
            raise SourceFileError(f"{origin}: no entry was given, expected one row a term below the header")
        return cls.from_rows(entries)

    def __len__(self) -> int:
        """Number of entries."""
        return len(self.entries)

    def get(self, term: str) -> LexiconEntry | None:
        """The entry of a term, whatever its case and accents; None when the lexicon has none."""
        return self._by_term.get(fold(term))

    def senses(self, term: str) -> tuple[Sense, ...]:
        """Every reading of a term, the default first; empty for an unknown term."""
        entry = self.get(term)
        if entry is None:
            return ()
        return entry.senses or (Sense(entry.expansion),)

    def find(self, text: str) -> list[tuple[int, int, LexiconEntry]]:
        """Where terms stand: (start, end, entry) in order, never overlapping, the longest term first.

        Offsets point into `text` as given, end excluded.
        """
        return [(start, end, entry) for start, end, entry, _ in self._matches(text, _split(text))]

    def expand(self, text: str, context: str = "") -> str:
        """The text with every term replaced by its expansion.

        Args:
            text: a query, a mention or a whole report.
            context: words around the text (its sentence, its section): they take part in the choice of a sense.
        """
        words = _split(text)
        around = frozenset(w.key for w in _split(context)) if context else frozenset()
        out: list[str] = []
        done = 0
        for start, end, entry, index in self._matches(text, words):
            out += [text[done:start], _reading(entry, words, index, around)]
            done = end
        out.append(text[done:])
        return "".join(out)

    def _matches(self, text: str, words: list[_Word]) -> list[tuple[int, int, LexiconEntry, int]]:
        is_query = len(text) <= QUERY_CHARS and "\n" not in text
        out: list[tuple[int, int, LexiconEntry, int]] = []
        index = 0
        while index < len(words):
            found = None
            for pattern in self._patterns.get(words[index].key, ()):
                if _matches_at(pattern, text, words, index, is_query):
                    found = pattern
                    break
            if found is None:
                index += 1
                continue
            last = index + len(found.keys) - 1
            if found.entry is None:
                index = last + 1
                continue
            end = words[last].end
            if found.entry.kind == "shortening" and _has_full_stop(text, end):
                end += 1
            out.append((words[index].start, end, found.entry, index))
            index = last + 1
        return out


def _entry_of(row: list[str], where: str) -> LexiconEntry:
    if len(row) != len(COLUMNS):
        raise SourceFileError(f"{where}: {len(row)} columns were given, expected {len(COLUMNS)}; check the ';'")
    term, expansion, kind, senses_text, note = (cell.strip() for cell in row)
    if not _WORD.search(term) or not _WORD.search(expansion):
        raise SourceFileError(f"{where}: the term or its expansion holds no word; fill both columns")
    if kind not in KINDS:
        raise SourceFileError(f"{where}: kind {kind!r} was given, expected one of {', '.join(sorted(KINDS))}")
    senses: list[Sense] = []
    for part in senses_text.split("|") if senses_text else []:
        match = _SENSE.fullmatch(part.strip())
        if match is None:
            raise SourceFileError(f"{where}: {part!r} is no sense, expected 'words' or 'words (cue, cue)'")
        senses.append(Sense(match[1], tuple(c.strip() for c in (match[2] or "").split(",") if c.strip())))
    if len(senses) == 1 or (senses and senses[0].expansion != expansion):
        raise SourceFileError(f"{where}: senses must be empty, or list two and more beginning with the expansion")
    if any(not sense.cues for sense in senses[1:]):
        raise SourceFileError(f"{where}: a sense after the default has no cue; add words in parentheses")
    return LexiconEntry(term, expansion, kind, tuple(senses), note)


def _matches_at(pattern: _Pattern, text: str, words: list[_Word], index: int, is_query: bool) -> bool:
    count = len(pattern.keys)
    here = words[index : index + count]
    if len(here) < count or any(w.key != key for w, key in zip(here, pattern.keys, strict=True)):
        return False
    for left, right in pairwise(here):
        if right.start - left.end > 3 or (pattern.entry and not _GAP.match(text, left.end, right.start)):
            return False
    if pattern.entry is None:
        return True
    kind = pattern.entry.kind
    if kind in ("synonym", "lay", "shortening") and _PREFIX.match(text, here[-1].end):
        return False  # « gastro-œsophagien » holds no « gastro »
    if kind in ("synonym", "lay"):
        return True
    if any(w.folded != folded for w, folded in zip(here, pattern.folded, strict=True)):
        return False  # a plural ending is another word for an abbreviation
    if kind == "cased":
        written = tuple(w.written.replace(".", "") for w in here)
        return written == pattern.written and not _in_capitals(words, index, count)
    if kind == "shortening":
        if pattern.entry.term.endswith("."):
            return _has_full_stop(text, here[-1].end)
        return pattern.n_letters > 3 or is_query or _has_full_stop(text, here[-1].end)
    if kind == "abbreviation" and pattern.n_letters > 2:
        return True
    return all(w.written.isupper() or (is_query and w.written.islower()) or not w.written.isalpha() for w in here)


def _has_full_stop(text: str, end: int) -> bool:
    """Whether the full stop after a shortening is its own: the sentence goes on after it."""
    if not text.startswith(".", end):
        return False
    rest = text[end + 1 : end + 3].lstrip(" ")
    return bool(rest) and not rest[0].isupper() and not rest[0].isspace()


def _in_capitals(words: list[_Word], index: int, count: int) -> bool:
    """Whether the neighbours are words in capitals, so that capitals say nothing here."""
    around = [w.written for w in words[max(0, index - 2) : index] + words[index + count : index + count + 2]]
    letters = [w for w in around if w.isalpha() and len(w) > 1]
    return bool(letters) and all(w.isupper() for w in letters) and any(len(w) > 3 for w in letters)


def _reading(entry: LexiconEntry, words: list[_Word], index: int, around: frozenset[str]) -> str:
    """The sense with the most cues nearby; the first one when none has more."""
    if not entry.senses:
        return entry.expansion
    keys = {w.key for w in words[max(0, index - CUE_WINDOW) : index + CUE_WINDOW]} | around
    best, best_count = entry.senses[0], -1
    for sense in entry.senses:
        count = sum(all(w.key in keys for w in _split(cue)) for cue in sense.cues)
        if count > best_count:
            best, best_count = sense, count
    return best.expansion


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """The package's lexicon, read once.

    Raises:
        SourceFileError: the installed file is damaged; the message names the line.
    """
    path = resources.files("pmsi_chain") / "knowledge" / "lexicon.csv"
    return Lexicon.from_csv(path.read_text(encoding="utf-8"))
