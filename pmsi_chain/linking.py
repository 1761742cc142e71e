"""Mentions to codes: which words of the report may name which condition, by wording and by meaning.

Every distinct form that reading found is compared with every indexed wording at once (one matrix product), the best
form of each place is kept, and what cannot name a condition is left out: an organ, a drug, an analyte, an examination.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pmsi_chain.encoders import EmbeddedEncoder
from pmsi_chain.index import CodeIndex
from pmsi_chain.lexicon import Lexicon
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Mention, Report
from pmsi_chain.text import fold, tokens

_DEPTH = 12
#: Cosine under which a form is not taken for a condition at all.
MIN_SCORE = 0.74
#: A longer form wins over a shorter one inside it when their scores are this close per word.
_WORD_BONUS = 0.015
_BONUS_WORDS = 6
#: Endings of Greek and Latin words for conditions, which may stand for one without being a label's first word.
_CONDITION = re.compile(
    r"(?:ite|ites|ose|oses|emie|emies|pathie|pathies|ome|omes|algie|algies|urie|uries|plegie|paresie|rragie|rragies|"
    r"rrhee|rrhees|penie|penies|megalie|phobie|stenose|lithiase|thrombose|embolie|ectasie|oedeme|plasie|cytose|trophie|"
    r"isme|sclerose|philie|tension|pnee|cardie|dystonie|lyse|malacie|gene)$"
)


@dataclass(frozen=True, slots=True)
class Link:
    """A place of the report and the codes that its words may name.

    Attributes:
        codes: (code, cosine in [-1, 1]), best first; 1.0 where the words are a wording of the code.
        exact: whether the best code's wording is exactly what is written.
    """

    mention: Mention
    codes: tuple[tuple[str, float], ...]
    exact: bool

    @property
    def code(self) -> str:
        """The best code."""
        return self.codes[0][0]

    @property
    def score(self) -> float:
        """The best code's cosine."""
        return self.codes[0][1]


class Linker:
    """Links the mentions of a report to the codes of one index."""

    def __init__(
        self, edition: Cim10Edition, encoder: EmbeddedEncoder, codes: Sequence[str], vectors: np.ndarray,
        heads: frozenset[str],
    ) -> None:  # fmt: skip
        self._edition = edition
        self._encoder = encoder
        self._codes = codes
        self._vectors = np.ascontiguousarray(vectors.T)
        self._heads = heads
        self._rows: dict[str, list[int]] = {}
        for row, code in enumerate(codes):
            self._rows.setdefault(code, []).append(row)

    @classmethod
    def from_index(cls, index: CodeIndex, edition: Cim10Edition, encoder: EmbeddedEncoder, lexicon: Lexicon) -> Self:
        """A linker over the wordings of an index."""
        heads = {_head(entry.expansion) for entry in lexicon.entries}
        heads |= {_head(chunk.text) for chunk in index.chunks}
        return cls(edition, encoder, [c.code for c in index.chunks], index.vectors, frozenset(heads - {""}))

    def link(self, report: Report) -> list[Link]:
        """Links in the order of the report; no two of them overlap, except the parts of a coordination."""
        forms = {key: places for key, places in report.forms.items() if key}
        if not forms:
            return []
        keys = list(forms)
        terms = [forms[key][0].term for key in keys]
        scores = self._encoder.encode(terms) @ self._vectors
        depth = min(_DEPTH, scores.shape[1])
        nearest = np.argpartition(-scores, depth - 1, axis=1)[:, :depth]
        ranked = []
        for row, key in enumerate(keys):
            known = next((place.codes for place in forms[key] if place.codes), ())
            codes = self._ranked(known, {int(i): float(scores[row, i]) for i in nearest[row]}, scores[row])
            codes = [(c, s) for c, s in codes if self._may_name(c, s, key, terms[row])]
            if codes and codes[0][1] >= MIN_SCORE:
                bonus = _WORD_BONUS * min(_BONUS_WORDS, key.count(" ") + 1)
                ranked.append((codes[0][1] + bonus, key, tuple(codes)))
        ranked.sort(key=lambda item: (-item[0], item[1]))
        links: list[Link] = []
        for _, key, codes in ranked:
            exact = codes[0][1] >= 1.0
            links += [Link(place, codes, exact) for place in forms[key] if self._is_free(place, codes[0][0], links)]
        return sorted(links, key=lambda link: (link.mention.start, link.mention.end))

    def _ranked(
        self, known: Sequence[str], nearest: Mapping[int, float], scores: np.ndarray
    ) -> list[tuple[str, float]]:
        """Codes near a form; those that its words name literally come first, at 1 when they name one code only."""
        best: dict[str, float] = {}
        for row, score in nearest.items():
            code = self._codes[row]
            best[code] = max(score, best.get(code, -1.0))
        for code in known:
            cosine = max((float(scores[row]) for row in self._rows.get(code, ())), default=0.0)
            best[code] = 1.0 if len(known) == 1 else 0.9 + 0.1 * min(cosine, 0.99)
        parents = {p for code in known for p in self._edition.ancestors(code)} if len(known) > 1 else set()
        for parent in parents:
            child = default_child(self._edition, parent)
            if child in known:
                best[child] = 1.0
        return sorted(((c, min(s, 1.0)) for c, s in best.items()), key=lambda item: (-item[1], item[0]))

    def _may_name(self, code: str, score: float, key: str, term: str) -> bool:
        """Whether words that are near a code can name it at all."""
        if score >= 1.0:
            return True
        head = key.split(" ", 1)[0]
        if len(key) < 5 or not (head in self._heads or _CONDITION.search(fold(term).split(" ", 1)[0])):
            return False
        if code[0] == "Z" and (code[:3] not in _STATUS or " " not in key):
            return False
        return all(word.search(term) for pattern, word in _REQUIRED if pattern.match(code))

    @staticmethod
    def _is_free(place: Mention, code: str, links: Sequence[Link]) -> bool:
        for link in links:
            other = link.mention
            if place.start < other.end and other.start < place.end:
                if place.origin != "composed" or link.code == code:
                    return False
                if other.start <= place.end - 1 < other.end:  # what the coordination adds is linked already
                    return False
        return True


#: Codes that need a word of their own: what a drug, a tumour or an infant could otherwise be taken for.
_REQUIRED: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(code), re.compile(word))
    for code, word in (
        (r"T(?:3[6-9]|4|50|5[1-9]|6[0-5])", r"intoxic|empoison|surdos|overdos|toxique|envenim|inhal|ingestion"),
        (r"D(?:3[7-9]|4[0-8])", r"imprevisible|inconnue|incertain|borderline|indetermin|myelodysplas|polyglobul|gammapathie|thrombocyt"),
        (r"Q", r"congenit|malform|trisom|spina|naissance|syndrome|maladie|agenes|atres|dysplas|anomalie|ectop|persist|fente|polykyst|pied"),
        (r"P", r"nouveau|foet|neonat|perinat|naissance|premat|natal"),
        (r"Y", r"$^"),
    )
)  # fmt: skip
#: Categories of chapter XXI that describe what a patient has or had, and which words may name.
_STATUS = frozenset(
    [f"Z{n}" for n in (*range(80, 100), 21, 22, 33, 34, 35, 37, 39, 55, 56, 57, 58, 59, 60, 63, 64, 65, 72, 73, 74)]
)


def _head(text: str) -> str:
    return next(iter(tokens(text)), "")
