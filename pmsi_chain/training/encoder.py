"""Train the embedded encoder: one bag of hashed features for expressions and labels, one residual per code.

Loss: softmax over every codable code (`query · normalise(label + residual)`), for the code and for its category (the
sum of its codes' probabilities), plus the same against the labels of the batch alone, so that the text side also serves
codes and acts it never saw. Label vectors outside the batch come from a cache that is refreshed every few steps and
carries no gradient. Acts have no residual: synthetic abbreviations of their labels are told apart among all acts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmsi_chain.encoders.dense import EmbeddedEncoder, Floats
from pmsi_chain.encoders.features import FEATURES_VERSION, text_features, word_features
from pmsi_chain.encoders.nibbles import pack_rows
from pmsi_chain.training.augment import abbreviate, seeded, vary
from pmsi_chain.training.data import TrainingData
from pmsi_chain.training.quantise import quantise_rows_to_4_bits

Features = tuple[list[str], list[int]]
#: (epoch from 0, mean loss, seconds, table, residuals) → None.
OnEpoch = Callable[[int, float, float, Floats, Floats], None]


@dataclass(frozen=True, slots=True)
class Member:
    """What one encoder of several has to itself.

    Attributes:
        epochs: passes over the pairs.
        feature_dropout: share of a query's n-grams left out, 0–1.
    """

    epochs: int
    feature_dropout: float


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """Settings of one training run; the defaults are what ships.

    Attributes:
        members: encoders trained apart, which end side by side in one; those that differ add more than twins.
        n_buckets, dim: size of the feature table of each.
        batch: pairs per step.
        scale: cosines are multiplied by it before the softmax.
        lr_table, lr_residuals: Adam's peak steps; linear decay to 2 %.
        init: standard deviation of the first table.
        category_weight: share of the loss that falls to the category.
        label_weight: weight of the loss against labels alone.
        act_weight, act_passes: weight of the acts' loss, passes over the acts per epoch (0: none).
        refresh: steps between two refreshes of the cached label vectors.
        residuals, notes, short_labels, augment: what to learn, and what to learn from.
    """

    members: tuple[Member, ...] = (Member(epochs=3, feature_dropout=0.3), Member(epochs=4, feature_dropout=0.0))
    n_buckets: int = 131_072
    dim: int = 256
    batch: int = 1024
    scale: float = 20.0
    lr_table: float = 4e-3
    lr_residuals: float = 2e-3
    init: float = 0.02
    category_weight: float = 0.3
    label_weight: float = 0.5
    act_weight: float = 0.5
    act_passes: int = 3
    refresh: int = 20
    residuals: bool = True
    notes: bool = True
    short_labels: bool = True
    augment: bool = True


class Bags:
    """Texts of one batch as two levels of offsets: features of distinct words, then words and pairs of each text."""

    def __init__(self, texts: Sequence[Features], n_buckets: int, device: str, dropout: float = 0.0) -> None:
        """Index the texts; with `dropout`, that share of the n-grams weighs 0 and the others make up for it."""
        import torch

        index: dict[str, int] = {}
        flat: list[int] = []
        offsets: list[int] = []
        rows: list[int] = []
        starts: list[int] = []
        pairs: list[int] = []
        pair_starts: list[int] = []
        for words, text_pairs in texts:
            starts.append(len(rows))
            pair_starts.append(len(pairs))
            for word in words:
                place = index.get(word)
                if place is None:
                    place = index[word] = len(index)
                    offsets.append(len(flat))
                    flat.extend(word_features(word, n_buckets))
                rows.append(place)
            pairs.extend(text_pairs)
        lists = (flat, offsets, rows, starts, pairs, pair_starts)
        tensors = [torch.tensor(values, dtype=torch.long, device=device) for values in lists]
        self.flat, self.offsets, self.rows, self.starts, self.pairs, self.pair_starts = tensors
        self.keep = None
        if dropout:
            keep = (torch.rand(len(flat)) >= dropout).float() / (1 - dropout)
            keep[tensors[1].cpu()] = 1.0  # the word itself always stays: it tells « A » from « B »
            self.keep = keep.to(device)


def sum_vectors(table: Any, bags: Bags) -> Any:
    """Sums of the features of each text, (n_texts, dim), not normalised."""
    from torch.nn import functional

    words = functional.embedding_bag(bags.flat, table, bags.offsets, mode="sum", per_sample_weights=bags.keep)
    out = functional.embedding_bag(bags.rows, words, bags.starts, mode="sum")
    if len(bags.pairs):
        out = out + functional.embedding_bag(bags.pairs, table, bags.pair_starts, mode="sum")
    return out


def pairs_of_epoch(data: TrainingData, recipe: EncoderRecipe, rng: random.Random) -> list[tuple[str, str]]:
    """(text, code) pairs of one epoch, varied anew each time."""

    def varied(text: str) -> str:
        return vary(text, rng) if recipe.augment else text

    pairs = [(varied(expression), code) for expression, code in (*data.said, *data.phrases)]
    if recipe.short_labels:
        pairs += [(data.short_labels[code], code) for code in data.codable]
    pairs += [(varied(label), code) for label, code in data.parents]
    if recipe.notes:
        pairs += [(varied(text), code) for text, code in data.notes]
    return pairs + [(varied(data.labels[code]), code) for code in data.codable]


class EncoderTraining:
    """One run: parameters, optimiser and the cached vectors of labels and acts."""

    def __init__(self, data: TrainingData, recipe: EncoderRecipe, dropout: float, seed: int, device: str) -> None:
        """Draw the first table and featurise the labels."""
        import torch

        torch.manual_seed(seed)
        self.data, self.recipe, self.dropout, self.device = data, recipe, dropout, device
        self.rng = seeded(seed)
        self.np_rng = np.random.default_rng(seed)
        self.row = {code: i for i, code in enumerate(data.codable)}
        categories = {category: i for i, category in enumerate(sorted({code[:3] for code in data.codable}))}
        self.category = torch.tensor([categories[code[:3]] for code in data.codable], device=device)
        self.n_categories = len(categories)
        table = torch.randn(recipe.n_buckets, recipe.dim) * recipe.init
        self.table = table.to(device).requires_grad_()
        self.residuals = torch.zeros(len(self.row), recipe.dim, device=device, requires_grad=True)
        self.optimiser = torch.optim.Adam(
            [
                {"params": [self.table], "lr": recipe.lr_table, "peak": recipe.lr_table},
                {"params": [self.residuals], "lr": recipe.lr_residuals, "peak": recipe.lr_residuals},
            ],
            fused=True,
        )
        self.label_features = [self.features(data.labels[code]) for code in data.codable]
        self.acts = list(data.acts.values())
        self.act_features = [self.features(label) for label in self.acts]
        self.also_right: dict[str, set[int]] = {}
        for expression, code in (*data.said, *data.phrases):
            self.also_right.setdefault(" ".join(self.features(expression)[0]), set()).add(self.row[code])
        self.label_cache = self.encode_all(self.label_features)
        self.act_cache = self.encode_all(self.act_features)

    def features(self, text: str) -> Features:
        """Words and pair buckets of a text."""
        return text_features(text, self.recipe.n_buckets)

    def encode(self, features: Sequence[Features], dropout: float = 0.0) -> Any:
        """Unit vectors, with gradient."""
        from torch.nn import functional

        bags = Bags(features, self.recipe.n_buckets, self.device, dropout)
        return functional.normalize(sum_vectors(self.table, bags), dim=1)

    def encode_all(self, features: Sequence[Features]) -> Any:
        """Unit vectors, without gradient."""
        import torch

        if not features:
            return torch.zeros(0, self.recipe.dim, device=self.device)
        with torch.no_grad():
            return torch.cat([self.encode(features[i : i + 2048]) for i in range(0, len(features), 2048)])

    def code_loss(self, batch: Sequence[tuple[str, str]]) -> Any:
        """Loss of (text, code) pairs against every code and against the labels of the batch."""
        import torch
        from torch.nn import functional

        recipe = self.recipe
        features = [self.features(text) for text, _ in batch]
        targets = torch.tensor([self.row[code] for _, code in batch], device=self.device)
        rows, where = torch.unique(targets, return_inverse=True)
        queries = self.encode(features, self.dropout)
        fresh = self.encode([self.label_features[i] for i in rows.tolist()])
        labels = self.label_cache.index_copy(0, rows, fresh)
        codes = functional.normalize(labels + self.residuals, dim=1) if recipe.residuals else labels
        logits = recipe.scale * queries @ codes.T
        blocked = [
            (i, other)
            for i, (words, _) in enumerate(features)
            for other in self.also_right.get(" ".join(words), ())
            if other != self.row[batch[i][1]]
        ]
        if blocked:  # the thesauri code the same expression otherwise too: no mistake
            logits[[i for i, _ in blocked], [other for _, other in blocked]] = -1e4
        shares = functional.log_softmax(logits, dim=1)
        loss = (1 - recipe.category_weight) * functional.nll_loss(shares, targets)
        if recipe.category_weight:
            of_categories = torch.zeros(len(batch), self.n_categories, device=self.device)
            of_categories = of_categories.index_add(1, self.category, shares.exp()).clamp(min=1e-9).log()
            loss = loss + recipe.category_weight * functional.nll_loss(of_categories, self.category[targets])
        if recipe.residuals and recipe.label_weight:
            loss = loss + recipe.label_weight * functional.cross_entropy(recipe.scale * queries @ fresh.T, where)
        return loss

    def act_loss(self, members: Sequence[int]) -> Any:
        """Loss of abbreviated acts against every act."""
        import torch
        from torch.nn import functional

        texts = [abbreviate(self.acts[i], self.rng, self.rng.choice((0.4, 0.6, 0.8))) for i in members]
        queries = self.encode([self.features(text) for text in texts], self.dropout)
        targets = torch.tensor(members, device=self.device)
        fresh = self.encode([self.act_features[i] for i in members])
        self.act_cache = self.act_cache.detach().index_copy(0, targets, fresh)
        logits = self.recipe.scale * queries @ self.act_cache.T
        return self.recipe.act_weight * functional.cross_entropy(logits, targets)

    def batches(self) -> list[tuple[list[tuple[str, str]], list[int]]]:
        """Shuffled batches of one epoch: pairs, or numbers of acts."""
        size = self.recipe.batch
        pairs = pairs_of_epoch(self.data, self.recipe, self.rng)
        order = self.np_rng.permutation(len(pairs))
        found: list[tuple[list[tuple[str, str]], list[int]]] = [
            ([pairs[i] for i in order[start : start + size]], [])
            for start in range(0, max(1, len(order) - size + 1), size)
        ]
        for _ in range(self.recipe.act_passes if self.acts else 0):
            acts = self.np_rng.permutation(len(self.acts)).tolist()
            found += [([], acts[i : i + size]) for i in range(0, max(1, len(acts) - size + 1), size)]
        self.rng.shuffle(found)
        return found

    def step(self, loss: Any, progress: float, warm_up: float) -> None:
        """One step of Adam; `progress` runs from 0 to 1 over the run, `warm_up` over its first steps."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * min(1.0, warm_up) * max(0.02, 1 - progress)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()


def train(
    data: TrainingData,
    recipe: EncoderRecipe,
    member: Member,
    seed: int,
    *,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
) -> tuple[Floats, Floats]:
    """Train and return (table (n_buckets, dim), residuals (n_codable, dim))."""
    run = EncoderTraining(data, recipe, member.feature_dropout, seed, device)
    done = 0
    for epoch in range(member.epochs):
        began, losses = time.monotonic(), []
        batches = run.batches()
        for place, (pairs, acts) in enumerate(batches):
            if done % recipe.refresh == 0:
                run.label_cache = run.encode_all(run.label_features)
            loss = run.code_loss(pairs) if pairs else run.act_loss(acts)
            run.step(loss, (epoch + place / len(batches)) / member.epochs, done / 30 + 0.05)
            losses.append(float(loss.detach()))
            done += 1
        run.act_cache = run.encode_all(run.act_features)
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)), time.monotonic() - began, *_arrays(run))
    return _arrays(run)


def _arrays(run: EncoderTraining) -> tuple[Floats, Floats]:
    return run.table.detach().cpu().numpy(), run.residuals.detach().cpu().numpy()


def write_encoder(path: Path, members: Sequence[tuple[Floats, Floats]], data: TrainingData) -> EmbeddedEncoder:
    """Quantise to 4 bits, write what `EmbeddedEncoder.from_path` reads, and read it back.

    Args:
        members: (table, residuals) of each run of `train`, which end side by side.
    """
    table, step = quantise_rows_to_4_bits(np.concatenate([table for table, _ in members], axis=1))
    residuals, residual_step = quantise_rows_to_4_bits(np.concatenate([found for _, found in members], axis=1))
    labels = [data.labels[code] for code in data.codable]
    draft = EmbeddedEncoder(table, step, data.codable, residuals, residual_step, residuals, len(members))
    vectors, _ = quantise_rows_to_4_bits(draft.encode_codes(data.codable, labels))
    np.savez(
        path,
        features_version=np.array(FEATURES_VERSION),
        n_members=np.array(len(members)),
        table=pack_rows(table),
        scale=step,
        codes=np.array(data.codable),
        residuals=pack_rows(residuals),
        residual_scale=residual_step,
        vectors=pack_rows(vectors),
    )
    return EmbeddedEncoder.from_path(path)
