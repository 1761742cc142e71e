"""Mentions to codes: which words of the report may name which condition, by wording and by meaning.

Every distinct form that reading found is compared with every indexed wording at once (one matrix product), the best
form of each place is kept, and what cannot name a condition is left out: an organ, a drug, an analyte, an examination.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Self

import numpy as np

from pmsi_chain.encoders import EmbeddedEncoder
from pmsi_chain.index import CodeIndex
from pmsi_chain.lexicon import Lexicon
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Mention, Report
from pmsi_chain.text import fold, fold_with_offsets, tokens

_DEPTH = 12
#: Enough of a label to hold its first content word.
_HEAD_CHARS = 40
#: Cosine under which a form is not taken for a condition at all.
MIN_SCORE = 0.72
#: What a further content word weighs against a lower cosine when forms overlap: « tumeur maligne secondaire du
#: foie » at 0.87 is preferred to the « tumeur maligne » inside it, though that is a wording of the nomenclature.
_WORD_BONUS = 0.03
_BONUS_WORDS = 8
_SHORT_CAPS = {1: 0.84, 2: 0.90, 3: 0.95}
#: Notes of the lexicon on terms that name no condition.
_NO_CONDITION = re.compile(r"acte ou examen|médicament ou biologie")
#: What is done to a patient names an act, not a condition.
_ACT = re.compile(
    r"(?:ectomie|tomie|stomie|plastie|scopie|graphie|gramme|rraphie|centese|ponction|biopsie|therapie|dialyse|anesthesie|"
    r"intervention|transfusion|perfusion|scanner|irm|echographie|doppler|bilan|examen|traitement|consultation)s?$|"
    # … and what is given names a drug
    r"^(?:anti(?!phospho|thromb)|beta-?bloqu|inhibiteur|diuretique|insulin|statine|cortico|heparin|immunosuppress|"
    r"bronchodilat|analges|opioide|morphin|benzodiaz)"
)
_RANKED = re.compile(r"\b(type|stade|grade|classe) ([0-9]|[ivx]+\b)")
_COORDINATED = re.compile(r" (?:et|ou|ni) ")
#: Forms too general to name a code by themselves, as stems.
_GENERAL = frozenset(
    tuple(tokens(form))
    for form in (
        "tumeur", "tumeurs", "tumeur maligne", "cancer", "métastase", "métastases", "tumeur maligne secondaire",
        "tumeurs malignes secondaires", "lésion", "lésions", "maladie", "trouble", "troubles", "syndrome", "infection",
        "inflammation", "complication", "complications", "symptômes", "douleur", "douleurs", "épisodes récurrents",
        "syndrome de dépendance", "affection", "anomalie", "anomalies", "malformation", "traumatisme", "blessure",
        "choc", "masse", "nodule", "adénome", "polype", "carence", "déficit", "insuffisance", "dépendance", "effet",
        "effets indésirables", "effet indésirable", "effets secondaires", "antécédents", "stress", "conseils",
        "allergie", "allergies", "anesthésie", "saignement", "dysfonction", "défaillance", "cicatrice", "cicatrices",
        "hémoglobine", "travail", "brûlure", "brûlures", "arrêt", "plaie", "plaies", "rythme", "cicatrisation",
    )
)  # fmt: skip
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
        heads = {_head(entry.expansion) for entry in lexicon.entries if not _NO_CONDITION.search(entry.note)}
        heads |= {_head(text[:_HEAD_CHARS]) for _, text in index.wordings}
        return cls(edition, encoder, [code for code, _ in index.wordings], index.vectors, frozenset(heads - {""}))

    def link(self, report: Report) -> list[Link]:
        """Links in the order of the report; no two of them overlap, except the parts of a coordination."""
        shielded = _shielded(report.text)
        forms = {
            k: free
            for k, places in report.forms.items()
            if k
            and tuple(k.split()) not in _GENERAL
            and (free := tuple(p for p in places if not _begins_in(shielded, p.start, p.end)))
        }
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
            if codes and codes[0][1] < 1.0 and _COORDINATED.search(terms[row]) and forms[key][0].origin == "window":
                continue  # two conditions in one form: each has its own
            if codes and codes[0][1] >= MIN_SCORE:
                n_words = key.count(" ") + 1
                weight = min(codes[0][1], _SHORT_CAPS.get(n_words, 1.0)) + _WORD_BONUS * min(_BONUS_WORDS, n_words)
                ranked.append((weight, key, tuple(codes)))
        ranked.sort(key=lambda item: (-item[0], item[1]))
        links: list[Link] = []
        for _, key, chosen in ranked:
            exact = chosen[0][1] >= 1.0
            links += [Link(place, chosen, exact) for place in forms[key] if self._is_free(place, chosen[0][0], links)]
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
        if len(known) > 1:
            shared = set.intersection(*({code, *self._edition.ancestors(code)} for code in known))
            child = default_child(self._edition, max(shared, key=len)) if shared else None
            if child is not None:
                best[child] = 1.0
        return sorted(((c, min(s, 1.0)) for c, s in best.items()), key=lambda item: (-item[1], item[0]))

    def _may_name(self, code: str, score: float, key: str, term: str) -> bool:
        """Whether words that are near a code can name it at all."""
        head = key.split(" ", 1)[0]
        names_condition = head in self._heads or _CONDITION.search(fold(term).split(" ", 1)[0]) is not None
        if code[0] == "Z" and code[:3] not in _STATUS and code not in _STATUS:
            return False  # a reason for contact is decided by the situation of the stay, not by a word
        if score >= 1.0:  # one word names a code only if it is what the label is about: not the lung of a graft
            return " " in key or head == _head(self._edition.entry(code).label) or bool(_CONDITION.search(fold(term)))
        if len(key) < 5 or not names_condition or _ACT.search(fold(term).split(" ", 1)[0]):
            return False
        if head.startswith("antecedent") or (code[0] == "Z" and " " not in key):
            return False
        if _contradicts(fold(term), fold(self._edition.entry(code).label)):
            return False
        return all(word.search(term) for pattern, word in _REQUIRED if pattern.match(code))

    @staticmethod
    def _is_free(place: Mention, code: str, links: Sequence[Link]) -> bool:
        """Whether a place may be linked beside those linked already.

        Two plain places never overlap. The forms of a coordination share its words: each stands for its own last word.
        """
        for link in links:
            other = link.mention
            if place.start < other.end and other.start < place.end:
                if "composed" not in (place.origin, other.origin) or link.code == code or place.end == other.end:
                    return False
                inner, outer = (place, other) if other.origin == "composed" else (other, place)
                if inner.start <= outer.end - 1 < inner.end:
                    return False
        return True


#: Codes that need a word of their own: what a drug, a tumour or an infant could otherwise be taken for.
_REQUIRED: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(code), re.compile(word))
    for code, word in (
        (r"T(?:3[6-9]|4|50|5[1-9]|6[0-5])", r"intoxic|empoison|surdos|overdos|toxique|envenim|inhal|ingestion"),
        (
            r"D(?:3[7-9]|4[0-8])",
            r"imprevisible|inconnue|incertain|borderline|indetermin|myelodysplas|polyglobul|gammapathie|thrombocyt",
        ),
        (
            r"Q",
            r"congenit|malform|trisom|spina|naissance|syndrome|maladie|agenes|atres|dysplas|anomalie|ectop|persist|"
            r"fente|polykyst|pied",
        ),
        (r"P", r"nouveau|foet|neonat|perinat|naissance|premat|natal"),
        (r"Y", r"$^"),
    )
)  # fmt: skip
#: Codes and categories of chapter XXI that words may name: what a patient has or had, and palliative care.
_STATUS = frozenset(
    ["Z515"]
    + [f"Z{n}" for n in (*range(80, 100), 21, 22, 33, 34, 35, 37, 39, 55, 56, 57, 58, 59, 60, 63, 64, 65, 72, 73, 74)]
)


def _contradicts(term: str, label: str) -> bool:
    """Whether both give a type, stage or grade, and not the same: « type 1 » is not « type 2 »."""
    said, meant = dict(_RANKED.findall(term)), dict(_RANKED.findall(label))
    return any(said[kind] != meant[kind] for kind in said.keys() & meant.keys())


@lru_cache(maxsize=1)
def _no_condition() -> tuple[re.Pattern[str], ...]:
    """Turns of phrase whose words name no condition, though a label has them (`knowledge/not_conditions.csv`)."""
    text = (files("pmsi_chain") / "knowledge" / "not_conditions.csv").read_text(encoding="utf-8")
    return tuple(re.compile(row["pattern"]) for row in csv.DictReader(text.splitlines(), delimiter=";"))


def _shielded(text: str) -> list[tuple[int, int]]:
    """Spans of a text that name no condition, in order."""
    folded, offsets = fold_with_offsets(text)
    return sorted(
        (offsets[m.start()], offsets[m.end() - 1] + 1)
        for pattern in _no_condition()
        for m in pattern.finditer(folded)
        if m.end() > m.start()
    )


def _begins_in(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether a span begins in one of the spans, or holds nothing outside one."""
    index = bisect_right(spans, (end, 0)) - 1
    return any(spans[i][0] <= start < spans[i][1] for i in range(max(0, index - 3), index + 1))


def _head(text: str) -> str:
    return next(iter(tokens(text)), "")
