"""What a CIM-10 code's characters alone say: chapter, asterisk category, sex, chapter XX composition.

The tables are facts of the classification, written here from its structure; no label is copied. Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, Literal

from pmsi_chain.domain import Sex

Mark = Literal["†", "*", ""]

#: (first category, last category, chapter, short French title in the project's words); CIM-10 FR, volume 1.
CHAPTERS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("A00", "B99", "I", "Maladies infectieuses et parasitaires"),
    ("C00", "D48", "II", "Tumeurs"),
    ("D50", "D89", "III", "Sang, organes hématopoïétiques, immunité"),
    ("E00", "E90", "IV", "Endocrinologie, nutrition, métabolisme"),
    ("F00", "F99", "V", "Troubles mentaux et du comportement"),
    ("G00", "G99", "VI", "Système nerveux"),
    ("H00", "H59", "VII", "Œil et annexes"),
    ("H60", "H95", "VIII", "Oreille et apophyse mastoïde"),
    ("I00", "I99", "IX", "Appareil circulatoire"),
    ("J00", "J99", "X", "Appareil respiratoire"),
    ("K00", "K93", "XI", "Appareil digestif"),
    ("L00", "L99", "XII", "Peau et tissu cellulaire sous-cutané"),
    ("M00", "M99", "XIII", "Système ostéo-articulaire, muscles, tissu conjonctif"),
    ("N00", "N99", "XIV", "Appareil génito-urinaire"),
    ("O00", "O99", "XV", "Grossesse, accouchement, puerpéralité"),
    ("P00", "P96", "XVI", "Période périnatale"),
    ("Q00", "Q99", "XVII", "Malformations et anomalies chromosomiques"),
    ("R00", "R99", "XVIII", "Symptômes et résultats anormaux"),
    ("S00", "T98", "XIX", "Lésions traumatiques, empoisonnements, causes externes"),
    ("U00", "U99", "XXII", "Codes d'utilisation particulière"),
    ("V01", "Y98", "XX", "Causes externes de morbidité et de mortalité"),
    ("Z00", "Z99", "XXI", "Facteurs influant sur l'état de santé et recours aux soins"),
)
_STARTS = [first for first, _, _, _ in CHAPTERS]

#: Categories that are manifestations (*) as a whole; CIM-10, volume 1, lists of asterisk categories of each chapter.
_ASTERISKS = (
    "D63 D77 E35 E90 F00 F02 G01 G02 G05 G07 G13 G22 G26 G32 G46 G53 G55 G59 G63 G73 G94 G99 "
    "H03 H06 H13 H19 H22 H28 H32 H36 H42 H45 H48 H58 H62 H67 H75 H82 H94 I32 I39 I41 I43 I52 I68 I79 I98 "
    "J17 J91 J99 K23 K67 K77 K87 K93 L14 L45 L54 L62 L86 L99 M01 M03 M07 M09 M14 M36 M49 M63 M68 M73 M82 M90 "
    "N08 N16 N22 N29 N33 N37 N51 N74 N77 P75"
)
ASTERISK_CATEGORIES: Final = frozenset(_ASTERISKS.split())

#: Stored prefixes limited to one sex; CIM-10, volume 2 (OMS), lists of categories limited to one sex.
_ONE_SEX: Final[dict[Sex, str]] = {
    "M": "B260 C60-C63 D074 D075 D076 D176 D29 D40 E29 E895 F524 I861 L291 N40-N51 Q53-Q55 R86 S312 S313 Z125",
    "F": "A34 B373 C51-C58 C796 D06 D070-D073 D25-D28 D39 E28 E894 F525 F53 I863 L292 L705 M800 M801 M810 M811 M830 "
    "N70-N98 N992 N993 O00-O99 P546 Q50-Q52 R87 S314 S374-S376 T192 T193 T833 Y76 Z014 Z124 Z301 Z303 Z305 Z311 Z312 "
    "Z32-Z36 Z39 Z437 Z875 Z975",
}

#: Chapter XX: where it happened (4th character, 5th where the category is subdivided) and what was being done.
PLACES: Final = {
    "0": "domicile", "1": "établissement collectif", "2": "école, lieu public", "3": "lieu de sport",
    "4": "rue ou route", "5": "commerce ou services", "6": "industrie ou chantier", "7": "exploitation agricole",
    "8": "autre lieu précisé", "9": "lieu non précisé",
}  # fmt: skip
ACTIVITIES: Final = {
    "0": "sport", "1": "jeu ou loisirs", "2": "travail rémunéré", "3": "autre travail",
    "4": "repos, sommeil, repas", "8": "autre activité précisée", "9": "activité non précisée",
}  # fmt: skip


def _prefixes() -> dict[str, Sex]:
    found: dict[str, Sex] = {}
    for sex, listed in _ONE_SEX.items():
        for item in listed.split():
            first, _, last = item.partition("-")
            if not last:
                found[first] = sex
                continue
            width = len(first) - 1
            for number in range(int(first[1:]), int(last[1:]) + 1):
                found[f"{first[0]}{number:0{width}d}"] = sex
    return found


_SEX_BY_PREFIX: Final = _prefixes()
_PARTNER = re.compile(r"\(\s*([A-Z][0-9]{2}(?:\.[0-9+]{1,3}|\.-)?)(?:\s*[-–]\s*[A-Z][0-9]{2}(?:\.[0-9]+)?)?\s*([†*])")


def chapter_of(code: str) -> str:
    """The Roman number of the chapter of a stored code; "" when no chapter holds it."""
    at = bisect_right(_STARTS, code[:3]) - 1
    return CHAPTERS[at][2] if at >= 0 and code[:3] <= CHAPTERS[at][1] else ""


#: Words of a label that set an age in completed years, with its limits; « ou » beside another age sets none.
_AGES: Final = (
    (re.compile(r"nouveau-n[ée]|n[ée]onatal|foetus", re.I), (None, 0)),
    (re.compile(r"\bnourrissons?\b", re.I), (None, 2)),
    (re.compile(r"(?:de l'|chez l')enfant\b|infantiles?\b", re.I), (None, 17)),
    (re.compile(r"(?:de l'|chez l')adulte\b|s[ée]niles?\b", re.I), (18, None)),
)


def age_limits_of(label: str) -> tuple[int | None, int | None]:
    """Least and greatest age in completed years that a label sets; (None, None) when it sets none or several."""
    found = [limits for pattern, limits in _AGES if pattern.search(label)]
    return found[0] if len(found) == 1 else (None, None)


def sex_of(code: str) -> Sex | None:
    """The only sex for which the classification provides the code, None for both."""
    for length in (5, 4, 3):
        sex = _SEX_BY_PREFIX.get(code[:length])
        if sex:
            return sex
    return None


def partners(label: str) -> tuple[tuple[str, str], ...]:
    """Dagger and asterisk partners named in a label: (stored code or category, "†" or "*")."""
    return tuple((found.replace(".", "").rstrip("-"), mark) for found, mark in _PARTNER.findall(label))


def is_external_cause(code: str) -> bool:
    """Whether the code is of chapter XX (V, W, X, Y)."""
    return code[:1] in {"V", "W", "X", "Y"}


_NAMED = re.compile(r"[\[(]\s*([A-Z][0-9]{2}(?:\.[0-9+]{1,3})?)")


def codes_in(note: str) -> tuple[str, ...]:
    """Codes and categories that a note names between brackets, stored form; of a range, its first end."""
    return tuple(found.replace(".", "") for found in _NAMED.findall(note))


def mark_of(code: str, label: str) -> Mark:
    """Manifestation (*) by its category, aetiology (†) when the label names its manifestation."""
    if code[:3] in ASTERISK_CATEGORIES:
        return "*"
    named = {mark for _, mark in partners(label)}
    return "†" if "*" in named else "*" if "†" in named else ""
