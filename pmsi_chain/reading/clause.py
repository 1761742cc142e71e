"""How far a cue reaches in its clause: enumerations, commas, conjunctions, verbs and signs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pmsi_chain.reading.cues import bare
from pmsi_chain.reading.tokens import STRONG_SIGN, Token
from pmsi_chain.reading.words import word_classes

CONJUNCTIONS = frozenset({"et", "ou", "ni"})
_POSSESSIVES = frozenset({"son", "sa", "ses", "leur", "leurs"})
_STOPPED_BY_POSSESSION = frozenset({"negated", "hypothesis", "planned"})
_DEFINITE = frozenset({"la", "ce", "cet", "cette", "ces", "son", "sa", "ses"})
_BACK_TO_THE_PATIENT = frozenset({"patient", "patiente", "lui-meme", "personnellement"})
#: « cancer traité en 2009 », « coronaropathie stentée en 2008 »: between the disease and its date.
_DONE = frozenset({"trait", "oper", "stent", "resequ", "pont", "pris", "charg", "appareill", "irradi"})
_ENDS_BEFORE_IT_BEGINS = re.compile(r"[;!?|]|\.(?=\s|$)")
_NEAR_WORDS = 5
_LIST_WORDS = 7
#: Token runs are (first, last), both included.
Run = tuple[int, int]


class Clause:
    """The tokens of one sentence, asked for reaches."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        classes = word_classes()
        self._tokens = tokens
        self._terminators = classes["terminator"] | classes["scope_end"]
        self._verbs = classes["verb"]
        self._determiners = classes["determiner"]
        self._current = classes["current"]
        self._auxiliaries = classes["auxiliary"]
        self._events = classes["event"]

    def is_verb(self, index: int) -> bool:
        """A finite verb; « a » is left out, which is « à » in a text without accents."""
        word = self._tokens[index].word
        return word in self._verbs and word != "a"

    def ends_at(self, index: int) -> bool:
        """A strong sign stands before this token."""
        return STRONG_SIGN.search(self._tokens[index].gap) is not None

    def opens_segment(self, first: int, after: int) -> bool:
        """Tokens [first, after) stand right after a sign, and no number follows them."""
        if after >= len(self._tokens) or self._tokens[after].is_number:
            return False
        return first == 0 or self.ends_at(first) or any(sign in self._tokens[first].gap for sign in ",(")

    def is_current(self, cue: int) -> bool:
        """« diagnostiqué il y a dix ans », « HTA connue depuis 2010 »: it began then and lasts."""
        for index in range(cue - 1, max(-1, cue - 9), -1):
            if self._tokens[index].word in self._current:
                return True
            if self.ends_at(index) or "," in self._tokens[index].gap:
                return False
        return False

    def forward(self, first: int, reach: str, flag: str = "") -> Run | None:
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
            if index > first and self.ends_at(index) and not (reach == "sentence" and ":" in gap):
                break
            if index == first and _ENDS_BEFORE_IT_BEGINS.search(gap):
                break
            if flag in _STOPPED_BY_POSSESSION and token.word in _POSSESSIVES:
                break  # « risque de décompensation de sa cirrhose »: the cirrhosis is there
            if flag in _STOPPED_BY_POSSESSION and content and self._is_of_an_event(index):
                break  # « sans poussée de la maladie de Crohn »: the disease is there, the flare is not
            depth += gap.count("(") - gap.count(")")
            if depth < 0:
                break
            if content and (token.word in self._terminators or self._opens_another(index)):
                break
            if index == first and reach == "list" and self.is_verb(index):
                return None  # « ces antécédents ont compliqué … » speaks of no disease
            if reach != "sentence":
                if content and self.is_verb(index):
                    break
                if token.word == "avec" and content and reach in {"sans", "list"}:
                    break
                if token.word == "pour" and content:
                    break
                if index > first and "," in gap and not self._goes_on(index, reach, flag, comma=True):
                    break
                if content and token.word == "et" and not self._goes_on(index + 1, reach, flag, comma=False):
                    break
                if content >= limit:
                    break
            if not token.is_stop:
                content += 1
                last = index
            index += 1
        return None if last is None else (first, last)

    def _is_of_an_event(self, index: int) -> bool:
        """The « de » after « récidive », « poussée », « aggravation »."""
        token = self._tokens[index]
        is_of = token.word in {"de", "du", "des"} or token.elided == "d'"
        return is_of and self._tokens[index - 1].word in self._events

    def _opens_another(self, index: int) -> bool:
        """« associée à un ictère », « à la chute », « à cette syncope »: what follows is another matter."""
        token = self._tokens[index]
        following = self._tokens[index + 1] if index + 1 < len(self._tokens) else None
        if following is None:
            return False
        if bare(token.word) == "associ":
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
            if k > index and (self.ends_at(k) or "," in token.gap):
                return False
            if self.is_verb(k):
                return True
        return False

    def _segment(self, index: int) -> tuple[int, bool, bool]:
        """(words up to the next comma, is the enumeration closed by a conjunction later?, number in that item?)."""
        size, joined, in_first, has_number = 0, False, True, False
        for k in range(index, len(self._tokens)):
            token = self._tokens[k]
            if k > index and self.ends_at(k):
                break
            if k > index and "," in token.gap:
                in_first = False
            if token.word in CONJUNCTIONS:
                joined = True
            has_number = has_number or (in_first and token.is_number)
            if token.word in self._terminators or token.word in self._verbs:
                break
            size += in_first
        return size, joined, has_number

    def backward(self, cue: int, reach: str) -> Run | None:
        """Tokens qualified by a cue whose first word is `cue`."""
        tokens = self._tokens
        if cue == 0 or self.ends_at(cue):
            return None
        index = cue - 1
        while index > 0 and (tokens[index].word in self._auxiliaries or bare(tokens[index].word) in _DONE):
            index -= 1
        last = index
        first = None
        content = 0
        crossed = False
        limit = _NEAR_WORDS if reach in {"near", "past"} else 10_000
        while index >= 0:
            token = tokens[index]
            if token.word in self._terminators or self.is_verb(index):
                break
            if token.word == "avec" and reach != "sentence":
                break
            if self._opens_another(index) and index:
                first, last = None, index - 1  # « une cause à cette syncope est écartée »: the syncope is there
                content = 0
                index -= 1
                continue
            if token.word in CONJUNCTIONS and reach in {"near", "past"}:
                break
            if token.word == "et" and "," in token.gap:
                break
            crossed = crossed or token.word in CONJUNCTIONS
            if not token.is_stop:
                content += 1
                first = index
                if content >= limit:
                    break
            if self.ends_at(index) or "(" in token.gap:
                break
            if "," in token.gap and not (crossed and reach == "clause"):
                break
            index -= 1
        return None if first is None else (first, last)

    def kin_reach(self, first: int) -> Run:
        """To the end of the sentence, unless it comes back to the patient."""
        last = first
        for index in range(first, len(self._tokens)):
            token = self._tokens[index]
            if index > first and (";" in token.gap or token.word in _BACK_TO_THE_PATIENT):
                break
            last = index
        return first, last

    def segment_end(self, first: int) -> int:
        """Last token before the next comma or strong sign."""
        last = first
        while last + 1 < len(self._tokens) and not self.ends_at(last + 1) and "," not in self._tokens[last + 1].gap:
            last += 1
        return last

    def field(self, last: int) -> Run | None:
        """The group that ends at token `last`, back to the sign before it."""
        first = last
        while first > 0 and not (self.ends_at(first) or any(sign in self._tokens[first].gap for sign in ",/")):
            if self._tokens[first].word in self._verbs:
                first += 1
                break
            first -= 1
        return (first, last) if first <= last else None
