"""Tables about the CCAM: acts, activities and phases, notes, hierarchy, modifiers.

Each reader answers None when the table is another's.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pmsi_chain.codes import CCAM_STORED
from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature.columns import Found, code_column, nomenclature_of, required_ccam
from pmsi_chain.nomenclature.tables import Table


def acts(table: Table) -> Found:
    """Acts with dates, sex, type, PMSI extensions, modifiers; activities and phases when the file has them.

    Raises:
        SourceFileError: a badly written code, date or sex, an act given twice or without label.
    """
    code, long = code_column(table), table.column("libelle_long", "libelle", "libelle_acte", "texte", "label")
    if code is None or long is None or nomenclature_of(table, code) != "ccam":
        return None
    if table.column("type_acte", "compatibilite_sexe", "sexe", "date_debut", "date_de_debut", "activite") is None:
        return None  # a label and a code only: a thesaurus
    cells = {
        "short_label": table.column("libelle_court", "court"),
        "act_type": table.column("type_acte", "type"),
        "sex": table.column("compatibilite_sexe", "sexe"),
        "from": table.column("date_debut", "date_de_debut", "debut_validite"),
        "to": table.column("date_fin", "date_de_fin", "fin_validite"),
        "extension": table.column("extension_descriptive", "extension_pmsi", "extension"),
        "activity": table.column("activite", "code_activite"),
        "phase": table.column("phase", "code_phase"),
        "modifiers": table.column("modificateurs", "modificateur"),
    }

    def cell(row: tuple[str, ...], name: str) -> str:
        index = cells[name]
        return row[index].strip() if index is not None else ""

    acts: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(table.rows, 1):
        stored = required_ccam(table, row, code, number)
        extension = cell(row, "extension") or row[code].strip()[7:].lstrip("-+ ")
        act = acts.setdefault(stored, {"code": stored, "label": "", "extensions": [], "activities": [], "phases": []})
        if extension:
            act["extensions"].append([extension.zfill(2), row[long]])
        if act["label"] and not (cell(row, "activity") or extension):
            raise SourceFileError(f"{table.name}, ligne {number} de données : {stored} figure deux fois")
        if not extension or not act["label"]:
            act.update(
                label=row[long],
                short_label=cell(row, "short_label"),
                act_type=cell(row, "act_type"),
                sex=_sex(table, cell(row, "sex"), number),
                valid_from=_day(table, cell(row, "from"), number),
                valid_to=_day(table, cell(row, "to"), number),
                modifiers=[char for char in cell(row, "modifiers") if char.isalnum()],
            )
        for key, name in (("activities", "activity"), ("phases", "phase")):
            if cell(row, name) and cell(row, name) not in act[key]:
                act[key].append(cell(row, name))
    if any(not act["label"] for act in acts.values()):
        raise SourceFileError(f"{table.name} : un acte sans libellé")
    return "edition", "ccam", [acts[key] for key in sorted(acts)]


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
    if code is None or activity is None or phase is None or table.column("libelle_long", "libelle") is not None:
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
