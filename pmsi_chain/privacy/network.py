"""Where a text may go: no tracing service unless allowed, and what counts as this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from pmsi_chain.errors import ConfigurationError

#: What LangChain and LangSmith read to send every prompt and answer to a service.
TRACING_VARIABLES = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")
_OFF = frozenset({"", "0", "false", "no", "off"})


def refuse_tracing(*, allowed: bool = False, environ: Mapping[str, str] | None = None) -> None:
    """Refuse to work while LangSmith tracing is on, because it sends the texts of reports away.

    Args:
        allowed: `Settings.allow_tracing`; True accepts tracing.
        environ: the environment to look at; None: this process's.

    Raises:
        ConfigurationError: a tracing variable is set, or tracing was switched on in the program.
    """
    if allowed:
        return
    environ = os.environ if environ is None else environ
    named = [name for name in TRACING_VARIABLES if environ.get(name, "").strip().lower() not in _OFF]
    if not named:
        from langsmith.run_helpers import get_tracing_context

        if get_tracing_context().get("enabled"):
            named = ["langsmith.tracing_context(enabled=True)"]
    if named:
        raise ConfigurationError(
            f"le traçage de LangSmith est en marche ({', '.join(named)}) et enverrait les comptes rendus ailleurs : "
            "l'arrêter, ou l'accepter par PMSI_ALLOW_TRACING=true"
        )


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine: `localhost`, 127.0.0.0/8 or ::1; any doubt counts as no."""
    if "\\" in url or any(char.isspace() for char in url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not host:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
