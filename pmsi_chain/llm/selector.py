"""`LlmSelector`: one typed question over a closed list, one retry that carries the findings, then the rules decide."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableLambda

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import Position, ReviewItem
from pmsi_chain.llm.answer import Answer
from pmsi_chain.llm.brief import BARRED, Brief
from pmsi_chain.llm.endpoint import METHODS, Failure, asking, chat_model, failure_of
from pmsi_chain.llm.verify import Verdict, Verified, verify
from pmsi_chain.privacy import Pseudonymised, Pseudonymiser, is_loopback, refuse_tracing
from pmsi_chain.prompts import Prompt, load_prompt
from pmsi_chain.selection import Choice, Proposal, Selection, SelectionRequest, for_review
from pmsi_chain.settings import Settings

SELECT_PROMPT = "select_codes_v1"
RETRY_PROMPT = "select_codes_retry_v1"
#: The Guide's definition of each position (Guide méthodologique MCO 2026, ch. IV, 1.1, 1.2 and 2), where the rules had
#: no more precise rule for a choice.
POSITION_RULES: dict[Position, str] = {
    "dp": "GM2026-IV-DP-01",
    "dr": "GM2026-IV-DR-01",
    "das": "GM2026-IV-DAS-01",
}
_WAIT_S = 0.02
_log = logging.getLogger("pmsi_chain.llm")


@dataclass(frozen=True, slots=True)
class _Ask:
    """One call to make."""

    messages: list[BaseMessage]
    schema: dict[str, Any]
    method: str


_Steps = Generator[_Ask, Answer | Failure, Selection]


class LlmSelector:
    """A `Selector` that asks a chat model to choose among the proposals, and believes nothing that it cannot check.

    Whatever the model says, the report says or the wire does, the answer holds only proposals of the request, in
    positions open to them, with their own proofs; where no such answer is had, `request.default` is, with a note.
    """

    def __init__(
        self,
        model: BaseChatModel,
        prompt: Prompt | None = None,
        retry_prompt: Prompt | None = None,
        *,
        model_name: str = "",
        identified: bool = False,
        token_budget: int = 16_000,
        structured: Literal["auto", "json_schema", "function_calling", "json_mode"] = "auto",
        max_concurrency: int = 4,
        timeout_s: float | None = None,
        allow_tracing: bool = False,
        pseudonymiser: Pseudonymiser | None = None,
    ) -> None:
        """Take the parts as they are; see `from_settings`.

        Args:
            prompt: with the variables of `select_codes_v1`; None: that one.
            retry_prompt: with the variable `findings`; None: `select_codes_retry_v1`.
            identified: send the report as it is; otherwise it is pseudonymised first.
            structured: "auto" finds out what the endpoint supports, once.
            timeout_s: of the model, for messages only.
        """
        self.model = model
        self.prompt = prompt or load_prompt(SELECT_PROMPT)
        self.retry_prompt = retry_prompt or load_prompt(RETRY_PROMPT)
        self.model_name = model_name or str(getattr(model, "model_name", "") or model._llm_type)
        self.identified = identified
        self.token_budget = token_budget
        self.allow_tracing = allow_tracing
        self._timeout_s = timeout_s
        self._pseudonymise = pseudonymiser or Pseudonymiser()
        self._fixed_method = structured != "auto"
        self._method: str | None = None if structured == "auto" else structured
        self._owns_model = False
        self._slots = threading.BoundedSemaphore(max_concurrency)
        self._fixed_chars = len(self.prompt.system) + len(self.prompt.human)

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """The selector for the endpoint of the settings; nothing is sent yet.

        Raises:
            ConfigurationError: no endpoint or model is set, or LangSmith tracing is on and not allowed.
        """
        settings = settings or Settings()
        refuse_tracing(allowed=settings.allow_tracing)
        selector = cls(
            chat_model(settings),
            model_name=settings.llm_model or "",
            identified=settings.llm_send_identified or is_loopback(settings.llm_base_url or ""),
            token_budget=settings.llm_token_budget,
            structured=settings.llm_structured,
            max_concurrency=settings.llm_max_concurrency,
            timeout_s=settings.llm_timeout_s,
            allow_tracing=settings.allow_tracing,
        )
        selector._owns_model = True
        return selector

    @property
    def method(self) -> str | None:
        """How the endpoint is asked for typed answers; None until that is known."""
        return self._method

    def __call__(self, request: SelectionRequest) -> Selection:
        """Choose positions for a request.

        Raises:
            ConfigurationError: LangSmith tracing is on and not allowed. Nothing else: what fails on the model's side
                ends in `request.default` with a note.
        """
        steps = self._steps(request)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(self._call(ask))
        except StopIteration as end:
            return _result(end)

    async def acall(self, request: SelectionRequest) -> Selection:
        """`__call__` without blocking the event loop."""
        steps = self._steps(request)
        try:
            ask = next(steps)
            while True:
                ask = steps.send(await self._acall(ask))
        except StopIteration as end:
            return _result(end)

    def as_runnable(self) -> Runnable[SelectionRequest, Selection]:
        """The selector as a LangChain part, synchronous and asynchronous."""
        return RunnableLambda(self.__call__, afunc=self.acall, name="llm_selection")

    def close(self) -> None:
        """Close the connections of a model made by `from_settings`; other models are their maker's."""
        client = getattr(self.model, "http_client", None)
        if self._owns_model and client is not None:
            client.close()

    async def aclose(self) -> None:
        """`close`, with the connections of `acall`."""
        self.close()
        client = getattr(self.model, "http_async_client", None)
        if self._owns_model and client is not None:
            await client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    # -- calls ---------------------------------------------------------------------------------------------------

    def _call(self, ask: _Ask) -> Answer | Failure:
        with self._slots:
            try:
                return asking(self.model, ask.schema, ask.method).invoke(ask.messages)
            except Exception as error:
                return self._failed(error, ask)

    async def _acall(self, ask: _Ask) -> Answer | Failure:
        # one limit for threads and event loops alike: a lock of asyncio belongs to one loop only
        while not self._slots.acquire(blocking=False):
            await asyncio.sleep(_WAIT_S)
        try:
            return await asking(self.model, ask.schema, ask.method).ainvoke(ask.messages)
        except Exception as error:
            return self._failed(error, ask)
        finally:
            self._slots.release()

    def _failed(self, error: Exception, ask: _Ask) -> Failure:
        failure = failure_of(error, self._timeout_s)
        _log.warning("LLM call failed: %s, asked by %s", type(error).__name__, ask.method)
        return failure

    # -- decision ------------------------------------------------------------------------------------------------

    def _steps(self, request: SelectionRequest) -> _Steps:
        """The whole decision, apart from the wire: yields calls, is sent their outcome, returns the selection."""
        refuse_tracing(allowed=self.allow_tracing)
        hidden = self._pseudonymise(request.stay.text)
        view = Pseudonymised.from_identity(request.stay.text) if self.identified else hidden
        brief = Brief.from_request(request, view, self.token_budget, self._fixed_chars)
        if not brief.candidates:
            return _by_rules(request, "aucun candidat à soumettre au modèle", brief)
        question = self.prompt.render(**brief.variables)
        messages = question
        why = ""
        for last in (False, True):
            reply = yield from self._asked(messages, brief.schema)
            if isinstance(reply, Failure):
                why = str(reply.error)
                if last or not reply.again:
                    break
                findings = ["La réponse n'est pas un objet JSON complet au format demandé."]
                messages = question + self._retry(findings)
                continue
            verdict = verify(reply, brief, hidden)
            if not verdict.findings:
                return _selection(request, brief, verdict)
            why = f"réponse refusée par la vérification ({len(verdict.findings)} constats)"
            _log.warning("LLM answer refused: %d findings", len(verdict.findings))
            messages = [*question, AIMessage(reply.model_dump_json()), *self._retry(list(verdict.findings))]
        return _by_rules(request, why, brief)

    def _retry(self, findings: list[str]) -> list[BaseMessage]:
        return self.retry_prompt.render(findings="\n".join(f"- {finding}" for finding in findings))

    def _asked(
        self, messages: list[BaseMessage], schema: dict[str, Any]
    ) -> Generator[_Ask, Answer | Failure, Answer | Failure]:
        """An answer by the known method, or by the first that works; what worked is remembered."""
        if self._method is not None:
            reply = yield _Ask(messages, schema, self._method)
            if isinstance(reply, Failure) and reply.other_method and not self._fixed_method:
                self._method = None  # the endpoint changed, or the method never quite worked: find out again
            return reply
        failure: Failure | None = None
        for method in METHODS:
            reply = yield _Ask(messages, schema, method)
            if isinstance(reply, Answer):
                self._method = method
                _log.info("LLM structured output: %s", method)
                return reply
            failure = reply
            if not failure.other_method:
                break
        assert failure is not None  # noqa: S101 - METHODS is not empty
        return replace(failure, again=False)


def _result(end: StopIteration) -> Selection:
    selection: Selection = end.value
    return selection


def _by_rules(request: SelectionRequest, why: str, brief: Brief) -> Selection:
    default = request.default or Selection()
    note = f"décidé par les règles : {why}"
    return replace(default, decided_by="rules", notes=(*default.notes, *brief.notes, note))


def _selection(request: SelectionRequest, brief: Brief, verdict: Verdict) -> Selection:
    """The verified choices; what the rules would have coded and the model did not goes to review."""
    default = request.default or Selection()
    known = {(c.proposal.code, c.position): c for c in default.choices}
    choices = [_choice(one, known.get((one.candidate.proposal.code, one.position))) for one in verdict.choices]
    dp = next((c for c in choices if c.position == "dp"), None)
    notes = [*default.notes, *brief.notes]
    if verdict.left_out:
        notes.append(f"phrases ou citations du modèle laissées de côté à la vérification : {verdict.left_out}")
    notes.extend(f"à préciser, selon le modèle : {missing}" for missing in verdict.missing)
    runner_up = default.runner_up
    if default.dp is not None and dp is not None and default.dp.proposal.code != dp.proposal.code:
        other = default.dp.proposal
        runner_up = f"{cim10_display(other.code)} {other.label} : DP selon les règles, non retenu par le modèle"
    return Selection(
        dp=dp,
        dr=next((c for c in choices if c.position == "dr"), None),
        das=tuple(c for c in choices if c.position == "das"),
        review=_review(request, brief, verdict),
        runner_up=runner_up,
        decided_by="llm",
        notes=tuple(notes),
    )


def _choice(one: Verified, known: Choice | None) -> Choice:
    """The choice, its proof first; the rule is the one that the rules found for this position, or its definition."""
    proposal = one.candidate.proposal
    first = one.exhibit.evidence
    others = (e for e in proposal.evidence if e != first and not BARRED & set(e.context))
    reasons = known.reasons if known else proposal.reasons
    if one.justification:
        reasons = (f"selon le modèle : {one.justification}", *reasons)
    return Choice(
        proposal=replace(proposal, evidence=(first, *others)),
        position=one.position,
        rule_id=known.rule_id if known and known.rule_id else POSITION_RULES[one.position],
        reasons=reasons,
    )


def _review(request: SelectionRequest, brief: Brief, verdict: Verdict) -> tuple[ReviewItem, ...]:
    """What a person should look at: the rules' choices and doubts that the model did not take."""
    chosen = {one.candidate.proposal.code for one in verdict.choices}
    said = {brief.by_id[c].proposal.code: reason for c, reason in verdict.rejected}
    items: dict[str, ReviewItem] = {}

    def add(proposal: Proposal, position: Position, otherwise: str) -> None:
        code = proposal.code
        if code in chosen or code in items:
            return
        reason = f"écarté par le modèle : {said[code]}" if said.get(code) else otherwise
        items[code] = for_review(proposal, position, reason)

    if request.default is None:
        for candidate in brief.candidates:
            positions = candidate.proposal.positions
            position: Position = "das" if "das" in positions else positions[0]
            add(candidate.proposal, position, "candidat non retenu par le modèle")
        return tuple(items.values())
    for choice in request.default.choices:
        otherwise = f"retenu en {choice.position.upper()} par les règles, non retenu par le modèle"
        add(choice.proposal, choice.position, otherwise)
    rest = (item for item in request.default.review if item.code not in chosen and item.code not in items)
    return (*items.values(), *rest)
