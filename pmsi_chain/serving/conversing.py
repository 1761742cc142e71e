"""The agent behind the endpoint: one language model, pseudonyms where it is elsewhere, failures told in our words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from threading import Lock
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig

from pmsi_chain.agent import create_coding_agent
from pmsi_chain.errors import ConfigurationError, InputError, PmsiChainError
from pmsi_chain.privacy import is_loopback
from pmsi_chain.serving.parts import Loaded
from pmsi_chain.settings import Settings

MAX_MESSAGES = 200
_EXPECTED = 'input : attendu une question, ou {"messages": […]} (types human, ai et tool, contenus en texte)'


class Conversing:
    """Makes the agent at its first use.

    Args:
        model: answers conversations; None: the language model of the settings.
    """

    def __init__(self, settings: Settings, model: BaseChatModel | None = None) -> None:
        self.settings = settings
        self._model = model
        self._lock = Lock()
        self._agent: ToldAgent | None = None

    def agent(self, loaded: Loaded) -> ToldAgent:
        """The agent over the loaded parts.

        Raises:
            ConfigurationError: no language model is configured.
        """
        with self._lock:
            if self._agent is None:
                url = self.settings.llm_base_url or ""
                here = self._model is not None or is_loopback(url)
                made = create_coding_agent(
                    self._model or model_of(self.settings),
                    loaded.engine,
                    loaded.chain,
                    identified=here or self.settings.llm_send_identified,
                    allow_tracing=self.settings.allow_tracing,
                )
                self._agent = ToldAgent(made, self.settings.llm_timeout_s)
            return self._agent

    def read(self, loaded: Loaded, given: Any) -> dict[str, Any]:
        """The agent's input from JSON: a question, or the messages so far.

        Raises:
            InputError: neither; an instruction to the model is not taken from outside.
            ConfigurationError: no language model is configured.
        """
        self.agent(loaded)
        return {"messages": _messages(given)}


def model_of(settings: Settings) -> BaseChatModel:
    """The language model of the settings.

    Raises:
        ConfigurationError: none is configured.
    """
    if not settings.llm_base_url or not settings.llm_model:
        raise ConfigurationError(
            "la conversation demande un modèle de langage : régler PMSI_LLM_BASE_URL et PMSI_LLM_MODEL ; "
            "le codage et la recherche répondent sans lui"
        )
    from pmsi_chain.llm.endpoint import chat_model

    return chat_model(settings)


def _messages(given: Any) -> list[AnyMessage]:
    if isinstance(given, str):
        given = {"messages": [{"role": "user", "content": given}]}
    if not isinstance(given, dict) or set(given) != {"messages"} or not isinstance(given["messages"], list):
        raise InputError(_EXPECTED)
    if not 0 < len(given["messages"]) <= MAX_MESSAGES:
        raise InputError(f"input : de 1 à {MAX_MESSAGES} messages, {len(given['messages'])} reçus")
    try:
        messages: Any = convert_to_messages([_plain(message) for message in given["messages"]])
    except Exception:  # whatever a client makes up, and whatever its words
        raise InputError(_EXPECTED) from None
    if not all(isinstance(m, HumanMessage | AIMessage | ToolMessage) and isinstance(m.content, str) for m in messages):
        raise InputError(_EXPECTED)
    if not isinstance(messages[-1], HumanMessage) or not messages[-1].text.strip():
        raise InputError("input : le dernier message doit être la question, non vide")
    found: list[AnyMessage] = messages
    return found


def _plain(message: Any) -> Any:
    """A message of JSON with what the agent reads; `type` is LangChain's word for a role."""
    if not isinstance(message, dict):
        return message
    kept = ("content", "tool_calls", "tool_call_id", "name", "id", "status")
    return {"role": message.get("type", message.get("role")), **{k: message[k] for k in kept if message.get(k)}} | (
        {} if message.get("content") else {"content": ""}
    )


class ToldAgent(Runnable[Any, Any]):
    """The agent, whose model's failures are errors of ours, without a word of what was asked."""

    def __init__(self, agent: Any, timeout_s: float) -> None:
        self._agent = agent
        self._timeout_s = timeout_s

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Answer a conversation."""
        try:
            return self._agent.invoke(input, config)
        except Exception as error:
            raise self._told(error) from None

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Answer a conversation."""
        try:
            return await self._agent.ainvoke(input, config)
        except Exception as error:
            raise self._told(error) from None

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """The messages of each step of the agent."""
        try:
            yield from self._agent.stream(input, config)
        except Exception as error:
            raise self._told(error) from None

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """The messages of each step of the agent."""
        async for piece in self._given(self._agent.astream(input, config)):
            yield piece

    def astream_events(  # type: ignore[override]
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """The agent's own events: model, tools, steps."""
        return self._given(self._agent.astream_events(input, config, **kwargs))

    def astream_log(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """The agent's own run log."""
        return self._given(self._agent.astream_log(input, config, **kwargs))

    async def _given(self, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for piece in source:
                yield piece
        except Exception as error:
            raise self._told(error) from None

    def _told(self, error: Exception) -> Exception:
        import openai

        if isinstance(error, PmsiChainError) or not isinstance(error, openai.OpenAIError):
            return error
        from pmsi_chain.llm.endpoint import failure_of

        return failure_of(error, self._timeout_s).error
