"""What changed between two editions. Pure: two editions in, values out, rendered in French or as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pmsi_chain.codes import cim10_display
from pmsi_chain.nomenclature.ccam import CcamEdition
from pmsi_chain.nomenclature.cim10 import Cim10Edition

_E = TypeVar("_E", Cim10Edition, CcamEdition)


@dataclass(frozen=True, slots=True)
class Change:
    """One code whose value differs; `before` is "" for an added code and `after` for a removed one."""

    code: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class EditionDiff:
    """Every difference between two editions, each list in code order.

    Attributes:
        added, removed: with the label.
        relabelled: long labels; shortened: short labels that changed while the long one did not.
        retyped: type MCO (CIM-10) or type of act (CCAM).
        redated: validity of an act (CCAM).
    """

    nomenclature: str
    old: str
    new: str
    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    relabelled: tuple[Change, ...]
    shortened: tuple[Change, ...]
    retyped: tuple[Change, ...]
    redated: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not any(getattr(self, name) for name in _HEADINGS)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return asdict(self)


_HEADINGS = {
    "added": "Codes ajoutés",
    "removed": "Codes supprimés",
    "relabelled": "Libellés modifiés",
    "shortened": "Libellés courts modifiés",
    "retyped": "Types modifiés",
    "redated": "Validités modifiées",
}


def diff_cim10(old: Cim10Edition, new: Cim10Edition) -> EditionDiff:
    """Added, removed, relabelled and retyped codes from `old` to `new`."""
    return _diff(old, new, lambda entry: str(entry.type_mco))


def diff_ccam(old: CcamEdition, new: CcamEdition) -> EditionDiff:
    """Added, removed, relabelled, retyped and redated acts from `old` to `new`."""
    return _diff(old, new, lambda entry: entry.act_type, lambda entry: _dates(entry.valid_from, entry.valid_to))


def _diff(old: _E, new: _E, kind: Callable[[Any], str], dates: Callable[[Any], str] = lambda entry: "") -> EditionDiff:
    both = [(old.entry(code), new.entry(code)) for code in old if code in new]

    def changed(value: Callable[[Any], str]) -> tuple[Change, ...]:
        return tuple(Change(a.code, value(a), value(b)) for a, b in both if value(a) != value(b))

    relabelled = changed(lambda entry: entry.label)
    known = {change.code for change in relabelled}
    return EditionDiff(
        old.nomenclature,
        old.version,
        new.version,
        added=tuple(Change(code, "", new.entry(code).label) for code in new if code not in old),
        removed=tuple(Change(code, old.entry(code).label, "") for code in old if code not in new),
        relabelled=relabelled,
        shortened=tuple(change for change in changed(lambda entry: entry.short_label) if change.code not in known),
        retyped=changed(kind),
        redated=changed(dates),
    )


def _dates(first: object, last: object) -> str:
    return f"{first or ''}/{last or ''}"


def render(diff: EditionDiff, limit: int | None = None) -> str:
    """The difference in French, one code a line.

    Args:
        limit: codes shown per heading; all when None. What is left out is counted.
    """
    name = "CIM-10 FR" if diff.nomenclature == "cim10" else "CCAM"
    lines = [f"{name} : de {diff.old} à {diff.new}"]
    if diff.is_empty:
        return f"{lines[0]} : aucune différence"
    for field, heading in _HEADINGS.items():
        changes: tuple[Change, ...] = getattr(diff, field)
        if not changes:
            continue
        lines += ["", f"{heading} : {len(changes)}"]
        lines += [f"  {_shown(diff, change)}" for change in changes[:limit]]
        if limit is not None and len(changes) > limit:
            lines.append(f"  … et {len(changes) - limit} autres")
    return "\n".join(lines)


def _shown(diff: EditionDiff, change: Change) -> str:
    code = cim10_display(change.code) if diff.nomenclature == "cim10" else change.code
    if change.before and change.after:
        return f"{code} : {change.before} → {change.after}"
    return f"{code} : {change.before or change.after or '—'}"
