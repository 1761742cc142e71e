"""Code expressions of a rule: one notation for a code, a category, a range, a chapter or everything.

    I21.08   a code or subcategory, with all that it subdivides into      I69        a category
    I60-I63  a range of categories or of subcategories (T80.0-T80.2)      chap:XXI   a chapter
    E1?.1    one character left open                                      *          every code
    ccam:JNJD002  a CCAM act, or every act whose code starts so

CIM-10 expressions are written as printed; they are compared with stored codes (no dot).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

Specificity = Literal["code", "category", "range", "chapter", "all"]

#: Chapters of CIM-10 as closed ranges of categories (CIM-10, volume 1; chapter XXII: U00-U99).
CHAPTERS: dict[str, tuple[str, str]] = {
    "I": ("A00", "B99"), "II": ("C00", "D48"), "III": ("D50", "D89"), "IV": ("E00", "E90"), "V": ("F00", "F99"),
    "VI": ("G00", "G99"), "VII": ("H00", "H59"), "VIII": ("H60", "H95"), "IX": ("I00", "I99"),
    "X": ("J00", "J99"), "XI": ("K00", "K93"), "XII": ("L00", "L99"), "XIII": ("M00", "M99"),
    "XIV": ("N00", "N99"), "XV": ("O00", "O99"), "XVI": ("P00", "P96"), "XVII": ("Q00", "Q99"),
    "XVIII": ("R00", "R99"), "XIX": ("S00", "T98"), "XX": ("V01", "Y98"), "XXI": ("Z00", "Z99"),
    "XXII": ("U00", "U99"),
}  # fmt: skip

_CODE = re.compile(r"[A-Z][0-9?][0-9?](?:[0-9?+]{1,4})?")
_ORDER: dict[Specificity, int] = {"code": 0, "category": 1, "range": 2, "chapter": 3, "all": 4}


def stored(code: str) -> str:
    """A printed CIM-10 code in stored form: upper case, neither dot nor blank; `+` is part of the code."""
    return code.strip().upper().replace(".", "").replace(" ", "")


def chapter_of(code: str) -> str | None:
    """The Roman number of the CIM-10 chapter of a stored code, None outside the classification."""
    category = code[:3]
    for number, (first, last) in CHAPTERS.items():
        if first <= category <= last:
            return number
    return None


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed code expression.

    Attributes:
        text: as written in the knowledge base.
        nomenclature: "cim10" or "ccam".
        specificity: what it names; a subcategory counts as "code".
        first, last: stored bounds, equal unless it is a range; "" for every code.
    """

    text: str
    nomenclature: Literal["cim10", "ccam"]
    specificity: Specificity
    first: str
    last: str
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an expression.

        Raises:
            ValueError: not one of the forms above; the message shows the expression.
        """
        if text == "*":
            return cls(text, "cim10", "all", "", "")
        if text.startswith("ccam:"):
            code = text.removeprefix("ccam:").upper()
            if not re.fullmatch(r"[A-Z]{1,4}|[A-Z]{4}[0-9]{3}", code):
                raise ValueError(f"« {text} » : attendu ccam: suivi d'un code CCAM ou de ses premières lettres")
            return cls(text, "ccam", "code" if len(code) == 7 else "category", code, code)
        if text.startswith("chap:"):
            number = text.removeprefix("chap:")
            if number not in CHAPTERS:
                raise ValueError(f"« {text} » : attendu chap: suivi d'un numéro de chapitre, de I à XXII")
            first, last = CHAPTERS[number]
            return cls(text, "cim10", "chapter", first, last)
        parts = [stored(part) for part in text.split("-")]
        if len(parts) > 2 or not all(_CODE.fullmatch(part) for part in parts):
            raise ValueError(f"« {text} » : attendu un code, une catégorie, un intervalle A00-B99, chap:N ou *")
        if len(parts) == 2:
            first, last = parts
            if len(first) != len(last) or last < first or "?" in text:
                raise ValueError(f"« {text} » : les bornes d'un intervalle ont la même longueur et vont en croissant")
            return cls(text, "cim10", "range", first, last)
        code = parts[0]
        pattern = re.compile("".join("." if c == "?" else re.escape(c) for c in code)) if "?" in code else None
        return cls(text, "cim10", "category" if len(code) == 3 else "code", code, code, pattern)

    def matches(self, code: str) -> bool:
        """Whether a stored code falls under the expression, its own subdivisions included."""
        if self.specificity == "all":
            return True
        if self.pattern is not None:
            return self.pattern.match(code) is not None
        if self.first == self.last:
            return code.startswith(self.first)
        width = len(self.first)
        return len(code) >= width and self.first <= code[:width] <= self.last

    def closeness(self, code: str) -> tuple[Specificity, tuple[int, int]]:
        """How closely the expression names a code it matches, and the sorting key, the most specific first."""
        level: Specificity = "code" if self.first == self.last == code else self.specificity
        return level, (_ORDER[level], -len(self.first))


@lru_cache(maxsize=4096)
def expression(text: str) -> Expression:
    """`Expression.parse`, remembered."""
    return Expression.parse(text)


def categories(first: str, last: str) -> list[str]:
    """Every three-character category from one to another, both included (« A00 » to « B99 » crosses letters)."""
    letters = [chr(code) for code in range(ord(first[0]), ord(last[0]) + 1)]
    every = (f"{letter}{number:02d}" for letter in letters for number in range(100))
    return [category for category in every if first <= category <= last]


@dataclass(frozen=True, slots=True)
class Matcher:
    """Several expressions at once, made for speed: a set of categories, a tuple of prefixes, and the rest."""

    categories: frozenset[str]
    prefixes: tuple[str, ...]
    others: tuple[Expression, ...]

    @classmethod
    def from_expressions(cls, texts: tuple[str, ...]) -> Self:
        """Sort the expressions by how they can be compared."""
        whole: set[str] = set()
        prefixes: list[str] = []
        others: list[Expression] = []
        for parsed in map(expression, texts):
            if parsed.pattern is not None or parsed.specificity == "all" or parsed.nomenclature == "ccam":
                others.append(parsed)
            elif len(parsed.first) == 3:
                whole.update(categories(parsed.first, parsed.last))
            elif parsed.first == parsed.last:
                prefixes.append(parsed.first)
            else:
                others.append(parsed)
        return cls(frozenset(whole), tuple(prefixes), tuple(others))

    def matches(self, code: str) -> bool:
        """Whether a stored code falls under one of the expressions."""
        return (
            code[:3] in self.categories
            or code.startswith(self.prefixes)
            or (bool(self.others) and any(parsed.matches(code) for parsed in self.others))
        )


@lru_cache(maxsize=4096)
def matcher(texts: tuple[str, ...]) -> Matcher:
    """`Matcher.from_expressions`, remembered."""
    return Matcher.from_expressions(texts)


def any_matches(expressions: tuple[str, ...], code: str) -> bool:
    """Whether a stored code falls under one of the expressions."""
    return matcher(expressions).matches(code)
