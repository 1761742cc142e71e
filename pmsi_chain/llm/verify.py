"""Every word of an answer is checked: ids among the candidates, legal positions, quotes in the report.

Pure. What breaks a promise is a finding and goes back to the model once; what can be left out without loss (a phrase
that names a code, a quote that stands elsewhere) is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pmsi_chain.domain import Position
from pmsi_chain.llm.answer import MAX_MISSING, Answer, ChosenCode
from pmsi_chain.llm.brief import BARRED, Brief, Candidate, Exhibit
from pmsi_chain.privacy import Pseudonymised
from pmsi_chain.text import words

_OWN_ID = re.compile(r"[ce]\d{1,4}")
_CODE = re.compile(r"\b(?:[A-Z] \d{2}[.,]?\d{1,3}|(?i:[A-Z]\d{2}(?:[.\s]?[\d+]{1,3})?|[A-Z]{4}\d{3}))(?!\w)")
_QUOTED = re.compile(r"«\s*([^»]*)»|“([^”]*)”|\"([^\"]*)\"")
QUOTING_RUN = 6  # words in a row from the report that make a sentence a quotation


@dataclass(frozen=True, slots=True)
class Verified:
    """A choice that holds: its candidate, its proof, and a phrase that may be shown."""

    candidate: Candidate
    exhibit: Exhibit
    position: Position
    justification: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an answer.

    Attributes:
        findings: what is wrong, in French, for the model only; the answer is usable when empty.
        choices: in the order DP, DR, DAS.
        rejected: candidate id → the model's reason, "" where none may be shown.
        missing: what the model says is missing; quotes nothing of the report.
        left_out: how many phrases and quotes were left out.
    """

    findings: tuple[str, ...]
    choices: tuple[Verified, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    left_out: int = 0


def verify(answer: Answer, brief: Brief, masks: Pseudonymised) -> Verdict:
    """Check an answer against what was shown.

    Args:
        masks: the report pseudonymised, to hide its names in the model's phrases even where the model read them.
    """
    findings: list[str] = []
    verified: list[Verified] = []
    phrases = _Phrases(brief, masks)
    for position, choice in _choices(answer):
        candidate = brief.by_id.get(choice.candidate)
        if candidate is None:
            findings.append(f"{position.upper()} : {_named(choice.candidate)} n'est pas dans la liste des candidats.")
            continue
        if position not in candidate.proposal.positions:
            allowed = ", ".join(p.upper() for p in candidate.proposal.positions)
            findings.append(f"{candidate.id} ne peut pas être {position.upper()} : positions ouvertes {allowed}.")
        exhibit = _proof(choice, candidate, brief, findings, phrases)
        if exhibit is not None:
            verified.append(Verified(candidate, exhibit, position, phrases.clean(choice.justification)))
    findings.extend(_conflicts(answer, brief))
    rejected = []
    for one in answer.rejected:
        if one.candidate in brief.by_id:
            rejected.append((one.candidate, phrases.clean(one.reason)))
        else:
            phrases.left_out += 1
    missing = tuple(filter(None, (phrases.clean(m, quoting=False) for m in answer.missing[:MAX_MISSING])))
    return Verdict(tuple(dict.fromkeys(findings)), tuple(verified), tuple(rejected), missing, phrases.left_out)


def _choices(answer: Answer) -> Iterator[tuple[Position, ChosenCode]]:
    if answer.dp is not None:
        yield "dp", answer.dp
    if answer.dr is not None:
        yield "dr", answer.dr
    for choice in answer.das:
        yield "das", choice


def _conflicts(answer: Answer, brief: Brief) -> Iterator[str]:
    """What is wrong between the choices."""
    if answer.dp is None and brief.ids("dp"):
        yield "aucun DP n'est choisi alors que des candidats peuvent l'être."
    dp = brief.by_id.get(answer.dp.candidate) if answer.dp else None
    if answer.dr is not None and (dp is None or not dp.proposal.code.startswith("Z")):
        yield "un DR n'est possible que si le DP est un code Z : rends dr = null, ou change le DP."
    chosen = [choice.candidate for _, choice in _choices(answer)]
    for one in dict.fromkeys(c for c in chosen if chosen.count(c) > 1):
        yield f"{_named(one)} est choisi plusieurs fois : une seule position par candidat."
    for one in dict.fromkeys(r.candidate for r in answer.rejected if r.candidate in chosen):
        yield f"{_named(one)} est à la fois choisi et rejeté."


def _proof(
    choice: ChosenCode, candidate: Candidate, brief: Brief, findings: list[str], phrases: _Phrases
) -> Exhibit | None:
    """The candidate's own proof that the choice points at; a finding and None when it points at none."""
    by_id = {exhibit.id: exhibit for exhibit in candidate.exhibits}
    named = by_id.get(choice.evidence) if choice.evidence else None
    if choice.evidence and named is None:
        findings.append(
            f"{candidate.id} : {_named(choice.evidence)} n'est pas une de ses preuves ({', '.join(by_id)})."
        )
        return None
    if choice.quote:
        places = brief.find(choice.quote)
        if not places:
            findings.append(f"{candidate.id} : la citation ne se trouve pas dans le compte rendu.")
            return None
        quoted = next((e for e in candidate.exhibits if _overlap(places, e.evidence.start, e.evidence.end)), None)
        barred = any(BARRED & set(e.context) and _overlap(places, e.start, e.end) for e in candidate.proposal.evidence)
        if quoted is None and barred:
            findings.append(f"{candidate.id} : le passage cité nie, suppose ou attribue à la famille ce qu'il nomme.")
            return None
        if quoted is None:
            phrases.left_out += 1  # it is in the report, but not where this code is attested
        named = named or quoted or candidate.exhibits[0]
    if named is None:
        findings.append(f"{candidate.id} : aucune preuve n'est donnée ({', '.join(by_id)}).")
    return named


def _overlap(places: list[tuple[int, int]], start: int, end: int) -> bool:
    return any(first < end and start < last for first, last in places)


def _named(short_id: str) -> str:
    """An id as the model wrote it, when it has the form of one: anything else is not repeated."""
    return short_id if _OWN_ID.fullmatch(short_id) else "un identifiant inconnu"


class _Phrases:
    """The model's sentences, made fit to be shown, or left out."""

    def __init__(self, brief: Brief, masks: Pseudonymised) -> None:
        self._brief = brief
        self._masks = masks
        self._codes = {_bare(c.proposal.code) for c in brief.candidates}
        self._report: set[tuple[str, ...]] | None = None
        self.left_out = 0

    def clean(self, sentence: str, *, quoting: bool = True) -> str:
        """The sentence with its true dates and without names; "" when it names a code that is no candidate, quotes
        what the report does not say or, with `quoting=False`, repeats the report."""
        sentence = " ".join(sentence.split())
        if not sentence:
            return ""
        foreign = any(_bare(m.group()) not in self._codes for m in _CODE.finditer(sentence))
        quotes = [next(filter(None, m.groups()), "") for m in _QUOTED.finditer(sentence)]
        invented = any(not self._brief.find(quote) for quote in quotes)
        if foreign or invented or (not quoting and (quotes or self._repeats(sentence))):
            self.left_out += 1
            return ""
        return self._masks.mask(self._brief.view.restore_dates(sentence))

    def _repeats(self, sentence: str) -> bool:
        if self._report is None:
            self._report = set(_runs(self._brief.view.text))
        return any(run in self._report for run in _runs(sentence))


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    found = words(text)
    for start in range(len(found) - QUOTING_RUN + 1):
        yield tuple(found[start : start + QUOTING_RUN])


def _bare(code: str) -> str:
    return re.sub(r"[.,\s]", "", code).upper()
