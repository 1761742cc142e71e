"""The audit log: one line per coding, hashes and decisions, no text; it fails closed and keeps its lines whole."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pmsi_chain import CodingChain, RAGEngine, Settings, Stay
from pmsi_chain.audit import AuditLog
from pmsi_chain.errors import ConfigurationError, ServiceError
from pmsi_chain.llm import LlmSelector
from tests.scripted import Scripted
from tests.serving_support import CANARY, REPORT, engine_with

STAY = Stay(text=REPORT, sex="F", age=74, id="sejour-17")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def audited(engine: RAGEngine, log: Path, selector: Any = None, **more: Any) -> CodingChain:
    """The chain of the run with an audit log; its parts are shared."""
    settings = Settings(state_dir=engine.settings.state_dir, audit_log=log, **more)
    return CodingChain(engine_with(engine, settings), selector)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_a_coding_is_one_line_with_hashes_and_decisions_and_no_text(engine: RAGEngine, log: Path) -> None:
    chain = audited(engine, log)
    coding = chain.invoke(STAY, {"metadata": {"caller": "dim-3", "request_id": "r1"}})
    (line,) = lines(log)
    assert (line["action"], line["caller"], line["request_id"]) == ("coding", "dim-3", "r1")
    assert line["report_sha256"] == hashlib.sha256(REPORT.encode()).hexdigest()
    assert line["stay_id_sha256"] == hashlib.sha256(b"sejour-17").hexdigest()
    assert line["chars"] == len(REPORT)
    assert [(d["position"], d["code"]) for d in line["decisions"]] == [
        (d.position, d.code) for d in coding.diagnoses
    ] + [("ccam", a.code) for a in coding.acts]
    assert line["decisions"][0]["rule"] == coding.diagnoses[0].rule_id
    assert line["editions"] == {"cim10": "2025", "ccam": coding.trace.ccam_edition, "guide": "2026"}
    assert (line["decided_by"], line["llm"]) == ("rules", None)
    written = log.read_text(encoding="utf-8")
    for words in (CANARY, "pneumopathie", "sejour-17"):
        assert words not in written
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_who_asks_is_the_account_where_nobody_is_named(engine: RAGEngine, log: Path) -> None:
    audited(engine, log).invoke(STAY)
    assert lines(log)[0]["caller"]


def test_text_and_id_are_written_only_when_asked(engine: RAGEngine, log: Path) -> None:
    audited(engine, log, audit_text=True).invoke(STAY)
    assert (lines(log)[0]["text"], lines(log)[0]["stay_id"]) == (REPORT, "sejour-17")


def test_no_setting_no_log(chain: CodingChain) -> None:
    assert chain.audit is None


def test_a_model_is_recorded_before_it_is_asked_and_with_the_decision(
    engine: RAGEngine, log: Path, scripted: Scripted
) -> None:
    selector = LlmSelector(scripted("non", "non"), model_name="petit", structured="function_calling")
    audited(engine, log, selector).invoke(STAY)
    asked, coded = lines(log)
    assert (asked["action"], asked["run"]) == ("llm", coded["run"])
    assert asked["llm"]["sent"] == "pseudonymised"
    for line in (asked, coded):
        assert line["llm"]["model"] == "petit"
        assert (line["llm"]["prompt_id"], line["llm"]["prompt_sha256"]) == (selector.prompt.id, selector.prompt.sha256)
        assert line["llm"]["method"] == "function_calling"
    assert coded["decided_by"] == "rules"


def test_batch_and_stream_write_one_line_each(engine: RAGEngine, log: Path) -> None:
    chain = audited(engine, log)
    chain.batch([STAY, STAY])
    list(chain.stream(STAY))
    assert len(lines(log)) == 3
    assert len({line["run"] for line in lines(log)}) == 3


async def test_asynchronous_calls_are_written_too(engine: RAGEngine, log: Path) -> None:
    chain = audited(engine, log)
    await chain.ainvoke(STAY, {"metadata": {"caller": "a"}})
    async for _ in chain.astream(STAY, {"metadata": {"caller": "b"}}):
        pass
    assert [line["caller"] for line in lines(log)] == ["a", "b"]


def test_a_bench_writes_nothing(engine: RAGEngine, log: Path) -> None:
    audited(engine, log).invoke_with_stages(STAY)
    assert log.read_text(encoding="utf-8") == ""


# -- where it cannot be written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["absent/audit.jsonl", "."])
def test_a_log_that_cannot_be_opened_refuses_the_coding(engine: RAGEngine, tmp_path: Path, where: str) -> None:
    chain = audited(engine, tmp_path / where)
    with pytest.raises(ConfigurationError, match="PMSI_AUDIT_LOG") as refused:
        next(chain.sequence().stream(STAY))
    assert CANARY not in str(refused.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_refuses_the_coding(engine: RAGEngine) -> None:
    with pytest.raises(ServiceError, match="écriture impossible") as refused:
        audited(engine, Path("/dev/full")).invoke(STAY)
    assert CANARY not in str(refused.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_on_a_full_disk_no_model_is_asked(engine: RAGEngine, scripted: Scripted) -> None:
    selector = LlmSelector(scripted(), structured="function_calling")  # a call would fail the test
    with pytest.raises(ServiceError):
        audited(engine, Path("/dev/full"), selector).invoke(STAY)


def test_a_line_that_does_not_fit_is_taken_back(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = AuditLog(log)
    audit.append({"n": 1})
    true_write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 30:
            return true_write(descriptor, data[:30])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(ServiceError):
        audit.append({"n": 2})
    monkeypatch.undo()
    audit.append({"n": 3})
    assert [line["n"] for line in lines(log)] == [1, 3]


def test_the_half_line_of_a_killed_writer_is_left_alone(log: Path) -> None:
    log.write_text('{"n": 1}\n{"n": 2, "cut', encoding="utf-8")
    AuditLog(log).append({"n": 3})
    kept = log.read_text(encoding="utf-8").splitlines()
    assert kept[:2] == ['{"n": 1}', '{"n": 2, "cut']
    assert json.loads(kept[2])["n"] == 3


def test_lone_surrogates_are_written_as_json(log: Path) -> None:
    AuditLog(log, with_text=True).conversed(["a\udc80é"], "r", {}, model="m")
    assert lines(log)[0]["texts"] == ["a\udc80é"]


# -- many writers ------------------------------------------------------------------------------------------------------


def write_some(path: str, writer: int) -> None:
    audit = AuditLog(Path(path))
    for n in range(50):
        audit.append({"writer": writer, "n": n, "padding": "é" * (n * 97 % 5000)})


def test_lines_of_many_processes_and_threads_are_whole(log: Path) -> None:
    processes = [multiprocessing.get_context("spawn").Process(target=write_some, args=(str(log), w)) for w in range(2)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda w: write_some(str(log), w), range(2, 6)))
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = lines(log)
    assert sorted((line["writer"], line["n"]) for line in found) == [(w, n) for w in range(6) for n in range(50)]
