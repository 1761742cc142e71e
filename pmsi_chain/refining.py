"""A code to its most precise form: the sibling whose own words stand where the condition is told.

CIM-10 tells codes of one family apart by a few words (« utilisation actuelle », « hypoxique », « d'origine biliaire »)
or by a measure (« FEVG inférieure à 40 »). They are often said beside the condition, not inside its name. A sibling
replaces the present code only with a margin: without one, the code « sans précision » stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from pmsi_chain.measures import by_measure, printed_range
from pmsi_chain.nomenclature import Cim10Edition
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.reading import Report
from pmsi_chain.reading.context import NOT_PRESENT
from pmsi_chain.selection import Proposal
from pmsi_chain.text import STOP_WORDS, fold, stem, word_spans, words

_MAX_FAMILY = 60
#: Share of a sibling's own words, weighted by how few siblings have them, that must be said beside the condition or
#: anywhere in its sentence; and by how much it must beat every other sibling.
_BESIDE, _SAID, _MARGIN = 0.45, 0.74, 0.2
#: Words that count as said beside a condition: before it, and after it.
_BEFORE, _AFTER = 2, 7
_VAGUE = frozenset(
    stem(w).rstrip("e")
    for w in (
        "sans", "precision", "autre", "autres", "non", "precise", "precisee", "precises", "precisees", "classe",
        "classee", "classes", "ailleurs", "personne", "mention", "origine", "type", "avec", "indication", "forme",
        "formes", "siege", "localisation", "parties", "region",
    )
)  # fmt: skip
#: The fifth character of codes that tell the site of a disease of joints or of the spine, and its label.
_SEVERAL_SITES, _SITES_LABEL = "0", re.compile(r" - (?:Sièges|Localisations vertébrales) multiples$")
#: Fifth characters that name no site.
_NO_SITE_YET = ("", "9")
#: Where the sites of a disease end, and how several are told at once.
_SITES_END = re.compile(r"[,;:.()\n]|\b(?:protheses?|fractures?|antecedents?|sequelles?|depuis|trait\w+)\b")
_SITES_SAID = re.compile(
    r"(?:sieges?|localisations?|articulations?|atteintes?) multiples|multiples (?:sieges|localisations|articulations)"
)
_NO_SITE = frozenset(
    stem(w).rstrip("e") for w in ("articulation", "articulations", "région", "siège", "sièges", "multiples", "autres",
    "localisations", "vertébrales", "précisé", "parties")
)  # fmt: skip
_NEGATIONS = frozenset({"sans", "non"})
_ASIDE = re.compile(r",? y compris\b.*|\([^)]*\)")
_WITHOUT = re.compile(r"\bsans (?!précision|indication|autre).*")
_BRACKETED = re.compile(r"\[([^\]]*)\]")
#: Words of reports for words of labels, where no stem joins them.
_SAID_AS = {
    "hypoxemique": "hypoxique", "hypoxemiante": "hypoxique", "hypoxie": "hypoxique", "hypercapnie": "hypercapnique",
    "cardio-embolique": "embolie", "cardioembolique": "embolie", "embolique": "embolie", "thrombotique": "thrombose",
    "ferme": "fermee", "ouvert": "ouverte", "permanente": "permanente", "valvulaire": "valvulaire",
    "ethylique": "alcoolique", "lithiasique": "biliaire", "iatrogene": "medicamenteuse", "delirium": "delirium",
    "tremens": "delirium", "sevre": "abstinente", "abstinent": "abstinente", "actif": "actuelle", "active": "actuelle",
    "actuellement": "actuelle", "actuel": "actuelle", "persistent": "persistant",
    "persiste": "persistant", "primitive": "primaire", "primitif": "primaire",
    "saignement": "hemorragie", "hemorragique": "hemorragie", "perfore": "perforation", "perforee": "perforation",
    "delirant": "psychotiques", "delirantes": "psychotiques", "hallucinations": "psychotiques",
    "convulsive": "convulsions", "convulsives": "convulsions", "comitiale": "convulsions",
    "consommation": "utilisation", "consommateur": "utilisation", "consommatrice": "utilisation",
}  # fmt: skip


def refine(report: Report, edition: Cim10Edition, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Replace codes by the more precise sibling that the words around their proofs, or a measure, support."""
    refined: dict[str, Proposal] = {}
    for proposal in proposals:
        found = _of_several_sites(report, edition, _refined(report, edition, proposal))
        found = _by_intake(report, edition, _measured(report, edition, found))
        refined[found.code] = merged(refined[found.code], found) if found.code in refined else found
    return list(refined.values())


def merged(first: Proposal, second: Proposal) -> Proposal:
    """One proposal for a code that two wordings give."""
    best, other = (first, second) if first.probability >= second.probability else (second, first)
    places = {(e.start, e.end): e for e in (*other.evidence, *best.evidence)}
    ordered = sorted(places.values(), key=lambda e: (-(e.probability or 0.0), e.start))
    return replace(
        best,
        evidence=tuple(ordered),
        context=first.context & second.context,
        reasons=tuple(dict.fromkeys((*best.reasons, *other.reasons))),
        rivals=tuple(c for c in dict.fromkeys((*best.rivals, *other.rivals)) if c != best.code),
    )


def _refined(report: Report, edition: Cim10Edition, proposal: Proposal, depth: int = 0) -> Proposal:
    """The proposal by its most precise sibling; first among the subcategories, then inside the one that is said."""
    family = _family(edition, proposal.code)
    if len(family) < 2 or len(family) > _MAX_FAMILY or depth > 1:
        return proposal
    own = _own_words(edition, family)
    beside, said = _said(report, proposal)
    own = {code: _unless_said(edition.entry(code).label, variants, said) for code, variants in own.items()}
    ranked = []
    for code in family:
        near = max((_support(words, beside, own) for words in own[code]), default=0.0)
        wide = max((_support(words, said, own) for words in own[code]), default=0.0)
        ranked.append((max(near if near >= _BESIDE else 0.0, wide if wide >= _SAID else 0.0), near, code))
    sizes = {code: max((len(words) for words in own[code]), default=0) for code in family}
    ranked.sort(key=lambda item: (-item[0], -item[1], -sizes[item[2]], len(item[2]), item[2]))
    support, _, best = ranked[0]
    if best == proposal.code or support == 0.0:
        return proposal
    # What the present code says and the best one says too speaks for neither.
    present = max((_support(words, said, own) for words in own[proposal.code]), default=0.0)
    if not _says_less(own[proposal.code], own[best]) and support < present + _MARGIN:
        return proposal
    rivals = [
        code
        for s, _, code in ranked[1:]
        if s > support - _MARGIN and not code.startswith(best) and not _says_less(own[code], own[best])
    ]
    if rivals:  # several say as much: what they have in common, if that is more than what is coded now
        shared = _shared_start([best, *rivals])
        child = default_child(edition, shared) if len(shared) > 3 else None
        if child is None or child == proposal.code or proposal.code.startswith(shared):
            return proposal
        best = child
    refined = _replaced(edition, proposal, best, "précisé par les mots qui l'entourent")
    return refined if refined is proposal else _refined(report, edition, refined, depth + 1)


def _says_less(some: Sequence[frozenset[str]], more: Sequence[frozenset[str]]) -> bool:
    """Whether every wording's own words are among those of a wording of the other code."""
    return all(any(words < others for others in more) for words in some)


def _shared_start(codes: Sequence[str]) -> str:
    """The characters that all codes begin with."""
    shortest = min(codes, key=len)
    size = next((i for i, c in enumerate(shortest) if any(code[i] != c for code in codes)), len(shortest))
    return shortest[:size]


def _of_several_sites(report: Report, edition: Cim10Edition, proposal: Proposal) -> Proposal:
    """« polyarthrite des mains et des genoux » by its fifth character « Sièges multiples » (CIM-10 FR, ch. XIII)."""
    code = proposal.code[:4] + _SEVERAL_SITES
    several = edition.get(code) if proposal.code[0] == "M" and proposal.code[4:] in _NO_SITE_YET else None
    if several is None or not _SITES_LABEL.search(several.label):
        return proposal
    labels = [edition.entry(child).label.rpartition(" - ")[2] for child in edition.children(proposal.code[:4])]
    for evidence in proposal.evidence:
        index = report.sentence_at(evidence.start)
        if index is None:
            continue
        behind = _SITES_END.split(fold(report.text[evidence.start : report.sentences[index].end]), maxsplit=1)[0]
        told = _content(behind) - _NO_SITE
        said = [sites for label in labels if (sites := _content(label) & told)]
        # « lombaire » stands in two labels of the spine, « cheville et pied » is one site
        joints = several.label.endswith("Sièges multiples") and len(said) > 1 and len(frozenset().union(*said)) > 1
        if joints or _SITES_SAID.search(behind):
            return _replaced(edition, proposal, code, "plusieurs sièges nommés")
    return proposal


def _measured(report: Report, edition: Cim10Edition, proposal: Proposal) -> Proposal:
    """The extension that the value of the stay gives, with the value as a proof."""
    root = proposal.code[:4]
    labels = [(c, edition.entry(c).label) for c in edition.children(root) if edition.is_allowed(c, "das")]
    found = by_measure(report, labels) if proposal.code[:3] in _MEASURED and len(labels) > 1 else None
    if found is None or found[0] == proposal.code:
        return proposal
    code, value = found
    replaced = _replaced(edition, proposal, code, "extension donnée par la valeur mesurée")
    if replaced is proposal:
        return proposal
    return replace(replaced, evidence=(*proposal.evidence, report.proof(value.start, value.end)))


def _by_intake(report: Report, edition: Cim10Edition, proposal: Proposal) -> Proposal:
    """« obésité (IMC 33) liée à des apports excessifs » by E66.0, its fifth character kept (CIM-10 FR, ch. IV)."""
    code = _BY_INTAKE + proposal.code[4:]
    if not proposal.code.startswith(_OBESITY) or code not in edition:
        return proposal
    near = {report.sentence_at(e.start) for e in proposal.evidence} - {None}
    for _, start, end in report.matches(_EXCESS):
        index = report.sentence_at(start)
        beside = index is not None and near & {index - 1, index, index + 1}
        if beside and not report.context_at(start, end) & NOT_PRESENT:
            replaced = _replaced(edition, proposal, code, "excès d'apports dit par le texte")
            return replace(replaced, evidence=(*replaced.evidence, report.proof(start, end)))
    return proposal


#: Obesity without a cause and by too many calories: the fifth characters, the measured index, are the same.
_OBESITY, _BY_INTAKE = "E669", "E660"
_EXCESS = re.compile(
    r"(?:exces|surplus) (?:d'apports? )?(?:caloriques?|alimentaires?)|obesite (?:liee a un |par )?exces d'apports?|"
    r"obesite d'apports? excessifs?|suralimentation|obesite commune|grignotage|"
    r"apports? (?:caloriques?|alimentaires?|energetiques?) (?:\w+ ){0,2}(?:excessifs?|excedentaires?)"
)
#: Categories whose labels print ranges of a measure.
_MEASURED = frozenset({"I50", "I11", "I13", "E66", "E87"})


def _replaced(edition: Cim10Edition, proposal: Proposal, code: str, reason: str) -> Proposal:
    if not all(edition.is_allowed(code, position) for position in proposal.positions):
        return proposal
    return replace(
        proposal,
        code=code,
        label=edition.entry(code).label,
        reasons=(*proposal.reasons, reason),
        rivals=(proposal.code, *proposal.rivals),
    )


def _family(edition: Cim10Edition, code: str) -> tuple[str, ...]:
    """The code itself and the codable codes split from the same four characters; of the category for its vague code."""
    stands_for_all = code == default_child(edition, code[:3]) or code[3:4] == "9"
    says_none = "sans complication" in fold(edition.entry(code).label)  # « sans complication » is precise
    root = code[:3] if stands_for_all and not says_none else code[:4]
    return tuple(
        c
        for c in (root, *edition.descendants(root))
        if (entry := edition.get(c)) and edition.is_allowed(c, "das") and (c == code or not printed_range(entry.label))
    )


Sets = dict[str, tuple[frozenset[str], ...]]


def _own_words(edition: Cim10Edition, family: Sequence[str]) -> Sets:
    return _own_words_of(tuple((code, edition.entry(code).label) for code in family))


@lru_cache(maxsize=2048)
def _own_words_of(labels: tuple[tuple[str, str], ...]) -> Sets:
    """Per code, the words that not every label of the family has; once more with what stands in brackets alone."""
    sets = {code: [_content(variant) for variant in _variants(label)] for code, label in labels}
    everywhere = frozenset.intersection(*(found[0] for found in sets.values()))
    return {
        code: tuple(own for found in variants if (own := found - everywhere - _VAGUE))
        for code, variants in sets.items()
    }


def _variants(label: str) -> list[str]:
    """« … de type I [hypoxique] » is said by its brackets or by what stands outside them.

    What a label denies need not be said: « épisode dépressif sévère » is the one « sans symptômes psychotiques ».
    """
    bare = _ASIDE.sub(" ", label)
    variants = [_BRACKETED.sub(r" \1 ", bare), _BRACKETED.sub(" ", bare), " ".join(_BRACKETED.findall(bare))]
    return [*variants, _WITHOUT.sub(" ", variants[1])] if _WITHOUT.search(variants[1]) else variants


def _unless_said(label: str, variants: tuple[frozenset[str], ...], said: frozenset[str]) -> tuple[frozenset[str], ...]:
    """The wordings of a label; none where what it denies is said."""
    found = _WITHOUT.search(label)
    denied = (_content(found.group()) - _NEGATIONS - _VAGUE) & said if found else frozenset()
    return () if denied else variants


def _content(text: str) -> frozenset[str]:
    """Stems that tell labels apart: content words, and the negations and numbers among them."""
    return frozenset(_form(w) for w in words(re.sub(r"\bFEVG\b", "", text)) if w not in STOP_WORDS or w in _NEGATIONS)


@lru_cache(maxsize=8192)
def _form(word: str) -> str:
    """A word without what only agrees: « inférieur » and « inférieure » are one, and « 3b » is a 3."""
    if len(word) == 2 and word[0].isdigit() and word[1] in "abc":
        return word[0]
    return stem(_SAID_AS.get(word, word)).rstrip("e") or word


def _said(report: Report, proposal: Proposal) -> tuple[frozenset[str], frozenset[str]]:
    """Stems said beside its proofs, and in the sentences that hold them; what is denied there is not said."""
    beside: set[str] = set()
    whole: set[str] = set()
    for evidence in proposal.evidence:
        index = report.sentence_at(evidence.start)
        if index is None:
            continue
        sentence = report.sentences[index]
        spans = [
            (word, sentence.start + a, sentence.start + b)
            for word, a, b in word_spans(report.text[sentence.start : sentence.end])
            if word not in STOP_WORDS or word in _NEGATIONS
        ]
        before = [s for s in spans if s[2] <= evidence.start][-_BEFORE:]
        inside = [s for s in spans if evidence.start <= s[1] < evidence.end]
        after = [s for s in spans if s[1] >= evidence.end][:_AFTER]
        denied = {following for (word, _, _), following in pairwise(spans) if word == "non"}  # « non hémorragiques »
        affirmed = [
            s
            for s in spans
            if s not in denied and (s[0] in _NEGATIONS or "negated" not in report.context_at(s[1], s[2]))
        ]
        whole |= {_form(word) for word, _, _ in affirmed}
        close = set(before + inside + after)
        beside |= {_form(word) for word, a, b in affirmed if (word, a, b) in close}
    return frozenset(beside), frozenset(whole)


def _support(own: frozenset[str], said: frozenset[str], sets: Sets) -> float:
    """Share of a code's own words that are said, each weighted by how few codes of the family have it."""
    if not own:
        return 0.0
    weights = {word: _rarity(word, sets) for word in own}
    total = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in said) / total if total else 0.0


def _rarity(word: str, sets: Sets) -> float:
    holding = sum(any(word in own for own in variants) for variants in sets.values())
    return math.log(1.0 + len(sets) / holding)
