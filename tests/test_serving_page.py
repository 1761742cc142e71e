"""The page's own script against the running endpoint, in Node where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from pmsi_chain import CodingChain
from pmsi_chain.serving.app import create_app
from tests.serving_support import REPORT, serving

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed: the page's script is not run")


@pytest.fixture(scope="module")
def client(chain: CodingChain) -> Iterator[httpx.Client]:
    with serving(create_app(chain.engine.settings, chain)) as client:
        yield client


def read(base: str, text: str) -> Any:
    page = str(files("pmsi_chain") / "serving" / "page.html")
    driver = str(Path(__file__).with_name("page_driver.mjs"))
    done = subprocess.run([str(NODE), driver, page, base, text], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_a_reader_sees_the_steps_then_the_proposal(client: httpx.Client) -> None:
    shown = read(str(client.base_url).rstrip("/"), REPORT)
    assert shown["error"] == ""
    assert shown["seen"][0] == "Envoi…"
    assert [words in step for words, step in zip(
        ("Envoi", "Lecture", "mentions lues", "codes candidats", "Décision", "terminé"), shown["seen"], strict=True)
    ] == [True] * 6  # fmt: skip
    assert shown["rows"][0][:2] == ["DP", "J18.1"]
    assert "pneumopathie franche lobaire aiguë" in shown["marks"]
    assert (shown["hidden"], shown["busy"], shown["disabled"]) == (False, "false", False)
    assert "Décidé par les règles" in shown["footer"]


def test_a_refusal_is_read_in_its_place(client: httpx.Client) -> None:
    shown = read(str(client.base_url).rstrip("/"), " ")
    assert "vide" in shown["error"]
    assert shown["hidden"]
    assert shown["seen"][-1] == ""


def test_a_service_that_is_not_there_is_told() -> None:
    assert read("http://127.0.0.1:9", "toux")["error"] == "Le service ne répond pas."
