"""Report → sections: headings in Markdown, bold, upper case, underlined or followed by a colon, or none at all.

The headings are data (`knowledge/reading_sections.csv`): folded title, normalised section.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files

from pmsi_chain.reading.report import Document, Section
from pmsi_chain.text import fold

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_MARKS = re.compile(
    r"^(?P<lead>[ \t>]*)(?P<hash>\#{1,6}[ \t]*)?(?P<number>(?:\d{1,2}|[IVX]{1,4}|[A-Ha-h])[ \t]?[.)°/-]+[ \t]*)?"
    r"(?P<bullet>[-•◦▪·*–—][ \t]+)?(?P<bold>\*\*|__|<b>|<u>|={2,}|-{2,})?[ \t]*"
)
_TRAILING = re.compile(r"[ \t:：.=*_#\-–—]+$")
#: A heading in the middle of a line, after the end of a sentence: « … stable. Traitement de sortie : … ».
_INLINE = re.compile(r"(?:(?<=[.;!?])|(?<=\s[-–—]))[ \t]+(?=(?:\*\*)?[A-ZÀ-Ý][^.;:!?\n\r|]{2,48}:)")
#: A dash that stands for the colon of a heading: « MOTIF — dyspnée ».
_DASH = re.compile(r"[ \t][—–][ \t]")
#: What stands in brackets after a title says when or where, not what: « Rappel du séjour précédent (mars 2025) ».
_ASIDE = re.compile(r"\s*\([^)]*\)\s*$")
#: Signs that scanning confuses, put back where a title is otherwise unknown: « C0NCLUS10N ».
_SCANNED = str.maketrans({"0": "o", "1": "i", "5": "s", "|": "i"})
#: What a heading says of all that stands under it.
_TITLE_FLAGS = {
    "family": re.compile(r"famil|heredit"),
    "history": re.compile(
        r"\bprecedente?s?\b|\b(?:hospitalisation|sejour)s? anterieur|\bdernie(?:r|re) (?:hosp|sej|comp|cour)"
    ),
    "hypothesis": re.compile(r"differentiel|hypothese|evoque"),
    "negated": re.compile(r"elimine|ecarte"),
}
#: A title of these sections is known as a whole or not at all (« Patient connu pour : » is no heading).
_EXACT_ONLY = frozenset({"identite", "autre"})
_MAX_TITLE_CHARS = 80
_MAX_TITLE_WORDS = 9
#: Sections whose answer stands on the line of their heading, and what follows it.
_AFTER_ANSWER = {"motif": "histoire", "identite": "entete"}
#: Words that only qualify a heading: they are cut when the whole title is unknown.
_QUALIFIERS = frozenset(
    [
        "a",
        "l'entree",
        "l'admission",
        "de",
        "la",
        "du",
        "le",
        "les",
        "des",
        "sortie",
        "d'entree",
        "d'admission",
        "initial",
        "initiale",
        "initiaux",
        "medical",
        "medicale",
        "medicaux",
        "medicales",
        "clinique",
        "cliniques",
        "patient",
        "patiente",
        "complet",
        "complete",
        "detaille",
        "detaillee",
        "et",
        "principal",
        "principale",
        "principaux",
        "fictif",
        "fictifs",
        "fictive",
        "fictives",
        "notable",
        "notables",
        "significatif",
        "significatifs",
        "hospitalier",
        "hospitaliere",
        "specifique",
        "specifiques",
        "actuel",
        "actuelle",
        "actuels",
        "service",
        "dans",
        "en",
        "cours",
        "general",
        "generale",
    ]
)


@lru_cache(maxsize=1)
def heading_names() -> Mapping[str, str]:
    """Folded title → normalised section, from the knowledge file."""
    source = files("pmsi_chain").joinpath("knowledge", "reading_sections.csv").read_text(encoding="utf-8")
    return {row["title"]: row["section"] for row in csv.DictReader(source.splitlines())}


def find_sections(text: str, documents: Sequence[Document] = ()) -> tuple[Section, ...]:
    """Cut a report at its headings; the sections cover the whole text, the first may have no heading.

    Args:
        documents: the reports of the input: each begins a section of its own.
    """
    headings = list(_headings(text))
    known = {start for start, _, _, _ in headings}
    headings += [(d.start, d.start, "entete", "") for d in documents[1:] if d.start not in known]
    headings.sort(key=lambda heading: heading[0])
    sections: list[Section] = []
    if not headings or headings[0][0] > 0:
        first = headings[0][0] if headings else len(text)
        sections.append(Section("entete" if headings else "autre", "", 0, first, 0))
    for index, (start, body, name, title) in enumerate(headings):
        end = headings[index + 1][0] if index + 1 < len(headings) else len(text)
        section = Section(name, title, start, end, body, _context_of(name, fold(title)))
        sections.extend(_answered_on_its_line(text, section))
    return tuple(sections)


def _answered_on_its_line(text: str, section: Section) -> list[Section]:
    """« Motif : dyspnée » holds its line; what stands below it without a heading tells the story."""
    follows = _AFTER_ANSWER.get(section.name)
    line_end = text.find("\n", section.body, section.end)
    first = text[section.body : line_end if line_end >= 0 else section.end]
    if follows is None or line_end < 0 or "\n" in text[section.start : section.body] or not first.strip(" \t\r*_#:-=|"):
        return [section]
    rest = text[line_end : section.end].lstrip()
    if not rest or not (first.rstrip().endswith((".", "!", "?")) or rest[0].isupper()) or rest[0] in "-•*|>":
        return [section]
    return [
        replace(section, end=line_end),
        Section(follows, "", line_end, section.end, line_end),
    ]


def _context_of(name: str, folded_title: str) -> frozenset[str]:
    flags = {flag for flag, pattern in _TITLE_FLAGS.items() if pattern.search(folded_title)}
    if "history" in flags:
        flags.add("previous_stay")
    return frozenset(flags | {"listed_history"} if name == "antecedents" else flags)


def _headings(text: str) -> Iterator[tuple[int, int, str, str]]:
    """(start, body, name, title) of every heading, in order."""
    current_level = 0
    current_name = ""
    for line in _LINE.finditer(text):
        if line.start() == line.end():
            continue
        content = line.group().rstrip("\r\n")
        if not content.strip():
            continue
        for offset, piece in _pieces(content):
            found = _heading_of(piece, current_level, current_name, at_line_start=offset == 0)
            if found is None:
                continue
            body, name, title, level = found
            if offset == 0:
                current_level = level
            current_name = name
            yield line.start() + offset, line.start() + offset + body, name, title


def _pieces(content: str) -> Iterator[tuple[int, str]]:
    """The line itself, then every later place of it where a heading may stand."""
    starts = [0, *(match.end() for match in _INLINE.finditer(content))]
    for index, start in enumerate(starts):
        end = starts[index + 1] if index + 1 < len(starts) else len(content)
        yield start, content[start:end]


def _heading_of(piece: str, level: int, current: str, *, at_line_start: bool) -> tuple[int, str, str, int] | None:
    """(length of the heading, name, title, level) when the piece begins with a heading."""
    marks = _MARKS.match(piece)
    assert marks is not None  # noqa: S101 - every part of the pattern is optional
    after = piece[marks.end() :]
    hashes = len((marks["hash"] or "").strip())
    emphasised = bool(hashes or marks["bold"]) and at_line_start
    colon = _first_colon(after, at_line_start=at_line_start)
    if colon is not None and colon - _aside_chars(after[:colon]) <= _MAX_TITLE_CHARS:
        title, rest = after[:colon], after[colon + 1 :]
        length = marks.end() + colon + 1 + _leading_marks(rest)
    else:
        title, rest = after, ""
        length = len(piece)
    has_colon = bool(colon is not None and colon - _aside_chars(after[:colon]) <= _MAX_TITLE_CHARS)
    alone = not rest.strip(" \t*_#:-=|")
    title = _TRAILING.sub("", title.strip(" \t*_#|")).strip()
    folded = _ASIDE.sub("", " ".join(fold(title).replace("(e)", "").split()))
    folded = re.sub(r"^(?:les|le|la|l'|ses|son|sa) ?", "", folded)
    word_count = len(folded.split())
    if not folded or word_count > _MAX_TITLE_WORDS or len(title) - _aside_chars(title) > _MAX_TITLE_CHARS:
        return None
    name = heading_names().get(folded)
    if name is None and at_line_start and not folded.isalpha():
        name = heading_names().get(folded.translate(_SCANNED))
    shouted = title.isupper() and len(title) > 3
    if name is None and (emphasised or shouted or has_colon) and at_line_start and not marks["bullet"]:
        name = _name_by_parts(folded, 2 if emphasised or has_colon else 0)
    if name is not None and len(folded) == 1 and not has_colon:
        return None
    if name is not None:
        bulleted_value = marks["bullet"] and not alone
        if bulleted_value and name in {"identite", "complementaires", "biologie", "autre", "examen"}:
            return None  # « - ECG : … » and « - Scanner : … » are lines of a list, not headings
        if has_colon or (at_line_start and alone and not _ends_sentence(piece)):
            return length, name, title, hashes or max(level, 1)
        return None
    if not at_line_start or marks["bullet"] or not alone:
        return None
    if emphasised and not (has_colon and not marks["bold"] and not hashes):
        if hashes > level > 0 and current not in {"identite", "entete", ""}:
            return None  # a deeper heading of unknown name stays in its section
        return length, "autre", title, hashes or max(level, 1)
    return None


def _aside_chars(title: str) -> int:
    aside = _ASIDE.search(title)
    return len(aside.group()) if aside else 0


def _first_colon(after: str, *, at_line_start: bool) -> int | None:
    """Where a title ends: at its colon, or at the dash after a known title in capitals."""
    dash = _DASH.search(after) if at_line_start else None
    if dash and after[: dash.start()].isupper() and fold(after[: dash.start()]).strip() in heading_names():
        return dash.start() + 1
    index = after.find(":")
    return index if index >= 0 else None


def _leading_marks(rest: str) -> int:
    match = re.match(r"[ \t]*(?:\*\*|__|</b>|</u>)?[ \t]*", rest)
    return match.end() if match else 0


def _ends_sentence(piece: str) -> bool:
    return piece.rstrip(" \t*_").endswith((".", "!", "?", ",", ";"))


@lru_cache(maxsize=4096)
def _name_by_parts(folded: str, spare_words: int) -> str | None:
    """Section of an unknown title: its longest known beginning, if what is left only qualifies it.

    `spare_words` more words may follow; none in a mere line of capitals, « ALLERGIE A LA PENICILLINE » is no heading.
    """
    names = heading_names()
    parts = folded.replace(" - ", " ").replace("/", " ").replace("(", " ").replace(")", " ").replace(",", " ").split()
    for size in range(len(parts), 0, -1):
        name = names.get(" ".join(parts[:size]))
        if name is not None and (name not in _EXACT_ONLY or size == len(parts)):
            rest = [part for part in parts[size:] if part not in _QUALIFIERS]
            known_rest = any(names.get(" ".join(rest[i:])) for i in range(len(rest)))
            if len(rest) <= spare_words or known_rest:
                return name
            return None
    return None
