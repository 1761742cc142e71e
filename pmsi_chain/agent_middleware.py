"""What stands between the agent and its model: a limit, pseudonyms, the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.config import get_config

from pmsi_chain.audit import AuditLog
from pmsi_chain.privacy.conversation import ConversationPseudonymiser, HiddenTexts, strings_of, with_strings

TOO_MANY_CALLS = (
    "Je m'arrête : {limit} étapes n'ont pas suffi pour répondre. Poser une question plus précise, ou en plusieurs fois."
)


class CodingAgentMiddleware(AgentMiddleware[Any, Any, Any]):
    """Hides what identifies someone from the model, ends what goes round in circles, writes who asked.

    Args:
        max_model_calls: for one question.
        identified: the model may read the conversation as it is.
        asked: prompt and model, for the audit log.
    """

    def __init__(
        self,
        *,
        max_model_calls: int,
        identified: bool,
        audit: AuditLog | None = None,
        asked: dict[str, str] | None = None,
        pseudonymise: ConversationPseudonymiser | None = None,
    ) -> None:
        super().__init__()
        self.max_model_calls = max_model_calls
        self.identified = identified
        self.audit = audit
        self._asked = asked or {}
        self._pseudonymise = pseudonymise or ConversationPseudonymiser()

    def before_agent(self, state: AgentState[Any], runtime: Any) -> dict[str, Any] | None:
        """Write who asks before the model reads anything."""
        if self.audit is not None:
            texts = [message.text for message in state["messages"]]
            sent = "identified" if self.identified else "pseudonymised"
            self.audit.conversed(texts, uuid4().hex, get_config().get("metadata", {}), **self._asked, sent=sent)
        return None

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """One call."""
        if self._too_many(request.messages):
            return self._stopped()
        shown, hidden = self._shown(request)
        return _restored(handler(shown), hidden)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """One call, off the event loop."""
        if self._too_many(request.messages):
            return self._stopped()
        shown, hidden = self._shown(request)
        return _restored(await handler(shown), hidden)

    def _too_many(self, messages: list[Any]) -> bool:
        last = max((i for i, message in enumerate(messages) if isinstance(message, HumanMessage)), default=-1)
        return sum(isinstance(message, AIMessage) for message in messages[last + 1 :]) >= self.max_model_calls

    def _stopped(self) -> ModelResponse[Any]:
        return ModelResponse(result=[AIMessage(TOO_MANY_CALLS.format(limit=self.max_model_calls))])

    def _shown(self, request: ModelRequest[Any]) -> tuple[ModelRequest[Any], HiddenTexts | None]:
        if self.identified:
            return request, None
        hidden = self._pseudonymise([text for message in request.messages for text in strings_of(_said(message))])
        texts = iter(hidden.texts)
        return request.override(messages=[_saying(message, texts) for message in request.messages]), hidden


def _said(message: BaseMessage) -> list[Any]:
    """All that a client sends of a message, as JSON; what a client would send of `additional_kwargs` is left out."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    wrong = message.invalid_tool_calls if isinstance(message, AIMessage) else []
    return [message.content, [call["args"] for call in calls], [call["args"] for call in wrong]]


def _saying(message: BaseMessage, texts: Iterator[str]) -> Any:
    """The message with the next texts in place of its own, and nothing else that a client would send."""
    return _with(message, lambda text: next(texts)).model_copy(update={"additional_kwargs": {}})


def _with(message: BaseMessage, change: Callable[[str], str]) -> BaseMessage:
    content, args, wrong = with_strings(_said(message), change)
    kept = {name: v for name, v in message.additional_kwargs.items() if name not in ("tool_calls", "function_call")}
    update: dict[str, Any] = {"content": content, "additional_kwargs": kept}
    if isinstance(message, AIMessage):
        update["tool_calls"] = [{**call, "args": a} for call, a in zip(message.tool_calls, args, strict=True)]
        update["invalid_tool_calls"] = [
            {**call, "args": a} for call, a in zip(message.invalid_tool_calls, wrong, strict=True)
        ]
    if isinstance(message, ToolMessage):
        update["artifact"] = None  # never sent, and may hold a report
    return message.model_copy(update=update)


def _restored(response: ModelResponse[Any], hidden: HiddenTexts | None) -> ModelResponse[Any]:
    """The answer with the original words: tools look for them, and whoever asks reads them."""
    if hidden is None:
        return response
    result = [_with(message, hidden.restore) for message in response.result]
    return ModelResponse(result=result, structured_response=response.structured_response)
