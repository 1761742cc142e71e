"""LangServe's wire protocol for a runnable, so that its `RemoteRunnable` client works against this endpoint.

`POST invoke | batch | stream | stream_log | stream_events`, `GET input_schema | output_schema | config_schema`;
streams are server-sent events (`metadata`, `data`…, `end`, or `error`). Values travel as plain JSON: a `Coding` arrives
at the client as the mapping `coding.model_dump(mode="json")`, a message of the agent as its fields.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import StreamingResponse
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from pmsi_chain.errors import InputError, PmsiChainError
from pmsi_chain.serving.exposed import Exposed, jsonable
from pmsi_chain.serving.guard import log_unexpected, metadata_of
from pmsi_chain.serving.parts import Loaded, Parts
from pmsi_chain.serving.told import UNEXPECTED, line_of, status_of

MAX_BATCH = 128
#: LangChain advises against run logs; LangServe's clients still ask for them.
warnings.filterwarnings("ignore", "astream_log is deprecated", DeprecationWarning)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RunConfig(BaseModel):
    """What is read of a client's `RunnableConfig`: these stand in the events; the server decides the rest."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    run_name: str | None = None


class OneBody(_Body):
    """Body of `invoke` and `stream`."""

    input: Any = Field(description="Voir input_schema.")
    config: RunConfig = Field(default_factory=RunConfig)
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Vide : rien n'en dépend.")


class BatchBody(_Body):
    """Body of `batch`: one config for all, or one per input."""

    inputs: list[Any] = Field(max_length=MAX_BATCH)
    config: RunConfig | list[RunConfig] = Field(default_factory=RunConfig)
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Vide : rien n'en dépend.")


class EventsBody(OneBody):
    """Body of `stream_events` and `stream_log`: which runs to tell of; None, all."""

    include_names: list[str] | None = None
    include_types: list[str] | None = None
    include_tags: list[str] | None = None
    exclude_names: list[str] | None = None
    exclude_types: list[str] | None = None
    exclude_tags: list[str] | None = None


class LogBody(EventsBody):
    """Body of `stream_log`: the changes alone, or with the state that they make."""

    diff: bool = True


async def loaded_parts(request: Request) -> Loaded:
    """The parts of the application, once they are loaded."""
    parts: Parts = request.app.state.parts
    return await parts.loaded()


LoadedParts = Annotated[Loaded, Depends(loaded_parts)]


def protocol_routes(exposed: Exposed, parts: Parts) -> APIRouter:
    """The routes of one runnable."""
    router = APIRouter(prefix=exposed.path, tags=[exposed.title])
    places = parts.talks if exposed.talks else parts.slots

    @router.post("/invoke", summary="Une réponse")
    async def invoke(body: Annotated[OneBody, Body()], request: Request, loaded: LoadedParts) -> dict[str, Any]:
        run_id = uuid4()
        given = _given(exposed, loaded, body.input, body.kwargs)
        output = await _run(exposed, places, loaded, given, _config(body.config, run_id, request, parts))
        return {"output": output, "callback_events": [], "metadata": _metadata(run_id)}

    @router.post("/batch", summary="Plusieurs réponses, dans l'ordre des demandes")
    async def batch(body: Annotated[BatchBody, Body()], request: Request, loaded: LoadedParts) -> dict[str, Any]:
        n = len(body.inputs)
        configs = body.config if isinstance(body.config, list) else [body.config] * n
        if len(configs) != n:
            raise InputError(f"{len(configs)} config pour {n} inputs : en donner une seule, ou une par input")
        given = [_given(exposed, loaded, one, body.kwargs) for one in body.inputs]
        run_ids = [uuid4() for _ in given]
        outputs = await asyncio.gather(
            *(
                _run(exposed, places, loaded, one, _config(config, run_id, request, parts))
                for one, config, run_id in zip(given, configs, run_ids, strict=True)
            )
        )
        metadata = {"run_ids": [str(r) for r in run_ids], "responses": [_metadata(r) for r in run_ids]}
        return {"output": outputs, "callback_events": [[] for _ in given], "metadata": metadata}

    @router.post("/stream", summary="La réponse en flux", response_class=StreamingResponse)
    async def stream(body: Annotated[OneBody, Body()], request: Request, loaded: LoadedParts) -> StreamingResponse:
        given = _given(exposed, loaded, body.input, body.kwargs)
        run_id = uuid4()
        runnable = exposed.runnable(loaded)

        async def chunks() -> AsyncIterator[bytes]:
            yield _sse("metadata", {"run_id": str(run_id)})
            async for chunk in _apart(places, runnable.astream(given, _config(body.config, run_id, request, parts))):
                yield _sse("data", jsonable(chunk))

        return _streamed(chunks, run_id)

    @router.post("/stream_events", summary="Les étapes en flux", response_class=StreamingResponse)
    async def stream_events(
        body: Annotated[EventsBody, Body()], request: Request, loaded: LoadedParts
    ) -> StreamingResponse:
        given = _given(exposed, loaded, body.input, body.kwargs)
        run_id = uuid4()
        runnable = exposed.runnable(loaded)
        wanted = body.model_dump(exclude={"input", "config", "kwargs"})

        async def events() -> AsyncIterator[bytes]:
            config = _config(body.config, run_id, request, parts)
            async for event in _apart(places, runnable.astream_events(given, config, version="v2", **wanted)):
                yield _sse("data", jsonable(event))

        return _streamed(events, run_id)

    @router.post("/stream_log", summary="Le journal des étapes en flux", response_class=StreamingResponse)
    async def stream_log(body: Annotated[LogBody, Body()], request: Request, loaded: LoadedParts) -> StreamingResponse:
        given = _given(exposed, loaded, body.input, body.kwargs)
        run_id = uuid4()
        runnable = exposed.runnable(loaded)
        wanted = body.model_dump(exclude={"input", "config", "kwargs"})

        async def patches() -> AsyncIterator[bytes]:
            config = _config(body.config, run_id, request, parts)
            async for patch in _apart(places, runnable.astream_log(given, config, **wanted)):
                told = {"ops": jsonable(patch.ops)}
                yield _sse("data", told if body.diff else {**told, "state": jsonable(patch.state)})

        return _streamed(patches, run_id)

    @router.get("/input_schema", summary="Schéma JSON de l'entrée")
    async def input_schema() -> dict[str, Any]:
        return exposed.input_schema

    @router.get("/output_schema", summary="Schéma JSON de la sortie")
    async def output_schema() -> dict[str, Any]:
        return exposed.output_schema

    @router.get("/config_schema", summary="Schéma JSON de ce qui est lu de config")
    async def config_schema() -> dict[str, Any]:
        return RunConfig.model_json_schema()

    return router


def _given(exposed: Exposed, loaded: Loaded, given: Any, kwargs: dict[str, Any]) -> Any:
    if kwargs:
        raise InputError("kwargs : rien n'en dépend ; tout donner dans input")
    return exposed.read(loaded, given)


async def _run(exposed: Exposed, places: asyncio.Semaphore, loaded: Loaded, given: Any, config: RunnableConfig) -> Any:
    async with places:
        return jsonable(await asyncio.to_thread(exposed.runnable(loaded).invoke, given, config))


async def _apart(places: asyncio.Semaphore, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """What a source gives, made ahead of a slow reader, who would hold a place otherwise."""
    made: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()

    async def make() -> None:
        try:
            async with places:
                async for piece in source:
                    made.put_nowait((True, piece))
            made.put_nowait((False, None))
        except Exception as error:  # handed over, so that it is never left for the event loop to log with its words
            made.put_nowait((False, error))

    making = asyncio.create_task(make())
    try:
        while True:
            more, piece = await made.get()
            if more:
                yield piece
            elif piece is not None:
                raise piece
            else:
                return
    finally:
        making.cancel()


def _config(config: RunConfig, run_id: UUID, request: Request, parts: Parts) -> RunnableConfig:
    """The client's tags and metadata; who asks is never taken from them."""
    known = metadata_of(request.scope, parts.settings.audit_user_header)
    read = RunnableConfig(tags=config.tags, metadata={**config.metadata, **known}, run_id=run_id)
    if config.run_name:
        read["run_name"] = config.run_name
    return read


def _metadata(run_id: UUID) -> dict[str, Any]:
    return {"run_id": str(run_id), "feedback_tokens": []}


def _streamed(chunks: Callable[[], AsyncIterator[bytes]], run_id: UUID) -> StreamingResponse:
    async def events() -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks():
                yield chunk
        except PmsiChainError as error:
            yield _sse("error", {"status_code": status_of(error), "message": line_of(error)})
        except Exception as error:
            log_unexpected(error, str(run_id))
            yield _sse("error", {"status_code": 500, "message": UNEXPECTED})
        else:
            yield b"event: end\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


def _sse(event: str, data: Any) -> bytes:
    """One event. ASCII JSON, because clients also break lines at U+2028 and its kin."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
