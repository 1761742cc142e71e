"""The public namespace, the pure core, and what importing costs."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import pmsi_chain
from pmsi_chain import errors

PUBLIC = [
    "CcamCode", "Cim10Code", "CodeCandidate", "CodedAct", "CodedDiagnosis", "Coding", "CodingChain",
    "EligibilityCriteria", "Evidence", "Finding", "PmsiChainError", "RAGEngine", "ReviewItem", "Rum", "RumAct",
    "Settings", "Stay", "check_coding",
]  # fmt: skip


def test_all_is_the_contract() -> None:
    assert sorted(pmsi_chain.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(pmsi_chain, name) is not None
    with pytest.raises(AttributeError):
        pmsi_chain.Nothing  # noqa: B018


def test_every_error_of_the_drawn_tree_exists_where_it_is_drawn() -> None:
    drawn = [
        (len(line) - len(line.lstrip(" │├└─")), line.lstrip(" │├└─").split()[0])
        for line in (errors.__doc__ or "").splitlines()
        if "Error" in line.split("  ")[-1].split(" ")[0] or line.lstrip(" │├└─").split(" ")[0].endswith("Error")
    ]
    stack: list[tuple[int, str]] = []
    for depth, name in drawn:
        stack = [item for item in stack if item[0] < depth]
        found = getattr(errors, name)
        if stack:
            assert found.__mro__[1].__name__ == stack[-1][1]
        stack.append((depth, name))
    assert len(drawn) >= 12


HEAVY = ("langchain", "langchain_core", "langchain_classic", "qdrant_client", "qdrant_edge", "onnxruntime", "flashrank",
         "edsnlp", "spacy", "torch", "bm25s")  # fmt: skip


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in out.split()}


@pytest.mark.parametrize(
    "module",
    ["pmsi_chain", "pmsi_chain.domain", "pmsi_chain.errors", "pmsi_chain.text", "pmsi_chain.codes", "pmsi_chain.rules",
     "pmsi_chain.lexicon", "pmsi_chain.reading", "pmsi_chain.nomenclature"],
)  # fmt: skip
def test_the_core_imports_no_langchain_no_qdrant_no_model(module: str) -> None:
    assert not imported_by(module) & set(HEAVY)


def test_the_command_line_starts_without_the_models() -> None:
    assert not imported_by("pmsi_chain.cli") & set(HEAVY)


def test_the_readmes_python_runs_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(pmsi_chain.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    names: dict[str, object] = {"report": (files("pmsi_chain") / "knowledge" / "demo_report.txt").read_text("utf-8")}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102  # our own README
    coding = names["coding"]
    assert isinstance(coding, pmsi_chain.Coding)
    assert coding.dp is not None


def test_the_package_is_typed_and_carries_its_data() -> None:
    package = files("pmsi_chain")
    for name in ("py.typed", "knowledge/demo_report.txt", "knowledge/ccam_starter.csv", "knowledge/lexicon.csv"):
        assert (package / name).is_file()
