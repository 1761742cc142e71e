"""Tables about the CCAM: acts, activities and phases, notes, hierarchy, modifiers.

Each reader answers None when the table is another's.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from pmsi_chain.codes import CCAM_STORED
from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature.columns import Found, code_column, nomenclature_of, required_ccam
from pmsi_chain.nomenclature.tables import Table

_LABELS = ("libelle_long", "libelle", "libelle_acte", "texte", "label")
_FIRST_DAYS = ("date_debut", "date_de_debut", "date_debut_validite", "date_de_debut_de_validite", "debut_validite")
_LAST_DAYS = ("date_fin", "date_de_fin", "date_fin_validite", "date_de_fin_de_validite", "fin_validite")
_CELLS = {
    "short": ("libelle_court", "court"),
    "type": ("type_acte", "type_d_acte", "type"),
    "sex": ("compatibilite_sexe", "sexe"),
    "from": _FIRST_DAYS,
    "to": _LAST_DAYS,
    "extension": ("extension_descriptive", "extension_pmsi", "extension"),
    "activity": ("activite", "code_activite"),
    "phase": ("phase", "code_phase"),
    "modifiers": ("modificateurs", "modificateur"),
}
_RANK = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,2}){0,3}\.?")


def acts(table: Table) -> Found:
    """Acts with dates, sex, type, PMSI extensions, modifiers, and what else the sheet says of them.

    Publishers print the tree inside the sheet: a row whose code is a rank (`07.03`) names a section; a row without a
    code continues the act above it, with another activity or with a note.

    Raises:
        SourceFileError: a badly written code, date or sex, an act given twice or without label.
    """
    code, label = code_column(table), table.column(*_LABELS)
    if code is None or label is None or nomenclature_of(table, code, share=0.5) != "ccam":
        return None
    if table.column("type_acte", "compatibilite_sexe", "sexe", "activite", "code_activite", *_FIRST_DAYS) is None:
        return None  # a label and a code only: a thesaurus
    cells = {name: index for name, names in _CELLS.items() if (index := table.column(*names)) is not None}
    found: dict[str, dict[str, Any]] = {}
    headings: list[tuple[str, str]] = []
    current: dict[str, Any] | None = None
    for number, row in enumerate(table.rows, 1):
        values = {name: row[index].strip() for name, index in cells.items()}
        written = row[code].strip()
        if _RANK.fullmatch(written):
            depth = written.rstrip(".").count(".")
            headings = [*headings[:depth], (written, row[label].strip())]
            current = None
        elif written:
            stored = required_ccam(table, row, code, number)
            values["extension"] = values.get("extension") or written[7:].lstrip("-+ ")
            is_new = stored not in found
            current = found.setdefault(stored, _empty(stored, headings))
            if not is_new and not values["extension"] and not values.get("activity"):
                raise SourceFileError(f"{table.name}, ligne {number} de données : {stored} figure deux fois")
            _fill(table, current, row[label].strip(), values, number, is_new)
        elif current is not None:
            _add_done(current, values)
            if row[label].strip() and not values.get("activity"):
                current["notes"].append(" ".join(row[label].split()))
    if any(not act["label"] for act in found.values()):
        raise SourceFileError(f"{table.name} : un acte sans libellé")
    return "edition", "ccam", [found[key] for key in sorted(found)]


def _empty(code: str, headings: list[tuple[str, str]]) -> dict[str, Any]:
    chapter = " ".join(headings[0]) if headings else ""
    section = headings[-1][1] if len(headings) > 1 else ""
    lists: dict[str, list[Any]] = {name: [] for name in ("extensions", "activities", "phases", "notes")}
    return {"code": code, "label": "", "chapter": chapter, "section": section, **lists}


def _fill(table: Table, act: dict[str, Any], label: str, values: dict[str, str], number: int, is_new: bool) -> None:
    extension = values["extension"]
    if extension:
        act["extensions"].append([extension.zfill(2), label])
    if is_new or (not extension and not values.get("activity")):
        act.update(
            label=label,
            short_label=values.get("short", ""),
            act_type=values.get("type", ""),
            sex=_sex(table, values.get("sex", ""), number),
            valid_from=_day(table, values.get("from", ""), number),
            valid_to=_day(table, values.get("to", ""), number),
            modifiers=[char for char in values.get("modifiers", "") if char.isalnum()],
        )
    _add_done(act, values)


def _add_done(act: dict[str, Any], values: dict[str, str]) -> None:
    for key, name in (("activities", "activity"), ("phases", "phase")):
        if values.get(name) and values[name] not in act[key]:
            act[key].append(values[name])


def _sex(table: Table, cell: str, number: int) -> str | None:
    values = {"": None, "0": None, "3": None, "1": "M", "2": "F", "m": "M", "f": "F", "h": "M"}
    if cell.lower() not in values:
        raise SourceFileError(f"{table.name}, ligne {number} de données : sexe attendu parmi 0, 1, 2, M, F")
    return values[cell.lower()]


def _day(table: Table, cell: str, number: int) -> str | None:
    """The day as ISO text; « 00000000 » and a far year mean no limit."""
    if not cell or set(cell) <= set("0/-"):
        return None
    for pattern in ("%Y-%m-%d", "%d/%m/%Y", "%Y%m%d", "%d-%m-%Y"):
        try:
            found: date = datetime.strptime(cell[:10], pattern).date()
        except ValueError:
            continue
        return None if found.year >= 2099 else found.isoformat()
    raise SourceFileError(f"{table.name}, ligne {number} de données : date attendue (AAAA-MM-JJ, JJ/MM/AAAA, AAAAMMJJ)")


def activities(table: Table) -> Found:
    """Activities and phases of each act (the « ICR » file has them)."""
    code, activity, phase = table.column("code", "code_acte", "acte"), table.column("activite"), table.column("phase")
    if code is None or activity is None or phase is None or table.column(*_LABELS) is not None:
        return None
    data: dict[str, dict[str, list[str]]] = {}
    for number, row in enumerate(table.rows, 1):
        done = data.setdefault(required_ccam(table, row, code, number), {"activities": [], "phases": []})
        for key, index in (("activities", activity), ("phases", phase)):
            if row[index] and row[index] not in done[key]:
                done[key] = sorted([*done[key], row[index]])
    return "activities", "ccam", data


def notes_ccam(table: Table) -> Found:
    """Notes of each act, in their order, each with its heading."""
    code, note = table.column("code", "code_acte"), table.column("note", "texte_note")
    if code is None or note is None or nomenclature_of(table, code) != "ccam":
        return None
    data: dict[str, list[str]] = {}
    for number, row in enumerate(table.rows, 1):
        text = " ".join(row[note].replace("¶", " ").split())
        if text:
            data.setdefault(required_ccam(table, row, code, number), []).append(text)
    return "notes", "ccam", data


def hierarchy_ccam(table: Table) -> Found:
    """Chapter (« 01 SYSTÈME… ») and closest section title of each act."""
    code, rank = table.column("code"), table.column("strate", "arborescence")
    first = table.column("libelle_niveau_1", "chapitre")
    if code is None or rank is None or first is None:
        return None
    deeper = [table.column(f"libelle_niveau_{level}") for level in (4, 3, 2)]
    data = {}
    for row in table.rows:
        if CCAM_STORED.fullmatch(row[code].strip().upper()):
            section = next((row[i] for i in deeper if i is not None and row[i]), "")
            data[row[code].strip().upper()] = [f"{row[rank].split('.')[0]} {row[first]}", section]
    return ("hierarchy", "ccam", data) if data else None


def modifiers(table: Table) -> Found:
    """Modifier letters and digits with their label."""
    letter, label = table.column("modificateur"), table.column("libelle_modificateur")
    if letter is None or label is None:
        return None
    return "modifiers", "ccam", {row[letter]: row[label] for row in table.rows if row[letter]}
