"""What an edition of CIM-10 and one of CCAM share: its dates and origin, and being a container of codes. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from datetime import date
from functools import cached_property
from typing import ClassVar


class Edition:
    """One edition of a nomenclature, a container of stored codes in order.

    Attributes:
        nomenclature: "cim10" or "ccam"; title: as it is printed.
        version: "2025", or "starter-2026" for the embedded CCAM.
        valid_from, valid_to: first and last day in force; None: until a newer edition is installed.
        sha256: of the source file(s); origin, licence: where it came from, under which terms.
        fingerprint: changes whenever the codes or what completes them (notes, CMA, synonyms) change.
    """

    nomenclature: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        codes: Collection[str],
        *,
        version: str,
        valid_from: date,
        valid_to: date | None = None,
        sha256: str = "",
        origin: str = "",
        licence: str = "",
        fingerprint: str = "",
    ) -> None:
        self.version = version
        self.valid_from = valid_from
        self.valid_to = valid_to
        self.sha256 = sha256
        self.origin = origin
        self.licence = licence
        self.fingerprint = fingerprint or sha256
        self._codes = codes

    def __contains__(self, code: object) -> bool:
        return str(getattr(code, "code", code)) in self._codes

    def __iter__(self) -> Iterator[str]:
        return iter(self._sorted)

    def __len__(self) -> int:
        return len(self._codes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.version!r}, {len(self)} codes, from {self.valid_from.isoformat()})"

    @cached_property
    def _sorted(self) -> tuple[str, ...]:
        return tuple(sorted(self._codes))

    def caveat(self, on: date) -> str:
        """What a coding dated `on` should say of the edition it was made with; "" when there is nothing to say."""
        year = self.version[:4]
        if year.isdigit() and on.year > int(year) and self.valid_to is None:
            return (
                f"{self.title} {self.version}, la plus récente disponible pour une sortie de {on.year} : installer "
                f"l'édition {on.year} si elle a paru"
            )
        return ""

    def descendants(self, prefix: str) -> tuple[str, ...]:
        """All codes that start with the characters of `prefix`, itself excepted, in order."""
        low = bisect_left(self._sorted, prefix)
        high = bisect_left(self._sorted, prefix + "\uffff")
        return tuple(code for code in self._sorted[low:high] if code != prefix)
