"""Official inclusion and exclusion notes → (expression, code) pairs.

A note is a list with headings: « Conjonctivite (due à) : » over « - entérovirus 70 ». An exclusion names the code that
its expression belongs to, between brackets: it says where the expression goes as surely as an inclusion does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping

_ITEM = re.compile(r"^(\s*)(-\s*)?(.*)$")
_REFERENCE = re.compile(r"\[([A-Z]\d\d(?:\.[\d-]+)?[^\]]*)\]")
_CODE = re.compile(r"^([A-Z]\d\d)(?:\.(\d+|-))?$")


def unfold_note(note: str) -> list[str]:
    """Lines of a note with their headings in front: « Conjonctivite (due à) entérovirus 70 »."""
    out: list[str] = []
    headings: list[tuple[int, str]] = []
    for line in note.splitlines():
        match = _ITEM.match(line)
        if match is None or not match[3].strip():
            continue
        depth = len(match[1]) + (1 if match[2] else 0)
        text = match[3].strip()
        while headings and headings[-1][0] >= depth:
            headings.pop()
        full = " ".join([*(heading for _, heading in headings), text.rstrip(" :")])
        if text.endswith(":"):
            headings.append((depth, text.rstrip(" :")))
        else:
            out.append(full)
    return out


def target_of(code: str, codable: Container[str]) -> str | None:
    """The codable code that a note about `code` speaks of: itself, or the unspecified one below a category."""
    if code in codable:
        return code
    return code + "9" if code + "9" in codable else None


def note_pairs(
    inclusions: Mapping[str, str], exclusions: Mapping[str, str], labels: Mapping[str, str], codable: Container[str]
) -> list[tuple[str, str]]:
    """(expression, code) pairs of all notes; a line that many categories share is composed with the code's label."""
    lines = {code: unfold_note(note) for code, note in inclusions.items()}
    spread = Counter(line for code, found in lines.items() for line in set(found))
    pairs: list[tuple[str, str]] = []
    for code, found in lines.items():
        target = target_of(code, codable)
        if target is None:
            continue
        site_only = code < "D5" and code >= "C"  # tumours: the note names the site alone
        pairs += [(f"{labels[code]} {line}" if site_only or spread[line] > 1 else line, target) for line in found]
    seen = set(pairs)
    for note in exclusions.values():
        for line in unfold_note(note):
            reference = _REFERENCE.search(line)
            if reference is None:
                continue
            code_match = _CODE.match(reference[1].strip())
            text = _REFERENCE.sub(" ", line).strip()
            if code_match is None or len(text) < 4:
                continue
            detail = (code_match[2] or "").replace("-", "")
            target = target_of(code_match[1] + detail, codable)
            if target is not None and not "C" <= target < "D5" and (text, target) not in seen:
                seen.add((text, target))
                pairs.append((text, target))
    return pairs
