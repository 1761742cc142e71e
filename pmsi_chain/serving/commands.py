"""`pmsi-chain serve` and `pmsi-chain mcp`."""

from __future__ import annotations

import json
import logging
import math
import socket
import sys
from ipaddress import ip_address

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.privacy import refuse_tracing
from pmsi_chain.problems import cause
from pmsi_chain.settings import Settings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
_SHUTDOWN_S = 60


def serve_command(host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, *, llm: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; requests already received are answered first.

    Args:
        port: 0 takes a free one; the address is told on stderr.
        llm: lets the language model of the settings choose among the proposals.

    Raises:
        ConfigurationError: the extra is not installed, the address cannot be had, or it is open to others without
            `PMSI_API_KEY`.
    """
    try:
        import uvicorn

        from pmsi_chain.serving.app import create_app
        from pmsi_chain.serving.server import DrainingServer
    except ModuleNotFoundError as error:
        raise _missing(error, "serve") from None
    settings = Settings()
    if not _is_this_machine(host) and settings.api_key is None:
        raise ConfigurationError(
            f"--host {host} ouvre le service à d'autres machines : donner une clé d'accès par PMSI_API_KEY, "
            f"ou rester sur {DEFAULT_HOST}"
        )
    app = create_app(settings, llm=llm, progress=_tell)
    listening = _listen(host, port)
    _log_to_stderr()
    patience_s = _SHUTDOWN_S + (math.ceil(settings.llm_timeout_s) if llm else 0)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=patience_s
    )
    shown = f"[{host}]" if ":" in host else host
    _tell(f"pmsi-chain écoute sur http://{shown}:{listening.getsockname()[1]}")
    try:
        DrainingServer(config).run(sockets=[listening])
    except KeyboardInterrupt:
        _tell("Arrêté.")


def mcp_command() -> None:
    """Serve the agent's tools over MCP on stdin and stdout, until stdin closes.

    Raises:
        ConfigurationError: the extra is not installed, or LangSmith tracing is on and not allowed.
    """
    try:
        from pmsi_chain.serving.mcp_stdio import run_stdio
    except ModuleNotFoundError as error:
        raise _missing(error, "mcp") from None
    from pmsi_chain.agent import coding_tools
    from pmsi_chain.chain import CodingChain

    settings = Settings()
    refuse_tracing(allowed=settings.allow_tracing)
    _log_to_stderr()
    chain = CodingChain.from_settings(settings, progress=_tell)
    run_stdio(coding_tools(chain.engine, chain))


def _missing(error: ModuleNotFoundError, extra: str) -> Exception:
    """The error to raise where an extra is not installed; a module of ours that is missing is a bug, not an extra."""
    if (error.name or "").startswith("pmsi_chain"):
        return error
    return ConfigurationError(f"il manque le module {error.name} : installer pmsi-chain[{extra}]")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ConfigurationError(f"--port {port} : donner un port de 0 à 65535")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(f"{host}:{port} : {cause(error)} ; donner un autre --host ou --port") from None


class WithoutWords(logging.Formatter):
    """Our lines as they are; of what other libraries log, which may quote a report, only who, where and what kind."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        if record.name.startswith("pmsi_chain."):
            return record.getMessage()
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        told = {
            "logger": record.name,
            "level": record.levelname,
            "at": f"{record.filename}:{record.lineno}",
            "error": kind,
        }
        return json.dumps(told)


def _log_to_stderr() -> None:
    """Our access log and everybody's warnings, one JSON object per line, without the server's log of addresses."""
    logging.getLogger("uvicorn.access").disabled = True
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithoutWords())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("pmsi_chain").setLevel(logging.INFO)


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
