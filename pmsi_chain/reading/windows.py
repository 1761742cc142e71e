"""Candidate windows: the groups of words of a sentence that may name a condition or an act.

A window begins and ends on content words, crosses no strong sign, no comma, no finite verb and no cue of negation or
doubt. A coordination is spelled out too: « insuffisance rénale et cardiaque » holds *insuffisance cardiaque*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pmsi_chain.reading.context import Scope
from pmsi_chain.reading.tokens import Token
from pmsi_chain.reading.words import is_adjective, word_classes

#: Content words of the longest window; official labels are longer, clinicians' expressions hardly ever.
MAX_CONTENT_WORDS = 10
_MAX_HEAD_WORDS = 4
_MAX_ADJECTIVES = 3
#: A « + » that ends a word belongs to it: « SCA ST+ antérieur ».
_SIGN = re.compile(r"[.;:!?|•→()\[\]{}\"«»=<>\t,/]|\s\+|\+\S|\s[-–—]\s")
_HARD_SIGN = re.compile(r"[.;:!?|•→()\[\]{}=<>\t]|\s[-–—]\s")
_OPEN_DE = frozenset({"de", "d'", "du", "des", "la", "l'", "le", "les", "au", "aux", "a"})
_COMPOSE = frozenset({"et", "ou", "ni", "puis"})
#: Cues that labels hold too (« diverticulose sans perforation ni abcès »): inside a window, never first or last.
_LABEL_WORDS = frozenset({"sans", "ni", "non"})


_SUBJECTS = frozenset({"il", "elle", "on", "qui", "y", "patient", "patiente", "monsieur", "madame", "mr", "mme"})
_AFTER_HAS = frozenset({"ete", "eu", "pu", "un", "une", "des", "du", "recu", "mis", "bien"})


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens of a window: `parts` are the (first, last) runs that make its words, in order.

    One run for a plain window; two for a composed form, whose quote covers everything between.
    """

    first: int
    last: int
    parts: tuple[tuple[int, int], ...]


def find_windows(tokens: Sequence[Token], scopes: Sequence[Scope]) -> Iterator[Window]:
    """Plain windows of a sentence, then its composed forms."""
    for first, last in _chunks(tokens, scopes):
        yield from _plain(tokens, first, last)
    yield from _composed(tokens)


def _chunks(tokens: Sequence[Token], scopes: Sequence[Scope]) -> Iterator[tuple[int, int]]:
    """Runs of tokens without a sign, a finite verb or a cue inside."""
    classes = word_classes()
    verbs, terminators = classes["verb"], classes["terminator"]
    cut = [(s.cue_start, s.cue_end) for s in scopes if s.flag in {"negated", "hypothesis", "planned", "resolved"}]
    cue_tokens = {
        index
        for index, token in enumerate(tokens)
        if token.word not in _LABEL_WORDS and any(a <= token.start and token.end <= b for a, b in cut)
    }
    first: int | None = None
    for index, token in enumerate(tokens):
        stops = (token.word in verbs and not _is_to(tokens, index)) or token.word in terminators or index in cue_tokens
        if first is not None and (stops or _SIGN.search(token.gap)):
            yield first, index - 1
            first = None
        if not stops and first is None:
            first = index
    if first is not None:
        yield first, len(tokens) - 1


def _is_to(tokens: Sequence[Token], index: int) -> bool:
    """The preposition « à », which without its accent looks like « il a »."""
    token = tokens[index]
    if not token.may_be_to:
        return False
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if following is None or following.elided == "l'":
        return following is not None
    before = tokens[index - 1].word if index else ""
    return not (before in _SUBJECTS or following.word in _AFTER_HAS or following.word in word_classes()["verb"])


def _may_bound(token: Token) -> bool:
    """May a window begin or end here?"""
    word = token.word
    return not (
        token.is_stop or token.is_number or len(word) == 1 or word in word_classes()["generic"] or word in _LABEL_WORDS
    )


def _may_end(tokens: Sequence[Token], index: int) -> bool:
    """As `_may_bound`, and a number or a lone letter after a word: « diabète de type 2 », « hépatite B »."""
    token = tokens[index]
    if _may_bound(token):
        return True
    previous = tokens[index - 1]
    if previous.is_number or previous.is_stop:
        return False
    if index + 1 < len(tokens) and tokens[index + 1].gap[:1] in {"/", ".", ","} and tokens[index + 1].is_number:
        return False  # a date
    return len(token.word) <= 2 and (token.is_number or (len(token.word) == 1 and not token.is_stop))


def _plain(tokens: Sequence[Token], first: int, last: int) -> Iterator[Window]:
    for i in range(first, last + 1):
        if not _may_bound(tokens[i]):
            continue
        content = 0
        for j in range(i, last + 1):
            if tokens[j].is_stop:
                continue
            content += 1
            if content > MAX_CONTENT_WORDS:
                break
            if j == i or _may_end(tokens, j):
                yield Window(i, j, ((i, j),))


def _qualifies(token: Token) -> bool:
    return is_adjective(token.word) and not token.elided


def _composed(tokens: Sequence[Token]) -> Iterator[Window]:
    """« N A1, A2 et A3 » → N A2, N A3; « N de X et de Y » → N de Y."""
    for index in range(1, len(tokens)):
        if tokens[index].word in _COMPOSE:
            yield from _after_conjunction(tokens, index)


def _after_conjunction(tokens: Sequence[Token], conjunction: int) -> Iterator[Window]:
    after = conjunction + 1
    if (
        after >= len(tokens)
        or "," in tokens[conjunction].gap
        or _HARD_SIGN.search(tokens[after].gap)
        or _HARD_SIGN.search(tokens[conjunction].gap)
    ):
        return
    items = _items_before(tokens, conjunction)
    if _qualifies(tokens[after]):
        yield from _adjectives(tokens, items, conjunction, after)
    elif _opens_complement(tokens[after]):
        yield from _complements(tokens, conjunction, after)


def _opens_complement(token: Token) -> bool:
    return token.word in {"de", "du", "des"} or token.elided == "d'"


def _follows_as_adjective(tokens: Sequence[Token], index: int) -> bool:
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    return following is not None and _qualifies(following) and not _SIGN.search(following.gap)


def _items_before(tokens: Sequence[Token], conjunction: int) -> list[int]:
    """First tokens of the enumerated items that stand between commas before the conjunction, nearest first."""
    starts: list[int] = []
    index = conjunction - 1
    while (
        index > 0
        and "," in tokens[index].gap
        and not _HARD_SIGN.search(tokens[index].gap)
        and _qualifies(tokens[index])
    ):
        starts.append(index)
        index -= 1
    return starts


def _head_before(tokens: Sequence[Token], adjective: int) -> Iterator[int]:
    """Where the noun that the adjective at `adjective` qualifies may begin."""
    classes = word_classes()
    words = 0
    for index in range(adjective - 1, -1, -1):
        token = tokens[index]
        if token.word in classes["verb"] or token.word in classes["terminator"] or token.word in _COMPOSE:
            return
        if not token.is_stop:
            words += 1
            if _may_bound(token) and not token.is_number:
                yield index
            if words >= _MAX_HEAD_WORDS:
                return
        if _SIGN.search(token.gap):
            return


def _adjectives(tokens: Sequence[Token], items: list[int], conjunction: int, after: int) -> Iterator[Window]:
    """The first item stands with its noun; the others take that noun."""
    first_item = (items[-1] if items else conjunction) - 1
    if first_item < 1 or not _qualifies(tokens[first_item]):
        return
    head_last = first_item - 1
    if head_last < 0 or tokens[head_last].is_stop or _SIGN.search(tokens[first_item].gap):
        return
    last = after
    ends = [last]
    while _follows_as_adjective(tokens, last):
        last += 1
        ends.append(last)
    for head in _head_before(tokens, first_item):
        for end in ends:
            yield Window(head, end, ((head, head_last), (after, end)))
        for item in items:
            yield Window(head, item, ((head, head_last), (item, item)))


def _complements(tokens: Sequence[Token], conjunction: int, after: int) -> Iterator[Window]:
    """« fracture du radius et de l'ulna » → fracture de l'ulna."""
    opening = None
    for index in range(conjunction - 1, 0, -1):
        if _SIGN.search(tokens[index].gap) and "," not in tokens[index].gap:
            break
        if _opens_complement(tokens[index]):
            opening = index
            break
    if opening is None or opening < 1:
        return
    end = after
    while end + 1 < len(tokens) and tokens[end].word in _OPEN_DE:
        end += 1
    if not _may_bound(tokens[end]) or (end > after and _SIGN.search(tokens[end].gap)):
        return
    ends = [end]
    while len(ends) < _MAX_ADJECTIVES and _follows_as_adjective(tokens, end):
        end += 1
        ends.append(end)
    for head in _head_before(tokens, opening):
        for last in ends:
            yield Window(head, last, ((head, opening - 1), (after, last)))
