"""A CIM-10 FR edition in memory: which codes exist, where each may stand, what is near a wrong one.

Pure: rows come in, answers go out. Rows stay strings until a code is asked for, so that 43 000 of them cost little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import ALLOWED_TYPES, POSITIONS, Position, Sex
from pmsi_chain.errors import CodeError, ForbiddenCodeError, UnknownCodeError
from pmsi_chain.nomenclature import hierarchy
from pmsi_chain.nomenclature.edition import Edition
from pmsi_chain.nomenclature.hierarchy import Mark
from pmsi_chain.nomenclature.near import nearest_codes

#: ATIH marks a deleted code in its label, with the year: « *** SU17 *** ».
DELETED = re.compile(r"\*\*\*\s*SU\s*([0-9]{2})\s*\*\*\*")
FORBIDDEN_TYPE = 3
#: Age in years up to which conditions of the perinatal period (chapter XVI) may still be told of a patient.
_NEWBORN_UNTIL = 2
#: Codes of mothers, and the age in years under which nobody is one.
_OF_MOTHERS, _MOTHER_FROM = ("O", "Z37", "Z39"), 8
_POSITION_NAMES: dict[Position, str] = {"dp": "DP", "dr": "DR", "das": "DAS"}
_TYPE_MEANS = {1: "ni DP ni DR", 2: "cause externe, ni DP ni DR", 3: "interdit partout", 4: "pas en DP"}

Row = tuple[str, int, str, str]  # stored code, type MCO, short label, long label


def one_line(label: str) -> str:
    """A label with single spaces: publishers leave doubled ones, and tabs would break the cache."""
    return " ".join(label.split())


@dataclass(frozen=True, slots=True)
class Cim10Entry:
    """One line of an edition.

    Attributes:
        code, display: stored and printed forms.
        label, short_label: as the edition prints them.
        type_mco: 0 to 4 (ATIH's kit, p. 5); see `pmsi_chain.domain.ALLOWED_TYPES`.
        chapter: Roman number ("IX"); category: first three characters.
        parent: the closest shorter code of the edition, None for a category.
        inclusion_notes, exclusion_notes: the code's own notes, when an edition with notes is installed.
        deleted: ATIH's marker stands in the label; deleted_year: its year.
        block, block_label: the group of categories ("A00-A09"), when a hierarchy is installed.
        cma_level: 2 to 4 when the CMA list is installed and holds the code; cma_exclusions, cma_root_exclusions: the
            numbers of its exclusion lists (by DP, by group root), "" for none.
        synonyms: expressions of the hospital's own thesaurus.
        mark: "†" aetiology, "*" manifestation, "" neither; from ClaML when installed, else from the label and the
            list of asterisk categories.
    """

    code: str
    display: str
    label: str
    short_label: str
    type_mco: int
    chapter: str
    category: str
    parent: str | None
    inclusion_notes: tuple[str, ...] = ()
    exclusion_notes: tuple[str, ...] = ()
    deleted: bool = False
    deleted_year: int | None = None
    block: str = ""
    block_label: str = ""
    cma_level: int | None = None
    cma_exclusions: str = ""
    cma_root_exclusions: str = ""
    synonyms: tuple[str, ...] = ()
    mark: Mark = ""

    @property
    def sex(self) -> Sex | None:
        """The only sex the classification provides it for (CIM-10, volume 2), None for both."""
        return hierarchy.sex_of(self.code)

    def fits(self, sex: Sex | None, age: int | None) -> bool:
        """Whether it can be the code of a patient of this sex and of this age in years, where they are known."""
        if sex and self.sex and self.sex != sex:
            return False
        if age is None:
            return True
        return not (
            (age > _NEWBORN_UNTIL and self.code.startswith("P"))
            or (age < _MOTHER_FROM and self.code.startswith(_OF_MOTHERS))
        )

    @property
    def age_limits(self) -> tuple[int | None, int | None]:
        """Least and greatest age in years that the label itself sets (« du nouveau-né », « de l'adulte »)."""
        return hierarchy.age_limits_of(self.label)

    @property
    def is_asterisk(self) -> bool:
        """Whether it is a manifestation (*): it needs its aetiology (†) coded before it."""
        return self.mark == "*"

    @property
    def redirections(self) -> tuple[str, ...]:
        """Codes and categories (stored form) that the exclusion notes send to, in their order."""
        return tuple(dict.fromkeys(code for note in self.exclusion_notes for code in hierarchy.codes_in(note)))

    @property
    def asterisk_partners(self) -> tuple[str, ...]:
        """Manifestation codes or categories (*) that the label names."""
        return tuple(code for code, mark in hierarchy.partners(self.label) if mark == "*")

    @property
    def dagger_partners(self) -> tuple[str, ...]:
        """Aetiology codes or categories (†) that the label names."""
        return tuple(code for code, mark in hierarchy.partners(self.label) if mark == "†")


@dataclass(frozen=True, slots=True)
class Attachments:
    """What other official files add to an edition, keyed by stored code.

    Attributes:
        notes: [inclusion notes, exclusion notes].
        cma: [level 2–4, exclusion list by DP, exclusion list by group root].
        synonyms: expressions of the hospital's own thesaurus.
        blocks: [group of categories, its label]; marks: "†" or "*".
    """

    notes: Mapping[str, Sequence[Sequence[str]]]
    cma: Mapping[str, Sequence[Any]]
    synonyms: Mapping[str, Sequence[str]]
    blocks: Mapping[str, Sequence[str]]
    marks: Mapping[str, Mark]


NOTHING_ATTACHED = Attachments({}, {}, {}, {}, {})


class Cim10Edition(Edition):
    """One edition of the CIM-10 FR à usage PMSI; see `Edition`."""

    nomenclature = "cim10"
    title = "CIM-10 FR"

    def __init__(
        self,
        rows: Iterable[Row],
        *,
        version: str,
        valid_from: date,
        valid_to: date | None = None,
        sha256: str = "",
        origin: str = "",
        licence: str = "",
        attached: Attachments = NOTHING_ATTACHED,
        fingerprint: str = "",
    ) -> None:
        self._rows = {row[0]: row for row in rows}
        super().__init__(
            self._rows.keys(), version=version, valid_from=valid_from, valid_to=valid_to, sha256=sha256, origin=origin,
            licence=licence, fingerprint=fingerprint,
        )  # fmt: skip
        self._attached = attached
        self._entries: dict[str, Cim10Entry] = {}
        self._codable: dict[Position | None, tuple[Cim10Entry, ...]] = {}

    def get(self, code: str) -> Cim10Entry | None:
        """The entry of a stored code, None when the edition lacks it."""
        entry = self._entries.get(code)
        if entry is None:
            row = self._rows.get(code)
            if row is None:
                return None
            entry = self._entries[code] = self._entry(row)
        return entry

    def _entry(self, row: Row) -> Cim10Entry:
        code, type_mco, short_label, label = row
        marker = DELETED.search(label) or DELETED.search(short_label)
        inclusions, exclusions = self._attached.notes.get(code, ((), ()))
        level, exclusion_list, root_list = self._attached.cma.get(code, (None, "", ""))
        block, block_label = self._attached.blocks.get(code, ("", ""))
        return Cim10Entry(
            code=code,
            display=cim10_display(code),
            label=label,
            short_label=short_label,
            type_mco=type_mco,
            chapter=hierarchy.chapter_of(code),
            category=code[:3],
            parent=self._parent(code),
            inclusion_notes=tuple(inclusions),
            exclusion_notes=tuple(exclusions),
            deleted=marker is not None,
            deleted_year=2000 + int(marker[1]) if marker else None,
            cma_level=level,
            cma_exclusions=exclusion_list,
            cma_root_exclusions=root_list,
            block=block,
            block_label=block_label,
            synonyms=tuple(self._attached.synonyms.get(code, ())),
            mark=self._attached.marks.get(code) or hierarchy.mark_of(code, label),
        )

    def _parent(self, code: str) -> str | None:
        for length in range(len(code) - 1, 2, -1):
            prefix = code[:length].rstrip("+")
            if prefix in self._rows:
                return prefix
        return None

    def entry(self, code: str) -> Cim10Entry:
        """The entry of a stored code.

        Raises:
            UnknownCodeError: the edition lacks it; `.nearest` holds legal codes.
        """
        entry = self.get(code)
        if entry is None:
            raise self._unknown(code, None)
        return entry

    def is_allowed(self, code: str, position: Position) -> bool:
        """Whether the code exists and its type MCO allows that position."""
        row = self._rows.get(code)
        return row is not None and row[1] in ALLOWED_TYPES[position]

    def positions(self, code: str) -> tuple[Position, ...]:
        """Positions that the code's type MCO allows; () where the code does not exist."""
        return tuple(position for position in POSITIONS if self.is_allowed(code, position))

    def require(self, code: str, position: Position) -> Cim10Entry:
        """The entry of a code that may stand in `position`.

        Raises:
            UnknownCodeError: the edition lacks it.
            ForbiddenCodeError: deleted, parent only, or not allowed in that position.
        """
        entry = self.get(code)
        if entry is None:
            raise self._unknown(code, position)
        if entry.type_mco in ALLOWED_TYPES[position]:
            return entry
        raise self._forbidden(entry, position)

    def nearest(self, code: str, position: Position | None = None, n: int = 5) -> tuple[str, ...]:
        """Up to `n` codes allowed in `position` (anywhere when None), nearest first.

        The same characters without `+` come first, then what stands under the code or beside it, then the rest by
        edit distance.
        """
        return nearest_codes(code, self, lambda found: self._is_legal(found, position), n)

    def _is_legal(self, code: str, position: Position | None) -> bool:
        return self.is_allowed(code, position) if position else self._rows[code][1] != FORBIDDEN_TYPE

    def children(self, code: str) -> tuple[str, ...]:
        """Codes whose parent is `code`, in order."""
        return tuple(found for found in self.descendants(code) if self._parent(found) == code)

    def siblings(self, code: str) -> tuple[str, ...]:
        """The other children of the code's parent; none for a category."""
        parent = self._parent(code)
        return tuple(found for found in self.children(parent) if found != code) if parent else ()

    def ancestors(self, code: str) -> tuple[str, ...]:
        """Parents up to the category, closest first."""
        found: list[str] = []
        parent = self._parent(code)
        while parent:
            found.append(parent)
            parent = self._parent(parent)
        return tuple(found)

    def codable(self, position: Position | None = None) -> tuple[Cim10Entry, ...]:
        """Entries allowed in `position` (in at least one position when None), in code order."""
        if position not in self._codable:
            self._codable[position] = tuple(self.entry(code) for code in self if self._is_legal(code, position))
        return self._codable[position]

    def category_label(self, code: str) -> str:
        """The label of the code's category, "" when the edition has no line for it."""
        row = self._rows.get(code[:3])
        return row[3] if row else ""

    def compose(self, cause: str, place: str | None = None, activity: str | None = None) -> Cim10Entry:
        """The chapter XX code for a cause, a place and an activity.

        Args:
            cause: stored code of the cause: a category (`W00`), or four characters where those are the cause
                (transport accidents `V010`, subdivided categories `W260`).
            place, activity: one character each, see `hierarchy.PLACES` and `hierarchy.ACTIVITIES`.

        Raises:
            ForbiddenCodeError: no chapter XX cause, a place or activity that does not exist, or a composition that
                the edition does not provide (a place on a transport accident, an activity without place where the
                edition has no `+` form).
        """
        reason = ""
        if not hierarchy.is_external_cause(cause):
            reason = "seules les causes externes (chapitre XX) se composent"
        elif place is not None and place not in hierarchy.PLACES:
            reason = "le lieu est un chiffre de 0 à 9"
        elif activity is not None and activity not in hierarchy.ACTIVITIES:
            reason = "l'activité est 0, 1, 2, 3, 4, 8 ou 9"
        elif place is not None and cause.startswith("V"):
            reason = "un accident de transport n'a pas de lieu, il a une activité"
        if not reason:
            composed = cause + (place or "") + (activity or "")
            with_filler = f"{cause}+{activity}" if activity and not place else ""
            if with_filler in self._rows:
                return self.entry(with_filler)
            ambiguous = activity and not place and not cause.startswith("V")
            if composed in self._rows and not ambiguous:
                return self.entry(composed)
            reason = (
                "l'activité se porte après le lieu : donner le lieu (9 s'il est inconnu)"
                if ambiguous
                else "cette édition ne prévoit pas cette composition"
            )
        raise ForbiddenCodeError(
            f"{cim10_display(cause)} (lieu {place or '-'}, activité {activity or '-'}) : {reason}",
            code=cause,
            nearest=self.nearest(cause),
            reason="composition",
        )

    def _unknown(self, code: str, position: Position | None) -> CodeError:
        shown = cim10_display(code)
        near = self.nearest(code, position)
        hint = f" ; codes voisins : {', '.join(map(cim10_display, near))}" if near else ""
        problem = self._composition_problem(code)
        if problem:
            return UnknownCodeError(
                f"{shown} : mauvaise composition du chapitre XX, {problem}{hint}",
                code=code,
                nearest=near,
                reason="composition",
            )
        return UnknownCodeError(
            f"{shown} n'existe pas dans la CIM-10 FR {self.version}{hint}", code=code, nearest=near, reason="unknown"
        )

    def _composition_problem(self, code: str) -> str:
        """What is wrong with a chapter XX code whose category exists; "" when that is not the trouble."""
        if not hierarchy.is_external_cause(code) or code[:3] not in self._rows or len(code) < 5:
            return ""
        if self._parent(code) is None:
            return ""
        if "+" in code and not any("+" in known for known in self.descendants(code[:4].rstrip("+"))):
            return "cette cause n'a pas de forme « + » : donner le lieu (9 s'il est inconnu)"
        if code[-1] not in hierarchy.ACTIVITIES:
            return "l'activité est 0, 1, 2, 3, 4, 8 ou 9"
        return "cette cause ne prévoit pas ces caractères"

    def _forbidden(self, entry: Cim10Entry, position: Position) -> ForbiddenCodeError:
        near = self.nearest(entry.code, position)
        where = _POSITION_NAMES[position]
        if entry.deleted:
            reason, why = "deleted", f"supprimé en {entry.deleted_year}"
        elif entry.type_mco == FORBIDDEN_TYPE and self.children(entry.code):
            reason, why = "parent", "code père : choisir un code plus précis"
        elif entry.type_mco == FORBIDDEN_TYPE:
            reason, why = "parent", "code interdit dans le PMSI (type MCO 3)"
        else:
            reason, why = "position", f"type MCO {entry.type_mco} : {_TYPE_MEANS[entry.type_mco]}"
        hint = f" ; codes voisins : {', '.join(map(cim10_display, near))}" if near else ""
        return ForbiddenCodeError(
            f"{entry.display} n'est pas permis en {where} (CIM-10 FR {self.version}) : {why}{hint}",
            code=entry.code,
            nearest=near,
            reason=reason,
        )
