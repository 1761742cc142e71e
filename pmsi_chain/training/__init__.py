"""Train what ships in `pmsi_chain/models`: the encoder, then the reranker on top of it.

    train_encoder(data_dir, out_dir)   encoder.npz, sparse.npz, memory.npz
    train_reranker(data_dir, out_dir)  pmsi-reranker-fr/, blend.json, evidence.json; reads the three files above
    train_reader(out_dir)              reader_attested.npz, reader_among.npz, reader_principal.npz, for the models of
                                       the package

Needs the extra `pmsi-chain[train]`; imported lazily, so that this module costs nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pmsi_chain.errors import ConfigurationError

if TYPE_CHECKING:
    from pmsi_chain.training.encoder import EncoderRecipe
    from pmsi_chain.training.reader import FoldMeasure
    from pmsi_chain.training.reranker import RerankerRecipe

__all__ = ["train_encoder", "train_reader", "train_reranker"]


def train_encoder(
    data_dir: Path | str,
    out_dir: Path | str,
    seed: int = 7,
    device: str | None = None,
    *,
    recipe: EncoderRecipe | None = None,
) -> None:
    """Train and write the dense encoder, the word weights and the expression memory.

    Args:
        data_dir: where expressions_train.csv and the official files are, at any depth.
        out_dir: made if absent; files there are replaced.
        seed: of every random choice; the same seed, device and thread count give the same weights.
        device: "cpu" or "cuda"; None takes the GPU when there is one.
        recipe: settings of the run; None: those that ship.

    Raises:
        ConfigurationError: torch or another part of the extra is not installed.
        SourceFileError: a file is missing under `data_dir`.
    """
    require_extra("torch")
    from pmsi_chain.training.pipeline import run_encoder

    run_encoder(Path(data_dir), Path(out_dir), seed, device, recipe)


def train_reranker(
    data_dir: Path | str,
    out_dir: Path | str,
    seed: int = 7,
    device: str | None = None,
    *,
    recipe: RerankerRecipe | None = None,
    encoder_recipe: EncoderRecipe | None = None,
) -> None:
    """Train and write the cross-encoder, the blend and the evidence model for the encoder in `out_dir`.

    Args:
        data_dir: as for `train_encoder`; the evidence model is fitted on evidence_dev.csv there.
        out_dir: must hold what `train_encoder` wrote.
        seed: of every random choice.
        device: "cpu" or "cuda"; None takes the GPU when there is one.
        recipe, encoder_recipe: settings of the cross-encoder, and of the encoder trained apart for it on all
            expressions but those that the blend is fitted on.

    Raises:
        ConfigurationError: a part of the extra is not installed, or `out_dir` holds no encoder.
        SourceFileError: a file is missing under `data_dir`.
    """
    for module in ("torch", "onnx", "scipy", "tokenizers"):
        require_extra(module)
    from pmsi_chain.training.pipeline import run_reranker

    run_reranker(Path(data_dir), Path(out_dir), seed, device, recipe, encoder_recipe)


def train_reader(
    out_dir: Path | str,
    seed: int = 7,
    progress: Callable[[str], None] = lambda message: None,
    *,
    folds: bool = False,
) -> list[FoldMeasure]:
    """Grow and write the forests of the second reading, on the invented reports and the models of the package.

    Args:
        out_dir: made if absent; files there are replaced.
        seed: of every random choice.
        folds: measure by cross-validation first, six times as long.

    Returns:
        Measures by manner of the reports, with and without the second reading; [] without `folds`.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    require_extra("sklearn")
    from pmsi_chain.training.reader import run_reader

    return run_reader(Path(out_dir), seed, folds, progress)


def require_extra(module: str) -> None:
    """Check that a training dependency is there.

    Raises:
        ConfigurationError: it is not.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigurationError(
            f"Training needs {module}, which is not installed: `pip install 'pmsi-chain[train]'`. "
            "Using the packaged models needs no training."
        )
