"""HTTP clients for an endpoint: the text goes only where the setting says, and an answer ends in time and size."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

MAX_ANSWER_BYTES = 8 * 2**20


class AnswerLimitError(TimeoutError):
    """The body of an answer took too long or grew too large."""


class _Budget:
    """Time and bytes left for one body."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s
        self._left = MAX_ANSWER_BYTES

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0 or time.monotonic() > self._end:
            raise AnswerLimitError("the answer took too long or is too large")


def http_clients(timeout_s: float, *, local: bool) -> tuple[Any, Any]:
    """A synchronous and an asynchronous client for the OpenAI SDK.

    Redirections are not followed. The read timeout of an HTTP client counts from byte to byte, so that a server that
    sends a byte now and then would hold a call for ever: here the whole body has `timeout_s` seconds.

    Args:
        timeout_s: for connecting, for each silence, and for the whole body once the head is there.
        local: the endpoint is on this machine; the environment's proxies are then not used.
    """
    from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

    # the SDK is built on httpx or httpx2 by its version: the streams must be of the same library
    httpx = import_module(DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

    class Limited(httpx.SyncByteStream):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            budget = _Budget(timeout_s)
            for chunk in self._stream:
                budget.spend(len(chunk))
                yield chunk

        def close(self) -> None:
            self._stream.close()

    class LimitedAsync(httpx.AsyncByteStream):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            budget = _Budget(timeout_s)
            async for chunk in self._stream:
                budget.spend(len(chunk))
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    def limit(response: Any) -> None:
        response.stream = Limited(response.stream)

    async def limit_async(response: Any) -> None:
        response.stream = LimitedAsync(response.stream)

    options: dict[str, Any] = {"timeout": timeout_s, "trust_env": not local, "follow_redirects": False}
    return (
        DefaultHttpxClient(event_hooks={"response": [limit]}, **options),
        DefaultAsyncHttpxClient(event_hooks={"response": [limit_async]}, **options),
    )
