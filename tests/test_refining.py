"""A code by its most precise form, from the words beside it. All passages are invented."""

from __future__ import annotations

import pytest

from pmsi_chain.nomenclature import load_cim10
from pmsi_chain.refining import refine
from pmsi_chain.selection import Proposal
from tests.reading_support import bare_reader


def refined(text: str, named: str, code: str) -> str:
    report = bare_reader().read(f"Évolution : {text}.")
    start = report.text.index(named)
    proposal = Proposal(code, "", 0.9, (report.proof(start, start + len(named), 0.9),), ("dp", "das"))
    [found] = refine(report, load_cim10(), [proposal])
    return found.code


@pytest.mark.parametrize(
    ("text", "named", "code", "expected"),
    [
        ("épisode dépressif sévère reconnu", "épisode dépressif", "F329", "F322"),
        ("épisode dépressif sévère avec symptômes psychotiques", "épisode dépressif", "F329", "F323"),
        ("épisode dépressif, sévère, avec idées délirantes", "épisode dépressif", "F329", "F323"),
        ("ulcère gastrique, aigu et hémorragique", "ulcère gastrique", "K259", "K250"),
        ("épisode dépressif traité", "épisode dépressif", "F329", "F329"),
        ("insuffisance respiratoire aiguë hypercapnique", "insuffisance respiratoire aiguë", "J9609", "J9601"),
    ],
)
def test_the_words_beside_choose_the_sibling_and_what_a_label_denies_need_not_be_said(
    text: str, named: str, code: str, expected: str
) -> None:
    assert refined(text, named, code) == expected


@pytest.mark.parametrize(
    ("text", "named", "code", "expected"),
    [
        ("polyarthrite rhumatoïde des mains et des genoux", "polyarthrite rhumatoïde", "M069", "M0690"),
        ("polyarthrite rhumatoïde à localisations multiples", "polyarthrite rhumatoïde", "M069", "M0690"),
        ("spondylarthrose lombaire traitée", "spondylarthrose", "M478", "M4786"),
        ("spondylarthrose lombaire traitée", "spondylarthrose lombaire", "M4786", "M4786"),
        ("goutte de la cheville et du pied", "goutte", "M109", "M109"),
        ("goutte du genou, antécédent de prothèse de hanche", "goutte", "M109", "M109"),
        ("polyarthrite rhumatoïde en échec de multiples lignes", "polyarthrite rhumatoïde", "M069", "M069"),
    ],
)
def test_several_joints_are_sieges_multiples_and_one_region_is_not(
    text: str, named: str, code: str, expected: str
) -> None:
    assert refined(text, named, code) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("obésité, IMC 33 kg/m², liée à des apports caloriques excessifs", "E6604"),
        ("obésité par excès d'apports, IMC 41", "E6606"),
        ("obésité, IMC 36, traitée par régime", "E6695"),
        ("obésité avec un IMC à 36, décompensation cardiaque par excès d'apports sodés", "E6695"),
        ("pas d'excès alimentaire, obésité avec un IMC à 36", "E6695"),
    ],
)
def test_obesity_by_too_many_calories_is_told_apart_from_obesity_without_a_cause(text: str, expected: str) -> None:
    assert refined(text, "obésité", "E6699") == expected
