"""The two training runs, end to end; entered through `pmsi_chain.training`."""

from __future__ import annotations

import csv
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pmsi_chain.encoders.dense import EmbeddedEncoder, Floats
from pmsi_chain.encoders.lexical import LexicalWeights
from pmsi_chain.encoders.memory import ExpressionMemory
from pmsi_chain.rerank.blend import Blend
from pmsi_chain.rerank.cross_encoder import MODEL_FILE, MODEL_NAME
from pmsi_chain.rerank.features import PairFeatures
from pmsi_chain.similarity import KEY as SIMILARITY
from pmsi_chain.similarity import Similarity
from pmsi_chain.training.augment import abbreviate, seeded
from pmsi_chain.training.blend import blend_columns, fit_blend
from pmsi_chain.training.data import TrainingData, find_file, is_index_entry
from pmsi_chain.training.encoder import EncoderRecipe, train, write_encoder
from pmsi_chain.training.evidence import fit_evidence
from pmsi_chain.training.export import export_onnx
from pmsi_chain.training.memory import write_memory
from pmsi_chain.training.reranker import (
    CandidateLists,
    PairBuilder,
    RerankerRecipe,
    act_lists,
    expression_lists,
    token_vectors,
    train_cross_encoder,
)
from pmsi_chain.training.sparse import write_sparse_encoder
from pmsi_chain.training.tokenizer import train_tokenizer, write_tokenizer

#: Weight, in the blend, of a list whose query is an alphabetical-index entry: nobody writes so.
_INDEX_ENTRY_WEIGHT = 0.25
MAX_TOKENS = 96


def run_encoder(data_dir: Path, out_dir: Path, seed: int, device: str | None, recipe: EncoderRecipe | None) -> None:
    """See `pmsi_chain.training.train_encoder`."""
    data = TrainingData.from_directory(data_dir)
    _write_encoder_files(data, out_dir, seed, device, recipe or EncoderRecipe())


def _write_encoder_files(
    data: TrainingData, out_dir: Path, seed: int, device: str | None, recipe: EncoderRecipe
) -> EmbeddedEncoder:
    out_dir.mkdir(parents=True, exist_ok=True)
    members = [
        train(data, recipe, member, seed + i, device=device or _best_device())
        for i, member in enumerate(recipe.members)
    ]
    encoder = write_encoder(out_dir / "encoder.npz", members, data)
    write_sparse_encoder(data, out_dir / "sparse.npz")
    known = [*data.said, *data.phrases, *data.parents, *data.names, *data.notes]
    write_memory(encoder, known, out_dir / "memory.npz", seed)
    return encoder


def run_reranker(
    data_dir: Path,
    out_dir: Path,
    seed: int,
    device: str | None,
    recipe: RerankerRecipe | None,
    encoder_recipe: EncoderRecipe | None,
) -> None:
    """See `pmsi_chain.training.train_reranker`."""
    recipe = recipe or RerankerRecipe()
    EmbeddedEncoder.from_path(out_dir / "encoder.npz")  # say now, not in an hour, that it is missing
    data = TrainingData.from_directory(data_dir)
    learned = data.learned()
    with tempfile.TemporaryDirectory() as folder:
        apart = Path(folder)
        encoder = _write_encoder_files(learned, apart, seed, device, encoder_recipe or EncoderRecipe())
        tokenizer, model = _cross_encoder(learned, encoder, recipe, seed, device or _best_device())
        write_tokenizer(tokenizer, out_dir / MODEL_NAME, MAX_TOKENS)
        export_onnx(model, out_dir / MODEL_NAME / MODEL_FILE)
        write_blends(data, encoder, apart, model, tokenizer, recipe, out_dir / "blend.json", seed)

    with find_file(data_dir, "evidence_dev.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(r["code"], r["definition"], r["passage"], r["label"] == "1") for r in csv.DictReader(stream)]
    (out_dir / "evidence.json").write_text(json.dumps(fit_evidence(out_dir, rows, seed), indent=1), encoding="utf-8")


def _cross_encoder(
    learned: TrainingData, encoder: EmbeddedEncoder, recipe: RerankerRecipe, seed: int, device: str
) -> tuple[Any, Any]:
    """A tokenizer and the torch module, on the processor."""
    rng = seeded(seed)
    acts = list(learned.acts.values())
    texts = [*learned.labels.values(), *acts, *(abbreviate(label, rng) for label in acts)]
    texts += [text for pairs in (learned.said, learned.notes) for text, _ in pairs]
    tokenizer = train_tokenizer(texts, recipe.vocabulary_size)
    model = train_cross_encoder(
        cross_encoder_lists(learned, encoder, recipe, rng),
        tokenizer,
        recipe,
        seed,
        embeddings=token_vectors(encoder, tokenizer, recipe.dim),
        device=device,
    )
    return tokenizer, model.cpu()


def cross_encoder_lists(
    learned: TrainingData, encoder: EmbeddedEncoder, recipe: RerankerRecipe, rng: random.Random
) -> list[CandidateLists]:
    """Lists of learned expressions, spoken ones first, of notes, short labels and acts."""
    entries = [pair for pair in learned.expressions if is_index_entry(pair[0])]
    spoken = [pair for pair in learned.expressions if not is_index_entry(pair[0])] + list(learned.generated)
    short = [(learned.short_labels[code], code) for code in learned.codable]
    official = [*learned.notes, *learned.parents]
    sets = (
        (spoken, recipe.n_spoken),
        (entries, recipe.n_entries),
        (official, recipe.n_official),
        (short, recipe.n_short),
    )
    lists = [
        expression_lists(learned, rng.sample(pairs, min(n, len(pairs))), encoder, recipe, rng)
        for pairs, n in sets
        if pairs
    ]
    return [*lists, act_lists(learned, encoder, recipe, rng, recipe.n_acts)]


def write_blends(
    data: TrainingData,
    encoder: EmbeddedEncoder,
    apart: Path,
    model: Any,
    tokenizer: Any,
    recipe: RerankerRecipe,
    path: Path,
    seed: int,
) -> None:
    """Fit the blend for known codes on held-out expressions, and the one for labels alone on abbreviated acts.

    Args:
        encoder, apart, model: the encoder, the directory of its memory and word weights, and the cross-encoder, none
            of which has seen a held-out expression.
    """
    rng = seeded(seed + 1)
    builder = PairBuilder(tokenizer)
    lexical = LexicalWeights.from_path(apart / "sparse.npz")
    features = PairFeatures(encoder, ExpressionMemory.from_path(apart / "memory.npz"), lexical)
    pairs = rng.sample(data.held_out, min(recipe.n_blend_expressions, len(data.held_out)))
    lists = expression_lists(data, pairs, encoder, recipe, rng, lexical=lexical)
    columns, right = blend_columns(lists, data.codable, features, model, builder)
    # entries of the alphabetical index hold commas and brackets that nobody writes
    weights = np.array([_INDEX_ENTRY_WEIGHT if is_index_entry(text) else 1.0 for text, _ in pairs], np.float32)
    act_candidates = act_lists(data, encoder, recipe, rng, recipe.n_blend_acts)
    act_columns, act_right = blend_columns(act_candidates, list(data.acts), features, model, builder)
    blends = {
        "known": fit_blend(columns, right, weights, seed),
        "label_only": fit_blend(act_columns, act_right, np.ones(len(act_right), np.float32), seed),
    }
    values: dict[str, object] = {kind: blend.as_dict() for kind, blend in blends.items()}
    values[SIMILARITY] = asdict(_similarity(blends["known"], columns, lists, data.codable, pairs))
    path.write_text(json.dumps(values), encoding="utf-8")


def _similarity(
    blend: Blend, columns: Floats, lists: CandidateLists, codes: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> Similarity:
    """The score that is shown, from the ten candidates that the blend puts first for each held-out expression."""
    probabilities: list[float] = []
    right: list[bool] = []
    for matrix, candidates, (_, code) in zip(columns, lists.candidates, pairs, strict=True):
        scores = blend.scores(matrix)
        first = np.argsort(-scores, kind="stable")[:10]
        probabilities += blend.probabilities(scores[first]).tolist()
        right += [codes[i][:3] == code[:3] for i in candidates[first].tolist()]
    return Similarity.fit(probabilities, right)


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
