"""What a model may answer: ids of a closed list, short justifications, what is missing. No code, no free position.

The JSON schema that is sent carries the ids themselves, so an endpoint that enforces schemas cannot write another; the
pydantic model that reads the answer is wider, so that a wrong id becomes a finding and not a parsing error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pmsi_chain.errors import ModelOutputError

MAX_TEXT = 300  # characters of a justification, a reason, a quote
MAX_MISSING = 8
SCHEMA_NAME = "choix_de_codes"

_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)


def _cut(value: Any) -> Any:
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else value


def _id(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_cut)]
Id = Annotated[str, BeforeValidator(_id)]


class UnusableAnswerError(ModelOutputError):
    """An answer that is none; `kind` is "refusal", "length" or "unreadable"."""

    def __init__(self, message: str, kind: Literal["refusal", "length", "unreadable"]) -> None:
        super().__init__(message)
        self.kind = kind


class _Read(BaseModel):
    """Frozen, reads what it knows and shows nothing of it in errors; unknown fields are dropped unread."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ChosenCode(_Read):
    """A candidate put in a position."""

    candidate: Id = Field(description="Numéro du candidat choisi (c1, c2…), pris dans la liste.")
    evidence: Id | None = Field(default=None, description="Numéro d'une preuve de ce candidat (e1, e2…).")
    quote: Text | None = Field(
        default=None,
        description="Passage du compte rendu recopié mot pour mot, ou null.",
    )
    justification: Text = Field(default="", description="Pourquoi ce choix et cette position, en une phrase courte.")


class RejectedCode(_Read):
    """A candidate that the report does not justify."""

    candidate: Id = Field(description="Numéro du candidat écarté.")
    reason: Text = Field(default="", description="Motif, en quelques mots.")


class Answer(_Read):
    """The whole answer."""

    dp: ChosenCode | None = Field(description="Diagnostic principal ; null si aucun candidat ne peut l'être.")
    dr: ChosenCode | None = Field(default=None, description="Diagnostic relié, seulement avec un DP en Z ; sinon null.")
    das: tuple[ChosenCode, ...] = Field(description="Diagnostics associés significatifs, le plus important d'abord.")
    rejected: tuple[RejectedCode, ...] = Field(default=(), description="Candidats écartés, avec le motif.")
    missing: tuple[Text, ...] = Field(default=(), description="Ce qui manque au compte rendu pour trancher.")


def answer_schema(
    dp: Sequence[str], dr: Sequence[str], das: Sequence[str], every: Sequence[str], evidence: Sequence[str]
) -> dict[str, Any]:
    """The JSON schema of an answer over these ids: every field required, nothing else allowed, strings bounded.

    Args:
        dp, dr, das: ids of the candidates that may stand there.
        every: ids of all candidates, for the rejected ones.
        evidence: ids of all proofs.
    """

    def described(model: type[BaseModel], name: str) -> str:
        return model.model_fields[name].description or ""

    def text(description: str) -> dict[str, Any]:
        return {"type": "string", "maxLength": MAX_TEXT, "description": description}

    def closed(**properties: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def choice(ids: Sequence[str]) -> dict[str, Any]:
        quote = text(described(ChosenCode, "quote"))
        return closed(
            candidate={"type": "string", "enum": list(ids), "description": described(ChosenCode, "candidate")},
            evidence={"type": "string", "enum": list(evidence), "description": described(ChosenCode, "evidence")},
            quote=quote | {"type": ["string", "null"]},
            justification=text(described(ChosenCode, "justification")),
        )

    def optional(ids: Sequence[str], name: str) -> dict[str, Any]:
        description = {"description": described(Answer, name)}
        return {"anyOf": [choice(ids), {"type": "null"}]} | description if ids else {"type": "null"} | description

    def listed(items: dict[str, Any], most: int, name: str) -> dict[str, Any]:
        return {"type": "array", "items": items, "maxItems": most, "description": described(Answer, name)}

    rejected = closed(
        candidate={"type": "string", "enum": list(every), "description": described(RejectedCode, "candidate")},
        reason=text(described(RejectedCode, "reason")),
    )
    return {
        "title": SCHEMA_NAME,
        "description": "Choix parmi les candidats, avec leur preuve.",
        **closed(
            dp=optional(dp, "dp"),
            dr=optional(dr, "dr"),
            das=listed(choice(das or every), len(das), "das"),
            rejected=listed(rejected, len(every), "rejected"),
            missing=listed(text(described(Answer, "missing")), MAX_MISSING, "missing"),
        ),
    }


def read_answer(result: Any) -> Answer:
    """The answer in what `with_structured_output(include_raw=True)` gives.

    Raises:
        UnusableAnswerError: a refusal, an answer cut at the length limit, or no object of this form.
    """
    raw, written = (result.get("raw"), result.get("parsed")) if isinstance(result, dict) else (None, None)
    if isinstance(raw, AIMessage):
        if raw.additional_kwargs.get("refusal"):
            raise UnusableAnswerError("le modèle a refusé de répondre", "refusal")
        if raw.response_metadata.get("finish_reason") == "length":
            raise UnusableAnswerError("la réponse du modèle a été coupée à la longueur permise", "length")
        if not isinstance(written, dict):
            written = raw.tool_calls[0]["args"] if raw.tool_calls else _json_object(raw.text)
    if isinstance(written, dict):
        try:
            return Answer.model_validate(written)
        except ValidationError:
            pass
    raise UnusableAnswerError("la réponse du modèle n'a pas la forme demandée", "unreadable")


def _json_object(text: str) -> dict[str, Any] | None:
    """The first JSON object of a text: models wrap it in thoughts, fences and politeness."""
    text = _THINKING.sub("", text)
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
