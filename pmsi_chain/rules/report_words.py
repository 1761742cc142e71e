"""What a report's text says of a code, by simple word matching: for `check` when no reader's facts are given.

Sentence by sentence, on folded text. Nothing is decided on one mention: a code is negated (hypothetical, of the
family, historical) only if every mention of it is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pmsi_chain.domain import Evidence
from pmsi_chain.rules.case import LabValue, ReportFacts
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches
from pmsi_chain.rules.protocols import DiagnosisEdition, ReadReport
from pmsi_chain.text import fold, fold_with_offsets, tokens

_NEAR = r"(?:(?!\b(?:mais|avec|ainsi|et une?|cependant|en revanche)\b)[^,;:])"
_BREAK = re.compile(r"(?<=[.!?;])\s+|\n+")
_HEADING = re.compile(
    r"^\W*(?P<name>antecedents?|atcd|motif|histoire|hdm|anamnese|mode de vie|traitement|examen|evolution|conclusion"
    r"|au total|synthese|resultats?|biologie|allergies?|diagnostic|sortie|suites?|devenir|prise en charge)\b[^.;]{0,40}"
)
_NEGATION = re.compile(
    r"\b(?:pas|absence|aucune?s?|sans|nie|ni|jamais|infirm\w*|elimin\w*|ecart\w*|exclu\w*"
    r"|recherche negative)\b" + _NEAR + r"{0,45}$"
)
_NEGATION_AFTER = re.compile(
    r"^[^,;:]{0,25}?\b(?:eliminee?s?|ecartee?s?|infirmee?s?|exclue?s?|absente?s?|non retenue?s?)\b"
)
_NOT_NEGATION = re.compile(r"sans (?:delai|attendre)|pas de (?:doute|complication)|non seulement")
_HYPOTHESIS = re.compile(
    r"\b(?:suspicion|suspectee?|suspecte|possible|evoqu\w+|evocateur|eventuelle?|hypothese|craint\w*"
    r"|a eliminer|devant faire rechercher)\b" + _NEAR + r"{0,40}$"
)
_HYPOTHESIS_AFTER = re.compile(r"^[^,;:.]{0,25}?(?:\b(?:possible|suspectee?|evoquee?|a confirmer|non confirmee?)\b|\?)")
_FAMILY = re.compile(
    r"\b(?:antecedents? familia\w+|atcd familia\w+|pere|mere|frere|soeur|oncle|tante|cousine?"
    r"|grand-?(?:pere|mere)|fille|fils)\b"
    r"[^;.]{0,60}$"
)
_HISTORY = re.compile(
    r"\b(?:antecedents? (?:personnels? )?(?:d|de|:)|atcd|ancien(?:ne)?|il y a \d+ (?:ans|mois)|en (?:19|20)\d\d"
    r"|gueri\w*|sequell\w+)\b"
    r"|\ben remission\b"
)
_APPEARED = re.compile(
    r"(?:au cours|pendant|durant|en cours) d(?:u|e ce|e son|e l')? ?(?:sejour|hospitalisation)"
    r"|compliquee?s? d|se complique"
    r"|\bj ?\d{1,2} post|post-?operatoire|nosocomial|survenue? (?:a|le) j"
    r"|apparition (?:secondaire|en cours)|secondairement apparu"
)
#: How many sentences a letter may take to say what the patient came for, and how it says so.
_OPENING = 6
_BEFORE_ANY = ("", "entete", "autre", "histoire")
_ADMITTED_FOR = re.compile(
    r"\b(?:est|a ete|etait|fut|sont|,)? ?(?:hospitalisee?|admise?|adressee?|accueillie?|convoquee?)\b[^.;]{0,80}?"
    r"\b(?:pour|afin)\b"
)
_VALUES: tuple[tuple[str, str], ...] = (
    ("hemoglobine", r"\b(?:hemoglobine|hb)\b"),
    ("albumine", r"\balbumin(?:e|emie)\b"),
    ("imc", r"\b(?:imc|bmi|indice de masse corporelle)\b"),
    ("lactates", r"\blactates?\b|\blactatemie\b"),
    ("spo2", r"\b(?:spo2|sao2|saturation)\b"),
    ("pao2", r"\bpao2\b"),
    ("kaliemie", r"\b(?:kaliemie|potassium|k\+)"),
)
_NUMBER = r"[^0-9\n;]{0,30}?(?P<value>\d{1,3}(?:[.,]\d{1,2})?)\s*(?P<unit>g ?/ ?d?l|mmol ?/ ?l|kg ?/ ?m2|mm ?hg|%)?"
_VALUE_PATTERNS = tuple((name, re.compile(f"(?:{cue}){_NUMBER}")) for name, cue in _VALUES)
_WEIGHT_LOSS = re.compile(
    r"(?:perte (?:de poids|ponderale)|amaigrissement)[^.;\n]{0,40}?(?P<value>\d{1,2}(?:[.,]\d)?) ?%"
    r"[^.;\n]{0,20}?(?P<months>\d|un|six) ?mois"
)


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    folded: str
    heading: str


@dataclass(frozen=True, slots=True)
class _Mention:
    sentence: int
    negated: bool
    hypothesis: bool
    family: bool
    history: bool
    appeared: bool
    dated: bool


class ReportText:
    """A report cut into folded sentences that keep their place.

    Attributes:
        text: as given.
        reading: the report as a reader cut it; its sections and contexts are then used instead of word cues.
    """

    def __init__(self, text: str, sentences: tuple[_Sentence, ...], reading: ReadReport | None = None) -> None:
        self.text = text
        self.reading = reading
        self._sentences = sentences
        starts, place = [], 0
        for sentence in sentences:
            starts.append(place)
            place += len(sentence.folded) + 1
        self._starts = starts
        self._places = [sentence.start for sentence in sentences]
        self.folded = "\n".join(sentence.folded for sentence in sentences)
        self._tokens: dict[int, frozenset[str]] = {}

    @classmethod
    def from_text(cls, text: str, reading: ReadReport | None = None) -> ReportText:
        """Cut a text at line ends and after full stops."""
        sentences: list[_Sentence] = []
        heading = ""
        place = 0
        for match in [*_BREAK.finditer(text), None]:
            end = match.start() if match else len(text)
            piece = text[place:end]
            if piece.strip():
                folded = fold(piece)
                line_start = place == 0 or text[place - 1] == "\n"
                title = _HEADING.match(folded) if line_start and reading is None else None
                if title:
                    heading = title.group("name")
                elif reading is not None:
                    heading = reading.section_at(place + len(piece) - len(piece.lstrip()))
                sentences.append(_Sentence(place, end, folded, heading))
            place = match.end() if match else end
        return cls(text, tuple(sentences), reading)

    def headings(self, code: str, edition: DiagnosisEdition) -> dict[str, Evidence]:
        """The folded headings under which a code is plainly named, each with its first sentence."""
        found: dict[str, Evidence] = {}
        for mention in self.mentions(code, edition):
            if not (mention.negated or mention.family or mention.hypothesis):
                found.setdefault(self._sentences[mention.sentence].heading, self.evidence(mention.sentence))
        return found

    def section(self, *names: str) -> str:
        """The text under headings of these folded names, "" without one."""
        return "\n".join(self.text[s.start : s.end] for s in self._sentences if s.heading in names)

    def admission(self) -> str:
        """The sentence, among the first of a letter, that tells what the patient came for; "" without one."""
        for sentence in self._sentences[:_OPENING]:
            if sentence.heading in _BEFORE_ANY and _ADMITTED_FOR.search(sentence.folded):
                return self.text[sentence.start : sentence.end]
        return ""

    def quoted(self, words: str) -> Evidence | None:
        """Words of the text as evidence, None when they are not in it as such."""
        start = self.text.find(words) if words else -1
        return Evidence(quote=words, start=start, end=start + len(words)) if start >= 0 else None

    def evidence(self, index: int) -> Evidence:
        """A whole sentence as evidence."""
        sentence = self._sentences[index]
        piece = self.text[sentence.start : sentence.end]
        start = sentence.start + len(piece) - len(piece.lstrip())
        quote = piece.strip()
        return Evidence(quote=quote, start=start, end=start + len(quote))

    def search(self, pattern: re.Pattern[str]) -> Evidence | None:
        """The sentence of the first match, None without one."""
        match = pattern.search(self.folded)
        return self.evidence(self._at(match.start())) if match else None

    def affirmed(self, pattern: re.Pattern[str]) -> Evidence | None:
        """The sentence of the first match that is neither negated nor hypothetical."""
        for match in pattern.finditer(self.folded):
            mention = self._mention(match.start(), match.end())
            if not (mention.negated or mention.hypothesis or mention.family):
                return self.evidence(mention.sentence)
        return None

    def _at(self, position: int) -> int:
        return bisect_right(self._starts, position) - 1

    def _mention(self, start: int, end: int) -> _Mention:
        index = self._at(start)
        sentence = self._sentences[index]
        if self.reading is not None:
            return self._read_mention(self.reading, index, start - self._starts[index], end - self._starts[index])
        before = sentence.folded[: start - self._starts[index]]
        after = sentence.folded[end - self._starts[index] :]
        negated = bool(_NEGATION.search(before) and not _NOT_NEGATION.search(before)) or bool(
            _NEGATION_AFTER.match(after)
        )
        dated = bool(_HISTORY.search(sentence.folded))
        return _Mention(
            sentence=index,
            negated=negated,
            hypothesis=bool(_HYPOTHESIS.search(before) or _HYPOTHESIS_AFTER.match(after)),
            family=bool(_FAMILY.search(before)),
            history=sentence.heading in ("antecedent", "antecedents", "atcd") or dated,
            dated=dated,
            appeared=bool(_APPEARED.search(sentence.folded)),
        )

    def _read_mention(self, reading: ReadReport, index: int, start: int, end: int) -> _Mention:
        sentence = self._sentences[index]
        _, offsets = fold_with_offsets(self.text[sentence.start : sentence.end])
        return self._flagged(reading, index, sentence.start + offsets[start], sentence.start + offsets[end - 1] + 1)

    def _flagged(self, reading: ReadReport, index: int, start: int, end: int) -> _Mention:
        """A mention with the reader's qualifiers of a span of the text."""
        sentence = self._sentences[index]
        flags = reading.context_at(start, end)
        return _Mention(
            sentence=index,
            negated="negated" in flags,
            hypothesis="hypothesis" in flags,
            family="family" in flags,
            history=bool(flags & {"history", "listed_history", "resolved"}),
            appeared=bool(_APPEARED.search(sentence.folded)),
            dated=bool(flags & {"history", "resolved"}),
        )

    def mentions(self, code: str, edition: DiagnosisEdition) -> list[_Mention]:
        """The places that name a coded condition: by its words of the tables, else by all the words of its label."""
        found: list[_Mention] = []
        for codes, pattern in check_tables().terms:
            if any_matches(codes, code):
                found += [self._mention(match.start(), match.end()) for match in pattern.finditer(self.folded)]
        if self.reading is not None:
            found += [
                self._flagged(self.reading, bisect_right(self._places, mention.start) - 1, mention.start, mention.end)
                for mention in self.reading.mentions
                if any(_same_problem(named, code) for named in mention.codes)
            ]
        if found:
            return found
        entry = edition.get(code)
        wanted = _label_tokens(entry.label) if entry else frozenset()
        if not wanted or any(token not in self.folded for token in wanted):
            return []
        for index, sentence in enumerate(self._sentences):
            places = [sentence.folded.find(token) for token in wanted]
            if min(places) >= 0 and wanted <= self._tokens_of(index):
                start = self._starts[index] + min(places)
                found.append(self._mention(start, start + 1))
        return found

    def _tokens_of(self, index: int) -> frozenset[str]:
        if index not in self._tokens:
            self._tokens[index] = frozenset(tokens(self._sentences[index].folded))
        return self._tokens[index]

    def cared(self, index: int, pattern: re.Pattern[str]) -> Evidence | None:
        """Words of care in a sentence or one of its neighbours."""
        for near in (index, index + 1, index - 1):
            if 0 <= near < len(self._sentences) and pattern.search(self._sentences[near].folded):
                return self.evidence(near)
        return None

    def values(self) -> tuple[LabValue, ...]:
        """The values that the Guide's thresholds need."""
        found: list[LabValue] = []
        if self.reading is not None:
            found += [
                LabValue(
                    value.name, value.value, value.unit, self.text[value.start : value.end], value.start, value.end
                )
                for value in self.reading.values
            ]
        for name, pattern in _VALUE_PATTERNS if self.reading is None else ():
            for match in pattern.finditer(self.folded):
                number = float(match["value"].replace(",", "."))
                proof = self.evidence(self._at(match.start()))
                found.append(LabValue(name, number, match["unit"] or "", proof.quote, proof.start, proof.end))
        for match in _WEIGHT_LOSS.finditer(self.folded):
            months = {"un": "1", "six": "6"}.get(match["months"], match["months"])
            if months in ("1", "6"):
                proof = self.evidence(self._at(match.start()))
                number = float(match["value"].replace(",", "."))
                found.append(LabValue(f"perte_poids_{months}_mois", number, "%", proof.quote, proof.start, proof.end))
        return tuple(found)

    def facts(self, codes: Iterable[str], edition: DiagnosisEdition) -> ReportFacts:
        """What the text says of these codes."""
        kinds: dict[str, dict[str, tuple[Evidence, ...]]] = {
            name: {} for name in ("present", "negated", "hypothesis", "family", "history", "appeared", "managed")
        }
        tables = check_tables()
        for code in dict.fromkeys(codes):
            mentions = self.mentions(code, edition)
            if not mentions:
                continue
            proof = tuple(self.evidence(index) for index in dict.fromkeys(mention.sentence for mention in mentions))[:3]
            plain = [m for m in mentions if not (m.negated or m.hypothesis or m.family)]
            if not plain:
                kind = next(
                    name for name in ("family", "negated", "hypothesis") if any(getattr(m, name) for m in mentions)
                )
                kinds[kind][code] = proof
                continue
            kinds["present"][code] = proof
            tumour = any_matches(("C00-C97",), code)  # listed under « antécédents » it may well be active
            if all(mention.dated if tumour else mention.history for mention in plain):
                kinds["history"][code] = proof
            if all(mention.appeared for mention in plain):
                kinds["appeared"][code] = proof
            care = [proof.care for proof in tables.proofs if any_matches(proof.codes, code)] or [tables.care]
            seen = [words for m in plain for pattern in care if (words := self.cared(m.sentence, pattern))]
            if not seen and any_matches(tuple(e for p in tables.proofs for e in p.codes), code):
                seen = [words for pattern in care if (words := self.search(pattern))]
            if seen:
                kinds["managed"][code] = (seen[0],)
        return ReportFacts(**kinds, values=self.values())


def _same_problem(named: str, code: str) -> bool:
    """Whether words that name one code attest the other: same subcategory, or the unspecified one of its category."""
    return named[:4] == code[:4] or (named[:3] == code[:3] and named[3:4] in ("", "9"))


_VAGUE = frozenset(
    ["autre", "precision", "precise", "sai", "non", "classe", "ailleurs", "maladie", "affection", "trouble"]
)


@lru_cache(maxsize=4096)
def _label_tokens(label: str) -> frozenset[str]:
    head = re.split(r"[,(\[]", label, maxsplit=1)[0]
    found = frozenset(tokens(head)) - _VAGUE
    return found if any(len(token) > 3 for token in found) else frozenset()
