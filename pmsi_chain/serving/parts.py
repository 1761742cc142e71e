"""The engine and the chain behind the endpoint, loaded once, in the background, before the first request needs them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from importlib.resources import files

from pmsi_chain.chain import CodingChain
from pmsi_chain.engine import RAGEngine
from pmsi_chain.errors import ConfigurationError, PmsiChainError
from pmsi_chain.index import Progress
from pmsi_chain.selection import Selector
from pmsi_chain.serving.guard import log_unexpected
from pmsi_chain.settings import Settings


@dataclass(frozen=True)
class Loaded:
    """What answers requests."""

    engine: RAGEngine
    chain: CodingChain


class Parts:
    """Loads what is not given, codes the bundled fictional report once so that nothing is left to load, then is ready.

    Raises:
        ConfigurationError: `llm` without an endpoint in the settings.

    Attributes:
        slots: as many codings and searches at once as there are cores, or as the language model takes calls where
            one decides; the others wait their turn.
        talks: as many conversations at once as the language model takes calls.
    """

    def __init__(
        self,
        settings: Settings,
        chain: CodingChain | None,
        engine: RAGEngine | None,
        *,
        llm: bool,
        progress: Progress,
    ) -> None:
        self.settings = settings
        self._chain = chain
        self._engine = engine
        self._selector = chain.selector if chain is not None else _selector(settings) if llm else None
        at_once = max(2, os.cpu_count() or 1, settings.llm_max_concurrency if self._selector else 0)
        self.slots = asyncio.Semaphore(at_once)
        self.talks = asyncio.Semaphore(settings.llm_max_concurrency)
        self._progress = progress
        self._task: asyncio.Task[Loaded] | None = None

    def start(self) -> None:
        """Load in the background."""
        self._task = asyncio.create_task(asyncio.to_thread(self._load))
        self._task.add_done_callback(_seen)

    async def stop(self) -> None:
        """Let a loading that has begun come to its end, whatever comes of it."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def loaded(self) -> Loaded:
        """The parts, waited for.

        Raises:
            ConfigurationError: they could not be loaded; whoever asks cannot mend it.
        """
        assert self._task is not None  # noqa: S101  # the application's lifespan started it
        try:
            return await asyncio.shield(self._task)
        except Exception:
            raise ConfigurationError(self.state()[1]) from None

    def state(self) -> tuple[bool, str]:
        """Whether requests are answered now, and one French line that says so or why not."""
        if self._task is None or not self._task.done():
            return False, "chargement en cours"
        error = self._task.exception()
        if error is None:
            return True, "prêt"
        return False, str(error) if isinstance(error, PmsiChainError) else "le chargement a échoué : voir le journal"

    def _load(self) -> Loaded:
        chain, engine = self._chain, self._engine
        if chain is None:
            engine = engine or RAGEngine.from_settings(self.settings, self._progress)
            chain = CodingChain(engine, self._selector)
        engine = engine or chain.engine
        report = (files("pmsi_chain") / "knowledge" / "demo_report.txt").read_text(encoding="utf-8")
        if chain.selector is None:  # a language model is not asked about a report that nobody gave
            chain.invoke_with_stages(report)
        engine.search_icd10("toux")
        engine.search_ccam("appendicectomie")
        return Loaded(engine, chain)


def _selector(settings: Settings) -> Selector:
    from pmsi_chain.llm import LlmSelector

    return LlmSelector.from_settings(settings)


def _seen(task: asyncio.Task[Loaded]) -> None:
    """Log a failure once, where nobody may ever wait for it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log_unexpected(error, "loading")
