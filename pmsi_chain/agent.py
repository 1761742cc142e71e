"""An agent that answers a coder's questions with the tools of `pmsi_chain.tools`, and cites their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable

from pmsi_chain.audit import AuditLog
from pmsi_chain.domain import Coding
from pmsi_chain.privacy import refuse_tracing
from pmsi_chain.prompts import load_prompt
from pmsi_chain.tools import CodingEngine, coding_tools

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.types import Checkpointer

__all__ = ["AGENT_PROMPT", "MAX_MODEL_CALLS", "CodingEngine", "coding_tools", "create_coding_agent"]

AGENT_PROMPT = "agent_v1"
MAX_MODEL_CALLS = 15  # per question; then the agent stops and says so


def create_coding_agent(
    model: BaseChatModel,
    engine: CodingEngine,
    chain: Runnable[Any, Coding] | None = None,
    *,
    identified: bool = False,
    checkpointer: Checkpointer = None,
    allow_tracing: bool = False,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """An agent for questions such as « pourquoi pas E44.0 ? », which answers from the tools and cites their sources.

    Its messages show every tool call. The model reads the conversation pseudonymised: names, numbers and addresses by
    surrogates, dates moved; the tools and whoever asks get the original. Where the engine's settings name an audit
    log, every question is written there before the model reads it.

    Args:
        model: a chat model that calls tools.
        chain: gives the agent `code_report`.
        identified: the model may read the conversation as it is, because it is on this machine or was allowed to.
        checkpointer: keeps conversations apart by `thread_id`; None: no memory between calls.
        allow_tracing: accepts LangSmith tracing.

    Raises:
        ConfigurationError: LangSmith tracing is on and not allowed.
    """
    refuse_tracing(allowed=allow_tracing)
    from langchain.agents import create_agent

    from pmsi_chain.agent_middleware import CodingAgentMiddleware

    prompt = load_prompt(AGENT_PROMPT)
    middleware = CodingAgentMiddleware(
        max_model_calls=MAX_MODEL_CALLS,
        identified=identified,
        audit=AuditLog.from_settings(engine.settings),
        asked={
            "prompt_id": prompt.id,
            "prompt_sha256": prompt.sha256,
            "model": str(getattr(model, "model_name", "") or model._llm_type),
        },
    )
    agent = create_agent(
        model,
        coding_tools(engine, chain),
        system_prompt=prompt.render()[0].text,
        middleware=[middleware],
        checkpointer=checkpointer,
        name="pmsi_coding_agent",
    )
    return agent.with_config({"metadata": {"prompt_id": prompt.id, "prompt_sha256": prompt.sha256}})
