"""Tables of the checker, from `knowledge/guide_checks.toml`: symptoms, vague codes, companions, proofs, words."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from pmsi_chain.domain import Severity
from pmsi_chain.errors import SourceFileError
from pmsi_chain.rules.expressions import expression
from pmsi_chain.rules.guide import StrictModel, knowledge


class _Codes(StrictModel):
    code: list[str]


class _Symptom(_Codes):
    of: list[str]


class _Unspecified(_Codes):
    precise: list[str]


class _Group(StrictModel):
    name: str
    codes: list[str]


class _Pair(StrictModel):
    rule: str
    first: list[str]
    second: list[str]


class _Duplicate(StrictModel):
    rule: str
    codes: list[str]
    acts: list[str]


class _Germ(StrictModel):
    code: str
    cue: str


class _Term(StrictModel):
    codes: list[str]
    cue: str


class _Proof(_Term):
    label: str
    care: str
    expect: str


class _Care(StrictModel):
    cue: str


class _Word(_Term):
    rule: str
    severity: Severity
    missing: str


class _Against(_Term):
    rule: str
    instead: str


class _Add(_Term):
    rule: str
    message: str


class _File(StrictModel):
    symptom: list[_Symptom]
    unspecified: list[_Unspecified]
    group: list[_Group]
    pair: list[_Pair]
    duplicate: list[_Duplicate]
    germ: list[_Germ]
    proof: list[_Proof]
    term: list[_Term]
    care: _Care
    word: list[_Word]
    against: list[_Against]
    add: list[_Add]


@dataclass(frozen=True)
class WordRow:
    """Words of a record that a code needs, contradicts or calls for.

    Attributes:
        text: what is missing, what to code instead, or what to add, in French.
    """

    codes: tuple[str, ...]
    rule: str
    severity: Severity
    cue: re.Pattern[str]
    text: str


@dataclass(frozen=True)
class Proof:
    """What shows that a heavy diagnosis is real and was taken care of.

    Attributes:
        codes: expressions; label: French name; expect: what the record must hold, in French.
        cue, care: its words, and those of its care.
    """

    codes: tuple[str, ...]
    label: str
    expect: str
    cue: re.Pattern[str]
    care: re.Pattern[str]


@dataclass(frozen=True)
class CheckTables:
    """The tables, expressions as written and cues compiled.

    Attributes:
        symptoms: (symptom codes, diseases they are the usual sign of); unspecified: (vague codes, precise ones).
        groups: named lists of codes; pairs: (rule, codes, codes that they do not go with).
        duplicates: (rule, Z codes, first letters of the acts they repeat).
        germs: (words, B95-B98 code); proofs; terms: (codes, words); care: words of any care.
        words: words that a code needs; against: words that contradict it; additions: words that call for it.
    """

    symptoms: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    unspecified: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    groups: dict[str, tuple[str, ...]]
    pairs: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    duplicates: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    germs: tuple[tuple[re.Pattern[str], str], ...]
    proofs: tuple[Proof, ...]
    terms: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]
    care: re.Pattern[str]
    words: tuple[WordRow, ...]
    against: tuple[WordRow, ...]
    additions: tuple[WordRow, ...]

    def expressions(self) -> set[str]:
        """Every code expression used, for the test that each resolves."""
        used: set[str] = set()
        for first, second in (*self.symptoms, *self.unspecified):
            used.update(first, second)
        for _, first, second in self.pairs:
            used.update(first, second)
        for _, codes, _ in self.duplicates:
            used.update(codes)
        for codes in self.groups.values():
            used.update(codes)
        for proof in self.proofs:
            used.update(proof.codes)
        used.update(code for codes, _ in self.terms for code in codes)
        used.update(code for _, code in self.germs)
        used.update(code for row in (*self.words, *self.against, *self.additions) for code in row.codes)
        return used

    def rule_ids(self) -> set[str]:
        """Every rule cited, for the test that each exists."""
        rows = (*self.words, *self.against, *self.additions)
        return {row[0] for row in (*self.pairs, *self.duplicates)} | {row.rule for row in rows}


def _row(row: _Word | _Against | _Add, severity: Severity, text: str) -> WordRow:
    return WordRow(tuple(row.codes), row.rule, severity, re.compile(row.cue), text)


@lru_cache(maxsize=1)
def check_tables() -> CheckTables:
    """The tables shipped with the package.

    Raises:
        SourceFileError: the file is not valid.
    """
    name = "guide_checks.toml"
    try:
        data = _File.model_validate(tomllib.loads(knowledge(name).read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SourceFileError(f"{name} : tables du contrôle illisibles ; {error}") from error
    proofs = tuple(Proof(tuple(p.codes), p.label, p.expect, re.compile(p.cue), re.compile(p.care)) for p in data.proof)
    tables = CheckTables(
        symptoms=tuple((tuple(row.code), tuple(row.of)) for row in data.symptom),
        unspecified=tuple((tuple(row.code), tuple(row.precise)) for row in data.unspecified),
        groups={row.name: tuple(row.codes) for row in data.group},
        pairs=tuple((row.rule, tuple(row.first), tuple(row.second)) for row in data.pair),
        duplicates=tuple((row.rule, tuple(row.codes), tuple(row.acts)) for row in data.duplicate),
        germs=tuple((re.compile(row.cue), row.code) for row in data.germ),
        proofs=proofs,
        terms=tuple((tuple(row.codes), re.compile(row.cue)) for row in data.term)
        + tuple((proof.codes, proof.cue) for proof in proofs),
        care=re.compile(data.care.cue),
        words=tuple(_row(row, row.severity, row.missing) for row in data.word),
        against=tuple(_row(row, "review", row.instead) for row in data.against),
        additions=tuple(_row(row, "info", row.message) for row in data.add),
    )
    for text in tables.expressions():
        expression(text)
    return tables
