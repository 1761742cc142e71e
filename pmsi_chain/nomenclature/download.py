"""Fetching an official file, and the addresses where publishers put them."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException

from pmsi_chain.errors import InputError, ServiceError
from pmsi_chain.nomenclature.files import MAX_FILE_BYTES, Source, source_from_bytes

TIMEOUT_S = 30.0
_AGENT = {"User-Agent": "pmsi-chain"}


@dataclass(frozen=True, slots=True)
class OfficialPage:
    """Where a publisher puts a nomenclature; one takes the file there by hand, after its terms of use."""

    nomenclature: str
    title: str
    url: str


_ATIH = "https://www.atih.sante.fr/nomenclatures-de-recueil-de-linformation"
OFFICIAL_PAGES = (
    OfficialPage("cim10", "ATIH, CIM-10 FR à usage PMSI (kit LIBCIM10MULTI)", f"{_ATIH}/cim"),
    OfficialPage(
        "cim10", "ANS, serveur multi-terminologies, CIM-10", "https://smt.esante.gouv.fr/terminologie-cim-10/"
    ),
    OfficialPage("ccam", "ATIH, CCAM descriptive à usage PMSI", f"{_ATIH}/ccam"),
    OfficialPage("ccam", "ANS, serveur multi-terminologies, CCAM", "https://smt.esante.gouv.fr/terminologie-ccam/"),
    OfficialPage("ccam", "Assurance maladie, CCAM en ligne", "https://www.ameli.fr/accueil-de-la-ccam/index.php"),
)


def fetch(url: str, timeout_s: float = TIMEOUT_S) -> Source:
    """Download a file, at most `MAX_FILE_BYTES`.

    Raises:
        InputError: not an `http://` or `https://` address.
        ServiceError: the address cannot be reached, or answers with an error.
        SourceFileError: what came is empty, too big or a damaged archive.
    """
    if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
        raise InputError("adresse attendue : http:// ou https://")
    request = urllib.request.Request(url, headers=_AGENT)  # noqa: S310 - the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            content = answer.read(MAX_FILE_BYTES + 1)
            name = _name(answer.headers.get("Content-Disposition", ""), answer.geturl())
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "code", None) or getattr(error, "reason", None) or type(error).__name__
        raise ServiceError(
            f"{urllib.parse.urlsplit(url).hostname} : téléchargement impossible ({reason}) ; vérifier le réseau, ou "
            "télécharger le fichier et donner son chemin"
        ) from error
    return source_from_bytes(content, name, unzip=True)


def _name(disposition: str, url: str) -> str:
    named = re.search(r'filename="?([^";]+)', disposition)
    name = named[1] if named else urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    return re.sub(r"[^\w.() -]", "_", name.rstrip("/").rsplit("/", 1)[-1])[:100] or "fichier"


def is_reachable(url: str, timeout_s: float = 5.0) -> bool:
    """Whether the address answers."""
    request = urllib.request.Request(url, headers=_AGENT, method="HEAD")  # noqa: S310 - only our own addresses
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            return bool(answer.status < 400)
    except urllib.error.HTTPError as error:
        return error.code in {403, 405}  # there, but it dislikes HEAD
    except (urllib.error.URLError, HTTPException, OSError, ValueError):
        return False
