"""Training pairs from the user's own files: expressions, official labels and notes, act labels.

Files are found by name anywhere under the data directory, so that `--data` may be the folder of the bench or the
folder above it. Nothing of them is kept in the project: what ships is the weights.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from pmsi_chain.errors import SourceFileError
from pmsi_chain.text import words
from pmsi_chain.training.notes import note_pairs

#: A mark for emergency codes that ATIH prints inside some short labels.
_SU11 = re.compile(r"\*+ *SU\d+ *\*+")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything the trainers read, as plain tuples.

    Attributes:
        labels: CIM-10 code → official long label, parents included.
        short_labels: CIM-10 code → official short label.
        codable: codes that may be emitted (MCO type other than 3), in the file's order.
        expressions: (expression, code) pairs of the training thesauri.
        notes: (expression, code) pairs out of the official inclusion and exclusion notes.
        names: (expression, code) pairs of the project's own list of clinicians' names for diseases.
        acts: CCAM code → official long label.
    """

    labels: dict[str, str]
    short_labels: dict[str, str]
    codable: tuple[str, ...]
    expressions: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, str], ...] = ()
    acts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_directory(cls, data_dir: Path) -> TrainingData:
        """Read the files under `data_dir`.

        Raises:
            SourceFileError: a file that the training needs is not there.
        """
        labels: dict[str, str] = {}
        short_labels: dict[str, str] = {}
        codable: list[str] = []
        text = find_file(data_dir, "LIBCIM10MULTI*.TXT").read_text(encoding="iso-8859-1")
        for line in text.splitlines():
            code, mco_type, _, _, short, label = line.split("|")[:6]
            code = code.strip()
            labels[code] = label.strip()
            short_labels[code] = _SU11.sub("", short).strip()
            if mco_type.strip() != "3":
                codable.append(code)
        with find_file(data_dir, "expressions_train.csv").open(encoding="utf-8", newline="") as stream:
            expressions = tuple((row["expression"], row["code"]) for row in csv.DictReader(stream))
        with find_file(data_dir, "cim10_notes*.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        notes = note_pairs(
            {row["code"]: row["inclusion_notes"] for row in rows},
            {row["code"]: row["exclusion_notes"] for row in rows},
            labels,
            frozenset(codable),
        )
        act_rows = json.loads(gzip.decompress(find_file(data_dir, "ccam_actes.json.gz").read_bytes()))
        acts = {row["code"]: row["libelle_long"] for row in act_rows}
        return cls(labels, short_labels, tuple(codable), expressions, tuple(notes), read_clinical_names(data_dir), acts)

    def category_label(self, code: str) -> str:
        """Label of the three-character category of `code`, empty when the file has none."""
        return self.labels.get(code[:3], "")

    def passage(self, code: str) -> str:
        """What an index holds for `code`: its label, then its category's when that says more."""
        label, category = self.labels[code], self.category_label(code)
        return f"{label} — {category}" if category and category != label else label


def find_file(data_dir: Path, pattern: str) -> Path:
    """The first file under `data_dir` whose name matches `pattern`, in alphabetical order.

    Raises:
        SourceFileError: none matches.
    """
    found = sorted(data_dir.rglob(pattern))
    if not found:
        raise SourceFileError(
            f"No file named {pattern} under {data_dir}: the training needs it. Give the directory that holds "
            "expressions_train.csv, the ATIH kit LIBCIM10MULTI, cim10_notes and ccam_actes."
        )
    return found[0]


def read_expression_queries(path: Path) -> list[tuple[str, frozenset[str]]]:
    """(expression, accepted codes) rows of a retrieval bench file (`expression`, `codes` split by `|`)."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [(row["expression"], frozenset(row["codes"].split("|"))) for row in csv.DictReader(stream)]


def read_clinical_names(data_dir: Path) -> tuple[tuple[str, str], ...]:
    """(name, code) pairs of `clinical_names.csv`, without those that a bench file under `data_dir` asks for."""
    asked: set[tuple[str, ...]] = set()
    for path in data_dir.rglob("expressions_dev.csv"):
        asked |= {tuple(words(query)) for query, _ in read_expression_queries(path)}
    with (Path(__file__).parent / "clinical_names.csv").open(encoding="utf-8", newline="") as stream:
        pairs = [(name, row["code"]) for row in csv.DictReader(stream) for name in row["names"].split("|")]
    return tuple((name, code) for name, code in pairs if tuple(words(name)) not in asked)
