"""Acts of an installed CCAM, put together from its files (acts, activities, notes, hierarchy, synonyms). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from pmsi_chain.nomenclature.ccam import CcamEntry


def entries_from_stored(acts: Iterable[Mapping[str, Any]]) -> list[CcamEntry]:
    """Entries from the stored acts (`ccam_tables.acts`)."""
    return [
        CcamEntry(
            code=act["code"],
            label=act["label"],
            short_label=act["short_label"],
            activities=tuple(act["activities"]),
            phases=tuple(act["phases"]),
            sex=act["sex"],
            act_type=act["act_type"],
            valid_from=_day(act["valid_from"]),
            valid_to=_day(act["valid_to"]),
            chapter=act["chapter"],
            section=act["section"],
            notes=tuple(act["notes"]),
            extensions=tuple((number, label) for number, label in act["extensions"]),
            modifiers=tuple(act["modifiers"]),
        )
        for act in acts
    ]


def with_attachments(entries: Iterable[CcamEntry], attached: Mapping[str, Mapping[str, Any]]) -> list[CcamEntry]:
    """The entries with what other files say of them, keyed by kind then code."""
    if not attached:
        return list(entries)
    completed = []
    for entry in entries:
        code = entry.code
        done = attached.get("activities", {}).get(code, {})
        chapter, section = attached.get("hierarchy", {}).get(code, (entry.chapter, entry.section))
        completed.append(
            replace(
                entry,
                synonyms=(*entry.synonyms, *attached.get("thesaurus", {}).get(code, ())),
                activities=tuple(done.get("activities", entry.activities)),
                phases=tuple(done.get("phases", entry.phases)),
                chapter=chapter,
                section=section,
                notes=tuple(attached.get("notes", {}).get(code, entry.notes)),
            )
        )
    return completed


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None
