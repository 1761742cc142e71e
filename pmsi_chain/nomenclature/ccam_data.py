"""Acts of an installed CCAM, put together from its files (acts, activities, notes, hierarchy, extensions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pmsi_chain.nomenclature.ccam import CcamEntry


def complete_entries(acts: Sequence[Mapping[str, Any]], attached: Mapping[str, Mapping[str, Any]]) -> list[CcamEntry]:
    """Entries from the stored acts (fields of `CcamEntry`) and what other files add, keyed by code."""
    notes = attached.get("notes", {})
    activities = attached.get("activities", {})
    places = attached.get("hierarchy", {})
    synonyms = attached.get("thesaurus", {})
    entries = []
    for act in acts:
        code = act["code"]
        done = activities.get(code, {})
        chapter, section = places.get(code, (act.get("chapter", ""), act.get("section", "")))
        entries.append(
            CcamEntry(
                code=code,
                label=act["label"],
                short_label=act.get("short_label", ""),
                synonyms=tuple(synonyms.get(code, ())),
                activities=tuple(done.get("activities", act.get("activities", ()))),
                phases=tuple(done.get("phases", act.get("phases", ()))),
                sex=act.get("sex"),
                act_type=act.get("act_type", ""),
                valid_from=_day(act.get("valid_from")),
                valid_to=_day(act.get("valid_to")),
                chapter=chapter,
                section=section,
                notes=tuple(notes.get(code, ())),
                extensions=tuple((number, label) for number, label in act.get("extensions", ())),
                modifiers=tuple(act.get("modifiers", ())),
            )
        )
    return entries


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None
