"""Annotated passages, all invented: each `<ent flags>…</ent>` must get exactly these flags, in any typing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pmsi_chain.reading.report import Report
from tests.reading_support import bare_reader, strip_accents

_ENT = re.compile(r"<ent(?P<flags>[a-z_ ]*)>(?P<words>.*?)</ent>", re.DOTALL)

_LINES = Path(__file__).with_name("data").joinpath("reading_passages.txt").read_text(encoding="utf-8").splitlines()
PASSAGES = [line for line in _LINES if line and not line.startswith("#")]
#: Cues that only accents tell apart from other words keep their sense in capitals, these passages show it.
_TYPINGS: dict[str, Callable[[str], str]] = {"as_written": str, "capitals": str.upper, "no_accents": strip_accents}


def parse(annotated: str) -> tuple[str, list[tuple[int, int, frozenset[str]]]]:
    text, spans, done = "", [], 0
    for match in _ENT.finditer(annotated):
        text += annotated[done : match.start()]
        spans.append((len(text), len(text) + len(match["words"]), frozenset(match["flags"].split())))
        text += match["words"]
        done = match.end()
    return text + annotated[done:], spans


def wrong_spans(report: Report, spans: list[tuple[int, int, frozenset[str]]]) -> list[tuple[int, list[str], list[str]]]:
    found = [(number, report.context_at(start, end), flags) for number, (start, end, flags) in enumerate(spans)]
    return [(n, sorted(got), sorted(wanted)) for n, got, wanted in found if got != wanted]


@pytest.mark.parametrize("typing", _TYPINGS)
@pytest.mark.parametrize("number", range(len(PASSAGES)))
def test_passage(number: int, typing: str) -> None:
    text, spans = parse(PASSAGES[number])
    report = bare_reader().read(_TYPINGS[typing](text), year=None)
    assert wrong_spans(report, spans) == []
