"""Small invented files of each official shape, for the nomenclature tests. No official label is copied."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.cim10 import Row

KIT = (
    "A00   |3|NNN|3|CAT. A|Catégorie inventée A\r\n"
    "A000  |0|OOO|0|FORME PREC.|Forme précisée inventée\r\n"
    "A009  |0|OOO|0|FORME SAI|Forme sans précision inventée\r\n"
    "B24+9 |0|OOO|0|AVEC PLUS|Code inventé avec signe plus\r\n"
    "C80+0 |3|NNN|3|*** SU17 *** ANCIEN|*** SU17 *** Code inventé supprimé\r\n"
    "W000  |2|NNO|1|CHUTE, DOMICILE|Chute inventée, domicile\r\n"
    "Z515  |4|ONO|1|Œ EN WINDOWS|Œil inventé, soins\r\n"
).encode("cp1252")


def kit_bytes(rows: Iterable[Row]) -> bytes:
    """Rows written as ATIH's kit."""
    lines = (f"{code:6}|{type_mco}|OOO|0|{short}|{long}\r\n" for code, type_mco, short, long in rows)
    return "".join(lines).encode("cp1252", errors="replace")


def rows_of(edition: Cim10Edition) -> list[Row]:
    """An edition's rows."""
    return [(e.code, e.type_mco, e.short_label, e.label) for e in map(edition.entry, edition)]


def write(folder: Path, name: str, content: bytes | str) -> Path:
    """A file with that content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def workbook(rows: Sequence[Sequence[object]], extra: dict[str, bytes] | None = None) -> bytes:
    """An XLSX workbook with one sheet; `extra` members are added to the archive as they are."""
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    buffer = io.BytesIO()
    book.save(buffer)
    if extra:
        with zipfile.ZipFile(buffer, "a") as archive:
            for name, content in extra.items():
                archive.writestr(name, content)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ACTS = [
    ("code", "libelle_court", "type_acte", "compatibilite_sexe", "date_debut", "date_fin", "libelle_long"),
    ("AAAA001", "acte A", "0", "0", "2005-03-01", None, "Premier acte inventé"),
    ("AAAA002", "acte B", "1", "2", "2010-01-01", "2024-12-31", "Deuxième acte inventé"),
]

CLAML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE ClaML SYSTEM "ClaML.dtd">
<ClaML version="2.0.0">
  <Class code="I" kind="chapter"><SubClass code="A00-A09"/>
    <Rubric kind="preferred"><Label>Chapitre inventé</Label></Rubric></Class>
  <Class code="A00-A09" kind="block"><SuperClass code="I"/><SubClass code="A00"/>
    <Rubric kind="preferred"><Label>Bloc inventé</Label></Rubric></Class>
  <Class code="A00" kind="category" usage="dagger"><SuperClass code="A00-A09"/><SubClass code="A00.0"/>
    <Rubric kind="preferred"><Label>Catégorie inventée</Label></Rubric>
    <Rubric kind="exclusion"><Label>autre maladie inventée<Reference>B01.1</Reference></Label></Rubric></Class>
  <Class code="A00.0" kind="category" usage="aster"><SuperClass code="A00"/>
    <Rubric kind="preferred"><Label>Forme inventée</Label></Rubric>
    <Rubric kind="inclusion"><Label>synonyme inventé</Label></Rubric>
    <Rubric kind="inclusion"><Label>second synonyme</Label></Rubric></Class>
</ClaML>
"""
