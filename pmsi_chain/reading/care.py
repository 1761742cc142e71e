"""Whether a sentence says that something was done: treated, supplied, watched, operated, asked about.

A DAS was diagnosed, treated or watched (Guide MCO 2026, ch. IV): these words show it.
"""

from __future__ import annotations

import re

_CARE = re.compile(
    r"\b(?:trait|corrig|compens|supplement|complement|antibiot|transfus|surveill|adapt|ajust|majore|introdu|relais|"
    r"poursui|substitu|recharg|oxygen|perfus|anticoag|insulin|dialys|operat|opere|drain|ponction|prise? en charge|"
    r"reequilibr|regime|administr|prescri|mis(?:e|es)? (?:sous|en place|en route)|sous\b|debut|instaur|bilan|avis|"
    r"consultation|explor|(?:re)?hydrat|remplissage|restriction|sond(?:e|age)|lavement|laxatif|enrichi|hyperprotein|"
    r"dietet|orthophon|kine\b|kinesi|reeduc|mobilis|contention|immobilis|attelle|platre|suture|pare(?:e|es|s)?\b|"
    r"parage|referm|nettoy|debrid|pansement|detersion|greffe|reduction|reduit|resection|exerese|ablation|embolis|"
    r"soign|soulag|antalg|morphin|corticoid|collyre|creme|pommade|vitamin|matelas|isolement|suspen|interromp|"
    r"arretee?\b|diminu|augment|modifi|leve[er]?s? (?:en|grace|par|apres)|(?:gueri|regress|resol|cede)\w* (?:avec|sous|"
    r"grace|apres|par)|normalis|amelior|stabilis|equilibr|conseil|propos|evalu|depist|appareill|vaccin|vni\b|cpap|ppc\b|"
    r"pose (?:d|de)|posee?s?\b|intub|ventil|reanim|nutrition|recad|apais|psycholog|accompagn)|"
    r"\bmg\b|\bml/h\b|"
    # … or a drug that is given for it
    r"\b(?:metformine|aspirine|\w{3,}(?:pril|sartan|olol|statine|dipine|gliflozine|gliptine|prazole|xaban|parine|"
    r"cilline|mycine|floxacine|setron|thyroxine|conazole|azepam|semide|dronate))\b"
)
#: How a sentence refers back to what the one before it tells: « Elle a été corrigée », « Cette poussée ».
_REFERS_BACK = re.compile(r"\s*(?:elles?|ils?|celle-ci|celui-ci|cel(?:a|ui)|cette|cet|ce|ces)\b")


def tells_care(folded: str) -> bool:
    """Whether a folded sentence tells a care."""
    return _CARE.search(folded) is not None


def refers_back(folded: str) -> bool:
    """Whether a folded sentence begins with a word that stands for what was told before it."""
    return _REFERS_BACK.match(folded) is not None
