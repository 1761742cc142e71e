"""Readers: each official shape is recognised by its content; what is unsound is refused with one clear line."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature import files, readers
from pmsi_chain.nomenclature.files import source_from_bytes
from pmsi_chain.nomenclature.guide import read_guide
from pmsi_chain.nomenclature.readers import Reading, read, read_source
from pmsi_chain.nomenclature.starter import entries_from_csv
from tests.nomenclature_support import ACTS, CLAML, KIT, workbook, write, zipped

NOTES = 'code,inclusion_notes,exclusion_notes\nA000,"un\ndeux",""\nA00,"","autre [B24.-]"\nA00-A09,"x","y"\n'
CMA = "CODE\tCIM.CMA\tNIVEAU\tDIAG\tLISTE_RACINE\tLIBELLE\r\nA000\tA00.0\t2\t878\t-\tX\r\nB24+9\tB24.+9\t4\t12\t41\tY"
THESAURUS = "Expression;Code\nforme inventée;A00.0\nautre;A000|A009\n"
ICR = [
    {"code": "AAAA001", "activite": "1", "phase": "0", "icr": 10},
    {"code": "AAAA001", "activite": "4", "phase": "0"},
]


def reading(content: bytes | str, name: str = "fichier", unzip: bool = True) -> Reading:
    raw = content if isinstance(content, bytes) else content.encode()
    return read_source(source_from_bytes(raw, name, unzip=unzip))


def test_the_kit() -> None:
    found = reading(KIT, "LIBCIM10MULTI_2026.TXT")
    rows = {row[0]: row for row in found.parts["edition"]}
    assert (found.nomenclature, found.codes, found.year) == ("cim10", 7, "2026")
    assert rows["B24+9"] == ("B24+9", 0, "AVEC PLUS", "Code inventé avec signe plus")
    assert rows["Z515"][1:] == (4, "Œ EN WINDOWS", "Œil inventé, soins")
    assert any("ISO-8859-1" in phrase for phrase in found.detected)
    assert any("sans chapitre" in phrase for phrase in found.detected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("newline", [b"\r\n", b"\n", b"\r"])
def test_the_kit_in_other_encodings_and_line_ends(encoding: str, newline: bytes) -> None:
    text = KIT.decode("cp1252").replace("\r\n", newline.decode())
    assert reading(text.encode(encoding)).parts == reading(KIT).parts


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(KIT), "LIBCIM10MULTI_2026.TXT.gz"),
        (zipped({"LIBCIM10MULTI.TXT": KIT, "LIBCIM10_CH20.TXT": KIT[:50], "Cim.pdf": b"%PDF"}), "kit_2026.zip"),
        (KIT, "n'importe quoi 2026.f001"),
    ],
)
def test_packed_and_renamed_kits_are_recognised(content: bytes, name: str) -> None:
    found = reading(content, name)
    assert found.parts == reading(KIT).parts
    assert found.year == "2026"


@pytest.mark.parametrize(
    ("content", "name", "match"),
    [
        (KIT, "kit_2026.xlsx", "annonce classeur XLSX, le contenu est texte"),
        (workbook(ACTS), "LIBCIM10MULTI_2026.TXT", "le contenu est classeur XLSX"),
        (gzip.compress(KIT), "LIBCIM10MULTI_2026.TXT", "le contenu est archive gzip"),
        (zipped({"LIBCIM10MULTI.TXT": KIT}), "LIBCIM10MULTI_2026.TXT", "le contenu est archive ZIP"),
        (zipped({"LIBCIM10MULTI.TXT": KIT}), "kit_2026.zip", "la décompresser et donner le fichier LIBCIM10MULTI.TXT"),
        (gzip.compress(KIT), "actes.json.gz", "annonce JSON, le contenu est texte"),
        (CLAML.encode(), "notes.csv", "annonce texte, le contenu est XML"),
        (b"%PDF-1.7", "guide.md", "le contenu est PDF"),
    ],
)
def test_renamed_and_zipped_files_are_refused(tmp_path: Path, content: bytes, name: str, match: str) -> None:
    with pytest.raises(SourceFileError, match=match):
        read(write(tmp_path, name, content))


def test_notes() -> None:
    found = reading(NOTES)
    assert found.parts == {"notes": {"A000": [["un", "deux"], []], "A00": [[], ["autre [B24.-]"]]}}


def test_note_lists_keep_their_heading() -> None:
    cell = "séquelles de :\n - première chose [B94.1] \n - seconde [B91]\nautre"
    found = reading(f'code,inclusions,exclusions\nA80,"","{cell}"\n')
    assert found.parts["notes"]["A80"][1] == [
        "séquelles de : première chose [B94.1]", "séquelles de : seconde [B91]", "autre",
    ]  # fmt: skip


def test_cma() -> None:
    assert reading(CMA).parts == {"cma": {"A000": [2, "878", ""], "B24+9": [4, "12", "41"]}}


def test_thesaurus() -> None:
    found = reading(THESAURUS)
    assert (found.nomenclature, found.parts) == (
        "cim10", {"thesaurus": {"A000": ["forme inventée", "autre"], "A009": ["autre"]}},
    )  # fmt: skip
    assert reading("libelle_local,acte\ngeste,AAAA001\n").nomenclature == "ccam"


@pytest.mark.parametrize("shape", ["xlsx", "csv", "json", "json.gz"])
def test_ccam_acts_in_every_shape(shape: str) -> None:
    header, *rows = ACTS
    objects = json.dumps([dict(zip(header, row, strict=True)) for row in rows]).encode()
    csv = "\n".join(";".join(str(cell or "") for cell in row) for row in ACTS).encode("cp1252")
    content = {"xlsx": workbook(ACTS), "csv": csv, "json": objects, "json.gz": gzip.compress(objects)}[shape]
    found = reading(content, f"actes.{shape}")
    first, second = found.parts["edition"]
    assert (first["code"], first["label"], first["valid_from"], first["sex"]) == (
        "AAAA001", "Premier acte inventé", "2005-03-01", None,
    )  # fmt: skip
    assert (second["valid_to"], second["sex"], second["act_type"]) == ("2024-12-31", "F", "1")


def test_ccam_extensions_activities_and_other_date_forms() -> None:
    found = reading(
        "Code acte;Extension PMSI;Libellé long;Sexe;Date début;Date fin;Activité;Phase\n"
        "AAAA001;;Acte inventé;0;01/03/2005;00/00/0000;1;0\n"
        "AAAA001;;Acte inventé;0;20050301;;4;0\n"
        "AAAA001;1;Acte inventé, variante;0;2005-03-01;31/12/2099;1;0\n"
    )
    (act,) = found.parts["edition"]
    assert (act["extensions"], act["activities"], act["phases"]) == (
        [["01", "Acte inventé, variante"]],
        ["1", "4"],
        ["0"],
    )
    assert (act["label"], act["valid_from"], act["valid_to"]) == ("Acte inventé", "2005-03-01", None)


def test_a_sheet_with_its_tree_notes_and_continued_rows() -> None:
    rows: list[list[object]] = [
        ["Code", "Texte", "Activité", "Phase"],
        ["07", "CHAPITRE INVENTÉ", None, None],
        ["07.01", "Sous-chapitre inventé", None, None],
        [None, "Note de section, laissée de côté", None, None],
        ["AAAA001", "Premier acte inventé", 1, 0],
        [None, None, 4, 0],
        [None, "À l'exclusion de : autre acte", None, None],
        ["08", "AUTRE CHAPITRE", None, None],
        ["AAAA002", "Deuxième acte", 1, 1],
        ["AAAA002", "Deuxième acte", 1, 2],
    ]
    first, second = reading(workbook(rows), "ccam.xlsx").parts["edition"]
    assert (first["activities"], first["phases"]) == (["1", "4"], ["0"])
    assert (first["chapter"], first["section"]) == ("07 CHAPITRE INVENTÉ", "Sous-chapitre inventé")
    assert first["notes"] == ["À l'exclusion de : autre acte"]
    assert (second["phases"], second["chapter"], second["section"]) == (["1", "2"], "08 AUTRE CHAPITRE", "")


def test_hierarchy_in_parquet_and_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"code": ["I10", "I10-I15"], "block_code": ["I10-I15"] * 2, "block_label": ["Groupe inventé"] * 2}
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), buffer)
    assert reading(buffer.getvalue()).parts == {"hierarchy": {"I10": ["I10-I15", "Groupe inventé"]}}
    monkeypatch.setattr(readers, "MAX_ROWS", 1)
    with pytest.raises(SourceFileError, match="bombe"):
        reading(buffer.getvalue())


def test_titles_above_the_header_and_spare_columns() -> None:
    rows: list[list[object]] = [["Titre du classeur"], [], ["Édition inventée", None, None]]
    rows += [[*row, None, None] for row in ACTS]
    assert len(reading(workbook(rows), "a.xlsx").parts["edition"]) == 2


def test_activities() -> None:
    assert reading(json.dumps(ICR)).parts == {"activities": {"AAAA001": {"activities": ["1", "4"], "phases": ["0"]}}}


def test_cim10_as_a_spreadsheet() -> None:
    rows = [
        ("Code", "Type MCO", "Libellé court", "Libellé long"),
        ("A00.0", 0, "F", "Forme"),
        ("B24.+9", 1, "G", "Autre"),
    ]
    found = reading(workbook(rows), "cim.xlsx")
    assert found.parts["edition"] == [("A000", 0, "F", "Forme"), ("B24+9", 1, "G", "Autre")]


def test_claml() -> None:
    found = reading(CLAML, "cim10.xml")
    assert found.parts["notes"]["A000"] == (["synonyme inventé", "second synonyme"], [])
    assert found.parts["marks"] == {"A00": "†", "A000": "*"}
    (exclusion,) = found.parts["notes"]["A00"][1]
    assert exclusion.startswith("autre maladie inventée")
    assert "B01.1" in exclusion


def _flag_encrypted(content: bytes) -> bytes:
    """The archive with the encryption bit set in its directory."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + struct.pack("<H", 1) + content[at + 10 :]


BOMB = zipped({"LIBCIM10MULTI.TXT": b"0" * 1_000})


#: A class whose 9 000 modifier classes would be written out as their pairs.
MODIFIED = CLAML.replace(
    '<Class code="I"',
    "".join(f'<ModifierClass modifier="M" code="{dot}{n}"/>' for n in range(4_500) for dot in ("", "."))
    + '<Class code="I"',
).replace(
    '<Class code="A00.0" kind="category" usage="aster">', '<Class code="A00.0" kind="category"><ModifiedBy code="M"/>'
)


UNSOUND: list[tuple[bytes, str]] = [
    (b"", "vide"),
    (b" \r\n\t", "vide"),
    (gzip.compress(b""), "vide"),
    (KIT[:-20], "tronqué"),
    (KIT[:100], "tronqué"),
    (KIT + KIT, "deux fois"),
    (KIT.replace(b"|3|", b"|7|", 1), "type MCO"),
    (KIT.replace(b"A00   ", b"a00   ", 1), "table non reconnue|colonne|six champs"),
    (KIT.replace(b"A009  ", b"A0 9  ", 1), "six champs"),
    (KIT.replace(b"CAT. A|", b"CAT| A|", 1), "six champs"),
    (os.urandom(5_000), "binaire|endommagé|colonne|titres"),
    (b"\x89PNG\r\n\x1a\n" + bytes(200), "binaire"),
    (b"MZ" + bytes(300), "binaire"),
    (KIT.decode("cp1252").encode("utf-16")[:-3], "UTF-16|tronqué|six champs"),
    (KIT.decode("cp1252").encode("utf-16-le"), "binaire"),
    (KIT.replace(b"\x8c", b"OE").decode("cp1252").encode().decode("cp1252").encode(), "encodés deux fois"),
    (KIT.decode("cp1252").replace("Œ", "OE").replace("Œil", "OEil").encode("cp850"), "DOS ou Macintosh"),
    (gzip.compress(KIT)[:-10], "gzip endommagée"),
    (zipped({"LIBCIM10MULTI.TXT": KIT})[:-30], "ZIP ou classeur endommagé"),
    (zipped({"a.txt": KIT, "b.txt": KIT}), "un seul fichier"),
    (zipped({"notes.docx": b"x"}), "un seul fichier"),
    (zipped({}), "un seul fichier"),
    (zipped({"kit.zip": zipped({"LIBCIM10MULTI.TXT": KIT})}), "un seul fichier"),
    (gzip.compress(zipped({"LIBCIM10MULTI.TXT": KIT})), "archive dans une archive"),
    (gzip.compress(gzip.compress(KIT)), "archive dans une archive"),
    (_flag_encrypted(zipped({"LIBCIM10MULTI.TXT": KIT})), "mot de passe"),
    (b"\xd0\xcf\x11\xe0" + bytes(600), "ancien classeur"),
    (b"%PDF-1.7\n", "PDF"),
    (b"PAR1" + bytes(40), "Parquet"),
    (b"7z\xbc\xaf\x27\x1c" + bytes(40), "format non reconnu"),
    (workbook(ACTS)[:-200], "endommagé"),
    (workbook([["code", "libelle_long", "type_acte"], ["AAAA001", "=1+1", "0"]]), "formule"),
    (workbook([["code", "libelle_long", "type_acte"], ["AAAA001", "=HYPERLINK(\"http://x\")", "0"]]), "formule"),
    (workbook([["x", "y"], [1, 2]]), "aucune feuille"),
    (workbook(ACTS, {"xl/evil.xml": b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'}), "entités"),
    (workbook([["code", "libelle_long"] + ["c"] * 500, ["AAAA001"] * 502]), "colonnes"),
    (b"code;libelle_long;type_acte\nAAAA001;=cmd|'/C calc'!A0;0\n", "formule"),
    (b"code;libelle_long;type_acte\nAAAA001;@SUM(A1);0\n", "formule"),
    (b"code;libelle_long;type_acte\nAAAA001;+HYPERLINK(1);0\n", "formule"),
    (b"code;expression\nA000;\"sans fin\n", "mal fermés"),
    (b"code;expression\nA000;un;deux\n", "3 champs, 2 attendus"),
    (b"code;expression\nA000\n", "1 champs, 2 attendus"),
    (b"code;expression\n", "aucune ligne"),
    (b"code;expression\nXX;rien\nYY;rien\n", "non reconnue"),
    (b"bonjour\ntout le monde\n", "aucune colonne|titres"),
    (b"a;b;c\n1;2;3\n", "titres"),
    (b"CODE\tNIVEAU\nA000\t7\n", "niveau de CMA"),
    (b"code;type_mco;libelle\nA000;9;Forme\n", "type MCO"),
    (b"code;libelle_long;type_acte;sexe\nAAAA001;Acte;0;X\n", "sexe"),
    (b"code;libelle_long;type_acte;date_debut\nAAAA001;Acte;0;hier\n", "date attendue"),
    (b"code;libelle_long;type_acte\nAAAA001;Acte;0\nAAAA001;Acte;0\n", "deux fois"),
    (b"code;libelle_long;type_acte\nAAAA001;;0\n", "sans libell"),
    (b'[{"code": "AAAA001", ', "JSON invalide"),
    (b'{"a": 1}', "tableau JSON"),
    (b"[1, 2]", "tableau JSON"),
    (b"[" * 100_000, "JSON invalide"),
    (b'[{"code": ' + b"9" * 10_000 + b"}]", "JSON invalide|non reconnue|titres"),
    (b"<html><body>Erreur 404</body></html>", "ClaML"),
    (b"<ClaML", "ClaML"),
    (CLAML.replace("ClaML.dtd\">", 'ClaML.dtd" [<!ENTITY a "aaaa">]>').encode(), "entités"),
    (CLAML.replace("ClaML.dtd\">", 'ClaML.dtd" [<!entity % a SYSTEM "file:///etc/passwd">]>').encode(), "entités"),
    (CLAML.replace("UTF-8", "UTF-16").encode("utf-16"), "entités ou encodage|ClaML"),
    (CLAML.encode()[:-200], "ClaML"),
    (b'<?xml version="1.0"?><ClaML version="2.0.0"></ClaML>', "sans aucun code"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "match"), UNSOUND, ids=[match for _, match in UNSOUND])
def test_unsound_files_are_refused_with_one_line(content: bytes, match: str) -> None:
    with pytest.raises(SourceFileError, match=match) as refused:
        reading(content, "mauvais")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_kit_without_whole_chapters_is_truncated() -> None:
    kit = "".join(f"A{n:02d}{m}  |0|OOO|0|X|Forme inventée\r\n" for n in range(80) for m in range(10))
    with pytest.raises(SourceFileError, match="chapitres absents : II, III"):
        reading(kit)


def test_a_long_cma_list_must_reach_the_last_chapters() -> None:
    rows = "".join(f"A{n:02d}{m}\t2\t1\t-\n" for n in range(60) for m in range(10))
    with pytest.raises(SourceFileError, match="s'arrête à A599"):
        reading("CODE\tNIVEAU\tDIAG\tLISTE_RACINE\n" + rows)


def test_the_file_of_chapter_xx_alone_is_not_an_edition() -> None:
    kit = "".join(f"W{n:02d}{m}  |2|NNO|1|X|Chute inventée\r\n" for n in range(60) for m in range(10))
    with pytest.raises(SourceFileError, match="le seul chapitre XX"):
        reading(kit)


@pytest.mark.parametrize("kind", ["zip", "gzip", "members", "claimed"])
def test_bombs_are_refused_before_they_unfold(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 10_000)
    monkeypatch.setattr(files, "MAX_MEMBERS", 5)
    content = {
        "zip": zipped({"LIBCIM10MULTI.TXT": bytes(20_000)}),
        "gzip": gzip.compress(b"A" * 20_000),
        "members": zipped({f"{i}.txt": b"x" for i in range(6)}),
        "claimed": _claims_less(zipped({"LIBCIM10MULTI.TXT": b"A" * 20_000})),
    }[kind]
    with pytest.raises(SourceFileError, match=r"bombe|endommagé"):
        reading(content)


def _claims_less(content: bytes) -> bytes:
    """The archive with an announced size of 100 bytes where 20 000 are packed."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<I", 100) + content[at + 28 :]


def test_a_real_bomb_takes_neither_time_nor_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("LIBCIM10MULTI.TXT", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))
    with pytest.raises(SourceFileError, match="bombe"):
        read(path)
    with pytest.raises(SourceFileError, match="bombe"):
        source_from_bytes(path.read_bytes(), path.name, unzip=True)


def test_a_gigabyte_line_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "LIBCIM10MULTI.TXT"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(SourceFileError, match="1024 Mio, maximum"):
        read(path)
    for long in (b"A00   |3|NNN|3|X|" + b"a" * 2**20, b"code;expression\nA000;" + b"a" * 2**20):
        with pytest.raises(SourceFileError, match=r"caractères|mal fermés|trop longue"):
            reading(long)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, match in ((tmp_path / "absent", "illisible"), (tmp_path, "ordinaire"), (tmp_path / "pipe", "ordinaire")):
        with pytest.raises(SourceFileError, match=match):
            read(path)


def accepted(content: bytes) -> bool:
    """Whether it is read; any other error than ours escapes and fails the test."""
    refusal = ""
    try:
        reading(content)
    except SourceFileError as refused:
        refusal = str(refused)
    assert "\n" not in refusal
    return not refusal


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_bytes_never_get_through(content: bytes) -> None:
    assert not accepted(content)


SOUND = {
    "kit": KIT,
    "notes": NOTES.encode(),
    "cma": CMA.encode(),
    "thesaurus": THESAURUS.encode(),
    "acts": workbook(ACTS),
    "icr": json.dumps(ICR).encode(),
    "claml": CLAML.encode(),
    "gzip": gzip.compress(KIT, mtime=0),
    "zip": zipped({"LIBCIM10MULTI.TXT": KIT}),
}


@pytest.mark.parametrize("shape", SOUND)
def test_sound_files_are_accepted(shape: str) -> None:
    assert accepted(SOUND[shape])


@given(
    shape=st.sampled_from(sorted(SOUND)),
    where=st.floats(0, 1),
    removed=st.integers(0, 60),
    inserted=st.binary(max_size=12),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_are_read_or_refused_and_nothing_else(
    shape: str, where: float, removed: int, inserted: bytes
) -> None:
    content = SOUND[shape]
    at = int(where * len(content))
    accepted(content[:at] + inserted + content[at + removed :])


@given(st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=8), st.sampled_from(";,\t|"))
@settings(max_examples=200, deadline=None)
def test_random_tables_are_read_or_refused_and_nothing_else(rows: list[list[str]], separator: str) -> None:
    lines = ["code" + separator + "expression", *(separator.join(row) for row in rows)]
    accepted("\n".join(lines).encode("utf-8", errors="replace"))


# ── the Guide ──

GUIDE = """# TITRE INVENTÉ

Source : Guide inventé 2026, chapitre V, p. 78-81

Introduction inventée.

### Premier article

Texte du premier.

### Second article
Texte du second,
sur deux lignes.
"""


def test_guide_in_markdown(tmp_path: Path) -> None:
    write(tmp_path, "a.md", GUIDE)
    write(tmp_path, "b.md", "# Autre\n\ntexte\n")
    articles = read_guide(tmp_path)
    assert [(a.title, a.path, a.pages) for a in articles] == [
        ("TITRE INVENTÉ", (), "78-81"),
        ("Premier article", ("TITRE INVENTÉ",), "78-81"),
        ("Second article", ("TITRE INVENTÉ",), "78-81"),
        ("Autre", (), ""),
    ]
    assert articles[2].text == "Texte du second,\nsur deux lignes."


def test_guide_in_pdf(tmp_path: Path) -> None:
    first, second = ["1.1. Premier article", "Texte du premier."], ["suite du premier", "SECOND ARTICLE", "Texte."]
    articles = read_guide(write(tmp_path, "guide.pdf", _pdf([first, second])))
    assert [(a.title, a.pages, a.text) for a in articles] == [
        ("1.1. Premier article", "1-2", "Texte du premier.\nsuite du premier"),
        ("SECOND ARTICLE", "2", "Texte."),
    ]


def _pdf(pages: list[list[str]]) -> bytes:
    """A minimal PDF, one text line under the other."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i, lines in enumerate(pages):
        drawn = " T* ".join(f"({line}) Tj" for line in lines)
        stream = f"BT /F1 12 Tf 14 TL 50 700 Td {drawn} ET"
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R {resources} /MediaBox [0 0 600 800] /Contents {5 + 2 * i} 0 R >>")
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    body, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    body += f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n"
    return f"{body}{body.index('xref')}\n%%EOF".encode("latin-1")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [("g.md", b"sans titre", "aucun titre"), ("g.pdf", b"%PDF-1.7 rien", "PDF endommag"), ("g.md", b"", "vide")],
)
def test_guides_without_articles_are_refused(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    with pytest.raises(SourceFileError, match=match):
        read_guide(write(tmp_path, name, content))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceFileError, match="aucun fichier Markdown"):
        read_guide(tmp_path / "empty")


# ── the starter's own file ──


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("code;synonyms\n", "label"),
        ("code;label\nAAAA1;x\n", "ligne 2"),
        ("code;label\nAAAA001;x\nAAAA001;y\n", "deux fois"),
        ("code;label\nAAAA001;\n", "libellé vide"),
        ("code;label;sex\nAAAA001;x;Z\n", "sexe"),
    ],
)
def test_a_malformed_starter_is_refused(text: str, match: str) -> None:
    with pytest.raises(SourceFileError, match=match):
        entries_from_csv(text)


def test_the_starter_format() -> None:
    (act,) = entries_from_csv(
        "code;label;synonyms;activities;phases;sex;chapter;section\naaaa001;x;a|b;1|4;0;f;7;S\n\n"
    )
    assert (act.code, act.synonyms, act.activities, act.phases, act.sex) == (
        "AAAA001",
        ("a", "b"),
        ("1", "4"),
        ("0",),
        "F",
    )
    assert act.is_valid(date(2030, 1, 1))
