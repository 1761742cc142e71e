"""Editions in time: the embedded default, installing, the one in force on a day, exact differences, atomicity."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pmsi_chain.codes import Cim10Code
from pmsi_chain.errors import (
    ConfigurationError,
    EditionError,
    ForbiddenCodeError,
    SourceFileError,
    UnknownCodeError,
)
from pmsi_chain.nomenclature import cache, editions, load_ccam, load_cim10, store
from pmsi_chain.nomenclature.diff import Change, diff_ccam, diff_cim10, render
from pmsi_chain.nomenclature.install import install
from tests.nomenclature_support import ACTS, KIT, kit_bytes, rows_of, workbook, write


def second_edition(folder: Path) -> Path:
    """2026 made from 2025 by one code added, one removed, one relabelled, one retyped and one deleted by marker."""
    rows = {row[0]: row for row in rows_of(load_cim10("2025"))}
    del rows["B24+1"]
    rows["A0091"] = ("A0091", 0, "AJOUT", "Code inventé ajouté en 2026")
    rows["I10"] = ("I10", 0, rows["I10"][2], "Libellé inventé pour 2026")
    rows["R18"] = ("R18", 4, *rows["R18"][2:])
    rows["L22"] = ("L22", 3, "*** SU26 *** DERMITE", "*** SU26 *** Dermite inventée")
    return write(folder, "LIBCIM10MULTI_2026.TXT", kit_bytes(rows[code] for code in sorted(rows)))


def test_a_second_edition_gives_the_exact_difference(tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = install(second_edition(tmp_path), state_dir=state)
    assert (done.record.version, done.record.valid_from, done.codes) == ("2026", date(2026, 1, 1), 42_897)
    old, new = load_cim10("2025", state_dir=state), load_cim10("2026", state_dir=state)
    diff = diff_cim10(old, new)
    assert diff.added == (Change("A0091", "", "Code inventé ajouté en 2026"),)
    assert [change.code for change in diff.removed] == ["B24+1"]
    assert [(change.code, change.after) for change in diff.relabelled] == [
        ("I10", "Libellé inventé pour 2026"),
        ("L22", "*** SU26 *** Dermite inventée"),
    ]
    assert diff.retyped == (Change("L22", "0", "3"), Change("R18", "0", "4"))
    assert diff.shortened == ()
    assert diff_cim10(new, new).is_empty
    text = render(diff)
    assert "Codes ajoutés : 1" in text
    assert "A00.91 : Code inventé ajouté en 2026" in text
    assert "R18 : 0 → 4" in text
    assert "… et 1 autres" in render(diff, limit=1)
    back = diff_cim10(new, old)
    assert [change.code for change in back.added] == [change.code for change in diff.removed]


def test_a_whole_kit_may_lack_its_last_line_end_but_not_its_last_codes(tmp_path: Path) -> None:
    content = second_edition(tmp_path).read_bytes()
    assert install(write(tmp_path, "kit_2027.txt", content.rstrip()), state_dir=tmp_path / "state").codes == 42_897
    for cut in (content[:-8], content[: content.rindex(b"Z99")].rstrip()):
        with pytest.raises(SourceFileError, match="tronqué"):
            install(write(tmp_path, "kit_2028.txt", cut), state_dir=tmp_path / "state")


def test_a_stay_gets_the_edition_of_its_day(tmp_path: Path) -> None:
    state = tmp_path / "state"
    install(second_edition(tmp_path), state_dir=state)
    before = load_cim10(on=date(2025, 12, 31), state_dir=state)
    after = load_cim10(on=date(2026, 1, 1), state_dir=state)
    assert (before.version, before.valid_to, after.version, after.valid_to) == (
        "2025",
        date(2025, 12, 31),
        "2026",
        None,
    )
    assert load_cim10(on=date(2031, 1, 1), state_dir=state).version == "2026"
    assert load_cim10(state_dir=state).version == "2026"
    assert Cim10Code.parse("B24+1", before).code == "B24+1"
    with pytest.raises(UnknownCodeError):
        Cim10Code.parse("B24+1", after)
    assert Cim10Code.parse("A00.91", after, "dp").code == "A0091"
    assert Cim10Code.parse("R18", before, "dp").code == "R18"
    with pytest.raises(ForbiddenCodeError):
        Cim10Code.parse("R18", after, "dp")


def test_a_stay_after_the_newest_edition_is_told(tmp_path: Path) -> None:
    newest = load_cim10(on=date(2026, 5, 2), state_dir=tmp_path)
    assert newest.version == "2025"
    assert "2025, la plus récente disponible pour une sortie de 2026" in newest.caveat(date(2026, 5, 2))
    assert newest.caveat(date(2025, 12, 31)) == ""
    install(write(tmp_path, "kit_2026.txt", KIT), state_dir=tmp_path, valid_from=date(2026, 3, 1))
    assert load_cim10("2025", state_dir=tmp_path).caveat(date(2026, 1, 15)) == ""  # still in force then


def test_a_day_or_version_without_edition_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EditionError, match=r"2025 \(depuis le 01/01/2025\).*--edition 2023"):
        load_cim10(on=date(2023, 6, 1), state_dir=tmp_path)
    with pytest.raises(EditionError, match="install FICHIER --edition 2019"):
        load_cim10("2019", state_dir=tmp_path)
    with pytest.raises(EditionError, match="absente"):
        load_ccam("2019", state_dir=tmp_path)


def test_valid_from_is_the_callers_when_given(tmp_path: Path) -> None:
    path = write(tmp_path, "kit.txt", KIT)
    record = install(path, "2026", tmp_path, valid_from=date(2026, 3, 1)).record
    assert record.valid_from == date(2026, 3, 1)
    assert load_cim10(on=date(2026, 2, 28), state_dir=tmp_path).version == "2025"
    assert load_cim10(on=date(2026, 3, 1), state_dir=tmp_path).version == "2026"


@pytest.mark.parametrize(
    ("edition", "match"), [(None, "quelle édition"), ("été 2026", "nom d'édition"), ("../x", "nom d'édition")]
)
def test_an_edition_needs_a_name(tmp_path: Path, edition: str | None, match: str) -> None:
    with pytest.raises(EditionError, match=match):
        install(write(tmp_path, "kit.txt", KIT), edition, tmp_path)
    with pytest.raises(EditionError, match="valid-from"):
        install(write(tmp_path, "kit.txt", KIT), "provisoire", tmp_path)


def test_installing_again_replaces_and_keeps_what_completes(tmp_path: Path) -> None:
    kit = write(tmp_path, "kit_2026.txt", KIT)
    install(kit, state_dir=tmp_path)
    notes = "code,inclusions,exclusions\nA000,synonyme inventé,autre maladie [B24.-]\n"
    install(write(tmp_path, "notes.csv", notes), state_dir=tmp_path)
    again = install(kit, state_dir=tmp_path)
    assert any("remplace" in phrase for phrase in again.detected)
    entry = load_cim10("2026", state_dir=tmp_path).entry("A000")
    assert entry.inclusion_notes == ("synonyme inventé",)
    assert entry.redirections == ("B24",)


def test_what_completes_an_edition_changes_its_fingerprint(tmp_path: Path) -> None:
    bare = load_cim10("2025", state_dir=tmp_path)
    assert bare.entry("I10").cma_level is None
    cma = "CODE\tNIVEAU\tDIAG\tLISTE_RACINE\nI10\t2\t12\t-\nI110\t3\t13\t41\nZ9Z\t2\t1\t-\n"
    with pytest.raises(SourceFileError):
        install(write(tmp_path, "bad.txt", cma), "2025", tmp_path)
    done = install(write(tmp_path, "cma.txt", cma.replace("Z9Z", "Z999999"[:3] + "99")), "2025", tmp_path)
    assert done.unknown == 1
    full = load_cim10("2025", state_dir=tmp_path)
    entry = full.entry("I110")
    assert (entry.cma_level, entry.cma_exclusions, entry.cma_root_exclusions) == (3, "13", "41")
    assert full.entry("I10").cma_root_exclusions == ""
    assert full.fingerprint != bare.fingerprint
    assert full.sha256 == bare.sha256
    thesaurus = "expression;code\ntension haute inventée;I10\n"
    install(write(tmp_path, "thesaurus.csv", thesaurus), "2025", tmp_path)
    assert load_cim10("2025", state_dir=tmp_path).entry("I10").synonyms == ("tension haute inventée",)
    blocks = "code,block_code,block_label\nI10,I10-I15,Groupe inventé\n"
    install(write(tmp_path, "hierarchy.csv", blocks), "2025", tmp_path)
    entry = load_cim10("2025", state_dir=tmp_path).entry("I10")
    assert (entry.block, entry.block_label, entry.cma_level) == ("I10-I15", "Groupe inventé", 2)


def test_a_file_about_other_codes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="aucun de ses 1 codes"):
        install(write(tmp_path, "t.csv", "expression;code\nrien;A9999\n"), "2025", tmp_path)
    assert store.installed_records(tmp_path) == ()


def test_a_refused_install_changes_nothing(tmp_path: Path) -> None:
    install(write(tmp_path, "kit_2026.txt", KIT), state_dir=tmp_path)
    before = store.installed_records(tmp_path)
    with pytest.raises(SourceFileError):
        install(write(tmp_path, "kit_2026.txt", KIT[:-20]), state_dir=tmp_path)
    assert store.installed_records(tmp_path) == before
    assert "A000" in load_cim10("2026", state_dir=tmp_path)


# The process is killed while the new data file is being written: editions.json has not moved.
def test_an_interrupted_install_leaves_the_previous_edition(tmp_path: Path) -> None:
    install(write(tmp_path, "kit_2026.txt", KIT), state_dir=tmp_path)
    other = write(tmp_path, "autre_2026.txt", KIT.replace(b"A000  |0", b"A000  |4"))
    script = (
        "import os, sys\nfrom pathlib import Path\nimport pmsi_chain.nomenclature.cache as cache\n"
        "from pmsi_chain.nomenclature.install import install\n"
        "real = os.replace\n"
        "def replace(a, b):\n    os._exit(9) if str(b).endswith('editions.json') else real(a, b)\n"
        "cache.os.replace = replace\n"
        "install(Path(sys.argv[1]), state_dir=Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(other), str(tmp_path)], check=False)
    assert done.returncode == 9
    assert load_cim10("2026", state_dir=tmp_path).entry("A000").type_mco == 0
    install(other, state_dir=tmp_path)
    assert load_cim10("2026", state_dir=tmp_path).entry("A000").type_mco == 4


def test_a_damaged_installed_file_says_what_to_reinstall(tmp_path: Path) -> None:
    record = install(write(tmp_path, "kit_2026.txt", KIT), state_dir=tmp_path).record
    data = store.store_dir(tmp_path) / record.file
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(SourceFileError, match=r"altéré.*--edition 2026"):
        load_cim10("2026", state_dir=tmp_path)
    data.unlink()
    with pytest.raises(SourceFileError, match=r"absent.*--edition 2026"):
        load_cim10("2026", state_dir=tmp_path)
    (store.store_dir(tmp_path) / "editions.json").write_text("{", encoding="utf-8")
    with pytest.raises(SourceFileError, match="liste des éditions"):
        load_cim10(state_dir=tmp_path)


def test_the_store_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    blocked = write(tmp_path, "file", b"not a directory")
    with pytest.raises(ConfigurationError, match="PMSI_STATE_DIR"):
        install(write(tmp_path, "kit_2026.txt", KIT), state_dir=blocked)


def test_the_embedded_edition_loads_without_a_writable_store(tmp_path: Path) -> None:
    blocked = write(tmp_path, "file", b"not a directory")
    assert len(load_cim10("2025", state_dir=blocked)) == 42_897


def test_the_cache_is_written_used_and_rebuilt_when_damaged(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom pmsi_chain.nomenclature import load_cim10, embedded\n"
        "read, calls = embedded.read_rows, []\n"
        "embedded.read_rows = lambda: calls.append(1) or read()\n"
        "edition = load_cim10('2025', state_dir=Path(sys.argv[1]))\n"
        "print(len(edition), edition.entry('A490').type_mco, len(calls))"
    )

    def run() -> str:
        command = [sys.executable, "-c", script, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert run() == "42897 0 1"
    assert run() == "42897 0 0"
    (cached,) = (store.store_dir(tmp_path) / "cache").iterdir()
    content = cached.read_bytes()
    for damaged in (content[:-1], content.replace(b"A490\t0", b"A490\t1"), b"", b"\xff\xfe"):
        cached.write_bytes(damaged)
        assert run() == "42897 0 1"
        assert cached.read_bytes() == content


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory of Linux")
def test_loading_from_the_cache_is_quick_and_small(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from pmsi_chain.nomenclature import load_cim10\n"
        "start = time.process_time()\nedition = load_cim10('2025', state_dir=Path(sys.argv[1]))\n"
        "took = time.process_time() - start\nedition.codable()\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(took, peak)"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    took_s, peak_kib = map(float, done.stdout.split())
    assert took_s <= 1.0
    assert peak_kib <= 100 * 1024  # the whole process, interpreter included


def test_cache_round_trip() -> None:
    rows = [("A00", 3, "X", "Libellé é œ"), ("B24+9", 0, "A  B", "deux  espaces\tet tabulation")]
    assert cache.from_bytes(cache.to_bytes(rows)) == [rows[0], ("B24+9", 0, "A B", "deux espaces et tabulation")]
    with pytest.raises(SourceFileError):
        cache.from_bytes(b"pmsi-cim10 1 0\nA00\t0\ta\tb\n")


def test_a_write_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    cache.write_atomically(path, b"old")

    def fails(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        cache.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_ccam_editions(tmp_path: Path) -> None:
    assert load_ccam(state_dir=tmp_path).version == "starter-2026"
    assert not load_ccam(state_dir=tmp_path).complete
    install(write(tmp_path, "ccam_2024.xlsx", workbook(ACTS)), state_dir=tmp_path)
    changed = [
        ACTS[0],
        (*ACTS[1][:6], "Premier acte, redit"),
        ("AAAA003", "c", "2", "1", "2025-01-01", None, "Troisième"),
    ]
    install(write(tmp_path, "ccam_2025.xlsx", workbook(changed)), state_dir=tmp_path)
    old, new = load_ccam("2024", state_dir=tmp_path), load_ccam(state_dir=tmp_path)
    assert (new.version, new.complete, load_ccam(on=date(2024, 6, 1), state_dir=tmp_path).version) == (
        "2025",
        True,
        "2024",
    )
    assert load_ccam(on=date(2010, 1, 1), state_dir=tmp_path).version == "2024"  # its acts carry their own dates
    act = old.entry("AAAA002")
    assert (act.sex, act.act_type, act.valid_to) == ("F", "1", date(2024, 12, 31))
    assert not old.is_allowed("AAAA002", date(2025, 1, 1))
    assert [entry.code for entry in old.codable(date(2025, 1, 1))] == ["AAAA001"]
    diff = diff_ccam(old, new)
    assert ([c.code for c in diff.added], [c.code for c in diff.removed]) == (["AAAA003"], ["AAAA002"])
    assert [(c.code, c.after) for c in diff.relabelled] == [("AAAA001", "Premier acte, redit")]
    assert "CCAM : de 2024 à 2025" in render(diff)
    assert old.siblings("AAAA001") == ("AAAA002",)


def test_a_ccam_stored_by_another_version_says_what_to_reinstall(tmp_path: Path) -> None:
    record = install(write(tmp_path, "ccam_2025.xlsx", workbook(ACTS)), state_dir=tmp_path).record
    older = store.put("ccam-2025.json", b'[{"code": "AAAA001"}]', tmp_path)
    store.commit((replace(record, file=older),), tmp_path)
    with pytest.raises(SourceFileError, match=r"autre version.*--edition 2025"):
        load_ccam("2025", state_dir=tmp_path)


def test_what_completes_the_ccam(tmp_path: Path) -> None:
    install(write(tmp_path, "ccam_2025.xlsx", workbook(ACTS)), state_dir=tmp_path)
    for name, content in {
        "icr.csv": "code;activite;phase;icr\nAAAA001;1;0;10\nAAAA001;4;0;5\n",
        "notes.json": json.dumps([{"code": "AAAA001", "type_note": "01", "note": "À l'exclusion de : ¶ autre acte"}]),
        "arbre.csv": "strate;code;libelle_niveau_1;libelle_niveau_2\n01.02;AAAA001;CHAPITRE INVENTÉ;Section inventée\n",
        "mod.csv": "modificateur;libelle_modificateur\nU;acte de nuit, inventé\n",
        "mots.csv": "expression;code\npremier geste;AAAA001\n",
    }.items():
        assert install(write(tmp_path, name, content), state_dir=tmp_path).record.version == "2025"
    edition = load_ccam("2025", state_dir=tmp_path)
    act = edition.entry("AAAA001")
    assert (act.activities, act.phases, act.chapter, act.section) == (
        ("1", "4"), ("0",), "01 CHAPITRE INVENTÉ", "Section inventée",
    )  # fmt: skip
    assert (act.notes, act.synonyms) == (("À l'exclusion de : autre acte",), ("premier geste",))
    assert edition.modifiers == {"U": "acte de nuit, inventé"}


def test_editions_are_listed_oldest_first_with_their_last_day(tmp_path: Path) -> None:
    for year in ("2027", "2024"):
        install(write(tmp_path, f"kit_{year}.txt", KIT), state_dir=tmp_path)
    listed = [(record.version, record.valid_to) for record in editions("cim10", tmp_path)]
    assert listed == [("2024", date(2024, 12, 31)), ("2025", date(2026, 12, 31)), ("2027", None)]


def test_two_installs_at_once_both_stand(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"kit_20{n}.txt", KIT) for n in (31, 32, 33)]
    script = (
        "import sys\nfrom pathlib import Path\nfrom pmsi_chain.nomenclature.install import install\n"
        "install(Path(sys.argv[1]), state_dir=Path(sys.argv[2]))"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(path), str(tmp_path)]) for path in paths]
    deadline = time.monotonic() + 60
    assert [process.wait(deadline - time.monotonic()) for process in running] == [0, 0, 0]
    assert {record.version for record in store.installed_records(tmp_path)} == {"2031", "2032", "2033"}
