"""Acts of a report: which CCAM acts its words name, done during the stay, with what is stated and what is missing.

A RUM's act line needs code, activity, phase and date. What the report does not say is named « à compléter », never
guessed. The CCAM decides activities and phases; the report decides whether the act was done.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np

from pmsi_chain.domain import CodedAct, Evidence, ReviewItem
from pmsi_chain.encoders import EmbeddedEncoder
from pmsi_chain.index import CodeIndex
from pmsi_chain.nomenclature import CcamEdition
from pmsi_chain.reading import Report
from pmsi_chain.reading.context import NOT_NOW
from pmsi_chain.reading.dictionary import TermDictionary
from pmsi_chain.reading.tokens import tokens_of
from pmsi_chain.rules import load_guide
from pmsi_chain.text import fold, tokens, words

#: Cosine from which a wording is taken for the act, and from which it is listed for review.
ACT_SCORE, REVIEW_SCORE = 0.86, 0.76
_SILENT = frozenset({"antecedents", "identite", "mode_de_vie", "traitement_entree", "traitement_sortie", "suites"})
_DATE = re.compile(r"\b(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\b")
_GENERAL_ANAESTHESIA = re.compile(r"anesthesie generale|rachianesthesie|peridurale|anesthesie loco-?regionale|\bag\b")
_ACT_WORD = re.compile(
    r"(?:ectomie|tomie|stomie|plastie|scopie|graphie|gramme|rraphie|rrhaphie|centese|ponction|biopsie|dialyse|desis|"
    r"synthese|transfusion|cesarienne|accouchement|curetage|intubation|ventilation|cardioversion|embolisation)s?$"
)
#: Words of which one must be said for an act to be: a condition's name is no act.
_DOING = re.compile(
    r"\b(?:ablation|acte|amputation|angio\w+|anastomose|appareillage|arthro\w+|aspiration|biopsie|bloc|cath\w+|"
    r"cerclage|cerebro\w+|cesarienne|chambre|changement|chimio\w+|choc|circoncision|colo\w*scopie|conisation|"
    r"coro\w+|cure|curage|curetage|cysto\w+|debridement|derivation|detartrage|detersion|dialyse|dilatation|doppler|"
    r"drain\w*|eeg|ecg|electro\w+|embolisation|endo\w+|enregistrement|evacuation|examen|excision|exerese|exploration|"
    r"extraction|fermeture|fibro\w+|fixation|forage|gastro\w+|gastrostomie|gazometrie|greffe|hemodialyse|holter|"
    r"hystero\w+|implant\w*|incision|infiltration|injection|instrumentation|intubation|irm|irradiation|laparo\w+|"
    r"lavage|ligature|lithotripsie|liberation|mammographie|manometrie|mesure|mise|montee|myelogramme|nettoyage|"
    r"osteosynthese|pacemaker|parage|pansement|perfusion|phaco\w*|phlebectomie|plastie|polysomno\w+|pontage|pose|"
    r"ponction|prelevement|prothese|radio\w*|ramonage|rachianesthesie|reduction|reintervention|remplacement|reparation|"
    r"reprise|resection|retablissement|retrait|scanner|scintigraphie|seance|section|sonde|stent\w*|stimul\w+|stripping|"
    r"suture|tdm|test|thermo\w+|thrombectomie|thrombolyse|tomo\w+|transfusion|transplantation|trepanation|valve|"
    r"ventilation|vertebroplastie|videocapsule|accouchement|\w*(?:ectomie|tomie|stomie|plastie|scopie|graphie|gramme|"
    r"rraphie|centese|desis|echo\w*|lyse))s?\b"
)
_COVER = 0.6
#: No act is more certain than this.
_MOST = 0.99
#: Words of an act on an earlier act, which must be said.
_ANEW = frozenset(tokens("reprise changement ablation retrait explantation révision repose deuxième seconde"))
_ACT_RULE = "CCAM-ACTE-02"


@dataclass(frozen=True, slots=True)
class _Named:
    """Words that name an act; `score` is 1 or more for a wording of the edition, a cosine otherwise."""

    start: int
    end: int
    section: str
    context: frozenset[str]
    code: str
    score: float


def _stands_alone(wording: str) -> bool:
    """Whether one word names an act: a word for what is done, or an abbreviation in capitals."""
    return bool(_ACT_WORD.search(fold(wording))) or (wording.isupper() and len(wording) > 2)


def _is_done(section: str, context: frozenset[str]) -> bool:
    return section not in _SILENT and not context & NOT_NOW


class ActReader:
    """Finds acts of one CCAM edition in reports."""

    def __init__(self, edition: CcamEdition, encoder: EmbeddedEncoder, codes: Sequence[str], vectors: np.ndarray,
                 wordings: TermDictionary) -> None:  # fmt: skip
        self._edition = edition
        self._encoder = encoder
        self._codes = codes
        self._vectors = np.ascontiguousarray(vectors.T)
        self._wordings = wordings
        self._stems: dict[str, list[set[str]]] = {}
        for code in edition:
            entry = edition.entry(code)
            self._stems[code] = [set(tokens(wording)) for wording in (entry.label, *entry.synonyms)]

    @classmethod
    def from_index(cls, index: CodeIndex, edition: CcamEdition, encoder: EmbeddedEncoder) -> Self:
        """A reader over the wordings of an index; a wording that several acts share names none by itself."""
        wordings: dict[tuple[str, ...], set[str]] = {}
        for code, text in index.wordings:
            key = tuple(tokens(text))
            if len(key) == 1 and (len(words(text)) > 1 or not _stands_alone(text)):
                continue  # « SE biliaire »: one word of the report does not say as much
            wordings.setdefault(key, set()).add(code)
        single = {key: tuple(codes) for key, codes in wordings.items() if key and len(codes) == 1}
        return cls(edition, encoder, [code for code, _ in index.wordings], index.vectors, TermDictionary(single))

    def read(self, report: Report, discharge: date | None = None) -> tuple[list[CodedAct], list[ReviewItem]]:
        """Acts done during the stay, and acts named too vaguely to be coded by themselves."""
        named = self._named(report)
        acts: dict[tuple[str, str | None], CodedAct] = {}
        review: dict[str, ReviewItem] = {}
        for item in named:
            evidence = report.proof(item.start, item.end, min(_MOST, item.score))
            entry = self._edition.entry(item.code)
            if item.score < ACT_SCORE:
                said = set(tokens(report.text[item.start : item.end])) - _ANEW
                if not any(said & stems for stems in self._stems[item.code]):
                    continue  # « reprise de l'apixaban » has no word of the act but « reprise »
                review.setdefault(
                    item.code,
                    ReviewItem(
                        code=item.code, display=item.code, label=entry.label, position="ccam",
                        probability=round(item.score / 2, 4), evidence=(evidence,),
                        reason="acte nommé de façon trop vague : à préciser avant de le coder",
                    ),
                )  # fmt: skip
                continue
            act = self._coded(report, item, evidence, discharge)
            acts.setdefault((act.code, act.date), act)
        dated = {code for code, day in acts if day}
        kept = [act for (code, day), act in acts.items() if day or code not in dated]
        codes = {act.code for act in kept}
        return kept, [r for r in review.values() if r.code not in codes]

    def _named(self, report: Report) -> list[_Named]:
        found = self._worded(report)
        forms = {
            key: done
            for key, places in report.forms.items()
            if key and (done := [p for p in places if _is_done(p.section, p.context)])
        }
        if forms:
            keys = list(forms)
            scores = self._encoder.encode([forms[key][0].term for key in keys]) @ self._vectors
            best = scores.argmax(axis=1)
            for row, key in enumerate(keys):
                if not _DOING.search(fold(forms[key][0].term)):
                    continue
                stems, code, score = key.split(), self._codes[int(best[row])], float(scores[row, best[row]])
                known = self._wordings.codes.get(tuple(stems))
                if known:
                    code, score = known[0], 1.0
                elif len(stems) < 2 or stems[0].startswith("anesthesie"):
                    continue
                elif not self._covers(code, set(stems)):
                    score = min(score, (ACT_SCORE + REVIEW_SCORE) / 2)  # the act says more than the report
                if score >= REVIEW_SCORE:
                    weight = score + (0.01 * min(len(stems), 6) if score >= ACT_SCORE else 0.0)
                    found += [_Named(p.start, p.end, p.section, p.context, code, weight) for p in forms[key]]
        found.sort(key=lambda item: (-item.score, item.start))
        kept: list[_Named] = []
        for item in found:
            if not any(item.start < other.end and other.start < item.end for other in kept):
                kept.append(item)
        return sorted(kept, key=lambda item: item.start)

    def _covers(self, code: str, said: set[str]) -> bool:
        """Whether the words said are most of one wording of the act."""
        return any(
            len(stems & said) >= _COVER * len(stems) and not (stems - said) & _ANEW
            for stems in self._stems[code]
            if stems
        )

    def _worded(self, report: Report) -> list[_Named]:
        """Acts named by a wording of the edition, the longest first."""
        every = tokens_of(report.text)
        starts = [token.start for token in every]
        spans = [(s.start, s.end, s.section) for s in report.sentences]
        spans += [(s.start, s.body, s.name) for s in report.sections]  # « Échographie abdominale : » heads its result
        found = []
        for low, high, section in spans:
            inside = every[bisect_left(starts, low) : bisect_left(starts, high)]
            for first, last, codes in self._wordings.matches(inside):
                start, end = inside[first].start, inside[last].end
                context = report.context_at(start, end)
                said = report.text[start:end]
                short = first == last and not _ACT_WORD.search(fold(said))
                if short and (not said.isupper() or report.text[low:high].isupper()):
                    continue  # « AIR » is an act, « air » is not, and « EN AIR AMBIANT » does not tell
                if _is_done(section, context) and (short or _DOING.search(fold(said))):
                    weight = 1.0 + 0.01 * (last - first + 1)
                    found.append(_Named(start, end, section, context, codes[0], weight))
        return found

    def _coded(self, report: Report, item: _Named, evidence: Evidence, discharge: date | None) -> CodedAct:
        entry = self._edition.entry(item.code)
        sentence = report.sentence_at(item.start)
        said = (
            report.text[report.sentences[sentence].start : report.sentences[sentence].end]
            if sentence is not None
            else ""
        )
        day = _stated_date(said)
        activity = "1" if not entry.activities or "1" in entry.activities else entry.activities[0]
        phase = entry.phases[0] if len(entry.phases) == 1 else None
        missing = []
        if day is None:
            missing.append("date de réalisation")
        if phase is None:
            missing.append("phase")
        if "4" in entry.activities:
            stated = "déclarée" if _GENERAL_ANAESTHESIA.search(fold(said)) else "à confirmer"
            missing.append(f"ligne d'anesthésie (activité 4, {stated})")
        if day and discharge and day > discharge:
            missing.append("date à vérifier : après la sortie")
        rule = load_guide().rule(_ACT_RULE)
        return CodedAct(
            code=item.code,
            label=entry.label,
            confidence=round(min(_MOST, item.score), 4),
            evidence=(evidence,),
            rule_id=rule.id,
            rule_source=str(rule.source),
            activity=activity,
            phase=phase,
            date=day.isoformat() if day else None,
            missing=tuple(missing),
            reasons=("acte décrit comme fait pendant le séjour",),
        )


def _stated_date(said: str) -> date | None:
    for match in _DATE.finditer(said):
        day, month, year = (int(part) for part in match.groups())
        try:
            return date(year, month, day)
        except ValueError:
            continue
    return None
