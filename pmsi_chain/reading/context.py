"""Negation, hypothesis, family, history, planned, resolved: cues and how far each reaches.

The cues are data (`knowledge/reading_cues.csv`): words, flag, side (before or after what it qualifies), reach.
A cue qualifies a span when its reach covers the span's first word, the head of a French group, or half of the span,
and the cue stands outside it: the label
« diverticulose sans perforation ni abcès » is not negated by its own words.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

from pmsi_chain.reading.tokens import Token
from pmsi_chain.reading.words import word_classes

#: listed_history: stands in a section of antecedents, where chronic diseases of today are listed too.
FLAGS: tuple[str, ...] = ("negated", "hypothesis", "family", "history", "listed_history", "planned", "resolved")

_DE = frozenset({"de", "d'", "du", "des"})
_CONJUNCTIONS = frozenset({"et", "ou", "ni"})
_AUXILIARIES = frozenset(
    [
        "a",
        "ont",
        "ete",
        "est",
        "sont",
        "etait",
        "etaient",
        "avait",
        "avaient",
        "soit",
        "n'",
        "ne",
        "y",
        "fut",
        "furent",
        "pu",
        "aussi",
        "donc",
    ]
)
_STRONG = re.compile(r"[;:!?|•→]|\.(?=\s|$)|\.{2,}|\s[-–—]\s|\n\s*[-–—*•]")
_YEAR = re.compile(r"(?:19|20)\d\d")
_FULL_DATE = re.compile(r"\b\d{1,2}[/.-]\d{1,2}[/.-]((?:19|20)\d\d)\b")
_WRITTEN_DATE = re.compile(
    r"\b\d{1,2}(?:er)?\s+(?:janv|f[ée]vr|mars|avr|mai|juin|juil|ao[uû]t|sept|oct|nov|d[ée]c)\w*\.?\s+((?:19|20)\d\d)\b",
    re.I,
)
_MONTHS = frozenset(
    [
        "janvier",
        "fevrier",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "aout",
        "septembre",
        "octobre",
        "novembre",
        "decembre",
    ]
)
_NO_FIELD = frozenset(
    [
        "non",
        "neant",
        "aucun",
        "aucune",
        "0",
        "absent",
        "absente",
        "absents",
        "absentes",
        "negatif",
        "negative",
        "negatifs",
        "negatives",
        "neg",
    ]
)
_POSSESSIVES = frozenset({"son", "sa", "ses", "leur", "leurs"})
_STOPPED_BY_POSSESSION = frozenset({"negated", "hypothesis", "planned"})
_DEFINITE = frozenset({"la", "ce", "cet", "cette", "ces", "son", "sa", "ses"})
_SUFFERED = frozenset({"eu", "fait", "presente", "developpe"})
_PROBLEM_WORDS = frozenset({"diagnostic", "diagnostics", "hypothese", "hypotheses", "etiologie", "etiologies"})
#: « cancer traité en 2009 », « coronaropathie stentée en 2008 »: between the disease and its date.
_DONE = frozenset(["trait", "oper", "stent", "resequ", "pont", "pris", "charg", "appareill", "irradi"])
_NEAR_WORDS = 5
_LIST_WORDS = 7


@dataclass(frozen=True, slots=True)
class Scope:
    """A cue and its reach, in characters of the report."""

    flag: str
    start: int
    end: int
    cue_start: int
    cue_end: int


@dataclass(frozen=True, slots=True)
class Cue:
    """One reading of a cue: `side` is "before" or "after" what it qualifies; flag "none" shields its own words."""

    flag: str
    side: str
    reach: str


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


@lru_cache(maxsize=1)
def cue_table() -> Mapping[str, tuple[tuple[tuple[str, ...], tuple[Cue, ...]], ...]]:
    """First word → (words, readings), longest first."""
    source = files("pmsi_chain").joinpath("knowledge", "reading_cues.csv").read_text(encoding="utf-8")
    readings: dict[tuple[str, ...], list[Cue]] = {}
    for row in csv.DictReader(source.splitlines(), delimiter=";"):
        if row["cue"][0] in ":=?":
            continue  # answers of a form, read by `_answers`
        words = tuple(_bare(word) for word in re.findall(r"[^\s']+'?", row["cue"].replace("-", " ").replace("/", " ")))
        readings.setdefault(words, []).append(Cue(row["flag"], row["side"], row["reach"]))
    table: dict[str, list[tuple[tuple[str, ...], tuple[Cue, ...]]]] = {}
    for words, cues in sorted(readings.items(), key=lambda item: -len(item[0])):
        table.setdefault(words[0], []).append((words, tuple(cues)))
    return {first: tuple(entries) for first, entries in table.items()}


@lru_cache(maxsize=50_000)
def _bare(word: str) -> str:
    """A word without its feminine and plural endings, and one form for « de, d', du, des »."""
    if word in _DE:
        return "de"
    if len(word) <= 4 or word.endswith("'"):
        return word
    bare = word.rstrip("es")
    return bare[:-1] if bare.endswith(("ll", "nn", "tt")) and len(bare) > 4 else bare


def admission_year(text: str) -> int | None:
    """Latest year among the full dates of the report; None when it holds none."""
    years = [int(m.group(1)) for pattern in (_FULL_DATE, _WRITTEN_DATE) for m in pattern.finditer(text)]
    return max(years, default=None)


class ClauseReader:
    """Finds the scopes of one sentence."""

    def __init__(self, tokens: Sequence[Token], year: int | None, section: str = "") -> None:
        self._tokens = tokens
        self._year = year
        self._section = section
        classes = word_classes()
        self._terminators = classes["terminator"] | classes["scope_end"]
        self._verbs = classes["verb"]
        self._determiners = classes["determiner"]
        self._kin = classes["kin"]
        self._kin_state = classes["kin_state"]
        self._current = classes["current"]
        stream: list[tuple[str, int, bool]] = []
        for index, token in enumerate(tokens):
            if token.elided:
                stream.append((_bare(token.elided), index, True))
            if token.word not in classes["adverb"]:  # « élimine formellement », « a été clairement écartée »
                stream.append((_bare(token.word), index, False))
        self._stream = stream

    def scopes(self) -> list[Scope]:
        """All scopes of the sentence, in order of their cues."""
        found: list[Scope] = []
        position = 0
        while position < len(self._stream):
            match = self._match(position)
            if match is None:
                position += 1
                continue
            length, cues = match
            found.extend(self._scopes_of(position, length, cues))
            position += length
        found.extend(self._years())
        found.extend(self._relatives())
        found.extend(self._answers())
        return found

    def _match(self, position: int) -> tuple[int, tuple[Cue, ...]] | None:
        stream = self._stream
        entries = cue_table().get(stream[position][0])
        if not entries:
            return None
        for words, cues in entries:
            if position + len(words) > len(stream):
                continue
            if all(stream[position + k][0] == word for k, word in enumerate(words)) and not self._broken(
                position, len(words)
            ):
                return len(words), cues
        return None

    def _broken(self, position: int, length: int) -> bool:
        """A strong sign inside the would-be cue."""
        first = self._stream[position][1]
        last = self._stream[position + length - 1][1]
        return any(
            _STRONG.search(self._tokens[k].gap) or "," in self._tokens[k].gap for k in range(first + 1, last + 1)
        )

    def _scopes_of(self, position: int, length: int, cues: tuple[Cue, ...]) -> list[Scope]:
        stream, tokens = self._stream, self._tokens
        first = stream[position][1]
        last_entry = stream[position + length - 1]
        # A cue that ends with an elided article ends before the word that carries it.
        after = last_entry[1] if last_entry[2] else last_entry[1] + 1
        cue_start = tokens[first].start
        cue_end = tokens[after - 1].end if after > first else cue_start
        if any(cue.flag == "none" for cue in cues):
            return []
        sides = {cue.side for cue in cues}
        side = next(iter(sides)) if len(sides) == 1 else self._side(first, after, position + length)
        if side == "after" and self._next_is_de(position + length) and len(tokens) > after:
            side = "before" if any(cue.flag == "negated" for cue in cues) else side
        scopes = []
        for flag, reach in {(cue.flag, cue.reach) for cue in cues if cue.side == side} or {
            (c.flag, "list") for c in cues
        }:
            if reach == "opening":
                if not self._opens_segment(first, after):
                    continue  # « plus de dyspnée » at the start of a statement, not « plus de dix épisodes »
                reach = "list"
            if reach == "past" and self._section != "antecedents":
                continue  # « cataracte opérée » may be this very stay
            if flag == "history" and side == "after" and self._is_current(first):
                continue
            span = self._forward(after, reach, flag) if side == "before" else self._backward(first, reach)
            if span is not None:
                i, j = span
                scopes.append(Scope(flag, tokens[i].start, tokens[j].end, cue_start, cue_end))
        return scopes

    def _next_is_de(self, stream_position: int) -> bool:
        return stream_position < len(self._stream) and self._stream[stream_position][0] == "de"

    def _side(self, first: int, after: int, stream_position: int) -> str:
        """Which side a cue that works on both (« possible », « ancien », « élimine ») speaks of here."""
        tokens = self._tokens
        if after < len(tokens) and ":" in tokens[after].gap and first and tokens[first - 1].word in _PROBLEM_WORDS:
            return "before"  # « diagnostic éliminé : … »
        if after < len(tokens) and not _STRONG.search(tokens[after].gap) and "," not in tokens[after].gap:
            following = self._stream[stream_position][0] if stream_position < len(self._stream) else ""
            if following in {"un", "une", "le", "la", "les", "l'", "de", "toute", "tout"}:
                return "before"
        else:
            return "after"
        if first == 0 or _STRONG.search(tokens[first].gap) or "," in tokens[first].gap or "(" in tokens[first].gap:
            return "before"
        previous = tokens[first - 1]
        if previous.is_stop or previous.word in self._verbs or previous.word in _CONJUNCTIONS:
            return "after" if previous.word in _AUXILIARIES and previous.word not in {"a"} else "before"
        return "after"

    # -- reach ---------------------------------------------------------------------------------------------

    def _ends_clause(self, index: int) -> bool:
        return _STRONG.search(self._tokens[index].gap) is not None

    def _opens_segment(self, first: int, after: int) -> bool:
        if after >= len(self._tokens) or self._tokens[after].is_number:
            return False
        return first == 0 or self._ends_clause(first) or any(sign in self._tokens[first].gap for sign in ",(")

    def _is_current(self, cue: int) -> bool:
        """« diagnostiqué il y a dix ans », « HTA connue depuis 2010 »: it began then and lasts."""
        for index in range(cue - 1, max(-1, cue - 9), -1):
            if self._tokens[index].word in self._current:
                return True
            if self._ends_clause(index) or "," in self._tokens[index].gap:
                return False
        return False

    def _forward(self, first: int, reach: str, flag: str = "") -> tuple[int, int] | None:
        """Tokens qualified by a cue that ends just before `first`."""
        tokens = self._tokens
        last = None
        content = 0
        index = first
        limit = _NEAR_WORDS if reach == "near" else 10_000
        depth = 0
        while index < len(tokens):
            token = tokens[index]
            gap = token.gap
            if index > first and self._ends_clause(index) and not (reach == "sentence" and ":" in gap):
                break
            if index == first and re.search(r"[;!?|]|\.(?=\s|$)", gap):
                break
            if flag in _STOPPED_BY_POSSESSION and token.word in _POSSESSIVES:
                break  # « risque de décompensation de sa cirrhose »: the cirrhosis is there
            depth += gap.count("(") - gap.count(")")
            if depth < 0:
                break
            if content and (token.word in self._terminators or self._opens_another(index)):
                break
            if index == first and reach == "list" and token.word in self._verbs and token.word != "a":
                return None  # « ces antécédents ont compliqué … » speaks of no disease
            if reach != "sentence":
                if token.word in self._verbs and content and token.word not in {"a"}:
                    break
                if token.word == "avec" and content and reach in {"sans", "list"}:
                    break
                if token.word == "pour" and content:
                    break
                if index > first and "," in gap and not self._goes_on(index, reach, flag, comma=True):
                    break
                if (
                    index > first
                    and token.word == "et"
                    and content
                    and not self._goes_on(index + 1, reach, flag, comma=False)
                ):
                    break
                if content >= limit:
                    break
            if not token.is_stop:
                content += 1
                last = index
            index += 1
        return None if last is None else (first, last)

    def _opens_another(self, index: int) -> bool:
        """« associée à un ictère », « à la chute », « à cette syncope »: what follows is another matter."""
        token = self._tokens[index]
        following = self._tokens[index + 1] if index + 1 < len(self._tokens) else None
        if following is None:
            return False
        if _bare(token.word) == "associ":
            return following.word in {"a", "au", "aux"}
        return token.word == "a" and (following.word in _DEFINITE or following.elided == "l'")

    def _goes_on(self, index: int, reach: str, flag: str, *, comma: bool) -> bool:
        """Does what follows a comma or « et » belong to the same enumeration?"""
        tokens = self._tokens
        if index >= len(tokens):
            return False
        token = tokens[index]
        head = token.elided or token.word
        if head in {"ni", "ou", "de", "d'", "du"}:
            return True
        if head in {"et", "sans", "non", "voire", "avec"}:
            return head in {"voire"} or (head == "et" and self._goes_on(index + 1, reach, flag, comma=False))
        if token.word in self._terminators or token.word in self._verbs:
            return False
        if head in self._determiners and not (reach == "list" and head in {"un", "une", "des"} and not comma):
            return False
        if reach == "clause":
            return not self._has_verb(index)
        if self._has_verb(index):
            return False
        size, joined, has_number = self._segment(index)
        if size > _LIST_WORDS or has_number:
            return False
        return joined or flag == "history" or not comma

    def _has_verb(self, index: int) -> bool:
        for k in range(index, len(self._tokens)):
            token = self._tokens[k]
            if k > index and (self._ends_clause(k) or "," in token.gap):
                return False
            if token.word in self._verbs and token.word != "a":
                return True
        return False

    def _segment(self, index: int) -> tuple[int, bool, bool]:
        """(words up to the next comma, is the enumeration closed by a conjunction later?, number in that item?)."""
        size, joined, in_first, has_number = 0, False, True, False
        for k in range(index, len(self._tokens)):
            token = self._tokens[k]
            if k > index and self._ends_clause(k):
                break
            if k > index and "," in token.gap:
                in_first = False
            if token.word in _CONJUNCTIONS:
                joined = True
            has_number = has_number or (in_first and token.is_number)
            if token.word in self._terminators or token.word in self._verbs:
                break
            size += in_first
        return size, joined, has_number

    def _backward(self, cue: int, reach: str) -> tuple[int, int] | None:
        """Tokens qualified by a cue whose first word is `cue`."""
        tokens = self._tokens
        if cue == 0 or self._ends_clause(cue):
            return None
        index = cue - 1
        while index > 0 and (tokens[index].word in _AUXILIARIES or _bare(tokens[index].word) in _DONE):
            index -= 1
        last = index
        first = None
        content = 0
        crossed = False
        limit = _NEAR_WORDS if reach in {"near", "past"} else 10_000
        while index >= 0:
            token = tokens[index]
            if token.word in self._terminators or (token.word in self._verbs and token.word != "a"):
                break
            if token.word == "avec" and reach != "sentence":
                break
            if token.word in _CONJUNCTIONS and reach in {"near", "past"}:
                break
            crossed = crossed or token.word in _CONJUNCTIONS
            if not token.is_stop:
                content += 1
                first = index
                if content >= limit:
                    break
            if self._ends_clause(index) or "(" in token.gap:
                break
            if "," in token.gap and not (crossed and reach == "clause"):
                break
            index -= 1
        return None if first is None else (first, last)

    # -- what words alone do not tell ----------------------------------------------------------------------

    def _years(self) -> list[Scope]:
        """« IDM en 2012 », « AVC (2015) », « il y a 3 ans », « à l'âge de 12 ans » and ages ago."""
        tokens, scopes = self._tokens, []
        for index, token in enumerate(tokens):
            start: int | None = None
            if _YEAR.fullmatch(token.word) and (self._year is None or int(token.word) < self._year):
                before = tokens[index - 1] if index else None
                start = index
                if before is not None and before.word in _MONTHS | {"en", "annee"}:
                    start = index - 1
                    if start > 0 and tokens[start - 1].word in {"en", "debut", "fin"}:
                        start -= 1
                elif (
                    "(" not in token.gap
                    and not (before is not None and before.word in {"depuis"})
                    and "," not in token.gap
                ):
                    start = index if before is not None else None
            elif (
                token.word in {"ans", "an"}
                and index >= 4
                and [t.word for t in tokens[index - 4 : index - 1]] == ["il", "y", "a"]
            ):
                start = index - 4
            if start is None or start == 0:
                continue
            if tokens[start].word in self._current or self._is_current(start):
                continue
            span = self._backward(start, "near")
            spans = [span] if span is not None else []
            if index + 1 < len(tokens) and tokens[index + 1].word == "avec" and not self._ends_clause(index + 1):
                spans.append((index + 1, self._segment_end(index + 1)))  # « AVP en 1990 avec fracture du bassin »
            for i, j in spans:
                scopes.append(Scope("history", tokens[i].start, tokens[j].end, tokens[start].start, token.end))
        return scopes

    def _segment_end(self, first: int) -> int:
        """Last token before the next comma or strong sign."""
        last = first
        while (
            last + 1 < len(self._tokens) and not self._ends_clause(last + 1) and "," not in self._tokens[last + 1].gap
        ):
            last += 1
        return last

    def _backward_from(self, last: int) -> tuple[int, int] | None:
        return self._backward(last + 1, "near") if last >= 0 else None

    def _relatives(self) -> list[Scope]:
        """« Père décédé d'un IDM », « mère : diabète », « cancer du sein (mère) »; not « amené par son fils »."""
        tokens, scopes = self._tokens, []
        for index, token in enumerate(tokens):
            if token.word not in self._kin:
                continue
            before = tokens[index - 1].word if index else ""
            if before in {"son", "sa", "ses", "la", "le", "un", "une", "deux", "d'"}:
                before = tokens[index - 2].word if index > 1 else ""
            if before in {"par", "avec", "chez", "a", "de", "du"}:
                continue
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            gap = following.gap if following is not None else ""
            if "(" in token.gap and (following is None or ")" in gap):
                span = self._backward_from(index - 1)
            elif following is not None and (
                any(sign in t.gap for t in tokens[index + 1 : index + 3] for sign in ":=(")
                or any(t.word in self._kin_state for t in tokens[index + 1 : index + 4])
                or any(
                    a.word in {"a", "ont"} and b.word in _SUFFERED for a, b in pairwise(tokens[index + 1 : index + 5])
                )
            ):
                span = self._kin_reach(index + 1)
            else:
                span = None
            if span is not None:
                scopes.append(Scope("family", tokens[span[0]].start, tokens[span[1]].end, token.start, token.end))
        return scopes

    def _kin_reach(self, first: int) -> tuple[int, int]:
        """To the end of the sentence, unless it comes back to the patient."""
        last = first
        for index in range(first, len(self._tokens)):
            token = self._tokens[index]
            if index > first and (
                ";" in token.gap or token.word in {"patient", "patiente", "lui-meme", "personnellement"}
            ):
                break
            last = index
        return first, last

    def _answers(self) -> list[Scope]:
        """Answers of a form: « Fièvre : non », « EP ? », « Diabète = 0 »."""
        tokens, scopes = self._tokens, []
        for index, token in enumerate(tokens):
            if index and token.word in _NO_FIELD and re.search(r"[:=]\s*$", token.gap):
                alone = index + 1 == len(tokens) or re.search(r"[,;.|)\n/]|\s-\s", tokens[index + 1].gap)
                span = self._field(index - 1)
                if alone and span is not None:
                    scopes.append(Scope("negated", tokens[span[0]].start, tokens[span[1]].end, token.start, token.end))
            if index and "?" in token.gap:
                span = self._field(index - 1)
                if span is not None:
                    mark = token.start - 1
                    scopes.append(Scope("hypothesis", tokens[span[0]].start, tokens[span[1]].end, mark, mark + 1))
        return scopes

    def question_at_end(self, tail: str) -> Scope | None:
        """The sentence ends with a question mark: its last group is a hypothesis."""
        if "?" not in tail or not self._tokens:
            return None
        span = self._field(len(self._tokens) - 1)
        if span is None:
            return None
        end = self._tokens[span[1]].end
        return Scope("hypothesis", self._tokens[span[0]].start, end, end, end + 1)

    def _field(self, last: int) -> tuple[int, int] | None:
        """The group that ends at token `last`, back to the sign before it."""
        first = last
        while first > 0 and not (
            self._ends_clause(first) or "," in self._tokens[first].gap or "/" in self._tokens[first].gap
        ):
            if self._tokens[first].word in self._verbs:
                first += 1
                break
            first -= 1
        return (first, last) if first <= last else None
