"""Tables about the CIM-10: CMA list, notes, hierarchy, codes in a spreadsheet.

Each reader answers None when the table is another's.
"""

from __future__ import annotations

from typing import Any

from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature.cim10 import Row, one_line
from pmsi_chain.nomenclature.columns import Found, as_cim10, code_column, nomenclature_of, required_cim10
from pmsi_chain.nomenclature.tables import Table

#: From this many codes on, a CMA list without one of the three levels, or that stops before chapter XXI, was cut short:
#: the annex is printed by level then code, and each level has codes of that chapter.
_WHOLE_LIST = 500


def cma(table: Table) -> Found:
    """Level and exclusion lists of each CMA (Manuel des GHM, annexe)."""
    code, level = table.column("code", "cim_cma", "code_cim"), table.column("niveau", "niveau_cma", "cma")
    if code is None or level is None or nomenclature_of(table, code) != "cim10":
        return None
    exclusions = table.column("diag", "liste_exclusion", "liste_d_exclusion", "numero_liste", "liste")
    roots = table.column("liste_racine", "racine", "racines")
    data: dict[str, list[Any]] = {}
    for number, row in enumerate(table.rows, 1):
        if row[level] not in {"1", "2", "3", "4"}:
            raise SourceFileError(f"{table.name}, ligne {number} de données : niveau de CMA attendu entre 1 et 4")
        lists = [_number(row[i]) if i is not None else "" for i in (exclusions, roots)]
        data[required_cim10(table, row, code, number)] = [int(row[level]), *lists]
    if len(data) >= _WHOLE_LIST:
        last_codes = list(data)[-20:]
        missing = {2, 3, 4} - {values[0] for values in data.values()}
        if missing or (last_codes == sorted(last_codes) and last_codes[-1] < "Z"):
            raise SourceFileError(f"{table.name} : la liste s'arrête à {last_codes[-1]} ; fichier tronqué")
    return "cma", "cim10", data


def _number(cell: str) -> str:
    return "" if cell in {"-", "—"} else cell


def notes_cim10(table: Table) -> Found:
    """Inclusion and exclusion notes of each code, one note a line of the cell."""
    code = code_column(table)
    inclusions = table.column("inclusion_notes", "inclusions", "inclusion", "comprend")
    exclusions = table.column("exclusion_notes", "exclusions", "exclusion", "a_l_exclusion_de")
    if code is None or inclusions is None or exclusions is None:
        return None
    data = {}
    for row in table.rows:
        stored = as_cim10(row[code])
        if stored and (row[inclusions] or row[exclusions]):  # blocks and chapters have notes too: no code bears them
            data[stored] = [_note_lines(row[inclusions]), _note_lines(row[exclusions])]
    return ("notes", "cim10", data) if data else None


def _note_lines(cell: str) -> list[str]:
    """One note a line; an indented « - » line completes the heading above it."""
    notes: list[str] = []
    heading = ""
    for line in cell.replace("\r", "\n").split("\n"):
        bare = " ".join(line.split())
        if not bare:
            continue
        if bare.startswith(("- ", "– ")) and heading:
            if notes and notes[-1] == heading:
                notes.pop()
            notes.append(f"{heading} {bare[2:]}")
            continue
        heading = bare if bare.endswith(":") else ""
        notes.append(bare)
    return notes


def hierarchy_cim10(table: Table) -> Found:
    """Group of categories of each code, with its label."""
    code, block = table.column("code"), table.column("block_code", "bloc", "code_bloc")
    label = table.column("block_label", "libelle_bloc")
    if code is None or block is None or label is None:
        return None
    data = {}
    for row in table.rows:
        stored = as_cim10(row[code])
        if stored and row[block]:
            data[stored] = [row[block], row[label]]
    return ("hierarchy", "cim10", data) if data else None


def codes_cim10(table: Table) -> Found:
    """A whole CIM-10 as a spreadsheet: code, type MCO, labels."""
    code = code_column(table)
    type_mco = table.column("type_mco", "type_mco_had", "type")
    long = table.column("libelle_long", "libelle_complet", "libelle", "label", "long")
    if code is None or type_mco is None or long is None or nomenclature_of(table, code) != "cim10":
        return None
    short = table.column("libelle_court", "short", "short_label")
    rows: dict[str, Row] = {}
    for number, row in enumerate(table.rows, 1):
        stored = required_cim10(table, row, code, number)
        if row[type_mco] not in {"0", "1", "2", "3", "4"} or not row[long] or stored in rows:
            raise SourceFileError(
                f"{table.name}, ligne {number} de données : type MCO 0 à 4, libellé, code unique attendus"
            )
        short_label = row[short] if short is not None else row[long]
        rows[stored] = (stored, int(row[type_mco]), one_line(short_label), one_line(row[long]))
    return "edition", "cim10", [rows[key] for key in sorted(rows)]
