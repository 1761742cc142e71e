"""ClaML XML of the CIM-10 FR, through the package `cim10-claml`: notes and dagger/asterisk marks.

ClaML carries no type MCO, so it completes an edition and never makes one.
"""

from __future__ import annotations

import html
import io
import re
import xml.etree.ElementTree as ET
from collections import Counter

from pmsi_chain.codes import cim10_notation
from pmsi_chain.errors import ConfigurationError, NotationError, SourceFileError
from pmsi_chain.nomenclature.files import Source, xml_is_safe

MAX_CODES = 500_000
_MAX_DEPTH = 30
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
        _check_structure(ET.fromstring(source.content), source.inner_name)  # noqa: S314 - entities refused above
        classes = parse_cim10(io.BytesIO(source.content)).classes
    except SourceFileError:
        raise
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


def _check_structure(root: ET.Element, name: str) -> None:
    """Refuse a hierarchy that turns on itself or that modifiers would multiply without end.

    The package follows parents up to the root and writes out every modified code, whatever their number.
    """
    parents: dict[str, str] = {}
    modifiers: dict[str, set[str]] = {}
    for element in root.iter("Class"):
        code = element.get("code") or ""
        above = element.find("SuperClass")
        if above is not None:
            parents[code] = above.get("code") or ""
        modifiers[code] = {found.get("code") or "" for found in element.iter("ModifiedBy")}
    sizes = Counter(found.get("modifier") or "" for found in root.iter("ModifierClass"))
    expected = 0
    for code in modifiers:
        effective, current, depth = set(modifiers[code]), code, 0
        while current in parents:
            current, depth = parents[current], depth + 1
            if depth > _MAX_DEPTH:
                raise SourceFileError(
                    f"{name} : ClaML dont la hiérarchie tourne en rond ou dépasse {_MAX_DEPTH} niveaux"
                )
            effective |= modifiers.get(current, set())
        expected += (1 + sum(sizes[found] for found in effective)) ** 2
        if expected > MAX_CODES * 100:
            raise SourceFileError(f"{name} : ClaML dont les modificateurs produisent trop de codes")


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
