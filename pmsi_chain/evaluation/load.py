"""`pmsi-chain bench serve`: many clients at once against a real `pmsi-chain serve` process, then its end.

Each client codes one report after the other over its own connection for the given time. Then, with requests still in
flight, the server is told to stop: every request that it had received must be answered.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import count
from urllib.parse import urlsplit

import numpy as np

from pmsi_chain.errors import InputError, ServiceError
from pmsi_chain.settings import Settings

_READY_S = 120.0
_STOP_S = 90.0
_ANSWER_S = 120.0
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Figures of one run.

    Attributes:
        clients, seconds: as asked for.
        requests: answered 200 within the time.
        errors: what else was answered or happened, by HTTP status or by name, with its count.
        per_second: requests answered a second.
        p50_ms, p95_ms, max_ms: time to the whole answer, in milliseconds.
        in_flight_at_stop: requests that the server had received when it was told to stop.
        lost_at_stop: those of them without a 200.
        chars: length of the report coded.
    """

    clients: int
    seconds: float
    requests: int
    errors: dict[str, int]
    per_second: float
    p50_ms: float
    p95_ms: float
    max_ms: float
    in_flight_at_stop: int
    lost_at_stop: int
    chars: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a request: its status or the name of what happened, when it began and ended."""

    outcome: str
    began: float
    ended: float


def bench_serve(
    clients: int = 32, seconds: float = 60.0, progress: Callable[[str], None] = lambda message: None
) -> LoadResult:
    """Load a server of our own on a free port, and stop it under load.

    Raises:
        InputError: fewer than one client, or no time.
        ServiceError: the server did not start, or did not stop.
    """
    if clients < 1 or seconds <= 0:
        raise InputError(f"{clients} clients pendant {seconds:g} s : donner au moins un client et une durée")
    key = Settings().api_key
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": key.get_secret_value()} if key else {})
    report = (files("pmsi_chain") / "knowledge" / "demo_report.txt").read_text(encoding="utf-8")
    with _served(progress) as (url, process):
        progress(f"{clients} clients pendant {seconds:g} s sur {url}…")
        stop, numbers = threading.Event(), count()
        answers: list[_Answer] = []
        threads = [
            threading.Thread(target=_client, args=(url, headers, report, stop, numbers, answers))
            for _ in range(clients)
        ]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()  # from now on no client begins another request
        ended = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        _wait(process)
    return _result(clients, ended - began, answers, ended, len(report))


def _result(clients: int, seconds: float, answers: Sequence[_Answer], stopped: float, chars: int) -> LoadResult:
    good = [a for a in answers if a.outcome == "200"]
    within = [a for a in good if a.ended <= stopped]
    late = [a for a in answers if a.ended > stopped]
    took = [(a.ended - a.began) * 1000 for a in good] or [float("nan")]
    return LoadResult(
        clients=clients,
        seconds=round(seconds, 1),
        requests=len(within),
        errors=dict(Counter(a.outcome for a in answers if a.outcome != "200")),
        per_second=round(len(within) / seconds, 2),
        p50_ms=round(float(np.percentile(took, 50)), 1),
        p95_ms=round(float(np.percentile(took, 95)), 1),
        max_ms=round(max(took), 1),
        in_flight_at_stop=len(late),
        lost_at_stop=sum(a.outcome != "200" for a in late),
        chars=chars,
    )


def _client(
    url: str,
    headers: dict[str, str],
    report: str,
    stop: threading.Event,
    numbers: Iterator[int],
    answers: list[_Answer],
) -> None:
    """Code one report after the other; each is another text, so that nothing is answered from memory."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_S)
    while not stop.is_set():
        body = json.dumps({"input": {"text": f"Dossier {next(numbers)}.\n{report}"}})
        began = time.perf_counter()
        try:
            connection.request("POST", "/coding/invoke", body, headers)
            answer = connection.getresponse()
            coding = json.loads(answer.read())
            outcome = str(answer.status)
            if outcome == "200" and not coding["output"]["dp"]:
                outcome = "sans DP"
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            outcome = type(error).__name__
        answers.append(_Answer(outcome, began, time.perf_counter()))
    connection.close()


@contextmanager
def _served(progress: Callable[[str], None]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server that is ready, in its own process."""
    progress("Démarrage du service…")
    process = subprocess.Popen(  # our own command
        [sys.executable, "-m", "pmsi_chain", "serve", "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    told = threading.Event()
    listening = threading.Thread(target=_listen, args=(process, said, told), daemon=True)
    listening.start()
    try:
        if not told.wait(_READY_S) or not said:
            raise ServiceError("le service ne démarre pas : lancer pmsi-chain serve pour voir pourquoi")
        url = said[0]
        _until_ready(url, process)
        yield url, process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        listening.join()
        if process.stderr is not None:
            process.stderr.close()


def _listen(process: subprocess.Popen[str], said: list[str], told: threading.Event) -> None:
    """Read the server's log to its end, so that it never waits for its reader; keep the address."""
    assert process.stderr is not None  # noqa: S101  # it was opened with a pipe
    for line in process.stderr:
        if not said and (found := _ADDRESS.search(line)):
            said.append(found[0])
            told.set()
    told.set()


def _until_ready(url: str, process: subprocess.Popen[str]) -> None:
    parts = urlsplit(url)
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
        try:
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise ServiceError("le service n'est pas prêt : lancer pmsi-chain serve pour voir pourquoi")


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        raise ServiceError(f"le service ne s'est pas arrêté en {_STOP_S:g} s") from None
