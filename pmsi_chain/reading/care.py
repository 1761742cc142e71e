"""Whether a sentence says that something was done: treated, supplied, watched, operated, asked about.

A DAS was diagnosed, treated or watched (Guide MCO 2026, ch. IV): these words show it.
"""

from __future__ import annotations

import re

_CARE = re.compile(
    r"(?<!non )(?<!sans )(?<!pas de )(?<!aucun )(?<!aucune )"
    r"\b(?:trait(?:e|ant)|corrig|compens|supplement|complement(?:s|ation)\b|antibiot|transfus|surveill|adapt|ajust|"
    r"majoree?s?\b|majoration|introdu|relais|poursui|substitu|recharg|oxygen|perfus|anticoag|insulin|dialys|operat|"
    r"operee?s?\b|drain|ponction|prise? en charge|reequilibr|regime|administr|prescri|mis(?:e|es)? (?:sous|en place|"
    r"en route)|sous\b(?!-| (?:pilule|contracepti|oestroprog))|"
    r"debute|instaur|bilan|avis|consultation|explor|(?:re)?hydrat|remplissage|restriction|"
    r"sond(?:e|age)|lavement|laxatif|enrichi|hyperprotein|dietet|orthophon|kine\b|kinesi|reeduc|mobilis|contention|"
    r"immobilis|attelle|platre|suture|paree?s?\b|parage|referm|nettoy|debrid|pansement|detersion|greffe|resection|"
    r"exerese|ablation|embolis|soign|soulag|(?<!position )antalg|morphin|corticoid|collyre|creme|pommade|vitamin|"
    r"matelas|isolement|suspendu|interromp|levee? (?:en|grace|par|apres)|"
    r"(?:gueri|regress|resol|cede)\w* (?:avec|sous|grace|apres|par)|"
    r"normalis|amelior|stabilis|equilibr|conseil|proposee?s?\b|depist|appareill|vni\b|cpap|ppc\b|posee?s? (?:puis|pour|"
    r"le|a|en|par|jusqu)|pose d|a ete posee?|intub|ventil|reanim|nutrition|recadr|psycholog|accompagnement)|"
    r"\bmg\b(?! ?/ ?(?:d?l|24))|"
    # … or a drug that is given for it
    r"\b(?:metformine|aspirine|\w{3,}(?:pril|sartan|olol|statine|dipine|gliflozine|gliptine|prazole|xaban|parine|"
    r"cilline|mycine|floxacine|setron|thyroxine|conazole|azepam|semide|dronate))\b"
)
#: How a sentence refers back to what the one before it tells: « Elle a été corrigée », « Cette poussée ».
_REFERS_BACK = re.compile(
    r"\s*(?:celle-ci|celui-ci|cela|"
    r"(?:cette|cet|ce|ces) (?!patient|malade|monsieur|dame|homme|femme|jour|matin|soir|mois)|"
    r"(?:elle|il)s? (?:a|ont|avait|avaient) (?:ete|cede|regresse|disparu)\b)"
)


def tells_care(folded: str) -> bool:
    """Whether a folded sentence tells a care."""
    return _CARE.search(folded) is not None


def refers_back(folded: str) -> bool:
    """Whether a folded sentence begins with a word that stands for what was told before it."""
    return _REFERS_BACK.match(folded) is not None
