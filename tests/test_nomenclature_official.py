"""Against the official files, where the reference data is: every difference is one that the project states."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from pathlib import Path

import pytest

from pmsi_chain.codes import CcamCode, Cim10Code
from pmsi_chain.errors import SourceFileError
from pmsi_chain.nomenclature import embedded, load_ccam, load_cim10
from pmsi_chain.nomenclature.guide import read_guide
from pmsi_chain.nomenclature.hierarchy import chapter_of
from pmsi_chain.nomenclature.install import install
from pmsi_chain.nomenclature.readers import Reading, read


@pytest.fixture(scope="module")
def official(shared_dir: Path) -> Path:
    return shared_dir / "referentiels"


@pytest.fixture(scope="module")
def kit(official: Path) -> Reading:
    return read(official / "cim10" / "LIBCIM10MULTI_2025_saufch20.TXT")


@pytest.fixture(scope="module")
def installed(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the official CIM-10 and CCAM, and what completes them."""
    state = tmp_path_factory.mktemp("official")
    for name in ("LIBCIM10MULTI_2025_saufch20.TXT", "cim10_notes_2025.csv"):
        install(official / "cim10" / name, "2025", state)
    install(official / "cma" / "ListeCMA_2019.txt", "2025", state)
    install(official / "ccam" / "ccam_actes_avec_descri.json.gz", "2025", state)
    for name in ("hierarchie_actes", "notes", "icr", "libelle_modificateur"):
        install(official / "ccam" / f"ccam_{name}.json.gz", "2025", state)
    return state


def packaged() -> dict[str, dict[str, str]]:
    text = gzip.decompress(embedded.table_path().read_bytes()).decode()
    return {line["code"]: line for line in csv.DictReader(io.StringIO(text, newline=""))}


def corrections() -> dict[str, dict[str, str]]:
    return {line["code"]: line for line in csv.DictReader(io.StringIO(embedded.corrections_text()), delimiter=";")}


def test_the_packaged_table_differs_from_the_kit_only_where_we_say(kit: Reading) -> None:
    ours, stated = packaged(), corrections()
    missing, types, labels = set(), {}, set()
    for code, type_mco, short, long in kit.parts["edition"]:
        if code not in ours:
            missing.add(code)
            continue
        if int(ours[code]["type"]) != type_mco:
            types[code] = str(type_mco)
        if " ".join(ours[code]["long"].split()) != long or " ".join(ours[code]["short"].split()) != short:
            labels.add(code)
    official = {row[0] for row in kit.parts["edition"]}
    assert {code for code in ours if chapter_of(code) != "XX"} <= official
    assert missing == {code for code, line in stated.items() if line["reason"] == "ajout 2025"}
    assert types == {code: line["type"] for code, line in stated.items() if line["type"] and code not in missing}
    assert labels == {code for code, line in stated.items() if line["label"] and code not in missing}


def test_the_embedded_types_are_the_kits(kit: Reading) -> None:
    edition = load_cim10("2025")
    assert [code for code, type_mco, _, _ in kit.parts["edition"] if edition.entry(code).type_mco != type_mco] == []


def test_our_wording_is_ours(kit: Reading) -> None:
    labels = {code: long for code, _, _, long in kit.parts["edition"]}
    for code, line in corrections().items():
        assert line["label"].casefold() != labels[code].casefold()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.951, 0.96, 0.99, 0.999, 0.99999])
def test_truncated_official_files_are_refused(official: Path, share: float, tmp_path: Path) -> None:
    for name in ("cim10/LIBCIM10MULTI_2025_saufch20.TXT", "ccam/ccam_actes.json.gz", "ccam/ccam_actes_2024.xlsx"):
        content = (official / name).read_bytes()
        path = tmp_path / Path(name).name
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(SourceFileError):
            read(path)


@pytest.mark.parametrize("encoding", ["cp850", "mac_roman", "ascii", "utf-16-le", "cp037"])
def test_wrongly_encoded_official_files_are_refused(official: Path, encoding: str, tmp_path: Path) -> None:
    text = (official / "cim10" / "LIBCIM10MULTI_2025_saufch20.TXT").read_bytes().decode("latin-1")
    path = tmp_path / "LIBCIM10MULTI.TXT"
    path.write_bytes(text.encode(encoding, errors="replace"))
    with pytest.raises(SourceFileError):
        read(path)
    path.write_bytes(text.encode().decode("latin-1").encode())
    with pytest.raises(SourceFileError, match="encodés deux fois"):
        read(path)


def test_chapters_and_categories_are_the_official_ones(official: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    edition = load_cim10("2025")
    table = parquet.read_table(official / "cim10" / "cim10_hierarchy_2025.parquet")
    columns = (table[name].to_pylist() for name in ("code", "chapter_code", "category_code"))
    checked = 0
    for code, chapter, category in zip(*columns, strict=True):
        if code in edition:
            assert (edition.entry(code).chapter, edition.entry(code).category) == (chapter, category or code[:3])
            checked += 1
    assert checked > 17_000


def test_printed_forms_are_those_of_the_cma_list(official: Path) -> None:
    text = (official / "cma" / "ListeCMA_2019.txt").read_text(encoding="utf-8-sig")
    rows = [line.split("\t")[:2] for line in text.splitlines()[1:]]
    assert len(rows) > 4_000
    assert [(code, printed) for code, printed in rows if Cim10Code(code).display != printed] == []


def test_the_installed_edition_is_whole_and_completed(installed: Path) -> None:
    edition = load_cim10("2025", state_dir=installed)
    assert len(edition) == 42_897
    assert edition.origin == "LIBCIM10MULTI_2025_saufch20.TXT"
    for code in edition:
        assert Cim10Code.parse(Cim10Code(code).display, edition).code == code
    assert edition.entry("A010").inclusion_notes
    assert "A183" in edition.entry("A04").redirections
    levels = {edition.entry(code).cma_level for code in edition}
    assert levels == {None, 2, 3, 4}


def test_the_installed_ccam_is_whole_and_completed(installed: Path) -> None:
    edition = load_ccam("2025", state_dir=installed)
    assert (len(edition), edition.complete) == (8_593, True)
    for code in edition:
        assert CcamCode.parse(code.lower(), edition).code == code
    act = edition.entry("HHFA016")
    assert act.activities == ("1", "4")
    assert act.phases == ("0",)
    assert act.chapter.startswith("07 ")
    assert {edition.entry(code).sex for code in edition} == {None, "M", "F"}
    extended = [edition.entry(code) for code in edition if edition.entry(code).extensions]
    assert sum(len(entry.extensions) for entry in extended) == 471
    assert len(edition.codable(date(2025, 6, 1))) < len(edition)
    assert len(edition.modifiers) == 33


def test_the_starters_acts_exist_and_are_valid(installed: Path) -> None:
    official = load_ccam("2025", state_dir=installed)
    starter = load_ccam("starter-2026", state_dir=installed)
    assert [code for code in starter if not official.is_allowed(code, date(2025, 12, 31))] == []
    assert [
        code for code in starter if (sex := starter.entry(code).sex) and official.entry(code).sex not in (None, sex)
    ] == []
    for code in starter:
        known = set(official.entry(code).activities)
        assert set(starter.entry(code).activities) <= known, code


def test_the_guide_is_cut_by_article_with_pages(official: Path) -> None:
    articles = read_guide(official / "guide_mco_2026" / "chapitre_V")
    assert len({article.file for article in articles}) == 39
    assert all(article.pages for article in articles)
    assert sum(len(article.text) for article in articles) > 100_000
