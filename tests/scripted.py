"""A chat model that follows a script and fails the test on a call too many or too few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from pmsi_chain.llm.answer import SCHEMA_NAME


class ScriptedModel(BaseChatModel):
    """Answers its script in order; a call too many fails the test at once, a call too few when it ends.

    A dict is the structured answer, a string is plain text, an exception is raised, a message is given as it is.
    """

    script: list[Any]
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def seen(self) -> list[list[BaseMessage]]:
        return self._seen

    @property
    def said(self) -> str:
        """Everything that was sent, as one text."""
        return "\n".join(m.text for call in self._seen for m in call)

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        return self.bind(tools=tools, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._seen.append(messages)
        if len(self._seen) > len(self.script):
            pytest.fail("the model was called once more than the script says")
        said = self.script[len(self._seen) - 1]
        if isinstance(said, Exception):
            raise said
        if isinstance(said, AIMessage):
            return ChatResult(generations=[ChatGeneration(message=said)])
        calls = [{"name": SCHEMA_NAME, "args": said, "id": "1"}] if isinstance(said, dict) else []
        text = said if isinstance(said, str) else ""
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text, tool_calls=calls))])


_calls = count(1)


def calls(name: str, **args: Any) -> AIMessage:
    """The model calls one tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call-{name}-{next(_calls)}"}])


Scripted = Callable[..., ScriptedModel]


def scripted_models() -> Iterator[Scripted]:
    """The body of a fixture that makes scripted models and counts their calls at the end."""
    models: list[ScriptedModel] = []

    def make(*script: Any) -> ScriptedModel:
        models.append(ScriptedModel(script=list(script)))
        return models[-1]

    yield make
    for model in models:
        assert len(model.seen) == len(model.script), "the model was not called as often as the script says"
