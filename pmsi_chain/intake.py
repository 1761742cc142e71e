"""What comes in: the report of a file or of standard input, a stay from a text or a mapping; refused in one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pmsi_chain.domain import Stay
from pmsi_chain.errors import InputError, ReportError
from pmsi_chain.problems import cause, problems_line


def read_report(source: str, max_chars: int) -> str:
    """The report of a path or of standard input (`-`).

    Raises:
        ReportError: unreadable, empty, binary or too long; the message names the source, never its words.
    """
    name = "l'entrée standard" if source == "-" else source
    try:
        # One byte more than the longest UTF-8 text allowed: a larger file need not be read to be refused.
        limit = 4 * max_chars + 1
        if source == "-":
            raw = sys.stdin.buffer.read(limit)
        else:
            with Path(source).open("rb") as file:
                raw = file.read(limit)
    except OSError as error:
        raise ReportError(
            f"{name} : lecture impossible ({cause(error)}) ; donner un fichier texte, ou - pour l'entrée standard"
        ) from None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif b"\0" in raw[:8192] or raw[:5] in (b"%PDF-", b"{\\rtf") or raw[:2] == b"PK":
        raise ReportError(f"{name} : document binaire ; donner du texte (exporter le compte rendu en .txt, UTF-8)")
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        check_report(text, max_chars, name)
        return text
    raise ReportError(f"{name} : ni UTF-8, ni UTF-16, ni Windows-1252 ; enregistrer le compte rendu en UTF-8")


def check_report(text: str, max_chars: int, name: str = "compte rendu") -> None:
    """Refuse an empty or too long report.

    Raises:
        ReportError: says how many characters were read and how many are allowed.
    """
    if not text.strip():
        raise ReportError(f"{name} : vide ; donner le texte d'un compte rendu d'hospitalisation")
    if len(text) > max_chars:
        raise ReportError(
            f"{name} : {len(text)} caractères lus, {max_chars} au plus ; donner un texte plus court, "
            "ou relever PMSI_MAX_REPORT_CHARS"
        )


def stay_from(given: Stay | str | dict[str, Any], max_chars: int) -> Stay:
    """A stay that may be coded, from a stay, the mapping of its fields, or the report's text alone.

    Raises:
        InputError: the mapping is no stay, or it is neither of the three.
        ReportError: the report is empty or too long.
    """
    if isinstance(given, str):
        given = Stay(text=given)
    elif isinstance(given, dict):
        try:
            given = Stay.model_validate(given)
        except ValidationError as error:
            problems = problems_line(error.errors(include_input=False, include_url=False), Stay.model_fields, "séjour")
            raise InputError(
                f"ce dictionnaire ne décrit pas un séjour ({problems}) ; donner text, et au besoin sex, age, "
                "admission_date, discharge_date, id"
            ) from None
    elif not isinstance(given, Stay):
        raise InputError(
            f"un objet {type(given).__name__} n'est pas un séjour ; donner un Stay, un dictionnaire de ses champs, ou "
            "le texte du compte rendu"
        )
    check_report(given.text, max_chars)
    return given
