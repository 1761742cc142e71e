"""What the endpoint exposes: the coding chain, the search and the agent, with their input and output in JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from pmsi_chain.case import Case
from pmsi_chain.domain import CodeCandidate, Coding, Position, Stay, Value
from pmsi_chain.errors import InputError
from pmsi_chain.problems import problems_line
from pmsi_chain.serving.conversing import Conversing
from pmsi_chain.serving.parts import Loaded

_V = TypeVar("_V", bound=Value)


class SearchRequest(Value):
    """What to search.

    Attributes:
        query: a clinical expression, or an act, in French.
        top_k: number of codes.
        position: only codes allowed there; CIM-10 alone.
        version: edition; None: the newest.
    """

    query: str = Field(min_length=1, max_length=500)
    nomenclature: Literal["cim10", "ccam"] = "cim10"
    top_k: int = Field(default=10, ge=1, le=100)
    position: Position | None = None
    version: str | None = None


STAY_SCHEMA = TypeAdapter(Stay | str).json_schema()
SEARCH_SCHEMA = TypeAdapter(SearchRequest | str).json_schema()
CODING_SCHEMA = TypeAdapter(Coding).json_schema(mode="serialization")
CANDIDATES_SCHEMA = TypeAdapter(list[CodeCandidate]).json_schema(mode="serialization")


@dataclass(frozen=True)
class Exposed:
    """A runnable under a path.

    Attributes:
        runnable: the part of those loaded that answers.
        read: JSON → the runnable's input; raises `InputError` without a word of it.
        input_schema, output_schema: JSON schemas.
        talks: it waits for a language model most of the time, and takes no place from what computes.
    """

    path: str
    title: str
    runnable: Callable[[Loaded], Runnable[Any, Any]]
    read: Callable[[Loaded, Any], Any]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    talks: bool = False


def _search(loaded: Loaded) -> Runnable[SearchRequest, list[CodeCandidate]]:
    engine = loaded.engine

    def search(asked: SearchRequest) -> list[CodeCandidate]:
        if asked.nomenclature == "cim10":
            return engine.search_icd10(asked.query, asked.top_k, asked.version, asked.position)
        if asked.position is not None:
            raise InputError("position : sans objet pour la CCAM ; ne la donner que pour la CIM-10")
        return engine.search_ccam(asked.query, asked.top_k, asked.version)

    return RunnableLambda(search, name="search")


def read_stay(given: Any) -> Stay:
    """A stay from JSON: its fields, or the report's text alone.

    Raises:
        InputError: neither.
    """
    return _read(Stay, given, "text", "un séjour (text, sex, age, admission_date, discharge_date, id)")


def read_search(given: Any) -> SearchRequest:
    """A search from JSON: its fields, or the query alone.

    Raises:
        InputError: neither.
    """
    return _read(SearchRequest, given, "query", "une recherche (query, nomenclature, top_k, position, version)")


CODING = Exposed(
    "/coding",
    "Codage d'un séjour",
    lambda loaded: loaded.chain,
    lambda loaded, given: loaded.chain.stay(read_stay(given)),
    STAY_SCHEMA,
    CODING_SCHEMA,
)
SEARCH = Exposed(
    "/search",
    "Recherche de codes",
    _search,
    lambda loaded, given: read_search(given),
    SEARCH_SCHEMA,
    CANDIDATES_SCHEMA,
)


_MESSAGE_SCHEMA = {
    "type": "object",
    "properties": {"type": {"enum": ["human", "ai", "tool"]}, "content": {"type": "string"}},
    "required": ["type", "content"],
}
_MESSAGES_SCHEMA = {
    "type": "object",
    "properties": {"messages": {"type": "array", "items": _MESSAGE_SCHEMA}},
    "required": ["messages"],
}


def agent_exposed(conversing: Conversing) -> Exposed:
    """The agent; its input is a question, or the messages so far."""
    return Exposed(
        "/agent",
        "Agent : questions sur le codage",
        conversing.agent,
        conversing.read,
        {"anyOf": [{"type": "string"}, _MESSAGES_SCHEMA]},
        _MESSAGES_SCHEMA,
        talks=True,
    )


def _read(cls: type[_V], given: Any, text_field: str, expected: str) -> _V:
    if isinstance(given, str):
        given = {text_field: given}
    if not isinstance(given, dict):
        raise InputError(f"input : attendu un texte ou {expected}")
    try:
        return cls.model_validate(given)
    except ValidationError as error:
        problems = problems_line(error.errors(include_input=False, include_url=False), cls.model_fields)
        raise InputError(f"input n'est pas {expected} : {problems}") from None


def jsonable(value: Any) -> Any:
    """What a runnable gives, for JSON.

    Our values become their fields. On the way through the chain a stay shows as its length, and a case as what has
    been found so far: the client has the report already.
    """
    if isinstance(value, Stay):
        return {"chars": len(value.text)}
    if isinstance(value, Case):
        return _progress(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else None


def _progress(case: Case) -> dict[str, Any]:
    return {"timings_s": case.timings_s, **case.counts}
