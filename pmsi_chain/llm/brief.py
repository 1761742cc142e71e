"""What the model is shown: a closed list of candidates with short ids, their proofs, the rules, the report in budget.

Pure: the report may be pseudonymised, and every id leads back to the original.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import Evidence, Position, Stay
from pmsi_chain.llm.answer import answer_schema
from pmsi_chain.privacy import Pseudonymised
from pmsi_chain.reading.report import Section
from pmsi_chain.reading.sections import find_sections
from pmsi_chain.selection import Proposal, SelectionRequest
from pmsi_chain.text import fold_with_offsets

#: A code whose every proof is so qualified is not a candidate.
BARRED = frozenset({"negated", "hypothesis", "family"})
CHARS_PER_TOKEN = 3.0  # French clinical text runs at 3 to 4 characters a token: the low end, so as not to overflow
MAX_EXHIBITS = 3
MAX_RULES_PER_CODE = 2
MAX_RULE_CHARS = 400
MIN_PIECE_CHARS = 200
RESERVE_CHARS = 200  # the line of the stay and the marks around the report
CUT_MARK_CHARS = 80  # "[… section x : n caractères non transmis …]"
CANDIDATES_SHARE = 0.5  # of the budget, at most
RULES_SHARE = 0.2

#: Sections in the order in which they are kept when the report is too long.
SECTION_PRIORITY = (
    "conclusion", "motif", "evolution", "comorbidites", "operatoire", "histoire", "suites", "traitement_sortie",
    "biologie", "complementaires", "antecedents", "examen", "traitement_entree", "mode_de_vie", "autre", "entete",
    "identite",
)  # fmt: skip

_CONTEXT_WORDS = {
    "history": "antécédent",
    "listed_history": "liste des antécédents",
    "planned": "prévu",
    "resolved": "résolu",
}
_SEX = {"F": "femme", "M": "homme"}


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A proof with its short id ("e3"); `shown` is its quote as the model reads it, on one line."""

    id: str
    evidence: Evidence
    shown: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal with its short id ("c2") and those of its proofs that may carry it."""

    id: str
    proposal: Proposal
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True)
class Brief:
    """One question to the model.

    Attributes:
        candidates: what may be chosen: the proposals, most probable first, then what only the rules would code.
        view: the report as the model may see it, and the way back.
        variables: values of the selection prompt.
        notes: what was not shown, in French without a word of the report.
    """

    candidates: tuple[Candidate, ...]
    view: Pseudonymised
    variables: dict[str, str]
    notes: tuple[str, ...] = ()
    by_id: dict[str, Candidate] = field(default_factory=dict)

    @classmethod
    def from_request(cls, request: SelectionRequest, view: Pseudonymised, budget_tokens: int, fixed: int = 0) -> Brief:
        """The question for a request.

        Args:
            view: of the request's report.
            budget_tokens: size of the whole prompt, in tokens of `CHARS_PER_TOKEN` characters.
            fixed: characters of the prompt that do not depend on the request.
        """
        room = max(0, int(budget_tokens * CHARS_PER_TOKEN) - fixed - RESERVE_CHARS)
        notes: list[str] = []
        blocks, candidates, left_out = _candidates(request, view, int(room * CANDIDATES_SHARE))
        if left_out:
            codes = ", ".join(cim10_display(p.code) for p in left_out)
            notes.append(f"candidats les moins probables non soumis au modèle, faute de place : {codes}")
        numbered, unsent = _numbered_rules(request, candidates, int(room * RULES_SHARE))
        if unsent:
            notes.append(f"règles du Guide non transmises au modèle, trop longues ou trop nombreuses : {unsent}")
        for block, candidate in zip(blocks, candidates, strict=True):
            own = [numbered[text] for text in _rules_of(request, candidate.proposal) if text in numbered]
            block[1] += f" ; règles : {', '.join(own)}" if own else ""
        listed = "\n".join(line for block in blocks for line in block)
        rules = "\n".join(f"{rule_id}. {text}" for text, rule_id in numbered.items()) or "aucune"
        report, cut = _report(view, room - len(listed) - len(rules))
        if cut:
            notes.append(
                "compte rendu trop long pour le modèle, non transmis : "
                + ", ".join(f"{name} ({size} caractères)" for name, size in cut.items())
                + " ; les preuves des candidats l'ont toutes été"
            )
        variables = {
            "stay": _stay_line(request.stay),
            "candidates": listed,
            "rules": rules,
            "report": report,
            "report_mark": _mark(report),
        }
        return cls(candidates, view, variables, tuple(notes), {c.id: c for c in candidates})

    def ids(self, position: Position | None = None) -> list[str]:
        """Ids of the candidates that may stand there; None: of all."""
        return [c.id for c in self.candidates if position is None or position in c.proposal.positions]

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of an answer; DR is closed where no candidate of a Z code could be the DP."""
        z_code = any(c.proposal.code.startswith("Z") and "dp" in c.proposal.positions for c in self.candidates)
        return answer_schema(
            dp=self.ids("dp"),
            dr=self.ids("dr") if z_code else [],
            das=self.ids("das"),
            every=self.ids(),
            evidence=[e.id for c in self.candidates for e in c.exhibits],
        )

    @cached_property
    def _folded(self) -> tuple[str, list[int]]:
        """The shown report folded, runs of white space as one space, with offsets into it."""
        folded, offsets = fold_with_offsets(self.view.text)
        squeezed: list[str] = []
        places: list[int] = []
        for char, offset in zip(folded, offsets, strict=False):
            if char.isspace():
                if squeezed and squeezed[-1] == " ":
                    continue
                char = " "
            squeezed.append(char)
            places.append(offset)
        return "".join(squeezed), places

    def find(self, quote: str) -> list[tuple[int, int]]:
        """Every place of a quote in the original, whatever its case, accents and line breaks; [] when invented.

        A quote without three letters or digits is no quote.
        """
        wanted = " ".join(fold_with_offsets(quote.strip(" «»\"'“”.…\n\t"))[0].split())
        if sum(char.isalnum() for char in wanted) < 3:
            return []
        text, places = self._folded
        found = []
        start = text.find(wanted)
        while start >= 0:
            found.append(self.view.to_original(places[start], places[start + len(wanted) - 1] + 1))
            start = text.find(wanted, start + 1)
        return found


def _candidates(
    request: SelectionRequest, view: Pseudonymised, room: int
) -> tuple[list[list[str]], tuple[Candidate, ...], list[Proposal]]:
    """The lines of each candidate, the candidates, and the proposals that did not fit."""
    blocks: list[list[str]] = []
    candidates: list[Candidate] = []
    left_out: list[Proposal] = []
    used = exhibits_used = 0
    known = {p.code for p in request.proposals}
    decided = request.default.choices if request.default is not None else ()
    imposed = tuple(c.proposal for c in decided if c.proposal.code not in known)  # such as a Z code that a rule imposes
    for proposal in (*request.proposals, *imposed):
        carrying = [e for e in proposal.evidence if not BARRED & set(e.context)]
        if not carrying or not proposal.positions or BARRED & proposal.context:
            continue
        exhibits = tuple(
            Exhibit(f"e{exhibits_used + number}", evidence, _shown(view, evidence))
            for number, evidence in enumerate(carrying[:MAX_EXHIBITS], start=1)
        )
        block = _block(f"c{len(candidates) + 1}", proposal, exhibits)
        size = sum(map(len, block)) + 30
        droppable = candidates and proposal not in imposed
        if droppable and (left_out or used + size > room):
            left_out.append(proposal)
            continue
        used += size
        exhibits_used += len(exhibits)
        blocks.append(block)
        candidates.append(Candidate(f"c{len(candidates) + 1}", proposal, exhibits))
    return blocks, tuple(candidates), left_out


def _shown(view: Pseudonymised, evidence: Evidence) -> str:
    start, end = view.to_pseudonymised(evidence.start, evidence.end)
    return " ".join(view.text[start:end].split())


def _block(candidate_id: str, proposal: Proposal, exhibits: Iterable[Exhibit]) -> list[str]:
    positions = ", ".join(p.upper() for p in proposal.positions)
    facts = [f"positions : {positions}", f"probabilité : {proposal.probability:.2f}".replace(".", ",")]
    context = [word for flag, word in _CONTEXT_WORDS.items() if flag in proposal.context]
    if context:
        facts.append(f"contexte : {', '.join(context)}")
    return [
        f"{candidate_id}. {cim10_display(proposal.code)} {proposal.label}",
        f"   {' ; '.join(facts)}",
        *(f"   {e.id} [{e.evidence.section or 'autre'}] « {e.shown} »" for e in exhibits),
    ]


def _numbered_rules(
    request: SelectionRequest, candidates: Iterable[Candidate], room: int
) -> tuple[dict[str, str], int]:
    """Rule text → its id, each text once, in the order of the candidates; and how many did not fit."""
    numbered: dict[str, str] = {}
    unsent: set[str] = set()
    used = 0
    for candidate in candidates:
        for number, text in enumerate(_rules_of(request, candidate.proposal)):
            if text in numbered:
                continue
            if number >= MAX_RULES_PER_CODE or len(text) > MAX_RULE_CHARS or used + len(text) > room:
                unsent.add(text)
                continue
            used += len(text)
            numbered[text] = f"r{len(numbered) + 1}"
            unsent.discard(text)
    return numbered, len(unsent)


def _rules_of(request: SelectionRequest, proposal: Proposal) -> list[str]:
    return [" ".join(rule.split()) for rule in request.rules.get(proposal.code, ())]


def _stay_line(stay: Stay) -> str:
    parts = [_SEX[stay.sex]] if stay.sex else ["sexe non précisé"]
    parts.append("âge non précisé" if stay.age is None else f"{stay.age} ans")
    if stay.admission_date and stay.discharge_date:
        parts.append(f"durée {(stay.discharge_date - stay.admission_date).days} nuits")
    return ", ".join(parts)


def _mark(report: str) -> str:
    """A mark that the report cannot hold: made from its own digest."""
    digest = hashlib.sha256(report.encode("utf-8", "surrogatepass")).hexdigest()
    return f"compte_rendu_{digest[:12]}"


def _report(view: Pseudonymised, room: int) -> tuple[str, dict[str, int]]:
    """The report in `room` characters, cut by section, and the characters left out per section name."""
    if len(view.text) <= room:
        return view.text, {}
    sections = find_sections(view.original)
    room -= CUT_MARK_CHARS * len(sections)
    rank = {name: place for place, name in enumerate(SECTION_PRIORITY)}
    kept: dict[int, tuple[int, int]] = {}
    for section in sorted(sections, key=lambda s: (rank.get(s.name, len(rank)), s.start)):
        start, end = view.to_pseudonymised(section.start, section.end)
        if end - start > room:
            end = _line_end(view.text, start, start + room) if room >= MIN_PIECE_CHARS else start
        if end > start:
            kept[section.start] = (start, end)
            room -= end - start
    pieces: list[str] = []
    cut: dict[str, int] = {}
    for section in sections:
        first, last = view.to_pseudonymised(section.start, section.end)
        start, end = kept.get(section.start, (first, first))
        missing = last - end
        pieces.append(view.text[start:end])
        if missing > 0:
            cut[section.name] = cut.get(section.name, 0) + missing
            pieces.append(f"\n[… section {_named(section)} : {missing} caractères non transmis …]\n")
    return "".join(pieces), cut


def _named(section: Section) -> str:
    return section.name.replace("_", " ")


def _line_end(text: str, start: int, end: int) -> int:
    """The last line or sentence end before `end`, or `end` where there is none in its second half."""
    breaks = [m.end() for m in re.finditer(r"\n|(?<=[.;!?])\s", text[start:end])]
    return start + breaks[-1] if breaks and breaks[-1] > (end - start) // 2 else end
