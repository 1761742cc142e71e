"""Tables whose shape varies by year and publisher: CSV, TSV, XLSX and JSON become columns with known names."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pmsi_chain.errors import ConfigurationError, SourceFileError
from pmsi_chain.nomenclature.files import MAX_LINE_CHARS, Source, decode, lines_of, workbook_is_safe
from pmsi_chain.text import fold

MAX_ROWS = 500_000
MAX_COLUMNS = 400
MAX_CELL_CHARS = 100_000
#: A cell that a spreadsheet would compute. A leading minus alone is a list dash, not a formula.
_FORMULA = re.compile(r"\s*(?:=|@|[+-][A-Za-z]+\(|[+-]?\w+\|')")
_HEADER_DEPTH = 30


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under folded column names (`libelle_long`), and what was found out about them."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    detected: tuple[str, ...]

    def column(self, *names: str) -> int | None:
        """Index of the first column with one of these names, None when there is none."""
        for name in names:
            if name in self.columns:
                return self.columns.index(name)
        return None


def column_name(header: str) -> str:
    """A header as a plain name: `Libellé long` → `libelle_long`, `CIM.CMA` → `cim_cma`."""
    return re.sub(r"[^a-z0-9]+", "_", fold(header)).strip("_")


def read_table(source: Source) -> Table:
    """The table of a CSV, TSV, XLSX or JSON source.

    Raises:
        SourceFileError: no table, ragged or endless rows, a formula, a damaged file.
        ConfigurationError: XLSX without `openpyxl`.
    """
    if source.is_workbook:
        return _from_workbook(source)
    text, encoding = decode(source)
    if text.lstrip()[:1] in {"[", "{"}:
        return _from_json(source, text, encoding)
    return _from_text(source, text, encoding)


def _from_text(source: Source, text: str, encoding: str) -> Table:
    lines = [line for line in lines_of(text, source.inner_name)[:_HEADER_DEPTH] if line.strip()]
    delimiter = _delimiter(lines)
    if delimiter is None:
        raise SourceFileError(f"{source.inner_name} : aucune colonne reconnue (séparateurs essayés : ; , tabulation |)")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    named = {"\t": "tabulation", ",": "virgule", ";": "point-virgule", "|": "barre"}[delimiter]
    previous = csv.field_size_limit(MAX_LINE_CHARS)
    try:
        return _table(source, reader, (f"encodage {encoding}", f"séparateur {named}"))
    except csv.Error as error:
        raise SourceFileError(
            f"{source.inner_name}, ligne {reader.line_num} : guillemets ou champ mal fermés (fichier tronqué ?)"
        ) from error
    finally:
        csv.field_size_limit(previous)


def _delimiter(lines: Sequence[str]) -> str | None:
    """The separator that cuts the header, and most lines as it does."""
    if not lines:
        return None
    best, score = None, 0.0
    for candidate in "\t;,|":
        counts = [line.count(candidate) for line in lines]
        if counts[0] and (value := counts[0] * counts.count(counts[0]) / len(counts)) > score:
            best, score = candidate, value
    return best


def _from_json(source: Source, text: str, encoding: str) -> Table:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceFileError(f"{source.inner_name} : JSON invalide ou tronqué") from error
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else data
    if not isinstance(data, list) or not data or not all(isinstance(item, dict) for item in data):
        raise SourceFileError(f"{source.inner_name} : un tableau JSON d'objets était attendu")
    headers = list(dict.fromkeys(key for item in data for key in item))
    rows = ([_json_cell(item.get(key)) for key in headers] for item in data)
    return _table(source, _chain(headers, rows), (f"encodage {encoding}", "tableau JSON"))


def _json_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "|".join(map(str, value))
    return str(value)


def _chain(headers: list[str], rows: Iterable[list[str]]) -> Iterator[list[str]]:
    yield headers
    yield from rows


def _from_workbook(source: Source) -> Table:
    workbook_is_safe(source.content, source.inner_name)
    try:
        import openpyxl
    except ImportError as error:
        raise ConfigurationError("lire un classeur XLSX demande openpyxl : pip install openpyxl") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(source.content), read_only=True, data_only=False, keep_links=False)
            tables = [_from_sheet(source, sheet) for sheet in book.worksheets]
    except SourceFileError:
        raise
    except Exception as error:  # openpyxl raises whatever its parsers do on a damaged workbook
        raise SourceFileError(f"{source.inner_name} : classeur XLSX endommagé ({type(error).__name__})") from error
    filled = [table for table in tables if table is not None and table.rows]
    if not filled:
        raise SourceFileError(f"{source.inner_name} : aucune feuille ne contient de tableau")
    return max(filled, key=lambda table: len(table.rows))


def _from_sheet(source: Source, sheet: Any) -> Table | None:
    sheet.reset_dimensions()  # some publishers declare "A1" for a sheet of thousands of rows
    rows = sheet.iter_rows()
    seen = (f"classeur, feuille « {sheet.title[:31]} »",)
    try:
        return _table(source, (_sheet_row(source, row) for row in rows), seen)
    except _NoHeaderError:
        return None


def _sheet_row(source: Source, row: Sequence[Any]) -> list[str]:
    if len(row) > MAX_COLUMNS:
        raise SourceFileError(f"{source.inner_name} : plus de {MAX_COLUMNS} colonnes")
    cells = []
    for cell in row:
        if getattr(cell, "data_type", "") == "f":
            raise SourceFileError(f"{source.inner_name}, cellule {cell.coordinate} : formule ; enregistrer les valeurs")
        value = cell.value
        if value is None:
            cells.append("")
        elif hasattr(value, "isoformat"):
            cells.append(value.isoformat()[:10])
        elif isinstance(value, float) and value.is_integer():
            cells.append(str(int(value)))
        else:
            cells.append(str(value))
    return cells


class _NoHeaderError(SourceFileError):
    """A sheet or file without a row that names a column of codes."""


def _table(source: Source, rows: Iterable[Sequence[str]], detected: tuple[str, ...]) -> Table:
    """Find the header among the first rows (titles may stand above it), then take the rows under it."""
    name = source.inner_name
    columns: tuple[str, ...] = ()
    kept: list[tuple[str, ...]] = []
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise SourceFileError(f"{name} : plus de {MAX_ROWS} lignes")
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if not columns:
            columns = _header(cells)
            if not columns and number >= _HEADER_DEPTH:
                break
            continue
        while len(cells) > len(columns) and not cells[-1]:
            cells.pop()
        cells += [""] * (len(columns) - len(cells)) if source.is_workbook else []
        if len(cells) != len(columns):
            raise SourceFileError(
                f"{name}, ligne {number} : {len(cells)} champs, {len(columns)} attendus (fichier tronqué ?)"
            )
        for cell in cells:
            if len(cell) > MAX_CELL_CHARS or _CONTROL.search(cell):
                raise SourceFileError(f"{name}, ligne {number} : cellule trop longue ou binaire")
            if cell and cell[0] in "=@+-\t\r " and _FORMULA.match(cell):
                raise SourceFileError(f"{name}, ligne {number} : formule de tableur, refusée ; donner des valeurs")
        kept.append(tuple(cells))
    if not columns:
        raise _NoHeaderError(f"{name} : aucune ligne de titres avec une colonne de codes dans les premières lignes")
    return Table(name, columns, tuple(kept), (*detected, f"colonnes {', '.join(columns[:8])}"))


_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f]")


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    """The column names when this row is the header, () when it is not."""
    names = [column_name(cell) for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(names) < 2 or len(names) > MAX_COLUMNS or not any(_NAMES_A_CODE.search(found) for found in names):
        return ()
    counted = Counter(names)
    return tuple(found if found and counted[found] == 1 else f"{found}_{i}" for i, found in enumerate(names))


_NAMES_A_CODE = re.compile(r"(^|_)(code|codes|cim|cim10|ccam|acte|modificateur)(_|$)")
