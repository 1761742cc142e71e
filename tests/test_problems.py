"""Pydantic's refusals in French: no English word, no given value."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pmsi_chain.domain import Stay
from pmsi_chain.problems import problems_line, told
from pmsi_chain.settings import Settings
from pmsi_chain.tools import CheckCodingArgs, SearchIcd10Args

CANARY = "Zyxomarine"


@pytest.mark.parametrize(
    ("model", "given", "line"),
    [
        (Stay, {}, "text : obligatoire, et absent"),
        (Stay, {"text": 3}, "text : un texte était attendu"),
        (Stay, {"text": CANARY, CANARY: 1}, "une clé : champ inconnu"),
        (Stay, {"text": CANARY, "sex": CANARY}, "sex : attendu : 'M' ou 'F'"),
        (Stay, {"text": CANARY, "age": CANARY}, "age : un nombre entier était attendu"),
        (Stay, {"text": CANARY, "age": -1}, "age : au moins 0"),
        (Stay, {"text": CANARY, "age": 131}, "age : au plus 130"),
        (Stay, {"text": CANARY, "discharge_date": CANARY}, "discharge_date : une date AAAA-MM-JJ était attendue"),
        (
            Stay,
            {"text": CANARY, "admission_date": "2026-02-02", "discharge_date": "2026-02-01"},
            "séjour : discharge_date précède admission_date : les donner dans l'ordre",
        ),
        (Stay, CANARY, "séjour : un objet (champs et valeurs) était attendu"),
        (Settings, {"rerank": CANARY}, "rerank : true ou false était attendu"),
        (Settings, {"rrf_k": 1.5}, "rrf_k : un nombre entier était attendu"),
        (Settings, {"bm25_weight": CANARY}, "bm25_weight : un nombre était attendu"),
        (Settings, {"llm_timeout_s": 0}, "llm_timeout_s : plus de 0.0"),
        (Settings, {"audit_user_header": "x y"}, "audit_user_header : forme inattendue"),
        (SearchIcd10Args, {"query": ""}, "query : au moins 1 caractère(s)"),
        (SearchIcd10Args, {"query": "x" * 501}, "query : au plus 500 caractères"),
        (CheckCodingArgs, {"das": CANARY}, "das : une liste était attendue"),
        (CheckCodingArgs, {"das": ["I10"] * 100}, "das : au plus 99 éléments"),
    ],
)
def test_a_refusal_is_french_and_shows_nothing_given(model: Any, given: Any, line: str) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(given)
    problems = refused.value.errors(include_input=False, include_url=False)
    assert problems_line(problems, model.model_fields, "séjour") == line
    assert CANARY not in line


def test_an_unforeseen_kind_is_still_french() -> None:
    assert told({"type": "uuid_parsing", "msg": "Input should be a valid UUID"}) == "valeur refusée"
    assert told({"type": "greater_than", "msg": "no context"}) == "valeur refusée"


def test_three_problems_at_most() -> None:
    many = [{"type": "missing", "loc": (name,), "msg": ""} for name in "abcde"]
    assert problems_line(many, "abcde").count("obligatoire") == 3
