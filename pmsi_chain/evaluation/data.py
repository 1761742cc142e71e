"""Read the benchmark files of a directory the user names; nothing of them is kept."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pmsi_chain.domain import Position
from pmsi_chain.errors import SourceFileError

_LISTS = ("dp", "dr", "das", "may")


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression and the codes accepted for it."""

    text: str
    accepted: frozenset[str]
    source: str = ""


@dataclass(frozen=True, slots=True)
class EvidencePair:
    """Does this passage attest this code?"""

    code: str
    passage: str
    label: int


@dataclass(frozen=True, slots=True)
class GoldReport:
    """A fictional report with its gold coding.

    Attributes:
        may: beginnings of codes that are neither asked for nor wrong (an external cause, a history that some coders
            leave out): they count on neither side.
    """

    report_id: str
    text: str
    dp: tuple[str, ...]
    dr: tuple[str, ...]
    das: tuple[str, ...]
    may: tuple[str, ...] = ()

    def counted(self, proposed: frozenset[str]) -> frozenset[str]:
        """The proposed codes that are asked for or wrong."""
        return frozenset(c for c in proposed if c in self.codes or not c.startswith(self.may or ("-",)))

    @property
    def positions(self) -> dict[Position, tuple[str, ...]]:
        """Gold codes of each position."""
        return {"dp": self.dp, "dr": self.dr, "das": self.das}

    @property
    def codes(self) -> frozenset[str]:
        """All gold codes, whatever their position."""
        return frozenset(self.dp + self.dr + self.das)


def _rows(path: Path, columns: set[str]) -> Iterator[dict[str, str]]:
    if not path.is_file():
        raise SourceFileError(f"{path} : introuvable ; donner à --data un répertoire qui contient {path.name}")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = columns - set(reader.fieldnames or ())
        if missing:
            raise SourceFileError(
                f"{path} : colonnes absentes ({', '.join(sorted(missing))}) ; trouvées : {reader.fieldnames}"
            )
        yield from reader


def read_expressions(path: Path) -> list[Expression]:
    """`expression,codes` with `|` between several accepted codes, and an optional `source`.

    Raises:
        SourceFileError: absent, or without these columns.
    """
    return [
        Expression(row["expression"], frozenset(row["codes"].split("|")), row.get("source") or "")
        for row in _rows(path, {"expression", "codes"})
    ]


def read_evidence(path: Path) -> list[EvidencePair]:
    """`code,passage,label` with label 0 or 1."""
    return [
        EvidencePair(row["code"], row["passage"], int(row["label"]))
        for row in _rows(path, {"code", "passage", "label"})
    ]


def read_reports(path: Path) -> list[GoldReport]:
    """JSON lines with `id`, `text` and lists `dp`, `dr`, `das`."""
    if not path.is_file():
        raise SourceFileError(f"{path} : introuvable ; donner à --data un répertoire qui contient {path.name}")
    reports = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                dp, dr, das, may = (tuple(row.get(name, ()) if name == "may" else row[name]) for name in _LISTS)
                reports.append(GoldReport(row["id"], row["text"], dp, dr, das, may))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise SourceFileError(
                    f"{path}, ligne {number} : pas un compte rendu ({type(error).__name__}) ; "
                    'attendu {"id", "text", "dp": [], "dr": [], "das": []}'
                ) from None
    return reports


def find_one(directory: Path, pattern: str) -> Path:
    """The one file of a directory that matches, such as `expressions_*.csv` without the training file.

    Raises:
        SourceFileError: none or several.
    """
    found = sorted(p for p in directory.glob(pattern) if "train" not in p.name)
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "aucun"
        raise SourceFileError(f"{directory} : {names} pour {pattern} ; donner à --data un répertoire qui en a un seul")
    return found[0]
