"""The command line, as a person runs it: stdout for data, one line and exit 2 for what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CANARY = "Zylofrankiste"


def run(
    *arguments: str, stdin: bytes = b"", state: Path | None = None, **env: str
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **env}
    if state is not None:
        environment["PMSI_STATE_DIR"] = str(state)
    return subprocess.run(
        [sys.executable, "-m", "pmsi_chain", *arguments], input=stdin, capture_output=True, timeout=120, env=environment
    )


def refused(result: subprocess.CompletedProcess[bytes], *said: str) -> str:
    """One line on stderr, nothing on stdout, exit 2, no traceback, no word of the report."""
    message = result.stderr.decode()
    assert result.returncode == 2, message
    assert result.stdout == b""
    assert len(message.strip().splitlines()) == 1, message
    assert "Traceback" not in message
    assert CANARY not in message
    for words in said:
        assert words in message
    return message


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reports") / "cr.txt"
    path.write_text(
        f"Motif : dyspnée aiguë. {CANARY}.\nConclusion : embolie pulmonaire, traitée par héparine.", encoding="utf-8"
    )
    return path


def test_demo_prints_the_coding_in_french() -> None:
    result = run("demo", COLUMNS="140")
    assert result.returncode == 0, result.stderr.decode()
    shown = result.stdout.decode()
    for words in (
        "DP",
        "K80.0",
        "Guide méthodologique MCO 2026",
        "À revoir",
        "HMFC004",
        "cholécystite aiguë lithiasique",
    ):
        assert words in shown


def test_code_gives_stable_json_and_keeps_stderr_clean_of_the_report(report: Path) -> None:
    result = run("code", str(report), "--json", "--sex", "F", "--age", "60", "--discharge-date", "2026-01-05")
    assert result.returncode == 0, result.stderr.decode()
    coding = json.loads(result.stdout)
    assert coding["dp"]["code"].startswith("I26")
    assert {"dp", "dr", "das", "acts", "findings", "to_review", "trace"} == set(coding)
    assert CANARY not in result.stderr.decode()
    again = run("code", "-", "--json", "--sex", "F", "--age", "60", "--discharge-date", "2026-01-05",
                stdin=report.read_bytes())  # fmt: skip
    other = json.loads(again.stdout)
    for each in (coding, other):
        each.pop("trace")
    assert coding == other


def test_html_page_holds_the_highlighted_proof(report: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("code", str(report), "--html", str(page)).returncode == 0
    assert '<mark class="dp"' in page.read_text(encoding="utf-8")


def test_search_in_both_nomenclatures() -> None:
    found = json.loads(run("search", "embolie pulmonaire", "--json", "--top-k", "3").stdout)
    assert found[0]["code"].startswith("I26")
    acts = json.loads(run("search", "appendicectomie", "--nomenclature", "ccam", "--json").stdout)
    assert acts[0]["code"].startswith("HHFA")


def test_rules_and_check(report: Path, tmp_path: Path) -> None:
    assert "Guide" in run("rules", "E43").stdout.decode()
    coding = tmp_path / "coding.json"
    coding.write_text(json.dumps({"dp": "W100", "das": ["I10", "I10"]}), encoding="utf-8")
    findings = json.loads(run("check", str(coding), "--report", str(report), "--json").stdout)
    assert any(f["severity"] == "blocking" and "W100" in f["codes"] for f in findings)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "vide"),
        (b" \n\t ", "vide"),
        (b"%PDF-1.7 \x00\x01", "binaire"),
        (b"PK\x03\x04....", "binaire"),
        (b"texte\x00binaire", "binaire"),
    ],
)
def test_bad_reports(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "cr.txt"
    path.write_bytes(content)
    refused(run("code", str(path)), str(path), said)


def test_other_bad_input(report: Path, tmp_path: Path) -> None:
    refused(run("code", str(tmp_path / "absent.txt")), "absent.txt")
    refused(run("code", str(tmp_path)), str(tmp_path))
    refused(run("code", str(report), PMSI_MAX_REPORT_CHARS="10"), "PMSI_MAX_REPORT_CHARS")
    refused(run("code", str(report), "--discharge-date", "1998-01-01"), "1998")
    refused(run("code", str(report), "--discharge-date", "hier"), "hier")
    refused(run("code", str(report), "--sex", "X"), "M ou F")
    refused(run("search", "x", "--nomenclature", "cim11"), "cim10 ou ccam")
    refused(run("search", "x", "--version", "1999"), "1999")
    refused(run("rules", "Z99999"))
    refused(run("search", "x", PMSI_RRF_K="beaucoup"), "réglage refusé : PMSI_RRF_K : un nombre entier était attendu")


def test_a_latin_1_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cr.txt"
    path.write_bytes("Conclusion : fracture fermée du col du fémur opérée.".encode("cp1252"))
    assert json.loads(run("code", str(path), "--json").stdout)["dp"]["code"].startswith("S720")


def test_a_foreign_index_directory_is_one_line(tmp_path: Path) -> None:
    assert run("search", "cataracte", "--nomenclature", "ccam", state=tmp_path).returncode == 0
    for manifest in tmp_path.glob("indexes/*/manifest.json"):
        manifest.write_text('{"format": 0}')
    refused(run("search", "cataracte", "--nomenclature", "ccam", state=tmp_path), "--rebuild")


def test_nothing_of_the_report_is_written_to_the_state_directory(report: Path, state_dir: Path) -> None:
    assert run("code", str(report)).returncode == 0
    for path in state_dir.rglob("*"):
        if path.is_file() and path.stat().st_size < 5_000_000:
            assert CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "x", "--top-k", "0"), "--top-k : valeur refusée"),
        (("code", "x", "--age", "abc"), "--age : valeur refusée"),
        (("search",), "il manque query"),
        (("search", "--nimporte"), "option inconnue --nimporte"),
        (("search", "x", "--top-k"), "--top-k : il manque sa valeur"),
        (("inconnue",), "commande inconnue"),
        (("search", "a", "b"), "arguments en trop"),
        (("search", "x", "--nomenclature", "ccam", "--position", "dp"), "--position"),
        (("bench", "coding", "--data", "/nulle/part"), "dossier absent"),
        (("code", "/nulle/part"), "fichier absent"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_refused_in_french(arguments: tuple[str, ...], said: str) -> None:
    refused(run(*arguments), said)


def test_a_question_of_one_word_and_a_position_in_capitals() -> None:
    assert "Guide méthodologique" in run("rules", "anémie").stdout.decode()
    assert run("rules", "E43", "--position", "DAS").returncode == 0
    assert run("rules", "HHFA016").returncode == 0


def test_a_nest_of_brackets_is_no_coding(tmp_path: Path) -> None:
    nest = tmp_path / "nid.json"
    nest.write_text("[" * 100_000, encoding="utf-8")
    refused(run("check", str(nest)), "pas du JSON")
