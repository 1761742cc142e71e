"""Extensions told away from the name of the disease: insulin, first care of an infarction, bleeding, drinking today."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pmsi_chain.domain import Evidence
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.reading import Report
from pmsi_chain.reading.context import NOT_NOW
from pmsi_chain.selection import Proposal
from pmsi_chain.text import fold, words

#: Probability of what a turn of phrase of these tables tells.
_TOLD = 0.9

_INSULIN = re.compile(
    r"insulino-?(?:requerant|traite|necessitant|dependan)\w*|"
    r"(?:traitee?|equilibree?|sous|recoit|recevait|par|prenait|traitement)\s+(?:\w+\s+){0,4}?(?:a\s+)?(?:l')?\s?insuline\b|"
    r"insulinotherapie|pompe a insuline|insuline (?:glargine|lente|detemir|degludec|aspart|lispro|basale)"
)
#: Sections that tell the treatment at home, and words of an insulin for the time of a stay, which does not count
#: (Guide MCO 2026, ch. V, Diabète de type 2 traité par insuline, p. 89).
_HOME = frozenset({"antecedents", "traitement_entree", "traitement_sortie", "motif", "histoire", "conclusion", "entete",
                   "comorbidites", "mode_de_vie", "autre"})  # fmt: skip
_FOR_A_TIME = re.compile(r"transitoire|temporaire|ponctuel|ivse|seringue|relais|perop|postop|pendant (?:le|l'|son|la)")

#: I21.x8 and I22.x8, « autres prises en charge ».
_OTHER_CARE = re.compile(r"I2[12]\d8$")
_REPERFUSED = re.compile(
    r"angioplastie|\bstents?\b|endoprothese active|thrombolyse|fibrinolyse|tenecteplase|alteplase|thrombo-?aspiration|"
    r"desobstru\w+|reperfusion|coronarographie"
)
#: A unit that receives the patient after the intensive care, or sends him there, is not the first
#: (Guide MCO 2026, ch. V, Infarctus du myocarde, p. 105).
_FROM_OR_TO_INTENSIVE_CARE = re.compile(
    r"(?:transfer\w+|mut(?:ee?|ation)|provenance|adressee?|retour|au decours)[^.;\n]{0,40}(?:\busic\b|soins intensifs)"
)
#: An infarction of 24 hours at most, by a number of hours or by a care that is only given then.
_HOURS = re.compile(
    r"(?:(?<!\d)(?<!\d )\bh ?\+? ?|(?:depuis|il y a|dans les) (?:environ )?)(\d{1,2})"
    r"(?: ?(?:h|heures?))?\b(?! ?[jsma])|"
    r"(\d{1,2}) ?(?:h|heures?) (?:\d{1,2} )?(?:apres|de douleur|d'evolution|avant)"
)
_AT_ONCE = re.compile(
    r"angioplastie primaire|thrombolyse|fibrinolyse|tenecteplase|alteplase|\bsmur\b|\bsamu\b|directement en salle|"
    r"transfert direct|phase hyper-?aigue|heures? (?:et demie )?apres le debut"
)
_DAY = 24


@dataclass(frozen=True, slots=True)
class _Beside:
    """A code that words of the same sentence make precise.

    Attributes:
        said: the words; the group « said » is what must be told of today.
        unless: words of the sentence with which they say something else.
    """

    code: str
    said: re.Pattern[str]
    precise: str
    reason: str
    unless: re.Pattern[str] = re.compile("$^")


_SAID_BESIDE = (
    _Beside(
        "D509",
        re.compile(
            r"\b(?:dues?|liee?s?|secondaires?|consecutives?|attribuee?s?|imputee?s?|rapportee?s?|en rapport|sur|par)\b "
            r"(?:aux? |a |avec )?(?:une? |des? |les? |la |l'|d')?(?!risque)(?:[\w-]+ ){0,3}?(?<!risque )"
            r"(?P<said>saignement|hemorrag(?!iq)|hemorro|pertes? (?:de sang|sanguine)|metrorr|menorr|menometrorr|"
            r"hematurie|melena|rectorr|spoliation|regles abondantes)"
        ),
        "D500",
        "carence en fer par perte de sang",
    ),
    _Beside(
        "F102",
        re.compile(
            r"(?P<said>(?:toujours|encore) (?:active|consomm)|"
            r"consommation (?:\w+ )?(?:actuelle|quotidienne|persistante|poursuivie)|"
            r"poursui(?:t|vi|te|vie) (?:de )?(?:sa|la|une) consommation|"
            r"(?<!ne )(?<!en )\b(?:boit|consomme) (?!plus|pas|jamais)|non sevree?\b|"
            r"(?:verres?|bouteilles?|litres?|bieres?|unites|canettes?)[^.;\n]{0,25}(?:par jour|/ ?j|quotidien)|"
            r"refus\w* (?:de |d'|du |le |tout )?sevrage|n'a pas souhaite (?:d')?arreter)"
        ),
        "F1024",
        "consommation actuelle",
        re.compile(r"(?<!non )\bsevre|abstinen|jusqu'en|tabac|tabagi|cannabi|d'eau\b|\bbuvait"),
    ),
)


def extended(report: Report, edition: Cim10Edition, proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals, with the extension of those whose extension is told elsewhere in the report."""

    def told(pattern: re.Pattern[str], fits: Callable[[re.Match[str], int, int], bool]) -> Evidence | None:
        for match, start, end in report.matches(pattern):
            if fits(match, start, end):
                return report.proof(start, end, _TOLD)
        return None

    def at_home(_: re.Match[str], start: int, end: int) -> bool:
        section = report.section_at(start)
        if words(report.text[max(0, start - 12) : start])[-1:] == ["non"] or "negated" in report.context_at(start, end):
            return False
        index = report.sentence_at(start)
        around = "" if index is None else fold(report.text[report.sentences[index].start : report.sentences[index].end])
        return section in _HOME and not (section == "autre" and _FOR_A_TIME.search(around))

    def now(_: re.Match[str], start: int, end: int) -> bool:
        return report.section_at(start) != "antecedents" and not report.context_at(start, end) & NOT_NOW

    def within_a_day(match: re.Match[str], start: int, end: int) -> bool:
        hours = next((int(group) for group in match.groups() if group), 0)
        return hours <= _DAY and now(match, start, end)

    insulin = {p.code: p.code[:-1] + "0" for p in proposals if _takes_insulin(p.code)}
    proof = told(_INSULIN, at_home) if insulin else None
    if proof is not None:
        proposals = _extended(edition, proposals, insulin, (proof,), "insuline au long cours")
    infarctions = [p.code for p in proposals if _OTHER_CARE.match(p.code)]
    proof = told(_REPERFUSED, now) if infarctions and not _FROM_OR_TO_INTENSIVE_CARE.search(report.folded) else None
    if proof is not None:
        early = told(_HOURS, within_a_day) or told(_AT_ONCE, now)
        ending, proofs = ("00", (proof, early)) if early is not None else ("0", (proof,))
        first = {code: code[:-1] + ending for code in infarctions}
        proposals = _extended(edition, proposals, first, proofs, "première prise en charge de l'infarctus")
    for row in _SAID_BESIDE:
        known = {p.code: p for p in proposals}
        proof = _proof_beside(report, known[row.code], row) if row.code in known and row.precise not in known else None
        if proof is not None:
            proposals = _extended(edition, proposals, {row.code: row.precise}, (proof,), row.reason)
    return list(proposals)


def _proof_beside(report: Report, proposal: Proposal, row: _Beside) -> Evidence | None:
    """The words of a row in a sentence that proves a proposal, told of today."""
    for index in dict.fromkeys(report.sentence_at(e.start) for e in proposal.evidence):
        if index is None or next(report.matches(row.unless, report.sentences[index]), None) is not None:
            continue
        for _, start, end in report.matches(row.said, report.sentences[index], "said"):
            if not report.context_at(start, end) & NOT_NOW:
                return report.proof(start, end, _TOLD)
    return None


def _takes_insulin(code: str) -> bool:
    """Whether a code of type 2 diabetes says that there is no insulin, or does not say (E11.-8)."""
    return code.startswith("E11") and code.endswith("8") and len(code) == 5


def _extended(
    edition: Cim10Edition,
    proposals: Sequence[Proposal],
    codes: Mapping[str, str],
    proofs: tuple[Evidence, ...],
    reason: str,
) -> list[Proposal]:
    """The proposals, those whose code is a key of `codes` under its value, with the proofs and the reason of it."""
    out = []
    for proposal in proposals:
        code = codes.get(proposal.code)
        if code is not None and edition.is_allowed(code, "das"):
            proposal = replace(
                proposal,
                code=code,
                label=edition.entry(code).label,
                evidence=(*proposal.evidence, *proofs),
                reasons=(*proposal.reasons, reason),
            )
        out.append(proposal)
    return out
