"""What an official file holds: recognised by its content, never by its name, and checked line by line.

`read` opens any of: ATIH's `LIBCIM10*.TXT`, ClaML XML, CIM-10 notes and hierarchy, CMA list, CCAM acts, activities,
notes and hierarchy, modifiers, and thesaurus tables (expression → code).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pmsi_chain.codes import CIM10_STORED
from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature import ccam_tables, cim10_tables, embedded
from pmsi_chain.nomenclature.cim10 import Row, one_line
from pmsi_chain.nomenclature.columns import (
    Found,
    Kind,
    Nomenclature,
    code_column,
    nomenclature_of,
    required_ccam,
    required_cim10,
)
from pmsi_chain.nomenclature.files import MAX_UNPACKED_BYTES, Source, decode, lines_of, open_source
from pmsi_chain.nomenclature.hierarchy import CHAPTERS, chapter_of
from pmsi_chain.nomenclature.tables import MAX_ROWS, Table, read_table

_KIT_LINE = re.compile(r"([A-Z][0-9]{2}[0-9+ ]{0,3})\|([0-9])\|([^|]{0,4})\|([^|]?)\|([^|]*)\|([^|]*)")
_KIT_START = re.compile(r"[A-Z][0-9]{2}[0-9+ ]{0,3}\|[0-9]\|")
_YEAR = re.compile(r"(?<![0-9])(20[0-9]{2})(?![0-9])")
#: From this many codes on, a kit that lacks whole chapters is a truncated one and not a small example.
_WHOLE_KIT = 500


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        nomenclature: "cim10" or "ccam".
        parts: by kind, the codes themselves ("edition") or what completes one; as `store` keeps them.
        codes: how many codes are concerned.
        detected: what was found out about the file, short French phrases.
        sha256: of the file as given; year: edition year read in the file's name, None when it has none.
    """

    nomenclature: Nomenclature
    parts: dict[Kind, Any] = field(repr=False)
    codes: int
    detected: tuple[str, ...]
    sha256: str
    year: str | None

    @property
    def is_edition(self) -> bool:
        """Whether it holds the codes themselves."""
        return "edition" in self.parts


def read(path: Path) -> Reading:
    """Recognise and read an official file.

    Raises:
        SourceFileError: not one of the known files, or damaged; one line says what was expected.
    """
    return read_source(open_source(path))


def read_source(source: Source) -> Reading:
    """As `read`, from an opened source.

    Raises:
        SourceFileError: see `read`.
    """
    if source.is_pdf:
        raise SourceFileError(f"{source.name} : PDF ; seul le Guide méthodologique se lit en PDF, par read_guide")
    if source.content.startswith(b"PAR1"):
        return _recognised(source, _parquet_table(source))
    if not source.is_workbook:
        text, encoding = decode(source)
        start = text.lstrip("\r\n\t ")[:200]
        if start.startswith("<"):
            from pmsi_chain.nomenclature.claml import notes_and_marks

            notes, marks = notes_and_marks(source)
            seen = ("ClaML", f"{len(notes)} codes avec notes, {len(marks)} dagues et astérisques")
            return _reading(source, "cim10", {"notes": notes, "marks": marks}, len(notes), seen)
        if _KIT_START.match(start):
            rows, found = kit_rows(text, source.inner_name)
            return _reading(source, "cim10", {"edition": rows}, len(rows), (f"encodage {encoding}", *found))
    return _recognised(source, read_table(source))


def _reading(
    source: Source, nomenclature: Nomenclature, parts: dict[Kind, Any], codes: int, seen: tuple[str, ...]
) -> Reading:
    year = _YEAR.search(source.name) or _YEAR.search(source.member)
    return Reading(nomenclature, parts, codes, (*source.detected, *seen), source.sha256, year[1] if year else None)


def kit_rows(text: str, name: str) -> tuple[list[Row], tuple[str, ...]]:
    """The codes of ATIH's kit: six fields between bars (« Kit de nomenclature CIM 10 », ATIH, p. 4-6).

    Returns:
        Rows in code order, and what was found out.

    Raises:
        SourceFileError: a line that has not six fields, a bad code or type, a code given twice, a kit cut short.
    """
    rows: dict[str, Row] = {}
    lines = lines_of(text, name)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _KIT_LINE.fullmatch(line)
        code = match[1].rstrip() if match else ""
        if match is None or not CIM10_STORED.fullmatch(code) or match[2] not in "01234" or not match[6].strip():
            last = number == len(lines)
            raise SourceFileError(
                f"{name}, ligne {number} : six champs attendus (code|type MCO 0 à 4|profil SMR|type PSY|libellé court|"
                f"libellé long){' ; dernière ligne incomplète, fichier tronqué' if last else ''}"
            )
        if code in rows:
            raise SourceFileError(f"{name}, ligne {number} : {code} figure deux fois")
        rows[code] = (code, int(match[2]), one_line(match[5]), one_line(match[6]))
    ordered = [rows[code] for code in sorted(rows)]
    missing = _missing_chapters(ordered)
    if len(rows) >= _WHOLE_KIT and "XX" not in missing and len(missing) == len(CHAPTERS) - 1:
        raise SourceFileError(f"{name} : le seul chapitre XX ; installer le kit entier (LIBCIM10MULTI.TXT)")
    if missing - {"XX"} and (len(rows) >= _WHOLE_KIT or not text.endswith(("\n", "\r"))):
        raise SourceFileError(
            f"{name} : chapitres absents : {', '.join(_in_order(missing))} ; fichier tronqué, reprendre le kit entier"
        )
    if len(rows) >= _WHOLE_KIT and lines[-1].strip():
        _check_last_record(lines[-1].split("|"), name)
    return ordered, ("kit ATIH, six champs", *_chapters_seen(ordered))


def _check_last_record(fields: list[str], name: str) -> None:
    """A last record without its line end (notice du kit, p. 4) is whole when it ends the classification as known.

    Raises:
        SourceFileError: its label is cut, or codes are missing after it.
    """
    code, label = fields[0].strip(), one_line(fields[5])
    known = {row[0]: row[3] for row in embedded.read_rows()}
    if code < max(known) or (known.get(code, "").startswith(label) and known[code] != label):
        raise SourceFileError(f"{name} : dernière ligne sans fin de ligne ({code}), fichier tronqué")


def _missing_chapters(rows: list[Row]) -> set[str]:
    return {chapter for _, _, chapter, _ in CHAPTERS} - {chapter_of(row[0]) for row in rows}


def _in_order(chapters: set[str]) -> list[str]:
    return [chapter for _, _, chapter, _ in CHAPTERS if chapter in chapters]


def _chapters_seen(rows: list[Row]) -> tuple[str, ...]:
    missing = _missing_chapters(rows)
    return (f"{len(rows)} codes", *((f"sans chapitre {', '.join(_in_order(missing))}",) if missing else ()))


def _parquet_table(source: Source) -> Table:
    try:
        import io

        import pyarrow.parquet  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise SourceFileError(
            f"{source.name} : lire un Parquet demande pyarrow ; ou donner le fichier en CSV"
        ) from error
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(source.content))
        unpacked = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        if file.metadata.num_rows > MAX_ROWS or unpacked > MAX_UNPACKED_BYTES:
            raise SourceFileError(f"{source.name} : Parquet de plus de {MAX_ROWS} lignes ou trop grand (bombe ?)")
        found = file.read()
        columns = tuple(found.column_names)
        rows = tuple(zip(*(["" if v is None else str(v) for v in found[c].to_pylist()] for c in columns), strict=True))
    except SourceFileError:
        raise
    except Exception as error:  # pyarrow's own error tree is wide
        raise SourceFileError(f"{source.name} : Parquet endommagé ({type(error).__name__})") from error
    return Table(source.name, columns, rows, (f"Parquet, colonnes {', '.join(columns[:8])}",))


def _recognised(source: Source, table: Table) -> Reading:
    """Which official table it is, by its columns and the shape of its codes."""
    if not table.rows:
        raise SourceFileError(f"{table.name} : des titres de colonnes, mais aucune ligne")
    for recognise in RECOGNISERS:
        found = recognise(table)
        if found is not None:
            kind, nomenclature, data = found
            return _reading(source, nomenclature, {kind: data}, len(data), (*table.detected, f"{len(data)} codes"))
    raise SourceFileError(
        f"{table.name} : table non reconnue (colonnes {', '.join(table.columns[:8])}) ; attendu : codes, notes, "
        "hiérarchie, CMA, actes CCAM, activités, ou thésaurus (expression et code)"
    )


def _thesaurus(table: Table) -> Found:
    code = code_column(table)
    words = table.column("expression", "terme", "synonyme", "libelle", "libelle_local", "texte", "label", "intitule")
    if code is None or words is None or code == words:
        return None
    nomenclature = nomenclature_of(table, code)
    if nomenclature is None:
        return None
    required: Callable[..., str] = required_ccam if nomenclature == "ccam" else required_cim10
    data: dict[str, list[str]] = {}
    for number, row in enumerate(table.rows, 1):
        expression = " ".join(row[words].split())
        for written in filter(None, row[code].split("|")):  # one expression may stand for several codes
            known = data.setdefault(required(table, (written,), 0, number), [])
            if expression and expression not in known:
                known.append(expression)
    return "thesaurus", nomenclature, data


def as_json(data: Any) -> bytes:
    """The stored form of a reading's data."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


#: Tried in this order: the most particular columns first, a bare expression and code last but one.
RECOGNISERS: tuple[Callable[[Table], Found], ...] = (
    ccam_tables.modifiers,
    cim10_tables.cma,
    cim10_tables.notes_cim10,
    cim10_tables.hierarchy_cim10,
    ccam_tables.activities,
    ccam_tables.notes_ccam,
    ccam_tables.hierarchy_ccam,
    ccam_tables.acts,
    cim10_tables.codes_cim10,
    _thesaurus,
)
