"""A real server on loopback, in a thread, over the real chain."""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from langserve import RemoteRunnable

from pmsi_chain import RAGEngine, Settings
from pmsi_chain.serving.server import DrainingServer

#: A word of no report and no code: wherever it shows, a report has leaked.
CANARY = "Zyxomarine"
REPORT = (
    f"Madame {CANARY}, 74 ans.\nMotif : dyspnée fébrile.\n"
    "Conclusion : pneumopathie franche lobaire aiguë. Hypokaliémie à 2,8 mmol/L corrigée par voie intraveineuse. 🫁 "
    "Retour à domicile."
)


def engine_with(engine: RAGEngine, settings: Settings) -> RAGEngine:
    """The engine under other settings that change nothing of its indexes, which stay open."""
    other = copy.copy(engine)
    other.settings = settings
    return other


#: LangServe's clients of the run. Collected as garbage, one hands its closing to an executor from whatever thread
#: collects it, and waits for ever where that thread is itself handing over a task: they live until the run ends.
_remotes: list[RemoteRunnable[Any, Any]] = []


def remote(client: httpx.Client, path: str, **kwargs: Any) -> RemoteRunnable[Any, Any]:
    """LangServe's own client of a route."""
    _remotes.append(RemoteRunnable(f"{client.base_url}{path}", timeout=60, **kwargs))
    return _remotes[-1]


class Running:
    """A server and how to stop it."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=30)
        logging.getLogger("uvicorn.access").disabled = True  # as `serve` does: it would log addresses as they came
        self.server = DrainingServer(config)
        self.thread = threading.Thread(target=self.server.run)

    def start(self) -> str:
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started:
            assert time.monotonic() < deadline, "the server did not start"
            assert self.thread.is_alive(), "the server died"
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=40)
        assert not self.thread.is_alive(), "the server did not stop"


@contextmanager
def serving(app: FastAPI, headers: dict[str, str] | None = None) -> Iterator[httpx.Client]:
    """A client of the running application."""
    running = Running(app)
    url = running.start()
    try:
        with httpx.Client(base_url=url, timeout=60, headers=headers) as client:
            yield client
    finally:
        running.stop()
