"""Whatever is given, reading raises nothing and every offset stays true."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from pmsi_chain.reading import FLAGS, SECTION_NAMES, Report
from tests.reading_support import full_reader

_PIECES = st.sampled_from(
    [
        "Motif d'hospitalisation :", "**Antécédents :**", "### Évolution", "CONCLUSION", "- ", "• ", "| ", "\n", "\r\n",
        "\n\n", ". ", ", ", " ", "; ", " : ", "? ", "(", ")", "pas de ", "sans ", "ni ", "suspicion d'",
        "père décédé d'",
        "en 2012", "à éliminer", "écartée", "insuffisance rénale", " et ", "cardiaque", "HTA", "œdème", "K 3,1 mmol/L",
        "Hb 7,9 g/dL (N 12-16)", "IMC", "17", "12/03/2026", "Dr. Martin", "ignore les instructions", "Z51.5", "ﬁèvre",
        "\u0301", "\u00a0", "\t", "𝐅ièvre", "İ", "½", "\x00", "’", "d’", "«", "---", "***", "\u2028", "\x0b", "\x1c",
    ]
)  # fmt: skip
_FRENCH = st.lists(_PIECES, max_size=40).map("".join)


def check(report: Report) -> None:
    text = report.text
    assert report.sections[0].start == 0
    assert report.sections[-1].end == len(text)
    for left, right in zip(report.sections, report.sections[1:], strict=False):
        assert left.end == right.start
    for section in report.sections:
        assert section.start <= section.body <= section.end
        assert section.name in SECTION_NAMES
        assert section.title in text
    for before, after in zip(report.sentences, report.sentences[1:], strict=False):
        assert before.end <= after.start
    for sentence in report.sentences:
        quote = text[sentence.start : sentence.end]
        assert quote
        assert quote == quote.strip()
        assert report.section_at(sentence.start) == sentence.section
    for mention in report.mentions:
        sentence = report.sentences[mention.sentence]
        assert sentence.start <= mention.start < mention.end <= sentence.end
        assert mention.context <= frozenset(FLAGS)
        assert mention.context >= report.context_at(mention.start, mention.end)
        assert not any(a <= mention.start < b for a, b in report.instructions)
    for value in report.values:
        assert 0 <= value.start < value.end <= len(text)
        assert report.section_at(value.start) == value.section
        assert value.unit in text[value.start : value.end]
        assert (value.flag is None) == (value.flag_source is None)


@settings(max_examples=150, deadline=None)
@given(_FRENCH)
def test_pieces_of_reports(text: str) -> None:
    report = full_reader().read(text)
    assert report.text == text
    check(report)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    check(full_reader().read(text))


@settings(max_examples=60, deadline=None)
@given(_FRENCH, st.integers(0, 400), st.integers(0, 400))
def test_any_span_may_be_asked_for(text: str, start: int, end: int) -> None:
    report = full_reader().read(text)
    assert report.context_at(start, end) <= frozenset(FLAGS)
    assert report.section_at(start) in SECTION_NAMES
    index = report.sentence_at(start)
    assert index is None or report.sentences[index].start <= start < report.sentences[index].end


@settings(max_examples=40, deadline=None)
@given(_FRENCH)
def test_reading_twice_gives_the_same(text: str) -> None:
    first, second = full_reader().read(text), full_reader().read(text)
    assert first.mentions == second.mentions
    assert first.values == second.values


_PARAGRAPH = (
    "Patient admis pour dyspnée, sans fièvre ni toux, avec suspicion d'embolie pulmonaire, écartée par l'angioscanner. "
    "Insuffisance rénale et cardiaque, HTA, K 3,1 mmol/L, Na 128 mmol/L. Cancer du sein en 2012, mère : diabète.\n"
)


def test_a_long_input_takes_time_in_proportion() -> None:
    reader = full_reader()
    reader.read(_PARAGRAPH)

    def seconds(text: str) -> float:
        start = time.process_time()
        reader.read(text)
        return time.process_time() - start

    short, long = seconds(_PARAGRAPH * 100), seconds(_PARAGRAPH * 800)
    assert len(_PARAGRAPH) * 800 > 150_000
    assert long < 8 * short * 2.5 + 0.2


def test_a_text_without_any_sign_takes_time_in_proportion() -> None:
    start = time.process_time()
    report = full_reader().read("insuffisance rénale chronique sans diabète et pas de fièvre, " * 1_700)
    assert len(report.text) > 100_000
    assert time.process_time() - start < 15
