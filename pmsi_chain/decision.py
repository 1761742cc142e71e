"""The decision without an LLM: proposals to DP, DR and DAS by the situation clinique and scored reasons.

The situation (Guide méthodologique MCO 2026, ch. VI) comes first: a stay for a repeated treatment has the DP that
the Guide imposes, and the disease treated as DR. Otherwise the DP is the problem that motivated the admission, as it
is known at discharge (ch. IV, 1.1), found by what can be printed: where it stands, what it is, how often it is said.
A DAS must have been cared for (ch. IV): a bare mention is for review.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import CodeType, Evidence, ReviewItem
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.proposals import Proposals
from pmsi_chain.reading import Report
from pmsi_chain.rules import TreatmentMotive, position_rule, treatments
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches
from pmsi_chain.selection import Choice, Proposal, Selection
from pmsi_chain.text import fold, fold_with_offsets

_SYMPTOM = "R"
_PRIMARY = re.compile(r"C(?:[0-6]|7[0-6]|8[1-9]|9)")
_SECONDARY = re.compile(r"C7[7-9]")
#: Least probability of a DP, in [0, 1].
DP_FLOOR = 0.5
#: Natures of care that impose a Z code as DP when the stay is for them (ch. VI, T1, T2, T10, T11 …).
_IMPOSING = frozenset({"repeated", "exception", "single", "palliative", "prophylactic", "donor", "comfort", "cosmetic"})
_PURPOSE = re.compile(
    r"\b(?:pour|afin de|en vue|dans le cadre|beneficier|benficie|programmee?s?|recevoir|realisation|debuter|cure|"
    r"seance|cycle|j1)\b"
)
_FINAL = re.compile(
    r"diagnostics? (?:final|finaux|principal|retenu|de sortie|definitif|pose)|au total|en conclusion|conclusion\b"
)
_CARE = re.compile(
    r"\b(?:trait|corrig|compens|supplement|antibiot|transfus|surveill|adapt|ajust|majore|introdu|relais|poursui|"
    r"substitu|recharg|oxygen|perfus|anticoag|insulin|dialys|operat|opere|drain|ponction|"
    r"prise? en charge|reequilibr|regime|administr|prescri|mis(?:e)? sous|sous\b|debute|instaur|bilan|avis|"
    r"consultation|explor)"
)
#: Sections that show what was done or concluded, against those that only list.
_DONE = frozenset({"evolution", "conclusion", "operatoire", "traitement_sortie", "suites"})
_WEAK = frozenset({"examen", "complementaires", "biologie", "comorbidites", "identite"})
_ADMITTED_FOR = re.compile(
    r"\b(?:admise?|hospitalisee?|adressee?|entree?|transferee?|venue?)\b.{0,60}\b(?:pour|devant)\b"
)
#: Sections whose presence makes a mention elsewhere say less.
_TELLING = frozenset({"evolution", "conclusion", "operatoire", "antecedents", "examen"})
#: A note that opens with its care: « Séance d'hémodialyse chez … ».
_OPENING = re.compile(r"\W*(?:\w+ )?(?:seance|cure|cycle)\b")
_IN_STAY = re.compile(r"\b(?:au cours (?:du sejour|de l'hospitalisation)|durant le sejour|pendant l'hospitalisation|"
                      r"complique?e? (?:de|par|d')|survenue? (?:de|d'))")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scored:
    proposal: Proposal
    score: float
    reasons: tuple[str, ...]


def decide(
    report: Report, proposals: Proposals, edition: Cim10Edition, code_threshold: float, review_threshold: float
) -> Selection:
    """Positions for the proposals of a report.

    Args:
        code_threshold: probability, in [0, 1], from which a code is chosen by itself.
        review_threshold: probability from which it is listed for review.
    """
    able = tuple(p for p in proposals.present if p.probability >= review_threshold)
    sure = tuple(p for p in able if p.probability >= code_threshold)
    imposed = _imposed(report, edition)
    dr: Choice | None = None
    runner_up = None
    dp: Choice | None
    if imposed is not None:
        motive, dp = imposed
        if motive.dr == "condition":
            dr = _related(report, dp, motive, sure)
    else:
        # A stay has a DP: the choice is open to less certain wordings too, which weigh less.
        candidates = [p for p in able if "dp" in p.positions and p.probability >= DP_FLOOR]
        has_primary = any(_PRIMARY.match(p.code) for p in candidates)
        ranked = sorted((_as_dp(report, p, has_primary) for p in candidates), key=_order)
        dp = _choice_dp(ranked[0]) if ranked else None
        if len(ranked) > 1 and ranked[0].score - ranked[1].score < _CLOSE:
            runner_up = _why_not(ranked[1], ranked[0])
    taken = {c.proposal.code for c in (dp, dr) if c}
    das, review = _associated(report, able, sure, taken)
    review += [
        _review(p, "das", "évoqué comme une hypothèse, jamais confirmé : à coder seulement s'il est retenu à la sortie")
        for p in proposals.doubtful
    ]
    return Selection(dp, dr, tuple(das), tuple(review), runner_up)


# -- the situation ------------------------------------------------------------------------------------------------


def _imposed(report: Report, edition: Cim10Edition) -> tuple[TreatmentMotive, Choice] | None:
    """The treatment that the stay was for, where the reason for admission says so, with the DP that it imposes."""
    for section in report.sections:
        if section.name not in ("motif", "entete", "autre"):
            continue
        start = section.body if section.name == "motif" else section.start
        folded, offsets = fold_with_offsets(report.text[start : section.end])
        for motive in treatments():
            match = motive.find(folded)
            if match is None or motive.nature not in _IMPOSING or motive.code is None:
                continue
            a, b = start + offsets[match.start()], start + offsets[match.end() - 1] + 1
            sentence = report.sentence_at(a)
            if sentence is None or report.context_at(a, b) & {"negated", "hypothesis", "history", "family"}:
                continue
            around = fold(report.text[report.sentences[sentence].start : b])
            opens = sentence == 0 and _OPENING.match(around) is not None
            if section.name != "motif" and not opens and "hospitali" not in around and "admis" not in around:
                continue
            if not _PURPOSE.search(around):
                continue
            code = default_child(edition, motive.code.replace(".", ""))
            if code is None or not edition.is_allowed(code, "dp"):
                continue
            evidence = Evidence(
                quote=report.text[a:b], start=a, end=b, section=section.name, probability=0.95,
                context=tuple(sorted(report.context_at(a, b))),
            )  # fmt: skip
            proposal = Proposal(code, edition.entry(code).label, 0.95, (evidence,), ("dp", "dr", "das"))
            reasons = (f"séjour motivé par : {motive.label}",)
            return motive, Choice(proposal, "dp", motive.rule_id, reasons)
    return None


def _related(report: Report, dp: Choice, motive: TreatmentMotive, sure: Sequence[Proposal]) -> Choice | None:
    """The disease treated, as DR: of the kind that the treatment is for, nearest to the reason for admission."""
    able = [p for p in sure if "dr" in p.positions and _in_categories(p.code, motive.dr_categories)]
    if not able:
        return None
    where = dp.proposal.evidence[0].start

    def rank(proposal: Proposal) -> tuple[int, int, float]:
        in_motive = not any(e.section == "motif" for e in proposal.evidence)
        secondary = bool(re.match(r"C7[7-9]", proposal.code))
        distance = min(abs(e.start - where) for e in proposal.evidence)
        return (int(in_motive), int(secondary), distance)

    best = min(able, key=rank)
    rule = position_rule("dr", best.code, dp.proposal.code)
    return Choice(best, "dr", rule.id, (f"maladie traitée par : {motive.label}", *best.reasons))


def _in_categories(code: str, categories: Sequence[str]) -> bool:
    for expression in categories:
        low, _, high = expression.replace(".", "").partition("-")
        if low <= code[: len(low)] <= (high or low):
            return True
    return not categories


# -- the DP -------------------------------------------------------------------------------------------------------

_CLOSE = 1.5


def _as_dp(report: Report, proposal: Proposal, has_primary: bool) -> _Scored:
    """How much speaks for a proposal as DP, with the reasons in French.

    Args:
        has_primary: a primary cancer is attested too, which goes before its metastases.
    """
    score, reasons = 2.0 * proposal.probability, []
    sections = proposal.sections
    in_conclusion = [e for e in proposal.evidence if e.section == "conclusion"]
    if in_conclusion:
        score += 2.0
        reasons.append("énoncé en conclusion")
        first = min(in_conclusion, key=lambda e: e.start)
        section = next(s for s in report.sections if s.start <= first.start < s.end)
        share = (first.start - section.body) / max(1, section.end - section.body)
        score += 1.0 * (1.0 - min(1.0, share))
        before = fold(report.text[max(section.start, first.start - 90) : first.start])
        if _FINAL.search(before) and "," not in before.rsplit("diagnostic", 1)[-1]:
            score += 2.0
            reasons.append("donné comme diagnostic final")
        if _IN_STAY.search(before):
            score -= 2.0
    if "motif" in sections or any(_motivates(report, e) for e in proposal.evidence):
        score += 1.5
        reasons.append("motif de l'hospitalisation")
    elif "histoire" in sections:
        score += 0.5
    if "operatoire" in sections or "evolution" in sections:
        score += 0.5
        reasons.append("pris en charge pendant le séjour")
    if "antecedents" in sections and "motif" not in sections:
        score -= 1.0
    if sections <= {"antecedents", "comorbidites", "mode_de_vie", "identite"}:
        score -= 2.5
    score += 0.2 * min(4, len(proposal.evidence))
    code = proposal.code
    if code.startswith(_SYMPTOM):
        score -= 2.0
    if code.startswith("Z"):
        score -= 3.0
    if re.match(r"[BE]|I1|D[5-8]", code):
        score -= 0.5
    if has_primary and _SECONDARY.match(code):
        score -= 1.0
    if re.match(r"F17|E66|E78|I10", code):
        score -= 0.5
    if _is_unstructured(report):  # what a note in one piece is about comes first
        score += 1.5 * (1.0 - min(e.start for e in proposal.evidence) / len(report.text))
    score += 0.15 * min(5, len(code) - 3) if code[-1] not in "89" else 0.0
    return _Scored(proposal, score, tuple(reasons))


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
    return Choice(best.proposal, "dp", rule.id, (*best.reasons, *best.proposal.reasons))


def _why_not(second: _Scored, first: _Scored) -> str:
    lacking = [reason for reason in first.reasons if reason not in second.reasons]
    why = f"il lui manque : {', '.join(lacking)}" if lacking else "moins affirmé dans le compte rendu"
    return f"{cim10_display(second.proposal.code)} {second.proposal.label} ; {why}"


# -- the DAS ------------------------------------------------------------------------------------------------------


def _associated(
    report: Report, able: Sequence[Proposal], sure: Sequence[Proposal], taken: set[str]
) -> tuple[list[Choice], list[ReviewItem]]:
    das: list[Choice] = []
    review: list[ReviewItem] = []
    certain = {p.code for p in sure}
    for proposal in able:
        if proposal.code in taken:
            continue
        if "das" not in proposal.positions:
            continue
        if proposal.code not in certain:
            review.append(_review(proposal, "das", "formulation trop éloignée du libellé pour être codée d'office"))
            continue
        why_not = _explained(proposal.code, certain) or _not_das(report, proposal)
        if why_not:
            review.append(_review(proposal, "das", why_not))
            continue
        rule = position_rule("das", proposal.code)
        das.append(Choice(proposal, "das", rule.id, (_why_das(report, proposal), *proposal.reasons)))
    das.sort(key=lambda c: (c.proposal.code.startswith("Z"), min(e.start for e in c.proposal.evidence)))
    return das, review


def _explained(code: str, others: set[str]) -> str | None:
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
    listed = sections & {"antecedents", "traitement_entree"}
    if proposal.code.startswith(_SYMPTOM):
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
    return any(_CARE.search(fold(report.text[s.start : s.end])) for s in map(report.sentences.__getitem__, sentences))


def _why_das(report: Report, proposal: Proposal) -> str:
    if proposal.code.startswith("Z8") or proposal.code.startswith("Z9"):
        return "antécédent ou état qui compte pour le séjour"
    if "conclusion" in proposal.sections:
        return "énoncé en conclusion"
    if proposal.sections & _DONE or _cared_for(report, proposal):
        return "pris en charge pendant le séjour"
    return "affection en cours"


def _review(proposal: Proposal, position: CodeType, reason: str) -> ReviewItem:
    return ReviewItem(
        code=proposal.code,
        display=cim10_display(proposal.code),
        label=proposal.label,
        position=position,
        probability=proposal.probability,
        reason=reason,
        evidence=proposal.evidence[:1],
    )
