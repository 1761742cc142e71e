"""`pmsi-chain serve` as a process: its address, its logs, its end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.serving.commands import WithoutWords, mcp_command, serve_command
from pmsi_chain.serving.guard import Guard, RateLimit
from pmsi_chain.settings import Settings
from tests.serving_support import CANARY, REPORT

COMMAND = [sys.executable, "-c", "from pmsi_chain.cli import main; main()", "serve", "--port", "0"]


def test_serve_answers_all_and_stops_on_sigterm_without_a_word(state_dir: Path) -> None:
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stderr is not None
    assert process.stdout is not None
    lines: list[str] = []
    reading = Thread(target=lambda: lines.extend(process.stderr or ()))
    reading.start()
    try:
        deadline = time.monotonic() + 60
        while not (told := re.search(r"http://127\.0\.0\.1:\d+", "".join(lines))):
            assert process.poll() is None, "the server died"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        url = told[0]
        n = 8

        def ask(i: int) -> int:
            return httpx.post(f"{url}/coding/invoke", json={"input": f"{i} {REPORT}" * 20}, timeout=90).status_code

        with ThreadPoolExecutor(n) as pool:
            asked = [pool.submit(ask, i) for i in range(n)]  # some before everything is loaded: they wait for it
            while httpx.get(f"{url}/ready").json()["in_flight"] < n:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert [one.result() for one in asked] == [200] * n
        process.wait(timeout=30)
    finally:
        process.kill()
        reading.join()
    assert process.stdout.read() == ""
    process.stdout.close()
    process.stderr.close()
    logged = "".join(lines)
    assert logged.count('"route": "/coding/invoke", "status": 200') == n
    assert CANARY not in logged
    assert "Traceback" not in logged


def test_an_open_address_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="PMSI_API_KEY"):
        serve_command("0.0.0.0", 0)  # noqa: S104  # refused, which is the point


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("203.0.113.7", 0)])
def test_an_address_that_cannot_be_had(host: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMSI_API_KEY", "k")
    with pytest.raises(ConfigurationError, match="--port"):
        serve_command(host, port)


@pytest.mark.parametrize(("module", "extra"), [("uvicorn", "serve"), ("fastapi", "serve"), ("mcp", "mcp")])
def test_a_missing_extra_is_named(module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("pmsi_chain.serving.", "fastapi", "mcp"))]:
        if not name.endswith(("commands", "guard", "told")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"pmsi-chain\[{extra}\]"):
        (serve_command if extra == "serve" else mcp_command)()


def test_rate_limit_refills_with_time() -> None:
    now = [0.0]
    limit = RateLimit(2, clock=lambda: now[0])
    assert [limit.wait_s("a"), limit.wait_s("a")] == [0.0, 0.0]
    assert limit.wait_s("a") == pytest.approx(30.0)
    assert limit.wait_s("b") == 0.0
    now[0] = 30.0
    assert limit.wait_s("a") == 0.0
    assert limit.wait_s("a") > 0.0


async def through_guard(received: list[Any], caplog: pytest.LogCaptureFixture, **settings: Any) -> tuple[Any, Any]:
    """What the guard sends and logs when a client sends these messages and then nothing more."""
    sent: list[Any] = []

    async def receive() -> Any:
        if received:
            return received.pop(0)
        return await asyncio.sleep(3600, None)

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the application was reached")

    caplog.set_level(logging.INFO, "pmsi_chain")
    scope = {"type": "http", "method": "POST", "path": "/coding/invoke", "headers": [], "client": ("127.0.0.1", 1)}
    await Guard(app, Settings(**settings))(scope, receive, send)
    return sent, json.loads(caplog.messages[-1])


async def test_a_body_that_never_ends_is_given_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmsi_chain.serving.guard._BODY_TIMEOUT_S", 0.05)
    started = {"type": "http.request", "body": CANARY.encode(), "more_body": True}
    sent, logged = await through_guard([started], caplog)
    assert sent[0]["status"] == logged["status"] == 408


async def test_a_client_that_leaves_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sent, logged = await through_guard([{"type": "http.disconnect"}], caplog)
    assert sent == []
    assert logged["status"] == 499


async def test_an_endless_body_is_not_read_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    chunk = {"type": "http.request", "body": b"x" * 10_000, "more_body": True}
    chunks = [dict(chunk) for _ in range(10)]
    sent, logged = await through_guard(chunks, caplog, max_body_bytes=1_000)
    assert sent[0]["status"] == logged["status"] == 413
    assert len(chunks) == 8  # 16 times the limit was read, no more


def test_what_other_libraries_log_loses_its_words() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        record = logging.LogRecord("asyncio", logging.ERROR, f"/{CANARY}/x.py", 7, "%s", (CANARY,), sys.exc_info())
    record.filename = "base_events.py"
    told = WithoutWords().format(record)
    assert json.loads(told) == {"logger": "asyncio", "level": "ERROR", "at": "base_events.py:7", "error": "ValueError"}
    ours = logging.LogRecord("pmsi_chain.access", logging.INFO, "x.py", 7, '{"status": %s}', (200,), None)
    assert WithoutWords().format(ours) == '{"status": 200}'


def test_an_llm_that_is_not_configured_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="PMSI_LLM_BASE_URL"):
        serve_command(port=0, llm=True)
