"""What every table reader shares: which column holds the codes, and of which nomenclature they are."""

from __future__ import annotations

from typing import Any, Literal

from pmsi_chain.codes import CCAM_STORED, cim10_notation
from pmsi_chain.errors import NotationError, SourceFileError
from pmsi_chain.nomenclature.tables import Table

Kind = Literal["edition", "notes", "marks", "hierarchy", "cma", "thesaurus", "activities", "modifiers"]
Nomenclature = Literal["cim10", "ccam"]
#: What a table is and holds, None when it is something else.
Found = tuple[Kind, Nomenclature, Any] | None

_CODE_COLUMNS = ("code", "code_acte", "code_ccam", "acte", "code_cim", "code_cim10", "cim10", "cim", "ccam", "codes")


def code_column(table: Table) -> int | None:
    """Index of the column that holds the codes, None when there is none."""
    return table.column(*_CODE_COLUMNS)


def nomenclature_of(table: Table, column: int, share: float = 0.9) -> Nomenclature | None:
    """By the shape of the codes: that share of the filled cells must have it; None when neither has."""
    cells = (row[column] for row in table.rows[:2000])
    sample = [code.strip().upper() for cell in cells for code in cell.split("|") if code.strip()]
    if not sample:
        return None
    if sum(bool(CCAM_STORED.match(code)) for code in sample) >= share * len(sample):
        return "ccam"
    return "cim10" if sum(as_cim10(code) is not None for code in sample) >= share * len(sample) else None


def as_cim10(written: str) -> str | None:
    """The stored form, None when it is not a CIM-10 notation."""
    try:
        return cim10_notation(written)
    except NotationError:
        return None


def required_cim10(table: Table, row: tuple[str, ...], column: int, number: int) -> str:
    """The stored CIM-10 code of a cell.

    Raises:
        SourceFileError: badly written.
    """
    code = as_cim10(row[column])
    if code is None:
        raise SourceFileError(f"{table.name}, ligne {number} de données : code CIM-10 mal écrit")
    return code


def required_ccam(table: Table, row: tuple[str, ...], column: int, number: int) -> str:
    """The CCAM code of a cell, without extension.

    Raises:
        SourceFileError: badly written.
    """
    code = row[column].strip().upper()[:7]
    if not CCAM_STORED.fullmatch(code):
        raise SourceFileError(f"{table.name}, ligne {number} de données : code CCAM mal écrit")
    return code
