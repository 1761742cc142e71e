"""Which legal codes are nearest to a wrong one. Pure."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from typing import Protocol


class _HasDescendants(Protocol):
    def __contains__(self, code: object) -> bool: ...

    def descendants(self, prefix: str) -> tuple[str, ...]: ...


def edit_distance(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal alignment)."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        current = [i]
        for j, right in enumerate(b, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]


def nearest_codes(
    code: str, edition: _HasDescendants, is_legal: Callable[[str], bool], n: int = 5, head: int = 3
) -> tuple[str, ...]:
    """Up to `n` legal codes near `code`, nearest first; never `code` itself.

    The family comes first (same category); a family that is too small is completed from the next categories when
    the category exists (they are about the same subject), from categories one typing error away when it does not.

    Args:
        code: stored form, may be unknown or badly formed.
        head: characters of a category (3 in the CIM-10, 4 in the CCAM).
    """
    if n <= 0 or not code:
        return ()
    category = code[:head]
    ranked = sorted(_members(category, edition, is_legal), key=lambda found: (*_kinship(code, found), found))
    ranked = [found for found in ranked if found != code]
    if len(ranked) >= n:
        return tuple(ranked[:n])
    if ranked or edition.descendants(category) or category in edition:
        for other in _next_categories(category) if head == 3 else ():
            if len(ranked) >= n:
                break
            ranked += _members(other, edition, is_legal)
        return tuple(ranked[:n])
    if len(category) < head:
        return ()
    others = [found for other in _one_edit_away(category, head) for found in _members(other, edition, is_legal)]
    return tuple(sorted(set(others), key=lambda found: (edit_distance(code, found), found))[:n])


def _members(category: str, edition: _HasDescendants, is_legal: Callable[[str], bool]) -> list[str]:
    members = edition.descendants(category)
    if category in edition:
        members = (category, *members)
    return [found for found in members if is_legal(found)]


def _next_categories(category: str) -> Iterator[str]:
    """Categories of the same letter by growing distance: Z37 → Z36, Z38, Z35…"""
    if not category[1:].isdigit():
        return
    number = int(category[1:])
    for step in range(1, 11):
        for other in (number - step, number + step):
            if 0 <= other <= 99:
                yield f"{category[0]}{other:02d}"


def _kinship(code: str, found: str) -> tuple[bool, int, int]:
    """Sort key within a family: same characters but for `+`, then longest common start, then edit distance."""
    same = found.replace("+", "") == code.replace("+", "")
    shared = next((i for i, (a, b) in enumerate(zip(code, found, strict=False)) if a != b), min(len(code), len(found)))
    return (not same, -shared, edit_distance(code, found))


def _one_edit_away(category: str, head: int) -> Iterator[str]:
    letters, digits = string.ascii_uppercase, string.digits
    for i in range(len(category)):
        alphabet = (letters if i == 0 else digits) if head == 3 else letters
        for char in alphabet:
            if char != category[i]:
                yield category[:i] + char + category[i + 1 :]
    for i in range(1, len(category) - 1):
        yield category[:i] + category[i + 1] + category[i] + category[i + 2 :]
