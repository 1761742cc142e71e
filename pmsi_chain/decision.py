"""The decision without an LLM: proposals to DP, DR and DAS by the situation clinique and scored reasons.

The situation (Guide méthodologique MCO 2026, ch. VI) comes first: a stay for a repeated treatment has the DP that
the Guide imposes, and the disease treated as DR. Otherwise the DP is the problem that motivated the admission, as it
is known at discharge (ch. IV, 1.1), found by what can be printed: where it stands, what it is, how often it is said.
A DAS must have been cared for (ch. IV): a bare mention is for review.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from pmsi_chain.codes import cim10_display
from pmsi_chain.combining import companions_of, in_order, is_asterisk
from pmsi_chain.domain import Evidence, ReviewItem
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.proposals import Proposals
from pmsi_chain.reading import Report
from pmsi_chain.rules import Role, SituationDecision, SituationFacts, position_rule, situation_of, treatments
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches
from pmsi_chain.rules.situation_patterns import STATUS
from pmsi_chain.rules.treatments import explorations, treatment
from pmsi_chain.selection import Choice, Proposal, Selection, for_review
from pmsi_chain.text import fold

_SYMPTOM = "R"
_PRIMARY = re.compile(r"C(?:[0-6]|7[0-6]|8[1-9]|9)")
_SECONDARY = re.compile(r"C7[7-9]")
#: Why codes are listed for review: never affirmed, told again, told by a value alone, far from the label.
ONLY_SUSPECTED = "évoqué comme une hypothèse, jamais confirmé : à coder seulement s'il est retenu à la sortie"
ONLY_RECALLED = "cité seulement dans le rappel d'un séjour antérieur : à coder s'il a compté dans celui-ci"
NOT_NAMED = "sans que le diagnostic soit nommé : à coder si un clinicien l'a posé"
FAR_FROM_LABEL = "formulation trop éloignée du libellé pour être codée d'office"
#: Least probability of a DP, in [0, 1].
DP_FLOOR = 0.5
#: Probability of a DP that the situation imposes, proven by the words of the care.
_IMPOSED_PROBABILITY = 0.95
#: How far a note may go before the care that it is about: a letterhead, a title.
_OPENING_SENTENCES = 2
_ADMITTED = re.compile(r"hospitali|admis|accueilli|sejourn|convoque|\bvient\b|\bvenue?\b|\brecue?\b")
#: Natures of care that impose a Z code as DP when the stay is for them (ch. VI, T1, T2, T10, T11 …).
_IMPOSING = frozenset({"repeated", "exception", "single", "palliative", "prophylactic", "donor", "comfort", "cosmetic"})
_PURPOSE = re.compile(
    r"\b(?:pour|afin de|en vue|dans le cadre|beneficier|benficie|programmee?s?|recevoir|realisation|debuter|cure|"
    r"seance|cycle|j1)\b"
)
_FINAL = re.compile(
    r"diagnostics? (?:final|finaux|principal|retenu|de sortie|definitif|pose)|au total|en conclusion|conclusion\b"
)
#: What ends the first thing that a conclusion names, and what may stand between its cue and that.
_NEXT = re.compile(r"[.,;\n]")
_AFTER_CUE = " :,.*_#>•–—-\n\r\t"
#: Sections that show what was done or concluded, against those that only list.
_DONE = frozenset({"evolution", "conclusion", "operatoire", "traitement_sortie", "suites"})
_WEAK = frozenset({"examen", "complementaires", "biologie", "comorbidites", "identite"})
_ADMITTED_FOR = re.compile(
    r"\b(?:admise?|hospitalisee?|adressee?|entree?|transferee?|venue?)\b.{0,60}\b(?:pour|devant)\b"
)
#: Sections whose presence makes a mention elsewhere say less.
_TELLING = frozenset({"evolution", "conclusion", "operatoire", "antecedents", "examen"})
#: A note that opens with its care, « Séance d'hémodialyse chez … », or with the unit that gives no other.
_OPENING = re.compile(r"\W*(?:(?:\w+ )?(?:seance|cure|cycle)\b|(?:unite|lits?) (?:identifies? )?de soins palliatifs)")
_IN_STAY = re.compile(r"\b(?:au cours (?:du sejour|de l'hospitalisation)|durant le sejour|pendant l'hospitalisation|"
                      r"complique?e? (?:de|par|d')|survenue? (?:de|d'))")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scored:
    proposal: Proposal
    score: float
    reasons: tuple[str, ...]
    against: tuple[str, ...] = ()


def decide(
    report: Report, proposals: Proposals, edition: Cim10Edition, code_threshold: float, review_threshold: float
) -> Selection:
    """Positions for the proposals of a report.

    Args:
        code_threshold: probability, in [0, 1], from which a code is chosen by itself. « Attested » alone is right nine
            times in ten from 0.50 (`bench evidence`, 300 pairs, 2026-11-22: precision 0.904 [0.849-0.956]). A whole
            report asks for more: rules alone reach a precision of 0.85 on 92 fictional ones at 0.70, the default, and
            hardly more above; nine in ten are reached by the confidence of the second reading, from 0.75 on (`bench
            coding`). To be read again after each training.
        review_threshold: probability from which it is listed for review, with the reason.
    """
    able = tuple(p for p in proposals.present if p.probability >= review_threshold)
    sure = tuple(p for p in able if p.probability >= code_threshold)
    facts, situation = situation_of(report.text, report)
    imposed = _imposed(report, edition, facts, situation)
    dr: Choice | None = None
    runner_up = None
    dp: Choice | None
    if imposed is not None:
        dp = imposed.choice
        if imposed.wants_related:
            dr = _related(imposed, sure)
        known = {p.code for p in sure}
        brought = [p for p in companions_of(report, edition, dp.proposal.code) if p.code not in known]
        codes = {p.code for p in brought}
        sure, able = (*sure, *brought), (*(p for p in able if p.code not in codes), *brought)
    else:
        # A stay has a DP: the choice is open to less certain wordings too, which weigh less.
        candidates = [p for p in able if "dp" in p.positions and p.probability >= DP_FLOOR and not is_asterisk(p.code)]
        # a state or a history is DP only where nothing else is (ch. V, Antécédents)
        candidates = [p for p in candidates if not _STATE.match(p.code)] or candidates
        context = _DpContext.of(report, facts, situation, candidates, able)
        ranked = sorted((_as_dp(report, p, context) for p in candidates), key=_order)
        dp = _choice_dp(ranked[0]) if ranked else None
        if len(ranked) > 1:
            runner_up = _why_not(ranked[1], ranked[0])
    das, review = _associated(report, able, sure, [c.proposal.code for c in (dp, dr) if c])
    review += [for_review(p, "das", ONLY_SUSPECTED) for p in proposals.doubtful]
    review += [for_review(p, "das", ONLY_RECALLED) for p in proposals.recalled]
    review += [for_review(p, "das", f"{p.reasons[0]} {NOT_NAMED}") for p in proposals.measured]
    return Selection(dp, dr, tuple(das), tuple(review), runner_up, notes=_steps(situation))


# -- the situation ------------------------------------------------------------------------------------------------

#: Roles of a decision whose DP is a code that the care imposes, whatever the disease (ch. VI).
_IMPOSED_ROLES = frozenset({Role.Z_CODE, Role.IMPOSED})
#: Facts whose words prove an imposed DP, the first one written first.
_PROVING = ("obstetric", "treatment", "exam", "surveillance", "cancelled", "contact", "caregiver_missing", "respite",
            "falls", "no_facility")  # fmt: skip
_QUOTED = re.compile(r" \(« .*? »\)")


@dataclass(frozen=True, slots=True)
class _Imposed:
    """A DP that the situation imposes.

    Attributes:
        label: what the stay was for, in French; categories: codes that its related diagnosis may have.
        related: the condition as the report names it, "" when it does not.
        wants_related: whether the Guide asks for a DR.
    """

    choice: Choice
    label: str
    categories: tuple[str, ...] = ()
    related: str = ""
    wants_related: bool = False


def _imposed(
    report: Report, edition: Cim10Edition, facts: SituationFacts, decision: SituationDecision
) -> _Imposed | None:
    """The DP that the situation clinique imposes: by the motive, else by a note that opens with its care."""
    if decision.rule_id is None:
        return _opening(report, edition)
    if decision.dp_role not in _IMPOSED_ROLES or not decision.dp_codes:
        return None
    codes = (default_child(edition, expression.replace(".", "")) for expression in decision.dp_codes)
    code = next((c for c in codes if c is not None and edition.is_allowed(c, "dp")), None)
    place = _place(report, facts)
    if code is None or place is None or report.context_at(*place) & {"negated", "family", "previous_stay"}:
        return None
    key = facts.treatment or facts.exam
    motive = treatment(key) if key else None
    label = motive.label if motive else _asked(decision)
    categories = motive.dr_categories if motive else ("C00-C97",) if code.startswith("Z08") else ()
    proposal = _imposed_proposal(report, edition, code, place)
    choice = Choice(proposal, "dp", decision.rule_id, (f"séjour motivé par : {label}",))
    wants = decision.dr_role is not Role.NONE or (motive is not None and motive.dr == "condition")
    return _Imposed(choice, label, tuple(categories), decision.dr or facts.known or "", wants)


def _asked(decision: SituationDecision) -> str:
    """The last question of the situation, as what the stay was for."""
    question = decision.steps[-1].partition(" : ")[0] if decision.steps else "la situation clinique"
    return question[:1].lower() + question[1:]


def _imposed_proposal(report: Report, edition: Cim10Edition, code: str, place: tuple[int, int]) -> Proposal:
    proof = report.proof(*place, _IMPOSED_PROBABILITY)
    return Proposal(code, edition.entry(code).label, _IMPOSED_PROBABILITY, (proof,), ("dp", "dr", "das"))


def _place(report: Report, facts: SituationFacts) -> tuple[int, int] | None:
    """Where the words of the deciding fact stand, in the motive rather than elsewhere."""
    for name in _PROVING:
        words = facts.words.get(name)
        if not words or getattr(facts, name) in (None, False):
            continue
        motives = [s for s in report.sections if s.name == "motif"]
        for low, high in (*((s.body, s.end) for s in motives), (0, len(report.text))):
            start = report.text.find(words, low, high)
            if start >= 0:
                return start, start + len(words)
    return None


def _opening(report: Report, edition: Cim10Edition) -> _Imposed | None:
    """The treatment that a note without a section « motif » opens with: « Séance d'hémodialyse chez … »."""
    for index, sentence in enumerate(report.sentences):
        if sentence.section not in ("entete", "autre"):
            continue
        for motive in treatments():
            if motive.nature not in _IMPOSING or motive.code is None:
                continue
            code = default_child(edition, motive.code.replace(".", ""))
            if code is None or not edition.is_allowed(code, "dp"):
                continue
            for match, start, end in report.matches(motive.pattern, sentence):
                if report.context_at(start, end) & {"negated", "hypothesis", "history", "family"}:
                    continue
                if STATUS.search(match.string[: match.start()]):
                    continue
                around = match.string[: match.end()]
                opens = index <= _OPENING_SENTENCES and _OPENING.match(around) is not None
                if opens or (_ADMITTED.search(around) and _PURPOSE.search(around)):
                    proposal = _imposed_proposal(report, edition, code, (start, end))
                    choice = Choice(proposal, "dp", motive.rule_id, (f"séjour motivé par : {motive.label}",))
                    return _Imposed(choice, motive.label, tuple(motive.dr_categories), "", motive.dr == "condition")
    return None


def _related(imposed: _Imposed, sure: Sequence[Proposal]) -> Choice | None:
    """The disease treated or followed, as DR: of the kind that the care is for, nearest to the reason for admission."""
    dp = imposed.choice.proposal
    able = [p for p in sure if "dr" in p.positions and _in_categories(p.code, imposed.categories)]
    able = [p for p in able if p.code[0] not in "RZ" and not is_asterisk(p.code)]
    if not able:
        return None
    where = dp.evidence[0].start
    named = fold(imposed.related)

    def rank(proposal: Proposal) -> tuple[int, int, int, float]:
        said = not any(fold(e.quote) in named or (named and named in fold(e.quote)) for e in proposal.evidence)
        in_motive = not any(e.section == "motif" for e in proposal.evidence)
        secondary = bool(_SECONDARY.match(proposal.code))
        distance = min(abs(e.start - where) for e in proposal.evidence)
        return (int(in_motive), int(said), int(secondary), distance)

    best = min(able, key=rank)
    rule = position_rule("dr", best.code, dp.code)
    return Choice(best, "dr", rule.id, (f"maladie qui motive : {imposed.label}", *best.reasons))


def _steps(decision: SituationDecision) -> tuple[str, ...]:
    """The questions of the situation clinique with their answers, without a word of the report."""
    if decision.rule_id is None:
        return ()
    shown = " ; ".join(_step(step) for step in decision.steps)
    notes = [f"Situation clinique {decision.rule_id}{f' : {shown}' if shown else ''}."]
    notes += [f"Situation clinique, à vérifier : {_QUOTED.sub('', other)}." for other in decision.alternatives[:2]]
    return tuple(notes)


def _step(step: str) -> str:
    """A question and its answer; what the report names is not repeated."""
    question, _, answer = _QUOTED.sub("", step).partition(" : ")
    ours = {"oui", "non", "non documenté", *(t.label for t in (*treatments(), *explorations()))}
    return f"{question} : {answer if answer in ours else 'oui'}"


def _in_categories(code: str, categories: Sequence[str]) -> bool:
    for expression in categories:
        low, _, high = expression.replace(".", "").partition("-")
        if low <= code[: len(low)] <= (high or low):
            return True
    return not categories


# -- the DP -------------------------------------------------------------------------------------------------------

#: What each reason is worth; of the order of the reasons that a coder gives, from the Guide (ch. IV, 1.1; ch. VI).
_WEIGHTS = {
    "conclusion": 2.0, "first": 3.0, "final": 1.0, "motive": 1.5, "history": 0.5, "care": 0.5, "found": 1.5,
    "poisoning": 2.5, "listed": -1.0, "only_listed": -2.5, "in_stay": -2.0, "advice": 0.5, "symptom": -2.0, "z": -3.0,
    "secondary": -1.0, "companion": -0.5,
}  # fmt: skip
#: Symptoms that are a problem of their own, with their own care: swallowing, ascites, falls, retention, consciousness,
#: disorientation, aphasia, chronic pain, shock, cachexia. They are DAS like any other when cared for.
_OWN_PROBLEM = re.compile(r"R(?:02|13|18|296|33|40[12]|410|470|521|57|64|65)")
#: Histories and what is missing or depended on; a graft or an implant may be what a surveillance is of.
_STATE = re.compile(r"Z(?:8|9[0-36-9])")
_POISONING = re.compile(r"T(?:3[6-9]|4|50|5[1-9]|6[0-5])")
_SELF_HARM = re.compile(r"X6[0-9]")
#: Circumstances, outcomes and germs go with what they are of, cared for or not.
_GOES_WITH = re.compile(r"[V-Y]|Z3[78]|B9[5-8]")
#: Personal history of anything but a tumour: coded when it weighed on the stay, which a list does not tell
#: (Guide MCO 2026, ch. V, Antécédents, p. 82).
_FORMER = re.compile(r"Z8[67]")
#: Codes that usually stand beside another problem.
_USUALLY_BESIDE = re.compile(r"[BE]|I1[0256]|D[5-8]|F17|P07")
#: What is advised for later is named, not concluded: « il est recommandé de surveiller … ».
_ADVICE = re.compile(
    r"recommand|surveiller|suivre de pres|assurer un suivi|visites? de suivi|continuer le traitement|poursuivre le|"
    r"rendez-vous|reconsulter|ajuster le traitement|a recontroler|prevenir"
)


@dataclass(frozen=True, slots=True)
class _DpContext:
    """What is the same for every candidate.

    Attributes:
        has_primary: a primary cancer is attested too, which goes before its metastases.
        found: where the condition that the situation names as established stands; None when it names none.
        rule_id: the rule of the situation; expressions: codes that it names for the state found (ch. VI, D6).
        no_cause: the report says that no cause was found: a symptom may then be the DP (ch. VI, D2).
        self_harm: a voluntary poisoning is attested (ch. V, Effets nocifs).
    """

    has_primary: bool
    found: tuple[int, int] | None
    rule_id: str
    expressions: tuple[str, ...]
    no_cause: bool
    self_harm: bool

    @classmethod
    def of(
        cls,
        report: Report,
        facts: SituationFacts,
        decision: SituationDecision,
        candidates: Sequence[Proposal],
        every: Sequence[Proposal],
    ) -> Self:
        words = facts.words.get("found", "") if decision.dp_role is Role.FOUND else ""
        start = report.text.rfind(words) if words else -1
        found = (start, start + len(words)) if start >= 0 else None
        return cls(
            any(_PRIMARY.match(p.code) for p in candidates), found, decision.rule_id or "",
            decision.dp_codes if decision.dp_role is Role.FOUND else (), facts.cause_found is False,
            any(_SELF_HARM.match(p.code) for p in every),
        )  # fmt: skip


def _as_dp(report: Report, proposal: Proposal, context: _DpContext) -> _Scored:
    """How much speaks for a proposal as DP, with the reasons in French, strongest first."""
    code, sections = proposal.code, proposal.sections
    found: list[tuple[str, str]] = []
    concluded = [e for e in proposal.evidence if e.section == "conclusion" and not _is_advice(report, e)]
    if concluded:
        first = min(concluded, key=lambda e: e.start)
        found.append(("conclusion", "énoncé en conclusion"))
        section = next(s for s in report.sections if s.start <= first.start < s.end)
        before = fold(report.text[max(section.start, first.start - 90) : first.start])
        cues = list(_FINAL.finditer(before))
        if cues and not _NEXT.search(before[cues[-1].end() :].strip(_AFTER_CUE)):
            found.append(("final", "donné comme diagnostic final"))
        if _IN_STAY.search(before):
            found.append(("in_stay", "apparu pendant le séjour"))
    elif sections <= {"suites"}:
        found.append(("in_stay", "apparu dans les suites"))
    elif "conclusion" in sections:
        found.append(("advice", "nommé dans les recommandations"))
    if context.found and any(e.start < context.found[1] and context.found[0] < e.end for e in proposal.evidence):
        found.append(("found", f"affection établie pendant le séjour ({context.rule_id})"))
    elif context.expressions and any_matches(context.expressions, code):
        found.append(("found", f"état que la règle {context.rule_id} désigne"))
    if context.self_harm and _POISONING.match(code):
        found.append(("poisoning", "intoxication : elle passe avant ce qu'elle a causé (GM2026-V-EFFETS-02)"))
    if "motif" in sections or any(_motivates(report, e) for e in proposal.evidence):
        found.append(("motive", "motif de l'hospitalisation"))
    elif "histoire" in sections:
        found.append(("history", "dit dans l'histoire de la maladie"))
    if sections & {"operatoire", "evolution"}:
        found.append(("care", "pris en charge pendant le séjour"))
    if "antecedents" in sections and "motif" not in sections:
        found.append(("listed", "préexistant : cité parmi les antécédents"))
    if sections <= {"antecedents", "comorbidites", "mode_de_vie", "identite"}:
        found.append(("only_listed", "cité seulement comme antécédent ou affection associée"))
    if code.startswith(_SYMPTOM) and not context.no_cause:
        found.append(("symptom", "symptôme"))
    if code.startswith("Z"):
        found.append(("z", "code du chapitre XXI que la situation n'impose pas"))
    if context.has_primary and _SECONDARY.match(code):
        found.append(("secondary", "métastase d'un cancer primitif aussi attesté"))
    if _USUALLY_BESIDE.match(code):
        found.append(("companion", "affection d'ordinaire associée"))
    score = 2.0 * proposal.probability + sum(_WEIGHTS[name] for name, _ in found)
    score += 0.2 * min(4, len(proposal.evidence)) + _place_in_conclusion(report, concluded)
    if _is_unstructured(report):  # what a note in one piece is about comes first
        score += 1.5 * (1.0 - min(e.start for e in proposal.evidence) / len(report.text))
    if code[-1] not in "89":
        score += 0.15 * min(5, len(code) - 3)  # precise
    found.sort(key=lambda item: -_WEIGHTS[item[0]])
    reasons = tuple(reason for name, reason in found if _WEIGHTS[name] > 0)
    return _Scored(proposal, score, reasons, tuple(reason for name, reason in found if _WEIGHTS[name] < 0))


def _place_in_conclusion(report: Report, concluded: Sequence[Evidence]) -> float:
    """From 0 to its weight: what a conclusion names first is what it is about."""
    if not concluded:
        return 0.0
    first = min(concluded, key=lambda e: e.start)
    section = next(s for s in report.sections if s.start <= first.start < s.end)
    share = (first.start - section.body) / max(1, section.end - section.body)
    return _WEIGHTS["first"] * (1.0 - min(1.0, share))


def _is_advice(report: Report, evidence: Evidence) -> bool:
    """Whether its sentence says what is to be done later."""
    index = report.sentence_at(evidence.start)
    if index is None:
        return False
    return _ADVICE.search(fold(report.text[report.sentences[index].start : evidence.start])) is not None


def _motivates(report: Report, evidence: Evidence) -> bool:
    """Whether a sentence outside any section of motives gives it as the reason for admission."""
    index = report.sentence_at(evidence.start)
    if index is None or evidence.section not in ("entete", "autre", "histoire"):
        return False
    return bool(_ADMITTED_FOR.search(fold(report.text[report.sentences[index].start : evidence.start])))


def _order(scored: _Scored) -> tuple[float, int, str]:
    return (-scored.score, scored.proposal.evidence[0].start, scored.proposal.code)


def _choice_dp(best: _Scored) -> Choice:
    rule = position_rule("dp", best.proposal.code)
    despite = (f"malgré : {', '.join(best.against)}",) if best.against else ()
    return Choice(best.proposal, "dp", rule.id, (*best.reasons, *despite, *best.proposal.reasons))


def _why_not(second: _Scored, first: _Scored) -> str:
    """The runner-up and why it lost, without a word of the report."""
    lacking = [reason for reason in first.reasons if reason not in second.reasons]
    against = [reason for reason in second.against if reason not in first.against]
    parts = [f"il lui manque : {', '.join(lacking)}"] if lacking else []
    parts += [f"contre lui : {', '.join(against)}"] if against else []
    why = " ; ".join(parts) or "moins affirmé, ou nommé plus loin dans la conclusion"
    gap = f"{first.score - second.score:.1f}".replace(".", ",")
    return f"{cim10_display(second.proposal.code)} {second.proposal.label} ; {why} (écart de score {gap})"


# -- the DAS ------------------------------------------------------------------------------------------------------


def _associated(
    report: Report, able: Sequence[Proposal], sure: Sequence[Proposal], taken_in_order: Sequence[str]
) -> tuple[list[Choice], list[ReviewItem]]:
    das: list[Choice] = []
    review: list[ReviewItem] = []
    certain = {p.code for p in sure}
    taken = frozenset(taken_in_order)
    for proposal in able:
        if proposal.code in taken:
            continue
        if "das" not in proposal.positions:
            continue
        if proposal.code not in certain:
            review.append(for_review(proposal, "das", FAR_FROM_LABEL))
            continue
        why_not = explained(proposal.code, certain) or _not_das(report, proposal)
        if why_not:
            review.append(for_review(proposal, "das", why_not))
            continue
        rule = position_rule("das", proposal.code)
        das.append(Choice(proposal, "das", rule.id, (_why_das(report, proposal), *proposal.reasons)))
    das.sort(key=lambda c: (c.proposal.code.startswith("Z"), min(e.start for e in c.proposal.evidence)))
    order = in_order([*taken_in_order, *(c.proposal.code for c in das)])
    das.sort(key=lambda c: order.index(c.proposal.code))
    return das, review


def explained(code: str, others: Collection[str]) -> str | None:
    """Whether a disease also attested explains a symptom, as the checker's table has it."""
    for symptoms, diseases in check_tables().symptoms:
        if any_matches(symptoms, code):
            for other in sorted(others):
                if any_matches(diseases, other):
                    return f"symptôme expliqué par {cim10_display(other)}, déjà attesté"
    return None


def _not_das(report: Report, proposal: Proposal) -> str | None:
    """Why an attested code is not coded as DAS by itself; None when it is."""
    sections = proposal.sections
    if _GOES_WITH.match(proposal.code):
        return None
    if _FORMER.match(proposal.code):
        return "antécédent : à coder seulement s'il a compté dans la prise en charge du séjour"
    listed = sections & {"antecedents", "traitement_entree"}
    if proposal.code.startswith(_SYMPTOM) and not _OWN_PROBLEM.match(proposal.code):
        if "conclusion" in sections or (listed and len(sections) > 1):
            return None
        if listed and _cared_for(report, proposal):
            return None
        return "symptôme : à coder seulement s'il n'est pas expliqué par une maladie codée et a été pris en charge"
    if sections <= _WEAK:
        return "mentionné sans prise en charge documentée : un DAS doit avoir été diagnostiqué, traité ou surveillé"
    if not _is_unstructured(report) and sections <= {"motif", "histoire"} and len(proposal.evidence) == 1:
        return "cité à l'admission seulement : à confirmer"
    if _is_unstructured(report):
        return None
    if not sections & {"conclusion", "antecedents", "operatoire"} and not _cared_for(report, proposal):
        return "mentionné sans prise en charge documentée : un DAS doit avoir été diagnostiqué, traité ou surveillé"
    return None


def _is_unstructured(report: Report) -> bool:
    """Whether the report has no section that tells care from a list: a note in one piece."""
    return not any(section.name in _TELLING for section in report.sections)


def _cared_for(report: Report, proposal: Proposal) -> bool:
    """Whether a sentence that names it says that something was done."""
    sentences = {i for e in proposal.evidence if (i := report.sentence_at(e.start)) is not None}
    return any(report.cares[index] for index in sentences)


def _why_das(report: Report, proposal: Proposal) -> str:
    if proposal.code.startswith("Z8") or proposal.code.startswith("Z9"):
        return "antécédent ou état qui compte pour le séjour"
    if "conclusion" in proposal.sections:
        return "énoncé en conclusion"
    if proposal.sections & _DONE or _cared_for(report, proposal):
        return "pris en charge pendant le séjour"
    return "affection en cours"
