"""The second reading: codes that clauses tell without naming them, « tension sous amlodipine », « IAH 41/h ».

The linker looks for names. Here each clause as a whole is compared with every code, and a small trained model weighs,
code by code, what all clauses and links of the report say together: how near, how far ahead of other codes, where it
stands, whether something was done. It gives the chance that a coder would code it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from pmsi_chain.domain import Stay
from pmsi_chain.encoders.dense import MODELS_DIR, Floats
from pmsi_chain.forest import Forest
from pmsi_chain.linking import Link
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Report
from pmsi_chain.reading.context import NOT_PRESENT
from pmsi_chain.rerank.features import FEATURE_NAMES, PairFeatures
from pmsi_chain.selection import Proposal, Selection
from pmsi_chain.text import word_spans, words

#: Cosine from which a clause is compared any further, and codes kept for each clause.
_LEAST_COSINE, _PER_CLAUSE = 0.5, 3
#: Codes looked at for each clause, and clauses compared at once: a product of 256 by 14 000 takes 14 MB.
_DEPTH, _AT_ONCE = 8, 256
_MIN_WORDS, _MAX_WORDS = 2, 16
#: What ends a clause, and what ends a part of one.
_CLAUSE_END = re.compile(r"[;:()\[\]\n•|→]|[.,](?!\d)|\s[-–—]\s")
_PART_END = re.compile(r"(?i)\s(?:et|avec|puis|mais|sur|sous|chez|pour|dont|par|associee? a|complique\w* (?:de|d'))\s")
_SILENT = frozenset({"identite"})
#: Sections, in groups that weigh alike.
_SECTION_GROUPS: tuple[frozenset[str], ...] = tuple(
    frozenset(group)
    for group in (
        ("conclusion",), ("evolution", "operatoire", "suites"), ("antecedents", "comorbidites", "mode_de_vie"),
        ("motif", "histoire"), ("examen", "complementaires", "biologie"), ("traitement_entree", "traitement_sortie"),
        ("entete", "autre"),
    )
)  # fmt: skip
_KINDS = (
    re.compile(r"R"), re.compile(r"Z"), re.compile(r"T(?:3[6-9]|4|50|5[1-9]|6[0-5])|Y"), re.compile(r"[ST]"),
    re.compile(r"C|D[0-4]"), re.compile(r"D[5-8]|E8[3-7]"), re.compile(r"E"), re.compile(r"F"), re.compile(r"I"),
    re.compile(r"[OP]"), re.compile(r"Q"), re.compile(r"[AB]"), re.compile(r"[GH]"), re.compile(r"M"),
)  # fmt: skip

COLUMNS = (
    *(f"best_{name}" for name in FEATURE_NAMES),
    "cosine", "lead", "first_of", "share_first", "n_words", "second_cosine", "linked", "link_score", "link_exact",
    "n_links", "link_rank", "history", "n_places", "n_sections", "cared", "default", "has_sibling", "sibling_ahead",
    "sibling_exact", "unstructured",
    *(f"in_{i}" for i in range(len(_SECTION_GROUPS))),
    *(f"best_in_{i}" for i in range(len(_SECTION_GROUPS))),
    *(f"kind_{i}" for i in range(len(_KINDS))),
)  # fmt: skip


#: What the rules said of a code, beside `COLUMNS`.
ATTESTED_COLUMNS = (*COLUMNS, "probability", "coded")
#: What the first forest says of a code, of those of its category, of those that the same words may tell, and of all.
AMONG_COLUMNS = (
    *ATTESTED_COLUMNS,
    "chance", "place", "sibling", "over_sibling", "rival", "over_rival", "n_rivals",
    "named_mean", "expected", "n_likely", "n_named", "first_mean",
)  # fmt: skip
#: What the second forest says, for the third one.
PRINCIPAL_COLUMNS = (*ATTESTED_COLUMNS, "chance", "behind", "place", "rules_dp")
_LAST_PLACE = 10
#: Chance from which a code counts as a rival, and as likely; how many codes are the first ones.
_IS_RIVAL, _IS_LIKELY, _N_FIRST = 0.3, 0.5, 5
_NAMED = ATTESTED_COLUMNS.index("link_exact")


@dataclass(frozen=True, slots=True)
class _Place:
    """Words that may tell a code: a clause or a link."""

    start: int
    end: int
    cosine: float
    lead: float
    rank: int
    section: str
    past: bool
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A code that words of the report may tell.

    Attributes:
        start, end: the words that tell it best.
        is_named: whether a link of the first reading names it, too.
        columns: (len(COLUMNS),), what the model weighs.
        is_literal: whether it is named in its own wording, and is not the vague code of its category.
    """

    code: str
    start: int
    end: int
    is_named: bool
    columns: Floats
    is_literal: bool = False


class Describer:
    """Candidates of a report, by clause and by link."""

    def __init__(self, edition: Cim10Edition, features: PairFeatures) -> None:
        """Take the codes that both the edition and the encoder know."""
        self._edition = edition
        self._features = features
        self._encoder = encoder = features.encoder
        keep = [i for i, code in enumerate(encoder.codes) if code in edition and edition.is_allowed(code, "das")]
        self._codes = [encoder.codes[i] for i in keep]
        self._vectors = np.ascontiguousarray(encoder.code_vectors[keep].T)
        self._category = np.array([code[:3] for code in self._codes])
        self._known = frozenset(self._codes)

    def candidates(self, report: Report, links: Sequence[Link], stay: Stay) -> list[Candidate]:
        """Codes that clauses or links may tell, in no order."""
        places = self._places(report)
        for code, place in self._linked(links):
            places.setdefault(code, []).append(place)
        places = {code: found for code, found in places.items() if self._edition.entry(code).fits(stay.sex, stay.age)}
        chosen = {
            code: max(found, key=lambda p: (p.cosine - 0.05 * p.rank, -p.start)) for code, found in places.items()
        }
        pairs = self._pairs(report, chosen)
        about = _Whole.of(report, places)
        return [
            Candidate(
                code,
                place.start,
                place.end,
                any(p.link is not None for p in places[code]),
                np.array([*pairs[code], *self._row(report, about, code, place, places[code])], dtype=np.float32),
                code in about.exact and default_child(self._edition, code[:3]) != code,
            )
            for code, place in chosen.items()
        ]

    def _places(self, report: Report) -> dict[str, list[_Place]]:
        """Clauses that come near a code, by code."""
        spans = list(clauses(report))
        places: dict[str, list[_Place]] = {}
        if not spans:
            return places
        terms = [_said(report, *span) for span in spans]
        near = self._nearest(terms)
        for term, (start, end) in zip(terms, spans, strict=True):
            cosines, rows = near[term]
            if cosines[0] < _LEAST_COSINE:
                continue
            section, past = report.section_at(start), "history" in report.context_at(start, end)
            for rank, (cosine, row) in enumerate(zip(cosines[:_PER_CLAUSE], rows[:_PER_CLAUSE], strict=True)):
                category = self._category[row]
                other = next((c for c, r in zip(cosines, rows, strict=True) if self._category[r] != category), 0.0)
                place = _Place(start, end, cosine, cosine - other, rank, section, past)
                places.setdefault(self._codes[row], []).append(place)
        return places

    def _nearest(self, terms: Sequence[str]) -> dict[str, tuple[list[float], list[int]]]:
        """Cosines and rows of the codes nearest to each distinct term, best first."""
        found: dict[str, tuple[list[float], list[int]]] = {}
        distinct = list(dict.fromkeys(terms))
        for start in range(0, len(distinct), _AT_ONCE):
            chunk = distinct[start : start + _AT_ONCE]
            scores = self._encoder.encode(chunk) @ self._vectors
            near = np.argpartition(-scores, _DEPTH, axis=1)[:, :_DEPTH]
            for term, row, places in zip(chunk, scores, near, strict=True):
                order = places[np.argsort(-row[places])]
                found[term] = (row[order].tolist(), order.tolist())
        return found

    def _linked(self, links: Sequence[Link]) -> Iterator[tuple[str, _Place]]:
        """Links of the first reading, with their codes."""
        for link in links:
            mention = link.mention
            if mention.context & NOT_PRESENT:
                continue
            for rank, (code, score) in enumerate(link.codes[:_PER_CLAUSE]):
                if code in self._known:
                    lead = score - max((s for c, s in link.codes if c[:3] != code[:3]), default=0.0)
                    past = "history" in mention.context
                    yield code, _Place(mention.start, mention.end, score, lead, rank, mention.section, past, link)

    def _pairs(self, report: Report, chosen: Mapping[str, _Place]) -> dict[str, Floats]:
        """The columns of each code with the words that tell it best."""
        told: dict[tuple[int, int], list[str]] = {}
        for code, place in chosen.items():
            told.setdefault((place.start, place.end), []).append(code)
        pairs: dict[str, Floats] = {}
        for span, codes in told.items():
            labels = [self._edition.entry(code).label for code in codes]
            pairs.update(zip(codes, self._features.matrix(_said(report, *span), codes, labels), strict=True))
        return pairs

    def _row(
        self, report: Report, about: _Whole, code: str, place: _Place, found: Sequence[_Place]
    ) -> list[float | bool]:
        """The columns of `COLUMNS` after those of the pair."""
        siblings = [other for other in about.families[code[:3]] if other != code]
        linked = [p for p in found if p.link is not None]
        sentences = {index for p in found if (index := report.sentence_at(p.start)) is not None}
        sections = {p.section for p in found}
        ordered = sorted((p.cosine for p in found), reverse=True)
        n_first = sum(p.rank == 0 for p in found)
        return [
            about.best[code],
            max(p.lead for p in found),
            min(4, n_first),
            n_first / len(found),
            min(12, len(words(report.text[place.start : place.end]))),
            ordered[1] if len(ordered) > 1 else 0.0,
            bool(linked),
            max((p.cosine for p in linked), default=0.0),
            code in about.exact,
            min(4, len(linked)),
            min((p.rank for p in linked), default=3),
            all(p.past for p in found),
            min(6, len({p.start for p in found})),
            len(sections),
            any(report.cares[index] for index in sentences),
            default_child(self._edition, code[:3]) == code,
            bool(siblings),
            max((about.best[s] for s in siblings), default=0.0) - about.best[code],
            any(s in about.exact for s in siblings),
            about.is_unstructured,
            *(bool(sections & group) for group in _SECTION_GROUPS),
            *(place.section in group for group in _SECTION_GROUPS),
            *(kind.match(code) is not None for kind in _KINDS),
        ]


@dataclass(frozen=True, slots=True)
class _Whole:
    """What is the same for every candidate of a report.

    Attributes:
        best: highest cosine of each code; exact: codes that a link names in their own wording.
        families: codes by category.
    """

    best: Mapping[str, float]
    exact: Collection[str]
    families: Mapping[str, Sequence[str]]
    is_unstructured: bool

    @classmethod
    def of(cls, report: Report, places: Mapping[str, Sequence[_Place]]) -> Self:
        families: dict[str, list[str]] = {}
        for code in places:
            families.setdefault(code[:3], []).append(code)
        return cls(
            {code: max(p.cosine for p in found) for code, found in places.items()},
            {code for code, found in places.items() if any(p.link and p.link.exact and p.rank == 0 for p in found)},
            families,
            not any(s.name in ("evolution", "conclusion", "antecedents", "examen") for s in report.sections),
        )


def _said(report: Report, start: int, end: int) -> str:
    return " ".join(words(report.text[start:end]))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the second reading thinks of a report.

    Attributes:
        candidates: by code.
        chances: chance in [0, 1] that a coder would code it, by code.
        principal: chance that it would be the DP, by code.
    """

    candidates: Mapping[str, Candidate]
    chances: Mapping[str, float]
    principal: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Forests:
    """What weighs candidates: a code by itself, a code among the others, the DP among them.

    Attributes:
        attested, among, principal: grown on `ATTESTED_COLUMNS`, `AMONG_COLUMNS` and `PRINCIPAL_COLUMNS`.
    """

    attested: Forest
    among: Forest
    principal: Forest

    @classmethod
    def from_package(cls) -> Self:
        """Those that ship with the package.

        Raises:
            ConfigurationError: a file is missing or of another version.
        """
        return cls(
            Forest.from_path(MODELS_DIR / "reader_attested.npz", ATTESTED_COLUMNS),
            Forest.from_path(MODELS_DIR / "reader_among.npz", AMONG_COLUMNS),
            Forest.from_path(MODELS_DIR / "reader_principal.npz", PRINCIPAL_COLUMNS),
        )

    def outlook(self, candidates: Sequence[Candidate], proposals: Sequence[Proposal], selection: Selection) -> Outlook:
        """The outlook on the candidates of one report, given what the rules made of it."""
        if not candidates:
            return Outlook({}, {}, {})
        matrix = attested_matrix(candidates, proposals, selection)
        alone = self.attested.probabilities(matrix)
        chances = self.among.probabilities(among_matrix(matrix, alone, candidates))
        principal = self.principal.probabilities(principal_matrix(matrix, chances, candidates, selection))
        codes = [c.code for c in candidates]
        return Outlook(
            dict(zip(codes, candidates, strict=True)),
            dict(zip(codes, chances.tolist(), strict=True)),
            dict(zip(codes, principal.tolist(), strict=True)),
        )


class SecondReader:
    """Candidates with their chances."""

    def __init__(self, describer: Describer, forests: Forests) -> None:
        """Assign the parts."""
        self._describer = describer
        self._forests = forests

    @classmethod
    def from_package(cls, edition: Cim10Edition, features: PairFeatures) -> Self:
        """With the forests that ship with the package.

        Raises:
            ConfigurationError: a file is missing or of another version.
        """
        return cls(Describer(edition, features), Forests.from_package())

    def read(
        self, report: Report, links: Sequence[Link], stay: Stay, proposals: Sequence[Proposal], selection: Selection
    ) -> Outlook:
        """The outlook on a report, given what the rules made of it: their proposals and their selection."""
        return self._forests.outlook(self._describer.candidates(report, links, stay), proposals, selection)


def attested_matrix(candidates: Sequence[Candidate], proposals: Sequence[Proposal], selection: Selection) -> Floats:
    """(n, len(ATTESTED_COLUMNS)) of the candidates of one report."""
    probabilities, coded = {p.code: p.probability for p in proposals}, selection.codes
    said = [[probabilities.get(c.code, 0.0), float(c.code in coded)] for c in candidates]
    return np.column_stack([np.stack([c.columns for c in candidates]), np.array(said, dtype=np.float32)])


def among_matrix(matrix: Floats, chances: npt.NDArray[np.float64], candidates: Sequence[Candidate]) -> Floats:
    """(n, len(AMONG_COLUMNS)) of the candidates of one report, from the chances of the first forest."""
    category = np.array([c.code[:3] for c in candidates])
    start, end = np.array([c.start for c in candidates]), np.array([c.end for c in candidates])
    siblings = category[:, None] == category
    rivals = (start[:, None] < end) & (end[:, None] > start) & ~siblings
    np.fill_diagonal(siblings, False)
    sibling = np.where(siblings, chances, 0.0).max(axis=1)
    rival = np.where(rivals, chances, 0.0).max(axis=1)
    named = matrix[:, _NAMED] > 0
    whole = (
        chances[named].mean() if named.any() else 0.0,
        chances.sum(),
        (chances > _IS_LIKELY).sum(),
        named.sum(),
        np.sort(chances)[-_N_FIRST:].mean(),
    )
    own = (chances, _ranks(chances), sibling, chances - sibling, rival, chances - rival)
    n_rivals = (rivals & (chances > _IS_RIVAL)).sum(axis=1)
    return np.column_stack([matrix, *own, n_rivals, np.tile(whole, (len(candidates), 1))]).astype(np.float32)


def _ranks(chances: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Ranks from 0, the likeliest first."""
    return np.argsort(np.argsort(-chances, kind="stable"), kind="stable")


def principal_matrix(
    matrix: Floats, chances: npt.NDArray[np.float64], candidates: Sequence[Candidate], selection: Selection
) -> Floats:
    """(n, len(PRINCIPAL_COLUMNS)) of the candidates of one report."""
    place = np.minimum(_ranks(chances), _LAST_PLACE)
    dp = selection.dp.proposal.code if selection.dp else None
    first = [c.code == dp for c in candidates]
    return np.column_stack([matrix, chances, chances - chances.max(), place, first]).astype(np.float32)


def clauses(report: Report) -> Iterator[tuple[int, int]]:
    """Spans of clauses that state something about the patient today, whole and in their parts."""
    silent = frozenset(report.instructions)
    for sentence in report.sentences:
        if sentence.section in _SILENT or (sentence.start, sentence.end) in silent:
            continue
        text = report.text[sentence.start : sentence.end]
        cuts = [(0, 0), *((m.start(), m.end()) for m in _CLAUSE_END.finditer(text)), (len(text), len(text))]
        for (_, low), (high, _) in pairwise(cuts):
            for start, end in _stated(report, sentence.start + low, sentence.start + high):
                for a, b in _parts(report.text[start:end]):
                    if _MIN_WORDS <= len(words(report.text[start + a : start + b])) <= _MAX_WORDS:
                        yield start + a, start + b


def _stated(report: Report, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Longest runs of words of a span that are said of the patient today: « fracture » of « fracture sans lésion »."""
    first = last = None
    for _, a, b in word_spans(report.text[start:end]):
        if report.context_at(start + a, start + b) & NOT_PRESENT:
            if first is not None and last is not None:
                yield first, last
            first = last = None
            continue
        first, last = (start + a if first is None else first), start + b
    if first is not None and last is not None:
        yield first, last


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """The clause without the spaces around it, then what stands between its joints."""
    whole = _stripped(text, 0, len(text))
    if whole[0] >= whole[1]:
        return
    yield whole
    cuts = [(0, 0), *((m.start(), m.end()) for m in _PART_END.finditer(text)), (len(text), len(text))]
    if len(cuts) > 2:
        for (_, low), (high, _) in pairwise(cuts):
            part = _stripped(text, low, high)
            if part[0] < part[1] and part != whole:
                yield part


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not (text[end - 1].isalnum() or text[end - 1] in "%+"):
        end -= 1
    return start, end
