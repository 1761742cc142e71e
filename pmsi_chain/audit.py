"""The audit log: who had what coded, by whom it was decided, as JSON lines; no text unless it is asked for.

One line for each coding, and one before a report is shown to a language model or a conversation to an agent. It fails
closed: where the log is set and a line cannot be written, the work is refused, so that nothing leaves unrecorded. Codes
are health data: the file is made readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from pmsi_chain.domain import Coding, Stay
from pmsi_chain.errors import ConfigurationError, ServiceError
from pmsi_chain.problems import cause
from pmsi_chain.settings import Settings

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # no such lock on Windows: there, one process writes
    fcntl = None

#: Metadata of a run (`config["metadata"]`) that say who asked, and under which request of the endpoint.
CALLER, REQUEST_ID = "caller", "request_id"


@dataclass(frozen=True)
class AuditLog:
    """Appends lines to a file; safe between threads, and between processes where the system has file locks.

    Attributes:
        path: the file; made at the first line.
        with_text: writes texts and the callers' own stay ids too, which otherwise stand as SHA-256.
    """

    path: Path
    with_text: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """The log of the settings; None where there is none."""
        return cls(settings.audit_log, settings.audit_text) if settings.audit_log else None

    def ready(self) -> None:
        """Refuse to begin what could not be recorded.

        Raises:
            ConfigurationError: the file cannot be opened for appending.
        """
        os.close(self._open())

    def asked(self, stay: Stay, run: str, metadata: Mapping[str, Any], **model: Any) -> None:
        """A report is about to be shown to a language model.

        Args:
            run: id that the line of the coding will carry too.
            model: prompt_id, prompt_sha256, model, method, sent.
        """
        self.append({"action": "llm", **_who(run, metadata), **self._report(stay), "llm": model})

    def coded(self, stay: Stay, coding: Coding, run: str, metadata: Mapping[str, Any]) -> None:
        """A coding is about to be given."""
        trace = coding.trace
        llm = None
        if trace.prompt_id is not None:
            llm = {
                "prompt_id": trace.prompt_id,
                "prompt_sha256": trace.prompt_sha256,
                "model": trace.model,
                "method": trace.method,
            }
        decisions = [
            {"position": d.position, "code": d.code, "rule": d.rule_id, "confidence": round(d.confidence, 4)}
            for d in coding.diagnoses
        ]
        decisions += [
            {"position": "ccam", "code": a.code, "rule": a.rule_id, "confidence": round(a.confidence, 4)}
            for a in coding.acts
        ]
        editions = {"cim10": trace.cim10_edition, "ccam": trace.ccam_edition, "guide": trace.guide_edition}
        self.append(
            {
                "action": "coding",
                **_who(run, metadata),
                **self._report(stay),
                "editions": editions,
                "decided_by": trace.decided_by,
                "llm": llm,
                "decisions": decisions,
                "to_review": [{"position": item.position, "code": item.code} for item in coding.to_review],
                "findings": [{"rule": f.rule_id, "severity": f.severity, "codes": f.codes} for f in coding.findings],
            }
        )

    def conversed(self, texts: Sequence[str], run: str, metadata: Mapping[str, Any], **told: Any) -> None:
        """A conversation is about to be shown to the agent's model.

        Args:
            texts: its messages.
            told: prompt_id, prompt_sha256, model, sent, tools.
        """
        entry = {"action": "agent", **_who(run, metadata), "messages": [_digest(text) for text in texts], **told}
        self.append(entry | ({"texts": list(texts)} if self.with_text else {}))

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line, whole or not at all.

        Raises:
            ConfigurationError: the file cannot be opened for appending.
            ServiceError: it cannot be written (disk full); what had been written of the line is taken back.
        """
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, **entry}, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock, self._alone() as descriptor:
            size = os.fstat(descriptor).st_size
            try:
                if _cut_short(descriptor, size):
                    line = b"\n" + line
                written = 0
                while written < len(line):
                    written += os.write(descriptor, line[written:])
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise ServiceError(
                    f"journal d'audit {self.path} : écriture impossible ({cause(error)}) ; rien n'est rendu sans "
                    "trace : libérer de la place, ou retirer PMSI_AUDIT_LOG"
                ) from None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """The open file, locked against other processes."""
        descriptor = self._open()
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)  # and the lock with it

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR)
        except OSError as error:
            raise ConfigurationError(
                f"journal d'audit {self.path} : ouverture impossible ({cause(error)}) ; donner par PMSI_AUDIT_LOG "
                "un fichier où l'on peut écrire, ou retirer ce réglage"
            ) from None

    def _report(self, stay: Stay) -> dict[str, Any]:
        told: dict[str, Any] = {
            "report_sha256": _digest(stay.text),
            "chars": len(stay.text),
            "stay_id_sha256": _digest(stay.id) if stay.id is not None else None,
        }
        return told | ({"stay_id": stay.id, "text": stay.text} if self.with_text else {})


def _who(run: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"run": run, "caller": metadata.get(CALLER) or _account(), "request_id": metadata.get(REQUEST_ID)}


def _account() -> str:
    """The account of this process, where nobody else is named."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ModuleNotFoundError, KeyError, AttributeError):
        return "local"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _cut_short(descriptor: int, size: int) -> bool:
    """Whether the last line has no end: its writer was killed."""
    if not size or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"
