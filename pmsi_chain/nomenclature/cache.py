"""The project's own fast form of a CIM-10 edition: one tab-separated file that proves its own integrity.

First line: `pmsi-cim10 1 <sha256 of the rest>`. Then one code a line: code, type MCO, short label, long label.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature.cim10 import Row, one_line

_MAGIC = b"pmsi-cim10 1 "


def to_bytes(rows: Iterable[Row]) -> bytes:
    """The file's content."""
    lines = (f"{code}\t{type_mco}\t{one_line(short)}\t{one_line(long)}\n" for code, type_mco, short, long in rows)
    body = "".join(lines).encode("utf-8")
    return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def from_bytes(content: bytes) -> list[Row]:
    """The rows of such a file.

    Raises:
        SourceFileError: truncated, altered, or not such a file.
    """
    header, _, body = content.partition(b"\n")
    if header != _MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise SourceFileError("fichier d'édition CIM-10 altéré ou incomplet")
    rows: list[Row] = []
    for line in body.decode("utf-8").split("\n"):
        if line:
            code, type_mco, short, long = line.split("\t")
            rows.append((code, int(type_mco), short, long))
    return rows


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file whole or not at all: readers see the old content or the new one.

    Raises:
        OSError: the directory cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
