"""Every notebook runs from top to bottom, and is kept without its outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
#: What each must print, and the kind of picture it must draw.
SHOWN = {
    "01_premier_codage": (("J18.1", "Guide méthodologique"), "text/html"),
    "02_explorer_la_recherche": (("fusion, reclassée", "CompressionRetriever", "I21"), "image/png"),
    "03_regles_et_controle": (("Guide méthodologique", "blocking", "dp J18.1"), "image/png"),
    "04_llm_bge_m3_qdrant": (("[NOM_1]", "retour à l'original : pneumopathie franche lobaire aiguë", "dp J18.1"), None),
}


def test_every_notebook_is_known() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(SHOWN)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = "the extra [notebooks] is not installed"
    nbformat: Any = pytest.importorskip("nbformat", reason=missing)
    nbclient: Any = pytest.importorskip("nbclient", reason=missing)
    for module in ("ipykernel", "matplotlib"):
        pytest.importorskip(module, reason=missing)
    root = str(path.parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in ("PMSI_LLM_BASE_URL", "PMSI_BGE_M3", "PMSI_QDRANT_URL"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": root}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    told = "".join(output.get("text", "") for output in outputs)
    words, picture = SHOWN[path.stem]
    for word in words:
        assert word in told
    assert picture is None or any(picture in output.get("data", {}) for output in outputs)
