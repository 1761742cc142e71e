"""Differential: the cues of EDS-NLP's qualifiers (BSD-3, AP-HP), read from the installed package, work here too.

What is left out on purpose is named, each group with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.reading_support import bare_reader

family = pytest.importorskip("edsnlp.pipes.qualifiers.family.patterns")
history = pytest.importorskip("edsnlp.pipes.qualifiers.history.patterns")
hypothesis = pytest.importorskip("edsnlp.pipes.qualifiers.hypothesis.patterns")
negation = pytest.importorskip("edsnlp.pipes.qualifiers.negation.patterns")

_WORD = "pneumopathie"
_BEFORE = ("{} pneumopathie.", "{} de pneumopathie.", "{} une pneumopathie.")
_AFTER = ("La pneumopathie {}.", "Pneumopathie {}.")

#: Read as "resolved": what has disappeared was there.
_RESOLVED = {"disparition de", "disparition des", "disparaissent"}
#: « non insulinodépendant », « non traité »: negates an adjective, not the disease around it.
_ADJECTIVAL = {"non"}
#: « discret épanchement » and « exploration d'une anémie » are present; « selon », « conditionnellement »,
#: « faudrait » and « à condition » say how care goes on, not whether a disease is there.
_NOT_DOUBT = {
    "discret", "discrets", "discrète", "discrètes", "exploration", "selon", "conditionnellement", "faudrait",
    "à condition",
}  # fmt: skip
#: Read as "negated": a diagnosis that is not confirmed is not coded as present either.
_NEGATED_HERE = {"pas confirmé", "pas confirmée", "pas confirmées", "pas confirmés", "pas confirmer"}
#: Nouns without a statement (« élimination » is also digestive or renal), halves of a phrase, spellings.
_INCOMPLETE = {"élimination", "pas nécessaire", "possibilité", "s'il", "recherche d'", "pas sûre"}
#: Relatives whose mention alone says nothing; a relative's disease is tested in the annotated passages.
_NO_KIN = {"enfant", "enfants", "famille", "familial", "familiale", "familiales", "fiancé", "fiancée"}


def flags(text: str) -> frozenset[str]:
    start = text.index(_WORD) if _WORD in text else text.index(_WORD.capitalize())
    return bare_reader().read(text).context_at(start, start + len(_WORD))


def missed(cues: Iterable[str], shapes: tuple[str, ...], *wanted: str) -> set[str]:
    return {cue for cue in cues if not any(flags(shape.format(cue)) & set(wanted) for shape in shapes)}


def test_negation_before() -> None:
    assert missed(negation.preceding, _BEFORE, "negated") <= _RESOLVED | _ADJECTIVAL


def test_negation_after() -> None:
    # « peu probable » and « improbable » may be read as doubt: neither codes the disease.
    left_out = _RESOLVED | _ADJECTIVAL | _INCOMPLETE | {"impossible", "disparait"}
    assert missed(negation.following, _AFTER, "negated", "hypothesis") <= left_out


def test_what_looks_like_a_negation_is_none() -> None:
    false_alarms = {cue for cue in negation.pseudo if "negated" in flags(f"{cue} {_WORD}.")}
    assert false_alarms <= {"sans être certain"}


def test_hypothesis_before() -> None:
    assert missed(hypothesis.preceding, _BEFORE, "hypothesis") <= _NOT_DOUBT | _NEGATED_HERE | _INCOMPLETE


def test_hypothesis_after() -> None:
    assert missed(hypothesis.following, _AFTER, "hypothesis") <= _NEGATED_HERE | _INCOMPLETE


def test_family() -> None:
    shapes = ("{} : pneumopathie.", "pneumopathie chez sa {}.")
    assert missed(family.family, shapes, "family") <= _NO_KIN


def test_history() -> None:
    # "tacds" is a misspelling in that list.
    assert missed(history.history, (*_BEFORE, *_AFTER), "history") <= {"tacds"}
