"""The wire: a chat model for any OpenAI-compatible endpoint, and what its failures mean.

No message of ours repeats what a server said, because servers repeat what they were sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import SecretStr

from pmsi_chain.errors import ConfigurationError, ModelOutputError, ServiceError
from pmsi_chain.llm.answer import Answer, UnusableAnswerError, read_answer
from pmsi_chain.llm.wire import AnswerLimitError, http_clients
from pmsi_chain.privacy import is_loopback
from pmsi_chain.settings import Settings

#: Ways to ask for a typed answer, most reliable first.
METHODS = ("json_schema", "function_calling", "json_mode")
_TOO_LONG = re.compile(
    r"context_length_exceeded|maximum context length|context (?:size|window)|prompt is too long", re.I
)
_NO_KEY = "none"  # a client of the OpenAI protocol must send something, and must not take a key from elsewhere


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that gave no answer.

    Attributes:
        error: what happened, in French, without a word of the report or of the server.
        other_method: another way to ask for a typed answer may work.
        again: asking once more, saying what was wrong, may work.
    """

    error: ServiceError | ModelOutputError
    other_method: bool = False
    again: bool = False


def chat_model(settings: Settings) -> BaseChatModel:
    """The chat model of `llm_base_url` and `llm_model`.

    Raises:
        ConfigurationError: no address or no model, or an address that is none.
    """
    url, name = settings.llm_base_url, settings.llm_model
    if not url or not name:
        raise ConfigurationError(
            "un modèle de langage est demandé sans son adresse : régler PMSI_LLM_BASE_URL (par exemple "
            "http://127.0.0.1:8000/v1) et PMSI_LLM_MODEL"
        )
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError("PMSI_LLM_BASE_URL n'est pas une adresse : écrire http(s)://machine[:port]/v1")
    from langchain_openai import ChatOpenAI

    client, async_client = http_clients(settings.llm_timeout_s, local=is_loopback(url))
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    return ChatOpenAI(
        model=name,
        base_url=url,
        api_key=SecretStr(key or _NO_KEY),
        timeout=settings.llm_timeout_s,
        max_retries=settings.llm_max_retries,
        max_tokens=settings.llm_max_output_tokens,
        temperature=0.0,
        use_responses_api=False,
        openai_proxy=None,
        http_client=client,
        http_async_client=async_client,
    )


def asking(model: BaseChatModel, schema: dict[str, Any], method: str) -> Runnable[Any, Answer]:
    """Messages → `Answer`, asked for in one of `METHODS`."""
    options: dict[str, Any] = {"strict": True} if method == "json_schema" else {}
    structured = model.with_structured_output(schema, method=method, include_raw=True, **options)
    reading: Runnable[Any, Answer] = RunnableLambda(read_answer)
    return structured | reading


def failure_of(error: Exception, timeout_s: float | None = None) -> Failure:
    """What an exception of a call means."""
    import openai

    if isinstance(error, UnusableAnswerError):
        worth_asking = error.kind != "refusal"
        return Failure(ModelOutputError(str(error)), other_method=worth_asking, again=worth_asking)
    if isinstance(error, openai.LengthFinishReasonError):
        cut = ModelOutputError("la réponse du modèle a été coupée à la longueur permise")
        return Failure(cut, other_method=True, again=True)
    if isinstance(error, openai.ContentFilterFinishReasonError):
        return Failure(ModelOutputError("la réponse du modèle a été filtrée par son hébergeur"))
    if isinstance(error, ContextOverflowError) or _overflows(error):
        return Failure(ServiceError("demande trop longue pour le modèle : baisser PMSI_LLM_TOKEN_BUDGET"))
    if isinstance(error, AnswerLimitError) or isinstance(error.__cause__, AnswerLimitError):
        return Failure(ServiceError("la réponse du modèle n'en finit pas"))
    if isinstance(error, openai.APITimeoutError):
        within = f" en {timeout_s:g} s" if timeout_s else ""
        return Failure(ServiceError(f"le modèle n'a pas répondu{within}"))
    if isinstance(error, openai.APIResponseValidationError):
        return Failure(ServiceError("le serveur du modèle répond hors protocole"), other_method=True)
    if isinstance(error, openai.APIConnectionError):
        return Failure(ServiceError("le serveur du modèle est injoignable ou a coupé la connexion"))
    if isinstance(error, openai.APIStatusError):
        return _status_failure(error.status_code)
    if isinstance(error, NotImplementedError | ValueError | TypeError | AttributeError | LookupError | Warning):
        # a client that does not know the method, or stumbles over a body that is not of the protocol
        unusable = ServiceError(f"la réponse du serveur du modèle est inutilisable ({type(error).__name__})")
        return Failure(unusable, other_method=True)
    return Failure(ServiceError(f"l'appel du modèle a échoué ({type(error).__name__})"))


def _overflows(error: Exception) -> bool:
    """Whether the server says that the prompt is too long, in the words of vLLM, llama.cpp or OpenAI."""
    status = getattr(error, "status_code", None)
    said = f"{getattr(error, 'code', '')} {getattr(error, 'message', '')}"
    return status == 413 or (status == 400 and _TOO_LONG.search(said) is not None)


def _status_failure(status: int) -> Failure:
    if status == 429:
        return Failure(ServiceError("le serveur du modèle est saturé (HTTP 429)"))
    if status in {401, 403}:
        return Failure(ServiceError(f"accès au modèle refusé (HTTP {status}) : vérifier PMSI_LLM_API_KEY"))
    if status == 404:
        return Failure(
            ServiceError("modèle ou adresse inconnus (HTTP 404) : vérifier PMSI_LLM_BASE_URL et PMSI_LLM_MODEL")
        )
    if status in {400, 415, 422, 501}:
        return Failure(ServiceError(f"le serveur du modèle refuse la demande (HTTP {status})"), other_method=True)
    return Failure(ServiceError(f"le serveur du modèle est en erreur (HTTP {status})"))
