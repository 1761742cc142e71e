"""`pmsi-chain nomenclature list|install|diff`, and fetching over HTTP from a real server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pmsi_chain.errors import InputError, PmsiChainError, ServiceError, SourceFileError
from pmsi_chain.nomenclature import load_cim10, store
from pmsi_chain.nomenclature.commands import app, show_official_pages
from pmsi_chain.nomenclature.download import OFFICIAL_PAGES, fetch, is_reachable
from pmsi_chain.nomenclature.install import install
from tests.nomenclature_support import ACTS, KIT, workbook, write, zipped


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PMSI_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*arguments: str) -> str:
    """stdout of a command that succeeds; our errors come out as they are."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return str(result.stdout)


def test_list(state: Path) -> None:
    text = run("list")
    assert "cim10 2025" in text
    assert "42897 codes" in text
    assert "embarquée" in text
    listed = json.loads(run("list", "--json"))
    assert [(item["nomenclature"], item["edition"], item["embedded"]) for item in listed] == [
        ("cim10", "2025", True), ("ccam", "starter-2026", True),
    ]  # fmt: skip
    assert listed[0]["codes"] == len(load_cim10("2025"))
    assert listed[0]["licence"]


def test_install_then_list_and_diff(state: Path, tmp_path: Path) -> None:
    first, second = write(tmp_path, "a.txt", KIT), write(tmp_path, "b_2031.txt", KIT.replace(b"A000  |0", b"A000  |4"))
    done = json.loads(run("install", str(first), "--edition", "2030", "--valid-from", "2030-03-01", "--json"))
    assert (done["edition"], done["valid_from"], done["codes"], done["kinds"]) == ("2030", "2030-03-01", 7, ["edition"])
    assert len(done["sha256"]) == 64
    assert "installée" in run("install", str(second))
    assert [item["valid_to"] for item in json.loads(run("list", "--json"))[:3]] == ["2030-02-28", "2030-12-31", None]
    diff = json.loads(run("diff", "2030", "2031", "--json"))
    assert diff["retyped"] == [{"code": "A000", "before": "0", "after": "4"}]
    assert diff["added"] == diff["removed"] == diff["relabelled"] == []
    assert "Types modifiés : 1\n  A00.0 : 0 → 4" in run("diff", "2030", "2031")
    assert "aucune différence" in run("diff", "2031", "2031")


def test_diff_of_the_ccam(state: Path, tmp_path: Path) -> None:
    for year, rows in (("2030", ACTS), ("2031", ACTS[:2])):
        run("install", str(write(tmp_path, f"ccam_{year}.xlsx", workbook(rows))))
    assert "Codes supprimés : 1\n  AAAA002" in run("diff", "2030", "2031", "-n", "ccam")
    with pytest.raises(InputError, match="cim10 ou ccam"):
        run("diff", "2030", "2031", "-n", "cim11")


def test_a_refused_file_is_our_error(state: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceFileError):
        run("install", str(write(tmp_path, "vide.txt", b"")))


def test_without_a_file_the_official_pages_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    show_official_pages(reachable=lambda url: "atih" in url)
    shown = capsys.readouterr().out
    assert all(page.url in shown for page in OFFICIAL_PAGES)
    assert shown.count("(joignable)") == sum("atih" in page.url for page in OFFICIAL_PAGES)
    with pytest.raises(ServiceError, match="aucune adresse officielle"):
        show_official_pages(as_json=True, reachable=lambda url: False)
    assert [page["reachable"] for page in json.loads(capsys.readouterr().out)] == [False] * len(OFFICIAL_PAGES)


class _Publisher(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = {
            "/LIBCIM10MULTI_2032.TXT": (200, {}, KIT),
            "/telecharger/456": (200, {"Content-Disposition": 'attachment; filename="kit_2033.txt"'}, KIT),
            "/kit_2034.zip": (200, {}, zipped({"LIBCIM10MULTI.TXT": KIT, "Cim.pdf": b"%PDF"})),
            "/vide": (200, {}, b""),
        }.get(self.path, (404, {}, b"absent"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server's own naming

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def publisher() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Publisher)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_install_from_an_address(publisher: str, tmp_path: Path) -> None:
    done = install(f"{publisher}/LIBCIM10MULTI_2032.TXT", state_dir=tmp_path)
    assert (done.record.version, done.record.origin) == ("2032", f"{publisher}/LIBCIM10MULTI_2032.TXT")
    assert install(f"{publisher}/telecharger/456", state_dir=tmp_path).record.version == "2033"
    assert install(f"{publisher}/kit_2034.zip", state_dir=tmp_path).record.version == "2034"
    assert {record.version for record in store.installed_records(tmp_path)} == {"2032", "2033", "2034"}
    with pytest.raises(SourceFileError, match="vide"):
        install(f"{publisher}/vide", state_dir=tmp_path)


def test_what_cannot_be_fetched(publisher: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="404"):
        fetch(f"{publisher}/absent")
    with pytest.raises(ServiceError, match="donner son chemin"):
        fetch("http://127.0.0.1:9/rien", timeout_s=2)
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        with pytest.raises(PmsiChainError, match="http"):
            install(address, state_dir=tmp_path)
    assert is_reachable(f"{publisher}/LIBCIM10MULTI_2032.TXT")
    assert not is_reachable(f"{publisher}/absent")
    assert not is_reachable("http://127.0.0.1:9/")
