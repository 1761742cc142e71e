"""Shared fixtures: sockets closed except loopback, one state directory and one engine per run, the reference data."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pmsi_chain.settings import Settings

if TYPE_CHECKING:
    from pmsi_chain import CodingChain, RAGEngine
    from tests.scripted import Scripted

_real_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: Any) -> None:
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(address, tuple) and host not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"a test reached for the network: {host}")
    _real_connect(self, address)


@pytest.fixture(autouse=True)
def _closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", _loopback_only)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The reference data beside the checkout, or wherever PMSI_SHARED_DIR says; skips where there is none."""
    path = Path(os.environ.get("PMSI_SHARED_DIR", Path(__file__).resolve().parents[2] / "shared"))
    if not (path / "bench").is_dir():
        pytest.skip("reference data is not there: set PMSI_SHARED_DIR")
    return path


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state directory for the whole run, so that indexes are built once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def settings(state_dir: Path) -> Settings:
    """Default settings on the run's own state directory."""
    return Settings(state_dir=state_dir)


@pytest.fixture(scope="session")
def engine(settings: Settings) -> RAGEngine:
    """The engine of the run, loaded once; tests change nothing of it."""
    from pmsi_chain import RAGEngine

    return RAGEngine.from_settings(settings)


@pytest.fixture(scope="session")
def chain(engine: RAGEngine) -> CodingChain:
    """The chain of the run, by rules."""
    from pmsi_chain import CodingChain

    return CodingChain(engine)


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A maker of chat models that follow a script to its end."""
    from tests.scripted import scripted_models

    yield from scripted_models()


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, state_dir: Path) -> None:
    monkeypatch.setenv("PMSI_STATE_DIR", str(state_dir))
