"""Train the cross-encoder on the encoder's own candidate lists, and the blend of its logit with the other features.

The cross-encoder reads two texts and no score, so it may learn from expressions that the encoder has learned too. The
blend weighs scores: it is fitted on expressions that nothing has learned from (`TrainingData.held_out`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import EmbeddedEncoder, Floats
from pmsi_chain.encoders.lexical import LexicalWeights, stem_id
from pmsi_chain.rerank.features import split_passage
from pmsi_chain.text import tokens
from pmsi_chain.training.augment import abbreviate, seeded, vary
from pmsi_chain.training.data import TrainingData, is_index_entry
from pmsi_chain.training.reranker_model import build_cross_encoder

MAX_QUERY, MAX_PASSAGE = 18, 26


@dataclass(frozen=True, slots=True)
class RerankerRecipe:
    """Settings of one training run; the defaults are what ships.

    Attributes:
        vocabulary_size, dim: tokens, width of a token vector.
        epochs, batch, lr: passes over the lists, lists per step, Adam's peak step.
        n_candidates: candidates per list in a step, the right one included.
        list_length: candidates mined per query; n_by_words: those of them that the blend gets by words alone.
        n_spoken, n_entries: lists of expressions as they are said, and of entries of the alphabetical index.
        n_official, n_short: lists of notes and labels of parents, and of short labels.
        n_acts: lists of abbreviated acts.
        n_blend_expressions: held-out expressions that the blend for known codes is fitted on, at most.
        n_blend_acts: abbreviated acts that the blend for labels alone is fitted on.
    """

    vocabulary_size: int = 12_000
    dim: int = 96
    epochs: int = 2
    batch: int = 32
    n_candidates: int = 12
    lr: float = 2e-3
    list_length: int = 48
    n_by_words: int = 8
    n_spoken: int = 60_000
    n_entries: int = 5_000
    n_official: int = 3_000
    n_short: int = 1_000
    n_acts: int = 4_000
    n_blend_expressions: int = 8_000
    n_blend_acts: int = 2_500


@dataclass(frozen=True, slots=True)
class CandidateLists:
    """Queries, each with the candidates that retrieval gives it.

    Attributes:
        queries: the texts.
        candidates: (n, list_length) rows of `passages`.
        positives: rows of `passages` that are right for each query.
        passages: texts of the candidates.
    """

    queries: Sequence[str]
    candidates: npt.NDArray[np.int64]
    positives: Sequence[frozenset[int]]
    passages: Sequence[str]


def mine(encoder_queries: Floats, code_vectors: Floats, list_length: int) -> npt.NDArray[np.int64]:
    """(n, list_length) nearest rows of `code_vectors` for each query, best first."""
    out = []
    for start in range(0, len(encoder_queries), 512):
        scores = encoder_queries[start : start + 512] @ code_vectors.T
        top = np.argpartition(-scores, list_length, axis=1)[:, :list_length]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
        out.append(np.take_along_axis(top, order, axis=1))
    return np.concatenate(out)


def mine_words(lexical: LexicalWeights, codes: Sequence[str], queries: Sequence[str]) -> npt.NDArray[np.int64]:
    """(n, n_codes) rows of `codes` by the weights that they give the words of each query, best first."""
    from scipy.sparse import csr_array

    held = [lexical.of_code(code) or {} for code in codes]
    columns = {stem: i for i, stem in enumerate(sorted({stem for weights in held for stem in weights}))}
    starts = np.cumsum([0, *map(len, held)])
    weights = csr_array(
        ([x for found in held for x in found.values()], [columns[stem] for found in held for stem in found], starts),
        shape=(len(codes), len(columns)),
    )
    asked = [{columns[i] for i in map(stem_id, tokens(query)) if i in columns} for query in queries]
    words = csr_array(
        (np.ones(sum(map(len, asked))), [i for found in asked for i in found], np.cumsum([0, *map(len, asked)])),
        shape=(len(queries), len(columns)),
    )
    out = np.empty((len(queries), len(codes)), dtype=np.int64)
    for start in range(0, len(queries), 512):
        scores = (words[start : start + 512] @ weights.T).toarray()
        out[start : start + 512] = np.argsort(-scores, axis=1, kind="stable")
    return out


def with_found_by_words(
    candidates: npt.NDArray[np.int64], by_words: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """The same lists, their last `n` replaced by the first of `by_words` that are not in them."""
    out = candidates.copy()
    for row, (kept, further) in enumerate(zip(candidates[:, :-n], by_words, strict=True)):
        out[row, -n:] = further[~np.isin(further, kept)][:n]
    return out


def token_vectors(encoder: EmbeddedEncoder, tokenizer: Any, dim: int) -> Floats:
    """(vocabulary, dim) starting vectors: each token's text in the encoder's space, its main directions kept."""
    vocabulary = tokenizer.get_vocab()
    texts = [""] * len(vocabulary)
    for token, i in vocabulary.items():
        texts[i] = "" if token.startswith("[") else token.removeprefix("##")
    vectors = encoder.encode(texts)
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred[:: max(1, len(centred) // 6000)], full_matrices=False)
    projected = vectors @ directions[:dim].T
    unit: Floats = (projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-6)).astype(np.float32)
    return unit


class PairBuilder:
    """Token ids of (query, passage) pairs, each text tokenised once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._kept: dict[str, list[int]] = {}

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without the special tokens."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._kept]
        for text, encoding in zip(
            missing, self._tokenizer.encode_batch(missing, add_special_tokens=False), strict=True
        ):
            self._kept[text] = encoding.ids
        return [self._kept[text] for text in texts]

    def batch(self, pairs: Sequence[tuple[str, str]]) -> tuple[npt.NDArray[np.int64], ...]:
        """(input_ids, attention_mask, token_type_ids), each (n_pairs, longest)."""
        queries = self.ids([query for query, _ in pairs])
        passages = self.ids([passage for _, passage in pairs])
        rows = []
        for q, p in zip(queries, passages, strict=True):
            q, p = q[:MAX_QUERY], p[:MAX_PASSAGE]
            rows.append(([1, *q, 2, *p, 2], len(q) + 2))
        longest = max(len(row) for row, _ in rows)
        input_ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros_like(input_ids)
        types = np.zeros_like(input_ids)
        for i, (row, start) in enumerate(rows):
            input_ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
            types[i, start : len(row)] = 1
        return input_ids, mask, types


def train_cross_encoder(
    sets: Sequence[CandidateLists],
    tokenizer: Any,
    recipe: RerankerRecipe,
    seed: int,
    *,
    embeddings: Floats | None = None,
    device: str = "cpu",
    on_epoch: Any = None,
    variants: Sequence[Any] = (),
) -> Any:
    """Listwise softmax over one positive and sampled candidates of each query; returns the torch module.

    Args:
        sets: candidate lists; every epoch goes through all of them, shuffled together.
        variants: per set, a function (text, rng) → text applied to its queries at each epoch, or None.
    """
    import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    rng = seeded(seed)
    np_rng = np.random.default_rng(seed)
    model = build_cross_encoder(tokenizer.get_vocab_size(), recipe.dim, embeddings=embeddings).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    builder = PairBuilder(tokenizer)
    places = [(s, i) for s, lists in enumerate(sets) for i in range(len(lists.queries))]
    total_steps = recipe.epochs * (len(places) // recipe.batch)
    step = 0
    for epoch in range(recipe.epochs):
        began, losses = time.time(), []
        model.train()
        np_rng.shuffle(places)
        for start in range(0, len(places) - recipe.batch + 1, recipe.batch):
            pairs: list[tuple[str, str]] = []
            for s, i in places[start : start + recipe.batch]:
                lists = sets[s]
                query = lists.queries[i]
                if variants and variants[s] is not None:
                    query = variants[s](query, rng)
                positive = rng.choice(sorted(lists.positives[i]))
                others = [c for c in lists.candidates[i].tolist() if c not in lists.positives[i]]
                head, tail = others[: recipe.n_candidates // 2], others[recipe.n_candidates // 2 :]
                rng.shuffle(tail)
                chosen = [positive, *head, *tail][: recipe.n_candidates]
                pairs += [(query, split_passage(lists.passages[c])[0]) for c in chosen]
            arrays = [torch.from_numpy(a).to(device) for a in builder.batch(pairs)]
            logits = model(*arrays).view(recipe.batch, recipe.n_candidates)
            target = torch.zeros(recipe.batch, dtype=torch.long, device=device)
            # the second term gives the logit a zero that means the same from one query to the next
            wanted = torch.zeros_like(logits)
            wanted[:, 0] = 1
            loss = functional.cross_entropy(logits, target) + 0.3 * functional.binary_cross_entropy_with_logits(
                logits, wanted
            )
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * min(1.0, (step + 1) / 50) * max(0.02, 1 - step / total_steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()
            losses.append(float(loss.detach()))
            step += 1
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)), time.time() - began, model)
    return model.eval()


def score_pairs(model: Any, builder: PairBuilder, pairs: Sequence[tuple[str, str]], chunk: int = 2048) -> Floats:
    """Logits of the torch module, (n,)."""
    import torch

    out = []
    model.eval()
    with torch.no_grad():
        for start in range(0, len(pairs), chunk):
            arrays = [torch.from_numpy(a) for a in builder.batch(pairs[start : start + chunk])]
            out.append(model(*arrays).squeeze(1).numpy())
    return np.concatenate(out)


def act_lists(
    data: TrainingData, encoder: EmbeddedEncoder, recipe: RerankerRecipe, rng: random.Random, n_lists: int
) -> CandidateLists:
    """`n_lists` acts drawn at random, asked for by synthetic abbreviations of their labels."""
    labels = list(data.acts.values())
    drawn = rng.sample(range(len(labels)), min(n_lists, len(labels)))
    queries = [abbreviate(labels[i], rng, rng.choice((0.4, 0.6, 0.8))) for i in drawn]
    candidates = mine(encoder.encode(queries), encoder.encode(labels), recipe.list_length)
    return CandidateLists(queries, candidates, [frozenset({i}) for i in drawn], labels)


def expression_lists(
    data: TrainingData,
    pairs: Sequence[tuple[str, str]],
    encoder: EmbeddedEncoder,
    recipe: RerankerRecipe,
    rng: random.Random,
    *,
    lexical: LexicalWeights | None = None,
) -> CandidateLists:
    """CIM-10 expressions, varied, against the official labels.

    Args:
        lexical: make lists as the engine makes them, for the blend: expressions as they are said, and some candidates
            found by words alone.
    """
    row = {code: i for i, code in enumerate(data.codable)}
    vectors = encoder.encode_codes(data.codable, [data.labels[code] for code in data.codable])
    accepted: dict[str, set[int]] = {}
    for text, code in data.said:
        accepted.setdefault(text, set()).add(row[code])
    for text, code in pairs:
        accepted.setdefault(text, set()).add(row[code])
    texts = [vary(text, rng) if lexical is None or is_index_entry(text) else text for text, _ in pairs]
    candidates = mine(encoder.encode(texts), vectors, recipe.list_length)
    if lexical is not None:
        candidates = with_found_by_words(candidates, mine_words(lexical, data.codable, texts), recipe.n_by_words)
    passages = [data.passage(code) for code in data.codable]
    return CandidateLists(texts, candidates, [frozenset(accepted[text]) for text, _ in pairs], passages)
