"""What every request passes: size, rate, key, and a log line that holds nothing of what was asked.

Pure ASGI and outermost, so that no exception with a report in its message reaches the server's own log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pmsi_chain.audit import CALLER, REQUEST_ID
from pmsi_chain.serving.told import UNEXPECTED
from pmsi_chain.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

access_log = logging.getLogger("pmsi_chain.access")
error_log = logging.getLogger("pmsi_chain.serving")

#: Paths that tell nothing of anyone and need no key.
OPEN_PATHS = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json"})
_UNLIMITED_PATHS = frozenset({"/health", "/ready"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BODY_TIMEOUT_S = 60.0
_DRAIN_FACTOR = 16  # a body this many times too long is no longer read to its end before it is refused
_MAX_CLIENTS = 10_000
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class RateLimit:
    """A token bucket per client; the clients seen longest ago are forgotten first.

    Args:
        per_minute: requests a client may make in a minute, at once or spread.
        clock: seconds, only ever growing.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = self._clock()
        tokens, seen = self._buckets.pop(client, (float(self.per_minute), now))
        tokens = min(float(self.per_minute), tokens + (now - seen) * self.per_minute / 60.0)
        allowed = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if allowed else tokens, now)
        if len(self._buckets) > _MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) * 60.0 / self.per_minute


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


class _GoneError(Exception):
    """The client left before it had sent everything."""


class Guard:
    """ASGI middleware in front of the whole application.

    Attributes:
        in_flight: requests being answered now.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self.app = app
        self.max_body_bytes = settings.max_body_bytes
        self.in_flight = 0
        self._key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self._rate = RateLimit(settings.rate_limit_per_minute) if settings.rate_limit_per_minute else None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is none."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, start = uuid4().hex, time.perf_counter()
        status, n_bytes = 0, 0
        scope.setdefault("state", {}).update(guard=self, request_id=request_id)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                own = {name for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()),
                    *(header for header in _HEADERS if header[0] not in own),
                    (b"x-request-id", request_id.encode()),
                    *(((b"connection", b"close"),) if _draining(scope) and b"connection" not in own else ()),
                ]
            await send(message)

        self.in_flight += 1
        try:
            self._admit(scope)
            body = await self._body(scope, receive)
            n_bytes = len(body)
            await self.app(scope, _replay(body, receive), answer)
        except _RefusedError as refusal:
            await _refuse(answer, refusal)
        except _GoneError:
            status = 499
        except Exception as error:
            log_unexpected(error, request_id)
            if not status:
                await _refuse(answer, _RefusedError(500, UNEXPECTED))
        finally:
            self.in_flight -= 1
            access_log.info(
                _json(
                    {
                        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                        "id": request_id,
                        "client": _client(scope),
                        "method": scope["method"] if scope["method"] in _METHODS else "other",
                        "route": getattr(scope.get("route"), "path", "unknown"),
                        "status": status,
                        "ms": round((time.perf_counter() - start) * 1000, 1),
                        "bytes_in": n_bytes,
                    }
                )
            )

    def _admit(self, scope: MutableMapping[str, Any]) -> None:
        path = scope["path"]
        if self._rate is not None and path not in _UNLIMITED_PATHS:
            wait_s = self._rate.wait_s(_client(scope))
            if wait_s:
                seconds = str(math.ceil(wait_s))
                raise _RefusedError(
                    429,
                    f"plus de {self._rate.per_minute} demandes par minute : réessayer dans {seconds} s",
                    **{"retry-after": seconds},
                )
        if self._key is not None and path not in OPEN_PATHS and not secrets.compare_digest(_key(scope), self._key):
            raise _RefusedError(
                401,
                "clé absente ou fausse : la donner dans l'en-tête « Authorization: Bearer … » ou « X-API-Key »",
                **{"www-authenticate": "Bearer"},
            )

    async def _body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        """The whole body.

        A body that is too long is read on for a while and thrown away, because a client that is cut off while it is
        still sending never reads why.
        """
        declared = _header(scope, b"content-length")
        length = int(declared) if declared.isdigit() else 0
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise _GoneError
                    size += len(message.get("body", b""))
                    if max(size, length) <= self.max_body_bytes:
                        chunks.append(message.get("body", b""))
                    if not message.get("more_body") or size > _DRAIN_FACTOR * self.max_body_bytes:
                        break
        except TimeoutError:
            raise _RefusedError(408, "demande incomplète : l'envoyer en moins d'une minute") from None
        if max(size, length) > self.max_body_bytes:
            raise _RefusedError(
                413,
                f"demande de plus de {self.max_body_bytes} octets : donner un texte plus court, "
                "ou relever PMSI_MAX_BODY_BYTES",
                connection="close",
            )
        return b"".join(chunks)


def log_unexpected(error: BaseException, request_id: str) -> None:
    """Log which exception and where, never what it says: it may quote what was asked."""
    error_log.error(_json({"id": request_id, "error": type(error).__name__, "at": _place(error)}))


def _draining(scope: MutableMapping[str, Any]) -> bool:
    """Whether the server is about to stop, so that clients should not keep their connections."""
    app = scope.get("app")
    return app is not None and app.state.draining


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(send: Send, refusal: _RefusedError) -> None:
    body = _json({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: MutableMapping[str, Any], name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def _key(scope: MutableMapping[str, Any]) -> bytes:
    scheme, _, token = _header(scope, b"authorization").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else _header(scope, b"x-api-key")


def metadata_of(scope: MutableMapping[str, Any], user_header: str | None) -> dict[str, str]:
    """Who asks, and under which request id, for the audit log.

    Args:
        user_header: the header in which a proxy names the user; the address stands for who has none.
    """
    user = _header(scope, user_header.lower().encode()).decode("latin-1").strip() if user_header else ""
    return {CALLER: user or _client(scope), REQUEST_ID: scope["state"]["request_id"]}


def _client(scope: MutableMapping[str, Any]) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _place(error: BaseException) -> str:
    """Where it was raised, as `module.py:line`: enough to look there, and nothing of what was asked."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}"


def _json(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False)
