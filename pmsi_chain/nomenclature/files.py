"""Opening a file that a stranger gives: bounded, decoded, and refused with one clear line when it is not sound.

Nothing is ever extracted to disk, no formula is computed, no XML entity is expanded, and no more than
`MAX_UNPACKED_BYTES` are unpacked whatever the archive announces.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pmsi_chain.errors import SourceFileError
from pmsi_chain.problems import cause

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
MAX_MEMBERS = 2_000
MAX_LINE_CHARS = 200_000
#: What a name announces; a file that holds something else was renamed or damaged.
_ANNOUNCED = {
    ".txt": {"texte", "JSON", "XML"},
    ".md": {"texte"},
    ".csv": {"texte"},
    ".tsv": {"texte"},
    ".json": {"JSON"},
    ".xml": {"XML"},
    ".xlsx": {"classeur XLSX"},
    ".parquet": {"Parquet"},
    ".pdf": {"PDF"},
    ".gz": {"archive gzip"},
    ".zip": {"archive ZIP"},
}
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_DOCTYPE = re.compile(rb"<!DOCTYPE", re.IGNORECASE)
_MOJIBAKE = re.compile("Ã[\u00a0-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ]|â€™")
_LOST = re.compile(r"[a-zA-Z]\?[a-z]")  # « Chol?ra »
#: Windows-1252 characters between letters that French never writes: the mark of a DOS or Macintosh encoding.
_FOREIGN = re.compile("[A-Za-z][‚Šˆ‡“”Ž\u0081\u008d\u008f\u0090\u009d•][a-z]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Source:
    """A file opened safely.

    Attributes:
        name: file name as given; member: the file taken inside an archive, "" when there was none.
        content: unpacked bytes; sha256: of the file as given.
        detected: what was found out, short French phrases.
    """

    name: str
    content: bytes = field(repr=False)
    sha256: str
    member: str = ""
    detected: tuple[str, ...] = ()

    @property
    def inner_name(self) -> str:
        """The name of what `content` is."""
        return self.member or self.name

    @property
    def is_workbook(self) -> bool:
        """Whether it is an XLSX workbook."""
        return self.content.startswith(b"PK")

    @property
    def is_pdf(self) -> bool:
        """Whether it is a PDF."""
        return self.content.startswith(b"%PDF")


def open_source(path: Path) -> Source:
    """Read a file, unpacking one layer of gzip.

    Raises:
        SourceFileError: absent, empty, not a plain file, too big, a bomb, a damaged archive, a ZIP (its one file is
            to be given), an old Excel workbook, or a name that announces something else than the content.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceFileError(f"{path.name} : ce n'est pas un fichier ordinaire")
        if status.st_size > MAX_FILE_BYTES:
            raise SourceFileError(
                f"{path.name} : {status.st_size // 2**20} Mio, maximum {MAX_FILE_BYTES // 2**20} Mio ; aucun fichier "
                "officiel n'atteint cette taille"
            )
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceFileError(f"{path.name} : fichier illisible ({cause(error)})") from error
    return source_from_bytes(content, path.name)


def source_from_bytes(content: bytes, name: str, *, unzip: bool = False) -> Source:
    """As `open_source`, from bytes already in memory.

    Args:
        unzip: take the one data file of a ZIP archive, as publishers serve them; a ZIP is refused otherwise.

    Raises:
        SourceFileError: see `open_source`.
    """
    if len(content) > MAX_FILE_BYTES:
        raise SourceFileError(f"{name} : plus de {MAX_FILE_BYTES // 2**20} Mio ; aucun fichier officiel n'est si grand")
    if not content.strip():
        raise SourceFileError(f"{name} : fichier vide")
    digest = hashlib.sha256(content).hexdigest()
    kind = _kind(content, name)
    _check_name(name, kind)
    if kind == "archive gzip":
        inner_name = name.removesuffix(".gz")
        inner = _plain(_gunzip(content, name), name)
        _check_name(inner_name, _kind(inner, name))
        return Source(name, inner, digest, inner_name, ("décompressé (gzip)",))
    if kind == "archive ZIP":
        member, packed = _to_take(content, name)
        if not unzip:
            raise SourceFileError(f"{name} : archive ZIP ; la décompresser et donner le fichier {member}")
        inner = _plain(_member(_zip(content, name), packed, name), name)
        return Source(name, inner, digest, member, (f"décompressé (ZIP) : {member}",))
    return Source(name, _plain(content, name), digest)


def _kind(content: bytes, name: str) -> str:
    """What the first bytes show."""
    if content.startswith(b"\x1f\x8b"):
        return "archive gzip"
    if content.startswith(b"PK"):
        return "classeur XLSX" if "xl/workbook.xml" in _zip(content, name).namelist() else "archive ZIP"
    for start, kind in ((b"%PDF", "PDF"), (b"PAR1", "Parquet")):
        if content.startswith(start):
            return kind
    start = content[:200].removeprefix(b"\xef\xbb\xbf").replace(b"\x00", b"").lstrip(b"\xff\xfe \t\r\n")
    return {b"<": "XML", b"[": "JSON", b"{": "JSON"}.get(start[:1], "texte")


def _check_name(name: str, kind: str) -> None:
    announced = _ANNOUNCED.get(PurePosixPath(name.lower()).suffix)
    if announced and kind not in announced:
        raise SourceFileError(
            f"{name} : le nom annonce {' ou '.join(sorted(announced))}, le contenu est {kind} ; fichier renommé ou "
            "endommagé"
        )


def _plain(content: bytes, name: str) -> bytes:
    if not content.strip():
        raise SourceFileError(f"{name} : fichier vide")
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise SourceFileError(f"{name} : ancien classeur Excel (.xls) ou classeur chiffré ; l'enregistrer en .xlsx")
    if _kind(content, name) in {"archive gzip", "archive ZIP"}:
        raise SourceFileError(f"{name} : archive dans une archive ; décompresser d'abord")
    if content.startswith((b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")):
        raise SourceFileError(f"{name} : archive d'un format non reconnu ; la décompresser d'abord")
    return content


def _gunzip(content: bytes, name: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            inner = file.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceFileError(f"{name} : archive gzip endommagée ou tronquée") from error
    if len(inner) > MAX_UNPACKED_BYTES:
        raise SourceFileError(f"{name} : décompressé, il dépasse {MAX_UNPACKED_BYTES // 2**20} Mio (bombe ?)")
    return inner


def _zip(content: bytes, name: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise SourceFileError(f"{name} : archive ZIP ou classeur endommagé ou tronqué") from error
    members = archive.infolist()
    if not all(member.filename for member in members):
        raise SourceFileError(f"{name} : archive ZIP ou classeur endommagé ou tronqué")
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise SourceFileError(
            f"{name} : décompressé, il dépasse {MAX_UNPACKED_BYTES // 2**20} Mio ou {MAX_MEMBERS} fichiers (bombe ?)"
        )
    if any(member.flag_bits & 1 for member in members):
        raise SourceFileError(f"{name} : archive protégée par un mot de passe")
    return archive


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    try:
        with archive.open(member) as file:
            inner = file.read(MAX_UNPACKED_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise SourceFileError(f"{name} : archive ZIP ou classeur endommagé ou tronqué") from error
    if len(inner) > MAX_UNPACKED_BYTES:
        raise SourceFileError(f"{name} : décompressé, il dépasse {MAX_UNPACKED_BYTES // 2**20} Mio (bombe ?)")
    return inner


def _to_take(content: bytes, name: str) -> tuple[str, zipfile.ZipInfo]:
    """The one file to take in an archive: the whole kit before its parts, data before documents."""
    archive = _zip(content, name)
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        short = PurePosixPath(member.filename.replace("\\", "/")).name
        if not member.is_dir() and short and not short.startswith("."):
            found[short] = member
    data = [n for n in found if n.lower().endswith((".txt", ".csv", ".tsv", ".xlsx", ".json", ".xml", ".md", ".gz"))]
    kit = [n for n in data if re.fullmatch(r"LIBCIM10(MULTI)?(_?\d{4})?\.TXT", n.upper())]
    taken = kit or data
    if len(taken) != 1:
        listed = ", ".join(sorted(taken)[:5]) or "aucun"
        raise SourceFileError(f"{name} : un seul fichier de données attendu dans l'archive, trouvé : {listed}")
    return taken[0], found[taken[0]]


def workbook_is_safe(content: bytes, name: str) -> None:
    """Check every XML part of an XLSX workbook before a library reads it.

    Raises:
        SourceFileError: damaged, too big once unpacked, or with a document type or entities in its XML.
    """
    archive = _zip(content, name)
    for member in archive.infolist():
        inner = _member(archive, member, name)
        if member.filename.endswith((".xml", ".rels")) and (_DOCTYPE.search(inner) or b"\x00" in inner[:200]):
            raise SourceFileError(f"{name} : XML avec type de document ou entités, refusé")


def xml_is_safe(content: bytes, name: str) -> None:
    """Check an XML file: entity declarations are refused, and so are encodings that would hide them.

    Raises:
        SourceFileError: entities, or not an 8-bit encoding.
    """
    if b"\x00" in content[:400] or _ENTITY.search(content) or b"utf-7" in content[:200].lower():
        raise SourceFileError(f"{name} : XML avec entités ou encodage inattendu, refusé")


def decode(source: Source) -> tuple[str, str]:
    """The text of a source and the name of its encoding: UTF-8 when it is valid, else Windows-1252 / ISO-8859-1.

    ATIH's kit is « ANSI (ISO8859-1, adaptation Windows) » (notice du kit, p. 4).

    Raises:
        SourceFileError: binary, encoded twice, in a DOS or Macintosh encoding, or with an endless line.
    """
    name, content = source.inner_name, source.content
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text, encoding = content.decode("utf-16"), "UTF-16"
        except UnicodeDecodeError as error:
            raise SourceFileError(f"{name} : UTF-16 endommagé ou tronqué") from error
    else:
        try:
            text, encoding = content.decode("utf-8-sig"), "UTF-8"
        except UnicodeDecodeError:
            text, encoding = _decode_windows(content), "ISO-8859-1 (Windows-1252)"
    if _CONTROLS.search(text):
        raise SourceFileError(f"{name} : fichier binaire, un fichier texte était attendu")
    if "\ufffd" in text or len(_MOJIBAKE.findall(text)) > 3 or len(_LOST.findall(text)) > 3:
        raise SourceFileError(f"{name} : accents perdus ou encodés deux fois ; reprendre le fichier d'origine")
    if encoding.startswith("ISO") and len(_FOREIGN.findall(text)) > 3:
        raise SourceFileError(
            f"{name} : encodage DOS ou Macintosh ; reprendre le fichier d'origine ou le donner en UTF-8"
        )
    return text, encoding


def _decode_windows(content: bytes) -> str:
    """Windows-1252, its five undefined bytes kept as ISO-8859-1 control characters."""
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(
            piece if isinstance(piece, str) else piece.decode("latin-1")
            for chunk in re.split(rb"([\x81\x8d\x8f\x90\x9d])", content)
            for piece in [chunk.decode("latin-1") if len(chunk) == 1 and chunk[0] > 0x80 else chunk.decode("cp1252")]
        )


def lines_of(text: str, name: str) -> list[str]:
    """Lines without their ends (CR LF, LF or CR).

    Raises:
        SourceFileError: a line longer than `MAX_LINE_CHARS`.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    longest = max(map(len, lines))
    if longest > MAX_LINE_CHARS:
        raise SourceFileError(f"{name} : une ligne de {longest} caractères, maximum {MAX_LINE_CHARS}")
    return lines
