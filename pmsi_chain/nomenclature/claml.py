"""ClaML XML of the CIM-10 FR, through the package `cim10-claml`: notes and dagger/asterisk marks.

ClaML carries no type MCO, so it completes an edition and never makes one.
"""

from __future__ import annotations

import html
import io
import re

from pmsi_chain.codes import cim10_notation
from pmsi_chain.errors import ConfigurationError, NotationError, SourceFileError
from pmsi_chain.nomenclature.files import Source, xml_is_safe

Notes = dict[str, tuple[list[str], list[str]]]
_MARKS = {"dagger": "†", "aster": "*", "asterisk": "*"}
_ITEM_END = re.compile(r"</(?:li|p|div|ul|tr)>|<br\s*/?>|<(?:ul|div|p)\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")


def notes_and_marks(source: Source) -> tuple[Notes, dict[str, str]]:
    """(inclusion notes, exclusion notes) and the mark († or *) of each code that has some.

    Raises:
        SourceFileError: entities, damaged XML, or no class of the CIM-10 in it.
        ConfigurationError: `cim10-claml` is not installed.
    """
    xml_is_safe(source.content, source.inner_name)
    try:
        from cim10_claml import parse_cim10
    except ImportError as error:
        raise ConfigurationError("lire un fichier ClaML demande cim10-claml : pip install cim10-claml") from error
    try:
        classes = parse_cim10(io.BytesIO(source.content)).classes
    except Exception as error:  # the package lets its parser's errors through
        raise SourceFileError(f"{source.inner_name} : XML endommagé, ou qui n'est pas du ClaML") from error
    notes: Notes = {}
    marks: dict[str, str] = {}
    for found in classes:
        code = _stored(found.code)
        if code is None:
            continue
        inclusions = _texts(found.rubrics, "inclusion")
        exclusions = _texts(found.rubrics, "exclusion")
        if inclusions or exclusions:
            notes[code] = (inclusions, exclusions)
        mark = _MARKS.get((found.usage or "").lower())
        if mark:
            marks[code] = mark
    if not any(_stored(found.code) for found in classes):
        raise SourceFileError(f"{source.inner_name} : ClaML sans aucun code de la CIM-10")
    return notes, marks


def _stored(written: str | None) -> str | None:
    if not written or re.fullmatch(r"[A-Z][0-9]{2}-[A-Z][0-9]{2}", written):
        return None  # a chapter's or a block's class
    try:
        return cim10_notation(written)
    except NotationError:
        return None


def _texts(rubrics: list[dict[str, str]], kind: str) -> list[str]:
    """The rubrics' text, one note an item."""
    found: list[str] = []
    for rubric in rubrics:
        if rubric["kind"] == kind:
            bare = _TAG.sub("", _ITEM_END.sub("\n", rubric["html"]))
            found += [" ".join(html.unescape(line).split()) for line in bare.split("\n") if line.strip()]
    return found
