"""A conversation with the coding agent, remembered for a while; only where a language model is configured."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Request
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import BaseModel, ConfigDict, Field

from pmsi_chain.serving.conversing import Conversing
from pmsi_chain.serving.guard import metadata_of
from pmsi_chain.serving.langserve import LoadedParts


class ChatBody(BaseModel):
    """A question; `session` as the first answer gave it continues that conversation."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    message: str = Field(min_length=1, max_length=20_000)
    session: str | None = Field(default=None, max_length=64)


class ToolUse(BaseModel):
    """A tool that the agent used, and what it was told."""

    tool: str
    arguments: dict[str, Any]
    refused: bool
    result: Any


class ChatAnswer(BaseModel):
    """The agent's answer and the tools it rests on."""

    session: str
    answer: str
    tools: list[ToolUse]


@dataclass
class Session:
    """One conversation, in memory alone."""

    id: str
    seen_s: float
    messages: list[BaseMessage] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sessions:
    """Conversations, bounded in number, length and age.

    Args:
        max_sessions: beyond it the conversation that was silent longest is forgotten.
        max_turns: questions remembered per conversation.
        ttl_s: seconds of silence after which a conversation is forgotten.
    """

    def __init__(
        self,
        max_sessions: int = 200,
        max_turns: int = 20,
        ttl_s: float = 1800.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_sessions = max_sessions
        self.max_turns = max_turns
        self.ttl_s = ttl_s
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, session_id: str | None) -> Session | None:
        """A new conversation, or the one of that id, None where it is unknown or forgotten."""
        now = self._clock()
        while self._sessions and now - next(iter(self._sessions.values())).seen_s > self.ttl_s:
            self._sessions.popitem(last=False)
        if session_id is None:
            session = Session(secrets.token_urlsafe(24), now)
        else:
            found = self._sessions.pop(session_id, None)
            if found is None:
                return None
            session = found
            session.seen_s = now
        self._sessions[session.id] = session
        if len(self._sessions) > self.max_sessions:
            self._sessions.popitem(last=False)
        return session

    def keep(self, session: Session, messages: list[BaseMessage]) -> None:
        """Remember a conversation, its last `max_turns` questions."""
        questions = [i for i, message in enumerate(messages) if isinstance(message, HumanMessage)]
        session.messages = messages[questions[-self.max_turns] :] if len(questions) > self.max_turns else messages

    def close(self, session_id: str) -> bool:
        """Forget a conversation; whether there was one."""
        return self._sessions.pop(session_id, None) is not None


def chat_routes(conversing: Conversing, sessions: Sessions) -> APIRouter:
    """`POST /chat` and `DELETE /chat/{session}`."""
    router = APIRouter(tags=["Conversation"])

    @router.post("/chat", summary="Poser une question à l'agent")
    async def chat(body: Annotated[ChatBody, Body()], request: Request, loaded: LoadedParts) -> ChatAnswer:
        agent = conversing.agent(loaded)
        session = sessions.open(body.session)
        if session is None:
            raise HTTPException(404, "conversation inconnue ou oubliée : en ouvrir une autre, sans donner session")
        async with session.lock, request.app.state.parts.talks:
            given = [*session.messages, HumanMessage(body.message)]
            metadata = metadata_of(request.scope, conversing.settings.audit_user_header)
            messages = (await agent.ainvoke({"messages": given}, {"metadata": metadata}))["messages"]
            sessions.keep(session, messages)
        new = messages[len(given) :]
        answer = messages[-1].text if messages else ""
        return ChatAnswer(session=session.id, answer=answer, tools=_tools(new))

    @router.delete("/chat/{session}", summary="Oublier une conversation", status_code=204)
    async def forget(session: str) -> None:
        if not sessions.close(session):
            raise HTTPException(404, "conversation inconnue ou déjà oubliée")

    return router


def _tools(messages: list[BaseMessage]) -> list[ToolUse]:
    arguments = {
        call["id"]: call["args"] for m in messages if isinstance(m, AIMessage) for call in m.tool_calls if call["id"]
    }
    return [
        ToolUse(
            tool=m.name or "",
            arguments=arguments.get(m.tool_call_id, {}),
            refused=m.status == "error",
            result=_parsed(m.text),
        )
        for m in messages
        if isinstance(m, ToolMessage)
    ]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
