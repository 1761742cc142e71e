"""Variants of a training expression: what clinicians drop, invert, shorten or mistype.

Every function takes a `random.Random`: the same seed gives the same training set.
"""

from __future__ import annotations

import random
import re


def seeded(seed: int) -> random.Random:
    """A generator for augmentation and sampling."""
    return random.Random(seed)  # noqa: S311 — nothing secret


_PARENTHESES = re.compile(r"\s*[(\[][^()\[\]]*[)\]]")
_SEE_ALSO = re.compile(r"\s*[-–(]*\s*\(?voir (?:aussi )?.*$", re.IGNORECASE)
_SMALL = frozenset(
    [
        "de",
        "du",
        "des",
        "la",
        "le",
        "les",
        "un",
        "une",
        "l",
        "d",
        "et",
        "ou",
        "par",
        "pour",
        "dans",
        "sur",
        "au",
        "aux",
        "avec",
        "en",
        "à",
        "a",
    ]
)
_VOWELS = frozenset("aeiouyàâäéèêëîïôöùûü")

#: Shortenings current in operating lists and problem lists, by whole word or by ending.
_SHORT_WORDS: dict[str, tuple[str, ...]] = {
    "tumeur": ("T.", "tum."), "tumeurs": ("T.", "tum."), "ablation": ("abl.",), "résection": ("résec.",),
    "avec": ("+", "av."), "sans": ("ss", "sans"), "pour": ("pr",), "une": ("1",), "un": ("1",), "deux": ("2",),
    "trois": ("3",), "quatre": ("4",), "cinq": ("5",), "six": ("6",), "ou": ("/",), "et": ("+", "&", "/"),
    "abord": ("ab.",), "droit": ("dt", "dr."), "droite": ("dte", "dr."), "gauche": ("gche", "g."),
    "unilatéral": ("unilat.",), "unilatérale": ("unilat.",), "bilatéral": ("bilat.",), "bilatérale": ("bilat.",),
    "cœlioscopie": ("coelio.", "coelio"), "coelioscopie": ("coelio.",), "laparotomie": ("laparo.", "laparo"),
    "thoracotomie": ("thoraco.",), "craniotomie": ("craniot.",), "thoracoscopie": ("thoracosc.",),
    "antérieur": ("ant.",), "antérieure": ("ant.",), "postérieur": ("post.",), "postérieure": ("post.",),
    "supérieur": ("sup.",), "supérieure": ("sup.",), "inférieur": ("inf.",), "inférieure": ("inf.",),
    "membre": ("mb",), "membres": ("mbs",), "syndrome": ("synd.", "sd", "s."), "maladie": ("mal.",),
    "insuffisance": ("insuf.",), "infarctus": ("inf.",), "aigu": ("aig.",), "aiguë": ("aig.",),
    "chronique": ("chron.",), "congénital": ("congén.",), "congénitale": ("congén.",), "vaisseaux": ("vx",),
    "vaisseau": ("vx",), "intervention": ("interv.", "itv"), "infection": ("infect.",), "fracture": ("fract.", "frac."),
    "troubles": ("tr.", "tbles"), "trouble": ("tr.",), "sans précision": ("SAI",), "circulation": ("circ.",),
    "extracorporelle": ("EC",), "artère": ("a.",), "artères": ("a.",), "veine": ("v.",), "veines": ("v.",),
    "nerf": ("n.",), "nerfs": ("n.",), "tomodensitométrie": ("TDM", "scan."), "scanographique": ("scan.",),
    "scanographie": ("scan.",), "échographie": ("écho.",), "radiographie": ("radio.",), "endoscopie": ("endosc.",),
    "transcutanée": ("transcut.",), "intraveineuse": ("IV",), "examen": ("exam.",), "prothèse": ("proth.", "PT"),
    "remnographie": ("IRM",), "électrocardiographie": ("ECG",), "liquide": ("liq.",), "vertébral": ("vert.",),
}  # fmt: skip


def plain_index_form(expression: str, rng: random.Random) -> str:
    """An alphabetical-index entry as one would say it: no brackets, no cross-reference, parts in another order."""
    bare = _SEE_ALSO.sub("", expression)
    if rng.random() < 0.7:
        previous = None
        while previous != bare:
            previous, bare = bare, _PARENTHESES.sub("", bare)
    parts = [part.strip() for part in bare.split(",") if part.strip()]
    if len(parts) > 2 and rng.random() < 0.3:
        parts.pop(rng.randrange(1, len(parts) - 1))
    if len(parts) > 1 and rng.random() < 0.3:
        parts = [parts[0], *parts[:0:-1]]
    return " ".join(parts) or expression


def abbreviate(text: str, rng: random.Random, rate: float = 0.6) -> str:
    """Words cut or replaced as in operating lists, function words dropped.

    Args:
        rate: share of the words of five letters and more that get shortened, 0–1.
    """
    out: list[str] = []
    drop_small = rng.random() < 0.85
    for raw in text.replace(",", " , ").split():
        word = raw.lower()
        if raw == ",":
            continue
        elided = re.match(r"^(?:d|l|qu)['’](.+)$", word)
        if elided and drop_small:
            word = elided.group(1)
        if word in _SHORT_WORDS and rng.random() < 0.7:
            out.append(rng.choice(_SHORT_WORDS[word]))
        elif word in _SMALL and drop_small:
            continue
        elif len(word) >= 5 and rng.random() < rate:
            out.append(truncate(word, rng))
        else:
            out.append(word)
    if len(out) > 4 and rng.random() < 0.3:
        out.pop(rng.randrange(len(out)))
    glued = " ".join(out)
    return re.sub(r"\b([1-6]) (?=[a-zéè])", r"\1", glued) if rng.random() < 0.6 else glued


def truncate(word: str, rng: random.Random) -> str:
    """`word` cut after a consonant, three letters or more kept; a dot mostly follows."""
    cuts = [i for i in range(3, min(len(word) - 1, 10)) if word[i - 1] not in _VOWELS and word[i - 1].isalpha()]
    if not cuts:
        return word
    return word[: rng.choice(cuts)] + ("." if rng.random() < 0.8 else "")


def mistype(text: str, rng: random.Random) -> str:
    """One letter of one longer word dropped, doubled or swapped with its neighbour."""
    places = [m.span() for m in re.finditer(r"\w{5,}", text)]
    if not places:
        return text
    start, end = rng.choice(places)
    i = rng.randrange(start + 1, end - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:i] + text[i + 1 :]
    if kind == 1:
        return text[:i] + text[i] + text[i:]
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def drop_word(text: str, rng: random.Random) -> str:
    """One word left out of four or more."""
    parts = text.split()
    if len(parts) > 3:
        parts.pop(rng.randrange(len(parts)))
    return " ".join(parts)


def vary(expression: str, rng: random.Random) -> str:
    """One random variant of a CIM-10 expression; often the expression itself."""
    text = plain_index_form(expression, rng) if rng.random() < 0.6 else expression
    roll = rng.random()
    if roll < 0.10:
        return abbreviate(text, rng, 0.4)
    if roll < 0.20:
        return mistype(text, rng)
    if roll < 0.30:
        return drop_word(text, rng)
    return text
