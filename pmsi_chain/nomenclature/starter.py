"""The embedded CCAM starter: acts that the project describes in its own words (`knowledge/ccam_starter.csv`)."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import date
from functools import lru_cache
from importlib import resources

from pmsi_chain.codes import CCAM_STORED
from pmsi_chain.domain import Sex
from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature.ccam import CcamEntry

VERSION = "starter-2026"
VALID_FROM = date(2026, 1, 1)
ORIGIN = "liste d'actes courants rédigée par le projet"
LICENCE = "Apache-2.0 (libellés du projet) ; codes : CCAM, Assurance maladie et ATIH"
_SEXES: dict[str, Sex | None] = {"": None, "M": "M", "F": "F"}


@lru_cache(maxsize=1)
def _text() -> str:
    return (resources.files("pmsi_chain.knowledge") / "ccam_starter.csv").read_text(encoding="utf-8-sig")


def fingerprint() -> str:
    """sha256 of the list."""
    return hashlib.sha256(_text().encode()).hexdigest()


def count() -> int:
    """How many acts it holds."""
    return len(read_entries())


def read_entries() -> tuple[CcamEntry, ...]:
    """The acts, in the list's order."""
    return _entries(_text())


@lru_cache(maxsize=1)
def _entries(text: str) -> tuple[CcamEntry, ...]:
    return entries_from_csv(text)


def entries_from_csv(text: str) -> tuple[CcamEntry, ...]:
    """Acts from `code;label;synonyms;activities;phases;sex;chapter;section`, `|` between several values.

    Raises:
        SourceFileError: a column is missing, a code is badly written or stands twice, a label is empty.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";")
    missing = {"code", "label"} - set(reader.fieldnames or ())
    if missing:
        raise SourceFileError(f"liste d'actes : colonne(s) absente(s) : {', '.join(sorted(missing))}")
    found: dict[str, CcamEntry] = {}
    for line in reader:
        values = {key: (value or "").strip() for key, value in line.items() if isinstance(key, str)}
        code = values["code"].upper()
        if not code and not any(values.values()):
            continue
        where = f"liste d'actes, ligne {reader.line_num}"
        if not CCAM_STORED.fullmatch(code):
            raise SourceFileError(f"{where} : code CCAM mal écrit, attendu quatre lettres et trois chiffres")
        if code in found:
            raise SourceFileError(f"{where} : {code} figure deux fois")
        sex = values.get("sex", "").upper()
        if not values["label"] or sex not in _SEXES:
            raise SourceFileError(f"{where} : {code}, libellé vide ou sexe autre que M, F ou rien")
        found[code] = CcamEntry(
            code=code,
            label=values["label"],
            synonyms=_several(values.get("synonyms", "")),
            activities=_several(values.get("activities", "")),
            phases=_several(values.get("phases", "")),
            sex=_SEXES[sex],
            chapter=values.get("chapter", ""),
            section=values.get("section", ""),
        )
    return tuple(found.values())


def _several(cell: str) -> tuple[str, ...]:
    return tuple(value.strip() for value in cell.split("|") if value.strip())
