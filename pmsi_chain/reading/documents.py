"""Several reports in one input: where each begins, which one rules, and whether they are of one stay.

The titles are data (`knowledge/reading_documents.csv`): folded title, kind.

| kind | what | its conclusion |
|---|---|---|
| `stay` | report of the stay | the last one rules |
| `unit` | report of a unit passed through | tells the course |
| `emergency` | emergency department, consultation, letter of admission | tells how it began |
| `operation` | operation, delivery, endoscopy | tells the course |
| `result` | pathology, imaging | tells a result |

The DP is what is known at discharge (Guide méthodologique MCO 2026, ch. IV, 1.1): the conclusion of an earlier
document was written before that. Two stays are two codings: the last one is read, the others only recalled.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pmsi_chain.reading.report import Document, Section
from pmsi_chain.text import fold

Mixed = Literal["two_patients", "two_stays"]

_LINE = re.compile(r"^[ \t>]*(?:\#{1,6}[ \t]*)?(?:\*\*|__|={2,}|-{2,})?[ \t]*(?P<title>[^\r\n]{3,160})$", re.MULTILINE)
_TITLE_END = re.compile(r"\s+[-–—|:(]\s*|\s*[:(*_=|]|\s+(?:du|de|n°|en|le)\s+\d|\s*[,.]\s")
_MAX_TITLE_WORDS = 7
_MIN_BODY_CHARS = 40
#: What a conclusion of a document that does not rule is worth: the course, or how it began.
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "emergency": {"conclusion": "histoire", "motif": "motif"},
    "operation": {"conclusion": "operatoire", "autre": "operatoire", "entete": "operatoire"},
    "unit": {"conclusion": "evolution"},
    "result": {"conclusion": "complementaires", "autre": "complementaires", "entete": "complementaires"},
    "stay": {"conclusion": "evolution"},
}
_DAY = r"(\d{1,2})[/.-](\d{1,2})(?:[/.-](\d{4}|\d{2}))?"
_STAY_DATES = re.compile(rf"\b(?:du|entree?|admis\w*|sejour|hospitalis\w*)\W{{0,12}}(?:du |le )?{_DAY}\W{{0,12}}"
                         rf"(?:au|sortie\W*(?:le)?|a|→|-|–|jusqu'au)\W{{0,6}}{_DAY}")  # fmt: skip
_BIRTH = re.compile(rf"\bn[eé]e?(?:\(e\))? le\W{{0,3}}{_DAY}|\bdate de naissance\W{{0,6}}{_DAY}")
_KEYED = re.compile(r"\b(ipp|nip)\W{0,6}(\d{4,})")


@lru_cache(maxsize=1)
def document_titles() -> Mapping[str, str]:
    """Folded title → kind, from the knowledge file."""
    source = files("pmsi_chain").joinpath("knowledge", "reading_documents.csv").read_text(encoding="utf-8")
    return {row["title"]: row["kind"] for row in csv.DictReader(source.splitlines())}


def find_documents(text: str) -> tuple[Document, ...]:
    """The reports of an input, in order; one document of kind « stay » where no title tells several."""
    starts = list(_titles(text))
    if not starts or text[: starts[0][0]].strip():
        starts.insert(0, (0, "stay"))
    kept = [
        (start, kind)
        for (start, kind), following in zip(starts, [*(s for s, _ in starts[1:]), len(text)], strict=True)
        if len(text[start:following].strip()) >= _MIN_BODY_CHARS
    ] or [(0, "stay")]
    if len(kept) > 1 and not _title_at(text, kept[0][0]) and len(text[: kept[1][0]].split()) < _MAX_TITLE_WORDS * 4:
        kept = kept[1:]  # a letterhead before the first title is part of that report
    ends = [*(start for start, _ in kept[1:]), len(text)]
    first = [0, *(start for start, _ in kept[1:])]
    return tuple(Document(kind, a, b) for a, b, (_, kind) in zip(first, ends, kept, strict=True))


def _titles(text: str) -> Iterator[tuple[int, str]]:
    for line in _LINE.finditer(text):
        kind = _kind(line["title"])
        if kind is not None:
            yield line.start(), kind


def _title_at(text: str, start: int) -> bool:
    line = _LINE.match(text, start)
    return line is not None and _kind(line["title"]) is not None


def _kind(line: str) -> str | None:
    folded = fold(line).strip()
    head = _TITLE_END.split(folded, maxsplit=1)[0].strip(" *_#=-")
    if len(head.split()) > _MAX_TITLE_WORDS:
        return None
    return document_titles().get(head)


def ruling(documents: Sequence[Document]) -> int:
    """Index of the document whose conclusion rules: the last report of the stay, else the last one."""
    stays = [index for index, document in enumerate(documents) if document.kind == "stay"]
    return stays[-1] if stays else len(documents) - 1


def mixed(text: str, documents: Sequence[Document]) -> Mixed | None:
    """Whether the documents are of two patients or of two stays, by numbers, birth dates and dates that are stated."""
    folded = [fold(text[document.start : document.end]) for document in documents]
    numbers: list[set[object]] = [set(_KEYED.findall(piece)) for piece in folded]
    births: list[set[object]] = []
    for piece in folded:
        dates = (_date(m.groups()[:3]) or _date(m.groups()[3:]) for m in _BIRTH.finditer(piece))
        births.append({day for day in dates if day is not None})
    for found in (numbers, births):
        stated = [values for values in found if values]
        if len(stated) > 1 and not set.intersection(*stated):
            return "two_patients"
    spans = [_stay_dates(piece) for piece, d in zip(folded, documents, strict=True) if d.kind in ("stay", "unit")]
    known = [span for span in spans if span is not None]
    for index, (_, last) in enumerate(known):
        for first, other_last in known[index + 1 :]:
            if (first - last).days > 1 or (known[index][0] - other_last).days > 1:
                return "two_stays"
    return None


def _stay_dates(folded: str) -> tuple[date, date] | None:
    for match in _STAY_DATES.finditer(folded):
        last = _date(match.groups()[3:])
        first = _date(match.groups()[:3], last.year if last else None)
        if first and last and first <= last:
            return first, last
    return None


def _date(parts: Sequence[str | None], year: int | None = None) -> date | None:
    day, month, stated = parts
    if day is None or month is None or (stated is None and year is None):
        return None
    try:
        full = int(stated) if stated else year
        assert full is not None  # noqa: S101 - one of the two is there
        return date(full + 2000 if full < 100 else full, int(month), int(day))
    except ValueError:
        return None


def weighed(sections: Sequence[Section], documents: Sequence[Document], other: Mixed | None) -> tuple[Section, ...]:
    """The sections by what their document is worth; those of another stay or patient are only recalled."""
    if len(documents) < 2:
        return tuple(sections)
    rules = ruling(documents)
    out: list[Section] = []
    for section in sections:
        index = next(i for i, d in enumerate(documents) if d.start <= section.start < d.end)
        if index == rules:
            out.append(section)
            continue
        document = documents[index]
        name = _RENAMED[document.kind].get(section.name, section.name)
        flags = section.context
        if other is not None and document.kind in ("stay", "unit"):
            flags = flags | {"other_patient" if other == "two_patients" else "previous_stay"}
        out.append(replace(section, name=name, context=flags))
    return tuple(out)
