"""Training pairs from the user's own files: expressions, official labels and notes, act labels.

Files are found by name anywhere under the data directory, so that `--data` may be the folder of the bench or the
folder above it. Nothing of them is kept in the project: what ships is the weights.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from pmsi_chain.errors import SourceFileError
from pmsi_chain.names import clinical_names, generated_expressions, report_phrases
from pmsi_chain.nomenclature import load_cim10
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.text import words
from pmsi_chain.training.notes import note_pairs

#: A cross-reference inside an entry of the alphabetical index: « (voir aussi Maladie) ».
_REFERENCE = re.compile(r"\s*[-–]?\s*\(?voir (?:aussi )?[^,)]*\)?")
#: Shares of the expressions that the blend is fitted on; what it blends has not learned from them.
_HELD_OUT_INDEX, _HELD_OUT = 0.03, 0.12
#: A mark for emergency codes that ATIH prints inside some short labels.
_SU11 = re.compile(r"\*+ *SU\d+ *\*+")


def without_references(text: str) -> str:
    """An entry of the alphabetical index without its cross-references."""
    return re.sub(r"\s+", " ", _REFERENCE.sub(" ", text)).strip()


def is_index_entry(text: str) -> bool:
    """Whether a text is written as the alphabetical index writes: with commas and brackets."""
    return "," in text or "(" in text


def is_held_out(text: str) -> bool:
    """Whether the blend is fitted on this expression; by its wording alone, the same on every machine."""
    digest = hashlib.sha256(without_references(text).lower().encode()).hexdigest()
    return int(digest[:8], 16) / 2**32 < (_HELD_OUT_INDEX if is_index_entry(text) else _HELD_OUT)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything the trainers read, as plain tuples.

    Attributes:
        labels: CIM-10 code → official long label, parents included.
        short_labels: CIM-10 code → official short label.
        codable: codes that may be emitted (MCO type other than 3), in the file's order.
        expressions: (expression, code) pairs of the training thesauri.
        notes: (expression, code) pairs out of the official inclusion and exclusion notes.
        parents: (label, code) pairs: the label of a code that may not be used, and the child that stands for it when
            the report says no more (« Hypokaliémie » is E87.68).
        generated: (expression, code) pairs generated from the official labels, see `names.generated_expressions`.
        names: (name, code) pairs of the project's own list of clinicians' names for diseases: remembered, never
            learned from.
        phrases: (turn of phrase of a report, code) pairs, see `names.report_phrases`.
        acts: CCAM code → official long label.
    """

    labels: dict[str, str]
    short_labels: dict[str, str]
    codable: tuple[str, ...]
    expressions: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    parents: tuple[tuple[str, str], ...] = ()
    generated: tuple[tuple[str, str], ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    phrases: tuple[tuple[str, str], ...] = ()
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
        asked = asked_under(data_dir)
        generated, names, phrases = (
            usable(pairs, frozenset(codable), asked)
            for pairs in (generated_expressions(), clinical_names(), report_phrases())
        )
        return cls(
            labels,
            short_labels,
            tuple(codable),
            expressions,
            tuple(notes),
            parent_pairs(labels, frozenset(codable)),
            generated,
            names,
            phrases,
            acts,
        )

    def learned(self) -> TrainingData:
        """The same without the expressions that the blend is fitted on."""
        return replace(
            self,
            expressions=tuple(pair for pair in self.expressions if not is_held_out(pair[0])),
            generated=tuple(pair for pair in self.generated if not is_held_out(pair[0])),
        )

    @property
    def held_out(self) -> tuple[tuple[str, str], ...]:
        """(expression, code) pairs that the blend is fitted on."""
        return tuple(pair for pair in self.said if is_held_out(pair[0]))

    @property
    def said(self) -> tuple[tuple[str, str], ...]:
        """Expressions of the thesauri, then those generated."""
        return self.expressions + self.generated

    def category_label(self, code: str) -> str:
        """Label of the three-character category of `code`, empty when the file has none."""
        return self.labels.get(code[:3], "")

    def passage(self, code: str) -> str:
        """What an index holds for `code`: its label, then its category's when that says more."""
        label, category = self.labels[code], self.category_label(code)
        return f"{label} — {category}" if category and category != label else label


def parent_pairs(labels: dict[str, str], codable: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """(label of a parent that may not be used, code of the child that stands for it), see `default_child`."""
    edition = load_cim10()
    pairs = ((label, default_child(edition, code)) for code, label in labels.items() if code not in codable)
    return tuple((label, child) for label, child in pairs if child in codable)


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


def asked_under(data_dir: Path) -> frozenset[tuple[str, ...]]:
    """Words of the queries that a bench file under `data_dir` asks."""
    paths = data_dir.rglob("expressions_dev.csv")
    return frozenset(tuple(words(query)) for path in paths for query, _ in read_expression_queries(path))


def usable(
    pairs: tuple[tuple[str, str], ...], codable: frozenset[str], asked: frozenset[tuple[str, ...]]
) -> tuple[tuple[str, str], ...]:
    """(text, code) pairs of the edition's codes, without those that a bench file asks for."""
    return tuple((text, code) for text, code in pairs if code in codable and tuple(words(text)) not in asked)
