"""Words of a report with their place, shared by every reading step; made by `pmsi_chain.text`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pmsi_chain.text import STOP_WORDS, stem, word_spans
from pmsi_chain.text import tokens as index_terms

#: Ends a statement: full stop, semicolon, colon, dash between blanks, bullet, table rule.
STRONG_SIGN = re.compile(r"[;:!?|•→]|\.(?=\s|$)|\.{2,}|\s[-–—]\s|\n\s*[-–—*•]")
_ELIDED = re.compile(r"(?:^|[^\w])([a-zA-Z]{1,7})['’ʼ`´]\s*$")
_ACCENT = re.compile(r"[àâçèéêëîïôùû]")
_NUMBER = re.compile(r"[0-9][0-9.,]*")
#: An article that lost its apostrophe: « pas d oedeme », not « vitamine D et calcium ».
_LOST_ELISION = frozenset({"d", "l", "n", "s", "qu", "j"})
_VOWEL = re.compile(r"[aeiouyh][^\W\d_]{2}")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the report.

    Attributes:
        word: folded, Roman numerals as digits.
        stem: `pmsi_chain.text.stem` of the word.
        start, end: place in the text as given.
        gap: the characters between the previous word and this one, elided article included.
        elided: "d'", "n'", "qu'"… when such an article precedes the word, else "".
        is_stop: a function word, which no index term is made of.
        may_be_to: « à », or an « a » that may stand for it in capitals or in a text without accents.
    """

    word: str
    stem: str
    start: int
    end: int
    gap: str
    elided: str
    is_stop: bool
    may_be_to: bool

    @property
    def is_number(self) -> bool:
        """Digits only, decimal signs included."""
        return _NUMBER.fullmatch(self.word) is not None


def tokens_of(text: str) -> list[Token]:
    """All words of a text, in order."""
    out: list[Token] = []
    previous_end = 0
    has_accents = _ACCENT.search(text) is not None
    for word, start, end in word_spans(text):
        gap = text[previous_end:start]
        elided = ""
        match = _ELIDED.search(gap) if gap and gap[-1] in "'’ʼ`´ " else None
        if match:
            elided = match.group(1).lower() + "'"
        elif gap == " " and out and _lost_elision(text, out[-1], word):
            elided = out.pop().word + "'"
            gap = f"{text[out[-1].end if out else 0 : start]}"
        is_stop = word in STOP_WORDS
        may_be_to = False
        if word == "a":
            is_stop = not (out and _is_letter_after(out[-1].word))
            may_be_to = not has_accents or text[start] != "a"
        out.append(Token(word, stem(word), start, end, gap, elided, is_stop, may_be_to))
        previous_end = end
    return out


def _lost_elision(text: str, letter: Token, word: str) -> bool:
    """Is the word before a lower-case article without its apostrophe (« absence d infection »)?"""
    return letter.word in _LOST_ELISION and text[letter.start].islower() and _VOWEL.match(word) is not None


@lru_cache(maxsize=4096)
def _is_letter_after(word: str) -> bool:
    """Is « a » after this word a letter (« hépatite A ») and no preposition? The analyser decides."""
    return "a" in index_terms(f"{word} a {word}")
