"""A CCAM edition in memory: which acts exist, when, with which activities, phases and extensions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from pmsi_chain.domain import Sex
from pmsi_chain.errors import ForbiddenCodeError, UnknownCodeError
from pmsi_chain.nomenclature.edition import Edition
from pmsi_chain.nomenclature.near import nearest_codes


@dataclass(frozen=True, slots=True)
class CcamEntry:
    """One act.

    Attributes:
        code: seven characters; label, short_label: as the edition prints them (the starter's are the project's).
        synonyms: other expressions for it, the project's or the hospital's.
        activities: "1" operator, "2".."5", "4" anaesthesia; empty: not known from this edition.
        phases: "0", or "1", "2"…; empty: not known.
        sex: the only sex it applies to, None for both.
        act_type: "0" isolated, "1" procedure, "2" complementary ("" where the file has none).
        valid_from, valid_to: first and last day it may be coded; None: no limit known.
        chapter, section: where it stands, numbers or titles as the edition has them.
        notes: what it includes, excludes, goes with, each with its heading.
        extensions: PMSI extensions ("01") with their label; modifiers: letters it may carry.
    """

    code: str
    label: str
    short_label: str = ""
    synonyms: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    sex: Sex | None = None
    act_type: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    chapter: str = ""
    section: str = ""
    notes: tuple[str, ...] = ()
    extensions: tuple[tuple[str, str], ...] = ()
    modifiers: tuple[str, ...] = ()

    @property
    def display(self) -> str:
        """The printed form: the code itself."""
        return self.code

    def is_valid(self, on: date) -> bool:
        """Whether it may be coded on that day."""
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on <= self.valid_to)


class CcamEdition(Edition):
    """One edition of the CCAM; see `Edition`.

    Attributes:
        complete: False for the embedded starter, which holds a part of the CCAM.
        modifiers: letters and digits of modifiers with their label, when installed.
    """

    nomenclature = "ccam"
    title = "CCAM"

    def __init__(
        self,
        entries: Iterable[CcamEntry],
        *,
        version: str,
        valid_from: date,
        valid_to: date | None = None,
        sha256: str = "",
        origin: str = "",
        licence: str = "",
        complete: bool = True,
        modifiers: Mapping[str, str] | None = None,
        fingerprint: str = "",
    ) -> None:
        self.complete = complete
        self.modifiers = dict(modifiers or {})
        self._entries = {entry.code: entry for entry in entries}
        super().__init__(
            self._entries.keys(), version=version, valid_from=valid_from, valid_to=valid_to, sha256=sha256,
            origin=origin, licence=licence, fingerprint=fingerprint,
        )  # fmt: skip

    def get(self, code: str) -> CcamEntry | None:
        """The act, None when the edition lacks it."""
        return self._entries.get(code)

    def entry(self, code: str) -> CcamEntry:
        """The act.

        Raises:
            UnknownCodeError: the edition lacks it.
        """
        entry = self._entries.get(code)
        if entry is None:
            near = self.nearest(code)
            scope = "" if self.complete else " (édition embarquée partielle : installer la CCAM officielle)"
            hint = f" ; actes voisins : {', '.join(near)}" if near else ""
            raise UnknownCodeError(
                f"{code} n'existe pas dans la CCAM {self.version}{scope}{hint}",
                code=code,
                nearest=near,
                reason="unknown",
            )
        return entry

    def is_allowed(self, code: str, on: date | None = None) -> bool:
        """Whether the act exists and, when a day is given, may be coded on it."""
        entry = self._entries.get(code)
        return entry is not None and (on is None or entry.is_valid(on))

    def require(self, code: str, on: date | None = None) -> CcamEntry:
        """The act, which must be valid on that day when one is given.

        Raises:
            UnknownCodeError: the edition lacks it.
            ForbiddenCodeError: not valid on that day.
        """
        entry = self.entry(code)
        if on is not None and not entry.is_valid(on):
            near = self.nearest(code, on=on)
            since = f"du {entry.valid_from:%d/%m/%Y} " if entry.valid_from else ""
            until = f"au {entry.valid_to:%d/%m/%Y}" if entry.valid_to else "sans fin connue"
            raise ForbiddenCodeError(
                f"{code} n'est pas codable le {on:%d/%m/%Y} : valide {since}{until}",
                code=code,
                nearest=near,
                reason="expired",
            )
        return entry

    def siblings(self, code: str) -> tuple[str, ...]:
        """Acts with the same topography, action and access (same four letters)."""
        return tuple(found for found in self.descendants(code[:4]) if found != code)

    def nearest(self, code: str, n: int = 5, on: date | None = None) -> tuple[str, ...]:
        """Up to `n` acts near `code`, valid on that day when one is given."""
        return nearest_codes(code, self, lambda found: self.is_allowed(found, on), n, head=4)

    def codable(self, on: date | None = None) -> tuple[CcamEntry, ...]:
        """Acts that may be coded on that day (all when None), in code order."""
        return tuple(self._entries[code] for code in self if self.is_allowed(code, on))
