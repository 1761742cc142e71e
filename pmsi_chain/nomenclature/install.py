"""Installing an official file as an edition, or onto one. All or nothing: see `store`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pmsi_chain.errors import ConfigurationError, EditionError, SourceFileError
from pmsi_chain.nomenclature import cache, store
from pmsi_chain.nomenclature.cim10 import Row
from pmsi_chain.nomenclature.columns import Kind
from pmsi_chain.nomenclature.download import fetch
from pmsi_chain.nomenclature.files import Source, open_source
from pmsi_chain.nomenclature.hierarchy import is_external_cause
from pmsi_chain.nomenclature.readers import Reading, as_json, read_source
from pmsi_chain.nomenclature.store import Attachment, EditionRecord
from pmsi_chain.problems import cause

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,31}")
#: ATIH also publishes its kit in two files; the larger one has about this many codes.
_KIT_WITHOUT_CHAPTER_XX = 10_000
LICENCES = {
    "cim10": "CIM-10 FR à usage PMSI : ATIH, OMS (CC BY-NC-ND 3.0 IGO au serveur multi-terminologies de l'ANS)",
    "ccam": "CCAM : Assurance maladie et ATIH (Licence Ouverte 2.0 au serveur multi-terminologies de l'ANS)",
}


@dataclass(frozen=True, slots=True)
class Installed:
    """What an install did.

    Attributes:
        record: the edition as it now stands.
        kinds: what the file brought ("edition", "notes", "cma"…).
        codes: how many codes the file is about; unknown: how many of them the edition lacks.
        detected: what was found out about the file, then what was decided, short French phrases.
    """

    record: EditionRecord
    kinds: tuple[Kind, ...]
    codes: int
    unknown: int
    detected: tuple[str, ...]


def install(
    source: str | Path,
    edition: str | None = None,
    state_dir: Path | None = None,
    *,
    valid_from: date | None = None,
) -> Installed:
    """Install a file, given by path or `https://` address.

    A file of codes makes the edition (or replaces the one of that version and keeps what completes it). A file of
    notes, CMA, synonyms… completes the edition named, or that of the year in its name, or the newest.

    Args:
        edition: version, "2026"; when None, the year in the file's name.
        state_dir: as in `Settings`.
        valid_from: first day in force; 1 January of the edition's year when None.

    Raises:
        SourceFileError: the file is refused; nothing has changed.
        EditionError: no version given or found, or the edition to complete does not exist.
        ConfigurationError: the state directory cannot be written; nothing has changed.
        ServiceError: the address cannot be reached.
    """
    text = str(source)
    if re.match(r"[a-z]+://", text):
        opened, origin = fetch(text), text
    else:
        opened, origin = open_source(Path(source)), Path(source).name
    reading = read_source(opened)
    try:
        with store.locked(state_dir):
            if reading.is_edition:
                return _install_edition(reading, _version(reading, edition, opened), origin, state_dir, valid_from)
            return _attach(reading, edition, origin, state_dir)
    except OSError as error:
        raise ConfigurationError(
            f"impossible d'écrire sous {store.store_dir(state_dir)} ({cause(error)}) : régler "
            "PMSI_STATE_DIR sur un dossier où écrire"
        ) from error


def _version(reading: Reading, edition: str | None, opened: Source) -> str:
    version = edition or reading.year
    if version is None:
        raise EditionError(f"{opened.name} : quelle édition ? La donner par --edition 2026")
    if not _VERSION.fullmatch(version):
        raise EditionError("nom d'édition attendu : lettres, chiffres, points ou tirets, comme 2026 ou 2026-provisoire")
    return version


def _first_day(version: str, valid_from: date | None) -> date:
    if valid_from is not None:
        return valid_from
    year = re.match(r"(20[0-9]{2})(?![0-9])", version)
    if year is None:
        raise EditionError(f"édition {version} : depuis quand ? Le donner par --valid-from AAAA-MM-JJ")
    return date(int(year[1]), 1, 1)


def _install_edition(
    reading: Reading, version: str, origin: str, state_dir: Path | None, valid_from: date | None
) -> Installed:
    nomenclature = reading.nomenclature
    first_day = _first_day(version, valid_from)
    data, notes = reading.parts["edition"], []
    if nomenclature == "cim10":
        data, completed = _with_chapter_xx(data, state_dir)
        notes += [completed] if completed else []
        content, name = cache.to_bytes(data), f"cim10-{version}.tsv"
        cache.from_bytes(content)  # what is stored can be read again, or nothing is committed
    else:
        content, name = as_json(data), f"ccam-{version}.json"
    others = tuple(
        r for r in store.installed_records(state_dir) if (r.nomenclature, r.version) != (nomenclature, version)
    )
    replaced = [r for r in store.installed_records(state_dir) if (r.nomenclature, r.version) == (nomenclature, version)]
    if replaced:
        notes.append(f"remplace l'édition {version} déjà installée")
    record = EditionRecord(
        nomenclature,
        version,
        first_day,
        file=store.put(name, content, state_dir),
        sha256=reading.sha256,
        origin=origin,
        licence=LICENCES[nomenclature],
        codes=len(data),
        attachments=replaced[0].attachments if replaced else (),
    )
    store.commit((*others, record), state_dir)
    if valid_from is None:
        notes.append(f"en vigueur à partir du {first_day:%d/%m/%Y} (année de l'édition)")
    return Installed(record, tuple(reading.parts), reading.codes, 0, (*reading.detected, *notes))


def _with_chapter_xx(rows: list[Row], state_dir: Path | None) -> tuple[list[Row], str]:
    """The rows with chapter XX taken from the newest edition, when the kit is the file « sauf chapitre XX »."""
    if len(rows) < _KIT_WITHOUT_CHAPTER_XX or any(is_external_cause(row[0]) for row in rows):
        return rows, ""
    newest = store.load_cim10(state_dir=state_dir)
    external = [(e.code, e.type_mco, e.short_label, e.label) for e in map(newest.entry, newest) if e.chapter == "XX"]
    merged = sorted([*rows, *external])
    return merged, f"chapitre XX absent du fichier : ses {len(external)} codes repris de l'édition {newest.version}"


def _attach(reading: Reading, edition: str | None, origin: str, state_dir: Path | None) -> Installed:
    known = {record.version for record in store.editions(reading.nomenclature, state_dir)}
    version = edition or (reading.year if reading.year in known else None)
    record = store.select(reading.nomenclature, version, None, state_dir)
    opened: Any
    if reading.nomenclature == "cim10":
        opened = store.load_cim10(record.version, state_dir=state_dir)
    else:
        opened = store.load_ccam(record.version, state_dir=state_dir)
    named = {code for kind, data in reading.parts.items() if kind != "modifiers" for code in data}
    unknown = sum(code not in opened for code in named)
    if named and unknown == len(named):
        raise SourceFileError(f"{origin} : aucun de ses {len(named)} codes n'existe dans l'édition {record.version}")
    added = tuple(
        Attachment(kind, store.put(_data_name(record, kind), as_json(data), state_dir), reading.sha256, origin)
        for kind, data in reading.parts.items()
    )
    kept = tuple(item for item in record.attachments if item.kind not in reading.parts)
    record = replace(record, valid_to=None, attachments=(*kept, *added))
    others = tuple(
        r for r in store.installed_records(state_dir)
        if (r.nomenclature, r.version) != (record.nomenclature, record.version)
    )  # fmt: skip
    store.commit((*others, record), state_dir)
    decided = [f"complète l'édition {record.version}"]
    if reading.year and reading.year != record.version:
        decided.append(f"attention : fichier de {reading.year}")
    if unknown:
        decided.append(f"{unknown} codes sur {len(named)} absents de cette édition, laissés de côté")
    return Installed(record, tuple(reading.parts), reading.codes, unknown, (*reading.detected, *decided))


def _data_name(record: EditionRecord, kind: str) -> str:
    return f"{record.nomenclature}-{record.version}-{kind}.json"


def as_dict(installed: Installed) -> Mapping[str, Any]:
    """The install as plain values, for `--json`."""
    return {
        "nomenclature": installed.record.nomenclature,
        "edition": installed.record.version,
        "kinds": list(installed.kinds),
        "codes": installed.codes,
        "unknown": installed.unknown,
        "valid_from": installed.record.valid_from.isoformat(),
        "sha256": installed.record.sha256,
        "origin": installed.record.origin,
        "licence": installed.record.licence,
        "detected": list(installed.detected),
    }
