"""Terms known by name: labels and inclusion notes of the edition.

A term matches on stems, whatever function words stand between: « embolie pulmonaire », « EMBOLIES PULMONAIRES ».
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from pmsi_chain.nomenclature import Cim10Edition, Cim10Entry
from pmsi_chain.reading.tokens import Token, tokens_of
from pmsi_chain.reading.words import is_adjective, word_classes
from pmsi_chain.text import fold
from pmsi_chain.text import tokens as index_terms

_BRACKETS = re.compile(r"\s*[(\[][^)\]]*[)\]]")
_TAIL = re.compile(
    r"[,;]?\s+(?:sans (?:autre )?(?:précision|indication)|SAI|non précisée?s?|d'origine non précisée|"
    r"de (?:nature|type|siège|localisation) non précisée?|non classée?s? ailleurs)\s*$", re.I
)  # fmt: skip
_PREPOSITION = re.compile(r"\b(?:de|du|des|à|au|aux|en|par|avec|pour|chez|sans)\b|[dl]['’]", re.I)
_REST = re.compile(r"^(?:autres?|certaine?s|sujets?|personnes?)\b", re.I)
_MAX_WORDS = 12
_MAX_CODES = 6
_EXTERNAL = frozenset("VWXY")


class TermDictionary:
    """Stems of known terms → candidate codes."""

    def __init__(self, codes: dict[tuple[str, ...], tuple[str, ...]]) -> None:
        self.codes = codes
        lengths: dict[str, set[int]] = {}
        for key in codes:
            lengths.setdefault(key[0], set()).add(len(key))
        self._lengths = {first: tuple(sorted(sizes)) for first, sizes in lengths.items()}

    @classmethod
    def from_edition(cls, edition: Cim10Edition) -> Self:
        """Terms of every code that may be used, external causes apart; a parent's label stands for its children."""
        found: dict[tuple[str, ...], list[str]] = {}
        parents: list[Cim10Entry] = []
        for code in edition:
            entry = edition.entry(code)
            if entry.code[0] in _EXTERNAL or entry.deleted:
                continue
            if entry.type_mco == 3:
                parents.append(entry)
                continue
            for key in _keys(entry):
                _add(found, key, [entry.code])
        for parent in parents:
            children = _codable_below(edition, parent.code)
            for key in _keys(parent):
                if key not in found:
                    _add(found, key, children)
        return cls({key: tuple(values[:_MAX_CODES]) for key, values in found.items() if values})

    def __len__(self) -> int:
        return len(self.codes)

    def codes_of(self, term: str) -> tuple[str, ...]:
        """Candidate codes of a term; failing that, those that all its parts share, or of a known term in most of it."""
        exact = self.codes.get(tuple(index_terms(term)))
        if exact is not None:
            return exact
        tokens = tokens_of(term)
        content = {index for index, token in enumerate(tokens) if not token.is_stop}
        found = [(content & set(range(i, j + 1)), codes) for i, j, codes in self.matches(tokens)]
        if not found:
            return ()
        shared = set.intersection(*(set(codes) for _, codes in found))
        if shared and set.union(*(covered for covered, _ in found)) == content:
            return tuple(code for code in found[0][1] if code in shared)
        covered, codes = max(found, key=lambda match: len(match[0]))
        return codes if 3 * len(covered) >= 2 * len(content) else ()

    def matches(self, tokens: Sequence[Token]) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """(first token, last token, codes) of every term among the tokens of a sentence, nested ones included."""
        content = [index for index, token in enumerate(tokens) if not token.is_stop]
        stems = [tokens[index].stem for index in content]
        for at, first in enumerate(stems):
            for size in self._lengths.get(first, ()):
                key = tuple(stems[at : at + size])
                codes = self.codes.get(key) if len(key) == size else None
                if codes is None:
                    continue
                i, j = content[at], content[at + size - 1]
                if not any(_parts(token.gap) for token in tokens[i + 1 : j + 1]):
                    yield i, j, codes


def _parts(gap: str) -> bool:
    return any(sign in gap for sign in ".;:!?|•\t") or " - " in gap


def _add(found: dict[tuple[str, ...], list[str]], key: tuple[str, ...], codes: Iterable[str]) -> None:
    known = found.setdefault(key, [])
    known.extend(code for code in codes if code not in known)


def _keys(entry: Cim10Entry) -> set[tuple[str, ...]]:
    """The term's forms: as printed, without what stands in brackets, without « sans précision »."""
    keys: set[tuple[str, ...]] = set()
    too_general = word_classes()["too_general"]
    for label in (entry.label, *entry.inclusion_notes):
        if _REST.match(label):
            continue
        bare = _TAIL.sub("", _BRACKETS.sub("", label))
        halves = _halves(bare)
        for form in {label, _BRACKETS.sub("", label), bare, _TAIL.sub("", label), *halves}:
            key = tuple(index_terms(form))
            if 0 < len(key) <= _MAX_WORDS and (len(key) > 1 or (len(key[0]) > 3 and key[0] not in too_general)):
                keys.add(key)
    return keys


def _halves(label: str) -> list[str]:
    """« Nausées et vomissements » names two things; « mélioïdose subaiguë et chronique » and what has a « de », one."""
    pair = label.split(" et ")
    if len(pair) != 2 or _PREPOSITION.search(label) or any(is_adjective(fold(half).split()[-1]) for half in pair):
        return []
    return pair if all(len(index_terms(half)) <= 2 for half in pair) else []


def _codable_below(edition: Cim10Edition, code: str) -> list[str]:
    """Codes below a parent, the unspecified ones first."""
    found: list[str] = []
    pending = list(edition.children(code))
    while pending:
        child = pending.pop()
        entry = edition.get(child)
        if entry is None or entry.deleted:
            continue
        if entry.type_mco == 3:
            pending.extend(edition.children(child))
        else:
            found.append(child)
    unspecified = {c for c in found if "sans précision" in edition.entry(c).label}
    return sorted(found, key=lambda c: (c not in unspecified, c[3:4] != "9", not c.endswith("9"), c))
