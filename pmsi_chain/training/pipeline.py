"""The two training runs, end to end; entered through `pmsi_chain.training`."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pmsi_chain.encoders.dense import EmbeddedEncoder
from pmsi_chain.encoders.lexical import LexicalWeights
from pmsi_chain.encoders.memory import ExpressionMemory
from pmsi_chain.rerank.cross_encoder import MODEL_FILE, MODEL_NAME
from pmsi_chain.rerank.features import PairFeatures
from pmsi_chain.training.augment import abbreviate, seeded
from pmsi_chain.training.blend import blend_columns, fit_blend
from pmsi_chain.training.data import TrainingData, find_file
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

Pairs = Sequence[tuple[str, str]]

#: Weight, in the blend, of a list whose query is an alphabetical-index entry: nobody writes so.
_INDEX_ENTRY_WEIGHT = 0.25
#: The encoder that ships learned from twice the expressions of the one that the blend is fitted with: its cosine
#: deserves more. 10 was the best of 0, 5, 10, 15, 20, 30, 50 by MRR on the development expressions.
_COSINE_LIFT = 10.0
MAX_TOKENS = 96


def run_encoder(data_dir: Path, out_dir: Path, seed: int, device: str | None, recipe: EncoderRecipe | None) -> None:
    """See `pmsi_chain.training.train_encoder`."""
    data = TrainingData.from_directory(data_dir)
    _write_encoder_files(data, out_dir, seed, device, recipe or EncoderRecipe())


def _write_encoder_files(
    data: TrainingData, out_dir: Path, seed: int, device: str | None, recipe: EncoderRecipe
) -> EmbeddedEncoder:
    out_dir.mkdir(parents=True, exist_ok=True)
    table, residuals = train(data, recipe, seed, device=device or _best_device())
    encoder = write_encoder(out_dir / "encoder.npz", table, residuals, data)
    write_sparse_encoder(data, out_dir / "sparse.npz")
    write_memory(encoder, [*data.expressions, *data.names, *data.notes], out_dir / "memory.npz", seed)
    return encoder


def split_expressions(data: TrainingData, seed: int) -> tuple[Pairs, Pairs, Pairs]:
    """Expressions of the mining encoder (one half), of the cross-encoder (35 %), of the blend (15 %)."""
    shuffled = list(data.expressions)
    seeded(seed).shuffle(shuffled)
    half, most = len(shuffled) // 2, int(len(shuffled) * 0.85)
    last = shuffled[most:]
    held_out = {text for text, _ in last}
    first = [pair for pair in shuffled[:half] if pair[0] not in held_out]
    second = [pair for pair in shuffled[half:most] if pair[0] not in held_out]
    return first, second, last


def run_reranker(
    data_dir: Path,
    out_dir: Path,
    seed: int,
    device: str | None,
    recipe: RerankerRecipe | None,
    mining_recipe: EncoderRecipe | None,
) -> None:
    """See `pmsi_chain.training.train_reranker`."""
    recipe = recipe or RerankerRecipe()
    EmbeddedEncoder.from_path(out_dir / "encoder.npz")  # say now, not in an hour, that it is missing
    data = TrainingData.from_directory(data_dir)
    first, second, last = split_expressions(data, seed)
    mining_dir = out_dir / "mining"
    mining_data = replace(data, expressions=tuple(first))
    encoder = _write_encoder_files(mining_data, mining_dir, seed, device, mining_recipe or EncoderRecipe(epochs=5))

    rng = seeded(seed)
    acts = list(data.acts.values())
    texts = [*data.labels.values(), *acts, *(abbreviate(label, rng) for label in acts)]
    texts += [text for pairs in (first, second, data.notes, data.names) for text, _ in pairs]
    tokenizer = train_tokenizer(texts, recipe.vocabulary_size)
    lists = cross_encoder_lists(data, (first, second), encoder, recipe, rng)
    model = train_cross_encoder(
        lists,
        tokenizer,
        recipe,
        seed,
        embeddings=token_vectors(encoder, tokenizer, recipe.dim),
        device=device or _best_device(),
    ).cpu()
    folder = out_dir / MODEL_NAME
    write_tokenizer(tokenizer, folder, MAX_TOKENS)
    export_onnx(model, folder / MODEL_FILE)

    # the blend sees the memory and the word weights without the expressions it is fitted on
    known = replace(data, expressions=(*first, *second))
    write_sparse_encoder(known, mining_dir / "sparse.npz")
    write_memory(encoder, [*known.expressions, *known.names, *known.notes], mining_dir / "memory.npz", seed)
    write_blends(data, last, encoder, mining_dir, model, tokenizer, recipe, out_dir / "blend.json", seed)

    with find_file(data_dir, "evidence_dev.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(r["code"], r["definition"], r["passage"], r["label"] == "1") for r in csv.DictReader(stream)]
    (out_dir / "evidence.json").write_text(json.dumps(fit_evidence(out_dir, rows, seed), indent=1), encoding="utf-8")


def cross_encoder_lists(
    data: TrainingData, parts: tuple[Pairs, Pairs], encoder: EmbeddedEncoder, recipe: RerankerRecipe, rng: random.Random
) -> list[CandidateLists]:
    """All unseen expressions, a sample of those that the mining encoder knows, notes, short labels, acts."""
    first, second = parts
    short = [(data.short_labels[code], code) for code in data.codable]
    official = [*data.notes, *data.names, *data.names]
    return [
        expression_lists(data, second[: recipe.n_unseen], encoder, recipe, rng),
        expression_lists(data, first[: recipe.n_seen], encoder, recipe, rng),
        expression_lists(data, rng.sample(official, min(recipe.n_official, len(official))), encoder, recipe, rng),
        expression_lists(data, rng.sample(short, min(recipe.n_short, len(short))), encoder, recipe, rng),
        act_lists(data, encoder, recipe, rng, recipe.n_acts),
    ]


def write_blends(
    data: TrainingData,
    held_out: Pairs,
    encoder: EmbeddedEncoder,
    mining_dir: Path,
    model: Any,
    tokenizer: Any,
    recipe: RerankerRecipe,
    path: Path,
    seed: int,
) -> None:
    """Fit the blend for known codes on held-out expressions, and the one for labels alone on abbreviated acts."""
    rng = seeded(seed + 1)
    builder = PairBuilder(tokenizer)
    features = PairFeatures(
        encoder,
        ExpressionMemory.from_path(mining_dir / "memory.npz"),
        LexicalWeights.from_path(mining_dir / "sparse.npz"),
    )
    index_entries = [pair for pair in held_out if "," in pair[0] or "(" in pair[0]]
    spoken = [pair for pair in held_out if "," not in pair[0] and "(" not in pair[0]]
    n_spoken = int(recipe.n_blend * 0.7)
    pairs = spoken[:n_spoken] + index_entries[: recipe.n_blend - n_spoken]
    lists = expression_lists(data, pairs, encoder, recipe, rng)
    columns, right = blend_columns(lists, data.codable, features, model, builder)
    # entries of the alphabetical index hold commas and brackets that nobody writes
    weights = np.array([_INDEX_ENTRY_WEIGHT if "," in text or "(" in text else 1.0 for text, _ in pairs], np.float32)
    act_candidates = act_lists(data, encoder, recipe, rng, recipe.n_blend_acts)
    act_columns, act_right = blend_columns(act_candidates, list(data.acts), features, model, builder)
    blends = {
        "known": fit_blend(columns, right, weights, seed, cosine_lift=_COSINE_LIFT),
        "label_only": fit_blend(act_columns, act_right, np.ones(len(act_right), np.float32), seed),
    }
    path.write_text(json.dumps({kind: blend.as_dict() for kind, blend in blends.items()}), encoding="utf-8")


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
