"""The load bench against a real process: every request answered, none lost when it stops."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from itertools import count
from typing import Any

import pytest

from pmsi_chain.errors import InputError
from pmsi_chain.evaluation.load import _Answer, _client, _result, bench_serve
from tests.test_llm_wire import Endpoint, Handler


def test_many_clients_are_answered_and_none_is_lost_at_the_end(state_dir: Any) -> None:
    result = bench_serve(clients=16, seconds=3.0)
    assert result.errors == {}
    assert result.requests > 0
    assert result.in_flight_at_stop > 0
    assert result.lost_at_stop == 0
    assert 0 < result.p50_ms <= result.p95_ms <= result.max_ms


def test_the_command_prints_the_figures_as_json(state_dir: Any) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "pmsi_chain", "bench", "serve", "--clients", "2", "--seconds", "1", "--json"],
        capture_output=True, timeout=180, check=True,
    )  # fmt: skip
    figures = json.loads(told.stdout)
    assert (figures["clients"], figures["errors"], figures["lost_at_stop"]) == (2, {}, 0)


@pytest.mark.parametrize(("clients", "seconds"), [(0, 1.0), (1, 0.0)])
def test_nothing_to_measure_is_refused(clients: int, seconds: float) -> None:
    with pytest.raises(InputError):
        bench_serve(clients, seconds)


def test_figures_by_hand() -> None:
    answers = [_Answer("200", 0.0, 0.1), _Answer("200", 0.0, 0.3), _Answer("503", 1.0, 1.1), _Answer("200", 1.9, 2.1),
               _Answer("ConnectionResetError", 1.9, 2.2)]  # fmt: skip
    result = _result(4, 2.0, answers, 2.0, 10)
    assert (result.requests, result.per_second) == (2, 1.0)
    assert result.errors == {"503": 1, "ConnectionResetError": 1}
    assert (result.in_flight_at_stop, result.lost_at_stop) == (2, 1)
    assert (result.p50_ms, result.max_ms) == (200.0, 300.0)


def test_what_goes_wrong_is_counted_by_its_name() -> None:
    """A server that answers an error, garbage, an empty coding, then nothing."""
    stop = threading.Event()

    def empty(handler: Handler, body: Any) -> None:
        handler.send(200, {"output": {"dp": None}})

    def last(handler: Handler, body: Any) -> None:
        stop.set()
        handler.connection.shutdown(socket.SHUT_RDWR)

    server = Endpoint(lambda h, b: h.send(503, {}), lambda h, b: h.send(200, "<html>"), empty, last)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    answers: list[_Answer] = []
    try:
        _client(server.url, {}, "toux", stop, count(), answers)
    finally:
        server.shutdown()
        server.server_close()
    assert [a.outcome for a in answers][:3] == ["503", "JSONDecodeError", "sans DP"]
    assert len(answers) == 4
    assert answers[3].outcome not in ("200", "sans DP")
