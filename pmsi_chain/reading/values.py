"""Laboratory and clinical values with unit and reference range: facts beside the words, never codes.

The analytes are data (`knowledge/reading_values.csv`): name, words, usual adult range per unit ("-" for no bound).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pmsi_chain.reading.report import Flag, LabValue, Sentence
from pmsi_chain.text import fold_with_offsets

_NUMBER = r"\d{1,3}(?:[   ]\d{3})+(?![\d.,])|\d+(?:[.,]\d+)?"
_UNIT = (
    r"(?:(?:m|µ|u|n|p|k|d|f)?(?:mol|g|eq|ui|u|l|kat)\s?/\s?(?:m|d|u|µ|24\s?)?(?:l|ml|h|mmol|24h|m2|m²)(?:/1[.,]73\s?m(?:2|²))?"
    r"|ml/min(?:/1[.,]73\s?m(?:2|²))?|kg/m(?:2|²)|kg|(?:g|giga)/l|/mm3|/mm³|elements/mm3|elts/mm3|mm3|10\^?9/l|mmhg|kpa|"
    r"battements par minute|battements/min(?:ute)?|cycles par minute|cycles/min|bpm|btm|cpm|/min|/15|/30|/10|"
    r"°\s?c|°|%|fl|sa\b|semaines d'amenorrhee|cm\b|mg\b|g\b|m\b|ui\b)"
)
_FILLER = (
    r"(?:[\s:=|*_~()\t]|(?:serique|plasmatique|sanguine?|arteriel(?:le)?|totale?|corrigee?|initiale?(?:ment)?|minimale?|"
    r"maximale?|actuel(?:le)?|a l'entree|a l'admission|a l'arrivee|de controle|de sortie|en air ambiant|aa|"
    r"mesuree?|calculee?|"
    r"estimee?|severe|moderee?|profonde?|basse?|elevee?|effondree?|chutee?|"
    r"est|etait|etaient|sont|a|aux?|de|d'|du|le|la|environ|soit|dosee?|evaluee?|cotee?|score|en|oxygene|"
    r"ckd-epi|ckd epi|mdrd|selon)\b)"
)
_RANGE = re.compile(
    rf"[\s*_]*[|(\[{{,;]?[\s*_]*(?:(?:valeurs?|vals?\.?|intervalle|plage)\s*)?(?:normales?|normes?|usuelles?|"
    rf"de reference|reference|ref\.?|attendue?s?|n\b|vn\b|vr\b|nl\b)?\s*[:=]?\s*"
    rf"(?:(?P<sign><=?|>=?|≤|≥|inf(?:erieure?)? a|sup(?:erieure?)? a|moins de|plus de)\s*(?P<bound>{_NUMBER})"
    rf"|(?:entre\s*)?(?P<low>{_NUMBER})\s*(?:-|–|a|et|/)\s*(?P<high>{_NUMBER}))\s*(?:{_UNIT})?\s*[)\]|]?"
)
#: A range without brackets needs a word that announces it: « CRP 12 mg/L, plaquettes 150 » is none.
_ANNOUNCED = re.compile(r"^[\s*_]*(?:[|(\[]|(?:,|;)?\s*(?:valeur|norme|normale|n\s*[:=<>]|vn|intervalle|ref))")
_UNIT_FORMS = str.maketrans({"²": "2", "³": "3", "µ": "u", " ": "", ",": "."})
_DOSE_UNITS = frozenset({"mg", "g", "ui", "m", "cm", "kg", "fl"})
_MAX_FILLER = 6
_MAX_ANNOUNCEMENT = 24


@dataclass(frozen=True, slots=True)
class Analyte:
    """What can be measured.

    Attributes:
        usual: unit → (low, high) of an adult; "*" for any unit or none.
    """

    name: str
    usual: Mapping[str, tuple[float | None, float | None]]


@lru_cache(maxsize=1)
def _analytes() -> tuple[re.Pattern[str], Mapping[str, Analyte]]:
    source = files("pmsi_chain").joinpath("knowledge", "reading_values.csv").read_text(encoding="utf-8")
    by_alias: dict[str, Analyte] = {}
    for row in csv.DictReader(source.splitlines(), delimiter=";"):
        usual: dict[str, tuple[float | None, float | None]] = {}
        for part in row["usual_ranges"].split("|"):
            unit, low, high = part.rsplit(" ", 2)
            usual[unit.replace(" ", "")] = (_bound(low), _bound(high))
        analyte = Analyte(row["name"], usual)
        by_alias |= dict.fromkeys(row["aliases"].split("|"), analyte)
    names = "|".join(re.escape(alias) for alias in sorted(by_alias, key=len, reverse=True))
    pattern = re.compile(
        rf"(?<![a-z0-9])(?P<name>{names})(?![a-z0-9+]|-[a-z])\*{{0,2}}(?:\s*\([a-z0-9 ,'+-]{{1,30}}\))?"
        rf"(?P<filler>(?:{_FILLER}){{0,{_MAX_FILLER}}})[\s:=|*_]*(?P<sign>[<>≤≥]=?)?\s*(?P<value>{_NUMBER})"
        rf"(?![\d/](?!15|30|10|mm|min))\s*[|*_]*\s*(?P<unit>{_UNIT})?"
    )
    return pattern, by_alias


def _bound(word: str) -> float | None:
    return None if word == "-" else float(word)


def find_values(text: str, sentences: Sequence[Sentence]) -> tuple[LabValue, ...]:
    """Values of the report, in order."""
    out: list[LabValue] = []
    for sentence in sentences:
        passage = text[sentence.start : sentence.end]
        if any(char.isdigit() for char in passage):
            out.extend(_values_of(passage, sentence))
    return tuple(out)


def _values_of(passage: str, sentence: Sentence) -> Iterator[LabValue]:
    folded, offsets = fold_with_offsets(passage)
    pattern, analytes = _analytes()
    for match in pattern.finditer(folded):
        filler = match["filler"] or ""
        if not filler and match.end("name") == match.start("value"):
            continue
        analyte = analytes[match["name"]]
        unit = (match["unit"] or "").translate(_UNIT_FORMS)
        if unit in _DOSE_UNITS and unit not in analyte.usual:
            continue  # « calcium 1000 mg » is a prescription
        value = _number(match["value"])
        if not unit and not _is_plausible(analyte, value, named_in_full=len(match["name"]) > 2):
            continue  # « fièvre depuis 3 jours », « T 3 »
        low, high, end = _printed_range(folded, match.end())
        flag, source = _flag(analyte, value, unit, low, high)
        yield LabValue(
            name=analyte.name,
            value=value,
            unit=passage[offsets[match.start("unit")] : offsets[match.end("unit") - 1] + 1] if unit else "",
            start=sentence.start + offsets[match.start()],
            end=sentence.start + offsets[end - 1] + 1,
            section=sentence.section,
            low=low,
            high=high,
            flag=flag,
            flag_source=source,
        )


def _usual_without_unit(analyte: Analyte, value: float) -> tuple[float | None, float | None] | None:
    """The range of the unit left out, when the value leaves one choice only."""
    if "*" in analyte.usual:
        return analyte.usual["*"]
    near = {
        (lo, hi) for lo, hi in analyte.usual.values() if lo is not None and hi is not None and lo / 3 <= value <= 3 * hi
    }
    return near.pop() if len(near) == 1 else None


def _is_plausible(analyte: Analyte, value: float, *, named_in_full: bool) -> bool:
    """May a number without unit be this analyte's? Within a third and three times some usual range."""
    bounded = [(low, high) for low, high in analyte.usual.values() if low is not None and high is not None]
    return any(low / 3 <= value <= 3 * high for low, high in bounded) if bounded else named_in_full


def _number(word: str) -> float:
    return float(re.sub(r"\s", "", word).replace(",", "."))


def _printed_range(folded: str, position: int) -> tuple[float | None, float | None, int]:
    """(low, high, end) of a range printed right after a value; `end` is `position` when there is none."""
    if not _ANNOUNCED.match(folded[position : position + _MAX_ANNOUNCEMENT]):
        return None, None, position
    match = _RANGE.match(folded, position)
    if match is None:
        return None, None, position
    if match["bound"] is not None:
        bound = _number(match["bound"])
        is_upper = match["sign"].startswith(("<", "≤", "inf", "moins"))
        return (None, bound, match.end()) if is_upper else (bound, None, match.end())
    low, high = _number(match["low"]), _number(match["high"])
    if low > high:
        return None, None, position
    return low, high, match.end()


def _flag(
    analyte: Analyte, value: float, unit: str, low: float | None, high: float | None
) -> tuple[Flag | None, Literal["printed", "usual"] | None]:
    source: Literal["printed", "usual"] = "printed"
    if low is None and high is None:
        usual = analyte.usual.get(unit) or (None if unit else _usual_without_unit(analyte, value))
        if usual is None or usual == (None, None):
            return None, None
        low, high = usual
        source = "usual"
    if low is not None and value < low:
        return "low", source
    if high is not None and value > high:
        return "high", source
    return "normal", source
