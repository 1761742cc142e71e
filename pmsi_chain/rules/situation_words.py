"""Words that let a short text be read as a situation clinique; data in `knowledge/guide_situation_words.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache

from pydantic import Field, ValidationError

from pmsi_chain.errors import SourceFileError
from pmsi_chain.rules.guide import StrictModel, knowledge


class _Adjective(StrictModel):
    cue: str
    condition: str


class _Organ(StrictModel):
    cue: str
    name: str


class _Complication(StrictModel):
    of: str
    is_: str = Field(alias="is")


class _File(StrictModel):
    symptoms: list[str]
    cancer: str
    metastasis: str
    injury: str
    adjective: list[_Adjective]
    state: list[_Adjective]
    organ: list[_Organ]
    complication: list[_Complication]


@dataclass(frozen=True)
class SituationWords:
    """Compiled patterns on folded text.

    Attributes:
        symptom: a symptom at the start of a phrase; cancer, metastasis, injury: named in a phrase.
        adjectives: adjective of a patient → the disease it says; states: past operation → the
            state it left; organs: operation → organ of the cancer.
        complications: (known disease, its usual complications).
    """

    symptom: re.Pattern[str]
    cancer: re.Pattern[str]
    metastasis: re.Pattern[str]
    injury: re.Pattern[str]
    adjectives: tuple[tuple[re.Pattern[str], str], ...]
    states: tuple[tuple[re.Pattern[str], str], ...]
    organs: tuple[tuple[re.Pattern[str], str], ...]
    complications: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]

    def is_complication(self, known: str, found: str) -> bool:
        """Whether a condition is a usual complication of a known disease, both as folded phrases."""
        return any(of.search(known) and is_.search(found) for of, is_ in self.complications)


@lru_cache(maxsize=1)
def situation_words() -> SituationWords:
    """The words shipped with the package.

    Raises:
        SourceFileError: the file is not valid.
    """
    name = "guide_situation_words.toml"
    try:
        data = _File.model_validate(tomllib.loads(knowledge(name).read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SourceFileError(f"{name} : mots des situations illisibles ; {error}") from error
    return SituationWords(
        symptom=re.compile(rf"(?:{'|'.join(data.symptoms)})\b"),
        cancer=re.compile(data.cancer),
        metastasis=re.compile(data.metastasis),
        injury=re.compile(data.injury),
        adjectives=tuple((re.compile(rf"\b(?:{item.cue})\b"), item.condition) for item in data.adjective),
        states=tuple((re.compile(item.cue), item.condition) for item in data.state),
        organs=tuple((re.compile(item.cue), item.name) for item in data.organ),
        complications=tuple((re.compile(item.of), re.compile(item.is_)) for item in data.complication),
    )
