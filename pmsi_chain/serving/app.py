"""The endpoint: coding, search and conversation over HTTP, a page for a coder, health.

Routes under `/coding`, `/search` and `/agent` speak LangServe's protocol (see `pmsi_chain.serving.langserve`). Nothing
that is asked is kept, except a conversation, in memory, until it is forgotten, and what the audit log is set to hold.
Pages load nothing from elsewhere: the documentation at `/docs` is drawn here from the OpenAPI description, because
FastAPI's own pages need a CDN.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from langchain_core.language_models import BaseChatModel
from starlette.exceptions import HTTPException

from pmsi_chain import __version__
from pmsi_chain.chain import CodingChain
from pmsi_chain.engine import RAGEngine
from pmsi_chain.errors import PmsiChainError
from pmsi_chain.index import Progress
from pmsi_chain.privacy import refuse_tracing
from pmsi_chain.problems import problems_line
from pmsi_chain.serving.chat import ChatBody, Sessions, chat_routes
from pmsi_chain.serving.conversing import Conversing
from pmsi_chain.serving.docs import docs_page
from pmsi_chain.serving.exposed import CODING, SEARCH, agent_exposed
from pmsi_chain.serving.guard import Guard
from pmsi_chain.serving.langserve import BatchBody, LogBody, protocol_routes
from pmsi_chain.serving.parts import Parts
from pmsi_chain.serving.told import line_of, status_of
from pmsi_chain.settings import Settings

_KNOWN_FIELDS = frozenset({"body", "path", *LogBody.model_fields, *BatchBody.model_fields, *ChatBody.model_fields})
_HTTP_TOLD = {404: "adresse inconnue : voir /docs", 405: "méthode refusée à cette adresse : voir /docs"}


def create_app(
    settings: Settings | None = None,
    chain: CodingChain | None = None,
    engine: RAGEngine | None = None,
    *,
    llm: bool = False,
    chat_model: BaseChatModel | None = None,
    sessions: Sessions | None = None,
    progress: Progress = lambda message: None,
) -> FastAPI:
    """The application. Parts that are not given are loaded in the background as soon as it starts.

    Args:
        chain: codes the reports; None: one over `engine`.
        engine: searches; None: the chain's own, or the one that the settings describe.
        llm: lets the language model of the settings choose among the proposals, where no chain is given.
        chat_model: answers conversations; None: the language model of the settings.
        sessions: where conversations are kept.
        progress: called with one French line before anything that takes more than a second.

    Raises:
        ConfigurationError: LangSmith tracing is on and not allowed, or `llm` without an endpoint in the settings.
    """
    settings = settings or Settings()
    refuse_tracing(allowed=settings.allow_tracing)
    parts = Parts(settings, chain, engine, llm=llm, progress=progress)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts.start()
        yield
        await parts.stop()

    app = FastAPI(
        title="pmsi_chain",
        description="Codage PMSI MCO assisté : un compte rendu entre, un codage CIM-10 et CCAM justifié sort.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.parts = parts
    app.state.draining = False
    app.add_middleware(Guard, settings=settings)
    _tell_errors(app)
    app.include_router(protocol_routes(CODING, parts))
    app.include_router(protocol_routes(SEARCH, parts))
    conversing = Conversing(settings, chat_model)
    app.include_router(protocol_routes(agent_exposed(conversing), parts))
    app.include_router(chat_routes(conversing, sessions or Sessions()))
    _add_pages(app, parts)
    return app


def _tell_errors(app: FastAPI) -> None:
    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, PmsiChainError)  # noqa: S101  # registered for it alone
        return _detail(status_of(error), line_of(error))

    async def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        problems: list[Any] = list(error.errors())
        if any(p["type"] == "json_invalid" or p["loc"] == ("body",) for p in problems):
            return _detail(422, 'le corps de la demande n\'est pas du JSON : envoyer {"input": …}')
        return _detail(422, f"demande refusée : {problems_line(problems, _KNOWN_FIELDS)}")

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        told = error.detail if error.status_code != 405 and "route" in request.scope else None
        return _detail(error.status_code, told or _HTTP_TOLD.get(error.status_code, "demande refusée"), error.headers)

    app.add_exception_handler(PmsiChainError, ours)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, http)


def _detail(status: int, detail: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def _add_pages(app: FastAPI, parts: Parts) -> None:
    page = (files("pmsi_chain") / "serving" / "page.html").read_text(encoding="utf-8")

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return _html(page)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return _html(docs_page(app.openapi()))

    @app.get("/health", summary="Le processus répond", tags=["Service"])
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/ready", summary="Tout est chargé, ou 503", tags=["Service"])
    async def ready(request: Request) -> JSONResponse:
        is_ready, told = parts.state()
        guard: Guard = request.scope["state"]["guard"]
        body = {"status": "ready" if is_ready else "not ready", "detail": told, "in_flight": guard.in_flight - 1}
        return JSONResponse(body, 200 if is_ready else 503)


def _html(page: str) -> HTMLResponse:
    """A page that may run and load its own script and styles, talk to this endpoint, and nothing else."""
    policy = ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
              "frame-ancestors 'none'"]  # fmt: skip
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        hashes = [
            "'sha256-" + base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() + "'"
            for inside in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        ]
        policy.append(f"{directive} {' '.join(hashes)}" if hashes else f"{directive} 'none'")
    return HTMLResponse(page, headers={"content-security-policy": "; ".join(policy)})
