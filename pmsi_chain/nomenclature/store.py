"""Which editions there are, which one is in force, and opening it.

Installed editions live under `<state_dir>/nomenclature/`: data files named by their content, and `editions.json`,
the list of what is installed. Replacing that one file is what commits an install, so an interrupted or refused one
leaves the previous editions in use. The embedded editions need no file at all; the cache of the embedded CIM-10 is
written there when the directory can be written, and rebuilt when it is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pmsi_chain.errors import EditionError, SourceFileError
from pmsi_chain.nomenclature import cache, embedded, starter
from pmsi_chain.nomenclature.ccam import CcamEdition
from pmsi_chain.nomenclature.ccam_data import entries_from_stored, with_attachments
from pmsi_chain.nomenclature.cim10 import Attachments, Cim10Edition, Row

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: one installs by hand there, no two at once
    fcntl = None

Nomenclature = Literal["cim10", "ccam"]
_NAMES: dict[str, str] = {"cim10": "CIM-10 FR", "ccam": "CCAM"}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that completes an edition (notes, CMA list, thesaurus, acts' notes…).

    Attributes:
        kind: "notes", "marks", "cma", "thesaurus", "hierarchy", "activities", "modifiers".
        file: data file under the store; sha256, origin: of the source.
    """

    kind: str
    file: str
    sha256: str
    origin: str


@dataclass(frozen=True, slots=True)
class EditionRecord:
    """One edition that can be opened.

    Attributes:
        nomenclature: "cim10" or "ccam"; version: "2025", "starter-2026".
        valid_from, valid_to: first and last day in force (None: until a newer one).
        file: data file under the store; "" for an embedded edition.
        sha256: of the source; origin, licence: where it came from, under which terms.
        codes: how many codes it holds; attachments: what completes it.
    """

    nomenclature: Nomenclature
    version: str
    valid_from: date
    valid_to: date | None = None
    file: str = ""
    sha256: str = ""
    origin: str = ""
    licence: str = ""
    codes: int = 0
    attachments: tuple[Attachment, ...] = field(default=())

    @property
    def is_embedded(self) -> bool:
        """Whether it comes with the package."""
        return not self.file

    @property
    def fingerprint(self) -> str:
        """Changes whenever the codes or what completes them change."""
        parts = [self.sha256, *sorted(f"{item.kind}:{item.sha256}" for item in self.attachments)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def default_state_dir() -> Path:
    """Where `Settings` keeps state; read once per process."""
    from pmsi_chain.settings import Settings

    return Settings().state_dir


def store_dir(state_dir: Path | None) -> Path:
    """The store under a state directory."""
    return (state_dir or default_state_dir()) / "nomenclature"


@lru_cache(maxsize=1)
def embedded_records() -> tuple[EditionRecord, ...]:
    """The editions that come with the package."""
    return (
        EditionRecord(
            "cim10",
            embedded.VERSION,
            embedded.VALID_FROM,
            origin=embedded.ORIGIN,
            licence=embedded.LICENCE,
            sha256=embedded.fingerprint(),
            codes=embedded.CODES,
        ),
        EditionRecord(
            "ccam",
            starter.VERSION,
            starter.VALID_FROM,
            origin=starter.ORIGIN,
            licence=starter.LICENCE,
            sha256=starter.fingerprint(),
            codes=starter.count(),
        ),
    )


def editions(nomenclature: Nomenclature, state_dir: Path | None = None) -> tuple[EditionRecord, ...]:
    """Every edition that can be opened, oldest first, each with its last day in force.

    An installed edition hides the embedded one of the same version. The embedded CCAM starter is no edition of the
    CCAM in time: it stands before every installed one.

    Raises:
        SourceFileError: the list of installed editions is damaged.
    """
    return _dated(nomenclature, installed_records(state_dir))


@lru_cache(maxsize=16)
def _dated(nomenclature: Nomenclature, installed: tuple[EditionRecord, ...]) -> tuple[EditionRecord, ...]:
    known = {record.version: record for record in embedded_records() if record.nomenclature == nomenclature}
    for record in installed:
        if record.nomenclature != nomenclature:
            continue
        embedded_one = known.get(record.version)
        if record.file:
            known[record.version] = record
        elif embedded_one:  # what completes an embedded edition; the edition itself comes from the package
            known[record.version] = replace(embedded_one, attachments=record.attachments)
    ordered = sorted(known.values(), key=lambda record: (not _is_starter(record), record.valid_from, record.version))
    dated = []
    for record, newer in zip(ordered, [*ordered[1:], None], strict=True):
        last = newer.valid_from - timedelta(days=1) if newer and not _is_starter(record) else record.valid_to
        dated.append(replace(record, valid_to=last))
    return tuple(dated)


def _is_starter(record: EditionRecord) -> bool:
    return record.nomenclature == "ccam" and record.is_embedded


def select(
    nomenclature: Nomenclature, version: str | None = None, on: date | None = None, state_dir: Path | None = None
) -> EditionRecord:
    """The edition of that version, or the one in force on that day, or the newest.

    The newest edition stays in force until a newer one is installed, so a day after it is coded with it. An edition
    of the CCAM also holds the acts of earlier years, each with its dates: a day before the oldest one gets that one.

    Raises:
        EditionError: no such version, or that day is before the first edition.
    """
    available = editions(nomenclature, state_dir)
    name = _NAMES[nomenclature]
    listed = ", ".join(f"{record.version} (depuis le {record.valid_from:%d/%m/%Y})" for record in available)
    if version is not None:
        for record in available:
            if record.version == version:
                return record
        raise EditionError(
            f"{name} : édition {version[:20]!r} absente ; disponibles : {listed}. L'installer : "
            f"pmsi-chain nomenclature install FICHIER --edition {version[:20]}"
        )
    if on is None or _is_starter(available[-1]):
        return available[-1]
    in_force = [record for record in available if record.valid_from <= on and not _is_starter(record)]
    if not in_force and nomenclature == "ccam":
        return next(record for record in available if not _is_starter(record))
    if not in_force:
        raise EditionError(
            f"{name} : aucune édition en vigueur le {on:%d/%m/%Y} ; disponibles : {listed}. Installer l'édition de "
            f"{on.year} : pmsi-chain nomenclature install FICHIER --edition {on.year}"
        )
    return in_force[-1]


def load_cim10(version: str | None = None, on: date | None = None, state_dir: Path | None = None) -> Cim10Edition:
    """The CIM-10 edition of that version, or in force on that day, or the newest; opened once per process.

    Raises:
        EditionError: no such version, or no edition in force on that day.
        SourceFileError: an installed file is damaged; the message says what to reinstall.
    """
    return _open_cim10(select("cim10", version, on, state_dir), store_dir(state_dir))


def load_ccam(version: str | None = None, on: date | None = None, state_dir: Path | None = None) -> CcamEdition:
    """The CCAM edition of that version, or in force on that day, or the newest; opened once per process.

    Without an installed CCAM it is the embedded starter, whatever the day.

    Raises:
        EditionError: no such version, or no edition in force on that day.
        SourceFileError: an installed file is damaged; the message says what to reinstall.
    """
    return _open_ccam(select("ccam", version, on, state_dir), store_dir(state_dir))


@lru_cache(maxsize=4)
def _open_cim10(record: EditionRecord, folder: Path) -> Cim10Edition:
    rows = _embedded_rows(folder) if record.is_embedded else cache.from_bytes(_read_data(record, folder, record.file))
    attached = {item.kind: _read_json(record, folder, item.file) for item in record.attachments}
    return Cim10Edition(
        rows,
        version=record.version,
        valid_from=record.valid_from,
        valid_to=record.valid_to,
        sha256=record.sha256,
        origin=record.origin,
        licence=record.licence,
        attached=Attachments(
            notes=attached.get("notes", {}),
            cma=attached.get("cma", {}),
            synonyms=attached.get("thesaurus", {}),
            blocks=attached.get("hierarchy", {}),
            marks=attached.get("marks", {}),
        ),
        fingerprint=record.fingerprint,
    )


def _embedded_rows(folder: Path) -> list[Row]:
    """From the cache when it is sound, else from the packaged table; the cache is then written if it can be."""
    path = folder / "cache" / f"cim10-{embedded.VERSION}-{embedded.fingerprint()[:16]}.tsv"
    try:
        return cache.from_bytes(path.read_bytes())
    except (OSError, SourceFileError, ValueError):
        rows = embedded.read_rows()
        with contextlib.suppress(OSError):
            cache.write_atomically(path, cache.to_bytes(rows))
        return rows


@lru_cache(maxsize=4)
def _open_ccam(record: EditionRecord, folder: Path) -> CcamEdition:
    attached = {item.kind: _read_json(record, folder, item.file) for item in record.attachments}
    if record.is_embedded:
        entries = with_attachments(starter.read_entries(), attached)
    else:
        acts = _read_json(record, folder, record.file)
        try:
            entries = with_attachments(entries_from_stored(acts), attached)
        except (KeyError, TypeError, ValueError) as error:  # written by another version of the project
            raise SourceFileError(_reinstall(record, "forme d'une autre version de pmsi-chain")) from error
    return CcamEdition(
        entries,
        version=record.version,
        valid_from=record.valid_from,
        valid_to=record.valid_to,
        sha256=record.sha256,
        origin=record.origin,
        licence=record.licence,
        complete=not record.is_embedded,
        modifiers=attached.get("modifiers"),
        fingerprint=record.fingerprint,
    )


def _read_data(record: EditionRecord, folder: Path, name: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise SourceFileError(_reinstall(record, "fichier absent")) from error
    if hashlib.sha256(content).hexdigest()[:16] not in name:
        raise SourceFileError(_reinstall(record, "fichier altéré"))
    return content


def _read_json(record: EditionRecord, folder: Path, name: str) -> Any:
    return json.loads(_read_data(record, folder, name))


def _reinstall(record: EditionRecord, what: str) -> str:
    return (
        f"{_NAMES[record.nomenclature]} {record.version} installée : {what} ; la réinstaller : "
        f"pmsi-chain nomenclature install FICHIER --edition {record.version}"
    )


def installed_records(state_dir: Path | None = None) -> tuple[EditionRecord, ...]:
    """What `editions.json` lists; empty when nothing was installed.

    Raises:
        SourceFileError: the list is damaged.
    """
    path = store_dir(state_dir) / "editions.json"
    try:
        stat = path.stat()
    except OSError:
        return ()
    return _parsed_records(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=8)
def _parsed_records(path: Path, mtime_ns: int, size: int, inode: int) -> tuple[EditionRecord, ...]:
    try:
        listed = json.loads(path.read_bytes())["editions"]
        return tuple(_record(item) for item in listed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceFileError(
            f"{path.name} : liste des éditions installées illisible ; supprimer ce fichier et réinstaller"
        ) from error


def _record(item: dict[str, Any]) -> EditionRecord:
    last = item.get("valid_to")
    return EditionRecord(
        **{
            **item,
            "valid_from": date.fromisoformat(item["valid_from"]),
            "valid_to": date.fromisoformat(last) if last else None,
            "attachments": tuple(Attachment(**one) for one in item["attachments"]),
        }
    )


def commit(records: tuple[EditionRecord, ...], state_dir: Path | None = None) -> None:
    """Make `records` the list of installed editions, in one step.

    Raises:
        OSError: the store cannot be written.
    """
    listed = [asdict(record) for record in records]
    content = json.dumps({"format": 1, "editions": listed}, ensure_ascii=False, indent=1, default=str)
    cache.write_atomically(store_dir(state_dir) / "editions.json", content.encode("utf-8"))


@contextlib.contextmanager
def locked(state_dir: Path | None = None) -> Iterator[None]:
    """Keep other processes from installing at the same time; reading goes on.

    Raises:
        OSError: the store cannot be written.
    """
    folder = store_dir(state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def put(name: str, content: bytes, state_dir: Path | None = None) -> str:
    """Store a data file under a name that holds its own hash; returns that name.

    Raises:
        OSError: the store cannot be written.
    """
    stem, _, suffix = name.rpartition(".")
    stored = f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
    cache.write_atomically(store_dir(state_dir) / stored, content)
    return stored
