"""The default CIM-10: the table packaged with `edsnlp` (BSD-3), brought to the 2025 edition.

The table is found without importing edsnlp. `cim10_2025_corrections.csv`, written by the project, holds the eleven
codes that 2025 adds, the types that changed and the three labels that changed, in the project's own wording; the
tests check that no other difference with the official kit 2025 exists.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import io
import zlib
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.nomenclature.cim10 import Row, one_line

VERSION = "2025"
#: Editions of the CIM-10 FR bear a civil year; ATIH's kit prints no date. MCO's campaign opens on 1 March, and
#: January and February are submitted again with it, so the year is taken from its first day. `install --valid-from`
#: sets another date for an installed edition.
VALID_FROM = date(2025, 1, 1)
ORIGIN = "table CIM-10 du paquet edsnlp, corrigée pour 2025 par le projet"
CODES = 42_897
LICENCE = "BSD-3-Clause (edsnlp, AP-HP) ; CIM-10 FR : ATIH, OMS"


def table_path() -> Path:
    """Where the installed edsnlp keeps its CIM-10 table.

    Raises:
        ConfigurationError: edsnlp is not installed, or without its table.
    """
    spec = importlib.util.find_spec("edsnlp")
    path = Path(spec.origin).parent / "resources" / "cim10.csv.gz" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise ConfigurationError(
            "la table CIM-10 du paquet edsnlp est introuvable : installer « edsnlp>=0.23 », ou installer le fichier "
            "officiel par « pmsi-chain nomenclature install LIBCIM10MULTI.TXT --edition 2025 »"
        )
    return path


def corrections_text() -> str:
    """The project's corrections, as CSV."""
    return (resources.files("pmsi_chain.nomenclature") / "cim10_2025_corrections.csv").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """sha256 of the packaged table and the corrections together."""
    digest = hashlib.sha256(table_path().read_bytes())
    digest.update(corrections_text().encode())
    return digest.hexdigest()


def read_rows() -> list[Row]:
    """The edition 2025, in code order.

    Raises:
        ConfigurationError: the packaged table is damaged.
    """
    try:
        text = gzip.decompress(table_path().read_bytes()).decode("utf-8")
        table = {
            line["code"]: (line["code"], int(line["type"]), one_line(line["short"]), one_line(line["long"]))
            for line in csv.DictReader(io.StringIO(text, newline=""))
        }
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise ConfigurationError("la table CIM-10 du paquet edsnlp est illisible : réinstaller edsnlp") from error
    for line in csv.DictReader(io.StringIO(corrections_text()), delimiter=";"):
        code, label = line["code"], line["label"]
        _, type_mco, short, long = table.get(code, (code, 0, label, label))
        table[code] = (code, int(line["type"] or type_mco), label or short, label or long)
    return [table[code] for code in sorted(table)]
