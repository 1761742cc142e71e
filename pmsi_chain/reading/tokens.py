"""Words of a report with their place, shared by every reading step; made by `pmsi_chain.text`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pmsi_chain.text import STOP_WORDS, stem, word_spans

#: Ends a statement: full stop, semicolon, colon, dash between blanks, bullet, table rule.
STRONG_SIGN = re.compile(r"[;:!?|•→]|\.(?=\s|$)|\.{2,}|\s[-–—]\s|\n\s*[-–—*•]")
_ELIDED = re.compile(r"(?:^|[^\w])([a-zA-Z]{1,7})['’ʼ`´]\s*$")
_NUMBER = re.compile(r"[0-9][0-9.,]*")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the report.

    Attributes:
        word: folded, Roman numerals as digits.
        stem: `pmsi_chain.text.stem` of the word.
        start, end: place in the text as given.
        gap: the characters between the previous word and this one, elided article included.
        elided: "d'", "n'", "qu'"… when such an article precedes the word, else "".
        capital: written with a capital.
        accented: the first letter carries an accent as written: « à » is no form of « avoir ».
    """

    word: str
    stem: str
    start: int
    end: int
    gap: str
    elided: str
    capital: bool
    accented: bool = False

    @property
    def is_number(self) -> bool:
        """Digits only, decimal signs included."""
        return _NUMBER.fullmatch(self.word) is not None

    @property
    def is_stop(self) -> bool:
        """A function word; a capital letter alone (« hépatite A », « vitamine D ») is content."""
        return self.word in STOP_WORDS and not (self.capital and len(self.word) == 1)


def tokens_of(text: str) -> list[Token]:
    """All words of a text, in order."""
    out: list[Token] = []
    previous_end = 0
    for word, start, end in word_spans(text):
        gap = text[previous_end:start]
        elided = ""
        if gap and gap[-1] in "'’ʼ`´ ":
            match = _ELIDED.search(gap)
            elided = match.group(1).lower() + "'" if match else ""
        out.append(Token(word, stem(word), start, end, gap, elided, text[start].isupper(), text[start] in "àÀ"))
        previous_end = end
    return out


def content_key(tokens: list[Token]) -> tuple[str, ...]:
    """Stems of the content words; all stems when there is none."""
    content = tuple(token.stem for token in tokens if not token.is_stop)
    return content or tuple(token.stem for token in tokens)
