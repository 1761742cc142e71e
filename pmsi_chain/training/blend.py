"""Fit the blend: listwise softmax over candidate lists that no part has learned from, then Platt scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import Floats
from pmsi_chain.rerank.blend import Blend, with_list_columns
from pmsi_chain.rerank.features import PairFeatures, split_passage
from pmsi_chain.training.evidence import logistic_regression
from pmsi_chain.training.reranker import CandidateLists, PairBuilder, score_pairs


def blend_columns(
    lists: CandidateLists, codes: Sequence[str], features: PairFeatures, model: Any, builder: PairBuilder
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """(n_lists, length, n_columns) columns and (n_lists, length) whether each candidate is right.

    Args:
        codes: code of each row of `lists.passages`.
    """
    length = lists.candidates.shape[1]
    pairs = [
        (query, split_passage(lists.passages[c])[0])
        for query, row in zip(lists.queries, lists.candidates, strict=True)
        for c in row.tolist()
    ]
    logits = score_pairs(model, builder, pairs).reshape(-1, length)
    columns, right = [], []
    for i, query in enumerate(lists.queries):
        rows = lists.candidates[i].tolist()
        matrix = features.matrix(query, [codes[c] for c in rows], [lists.passages[c] for c in rows])
        columns.append(with_list_columns(matrix, logits[i]))
        right.append([c in lists.positives[i] for c in rows])
    return np.stack(columns), np.array(right)


def fit_blend(
    columns: Floats,
    right: npt.NDArray[np.bool_],
    weights: Floats,
    seed: int,
    *,
    n_hidden: int = 16,
    steps: int = 400,
) -> Blend:
    """Fit on the lists that hold a right candidate; calibrate on all lists.

    Args:
        columns: (n_lists, length, n_columns).
        right: (n_lists, length).
        weights: (n_lists,) how much each list counts.
    """
    import torch

    torch.manual_seed(seed)
    flat = columns.reshape(-1, columns.shape[2]).astype(np.float64)
    mean, std = flat.mean(axis=0), flat.std(axis=0)
    std = np.where(std > 1e-6, std, 1.0)
    x = torch.tensor((columns - mean) / std, dtype=torch.float32)
    target = torch.tensor(right, dtype=torch.float32)
    found = target.sum(dim=1) > 0
    list_weights = torch.tensor(weights, dtype=torch.float32) * found
    hidden = torch.nn.Linear(x.shape[2], n_hidden)
    out = torch.nn.Parameter(torch.zeros(n_hidden))
    skip = torch.nn.Parameter(torch.zeros(x.shape[2]))
    parameters = [*hidden.parameters(), out, skip]
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * (1 - step / steps)
        scores = torch.tanh(hidden(x)) @ out + x @ skip
        share = torch.log_softmax(scores, dim=1)
        # any right candidate will do: the log of their total probability
        gain = torch.logsumexp(share.masked_fill(target == 0, -1e9), dim=1)
        loss = -(gain.clamp(min=-50) * list_weights).sum() / list_weights.sum()
        loss = loss + 1e-3 * (hidden.weight.pow(2).sum() + skip.pow(2).sum() + out.pow(2).sum()) / n_hidden
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        scores = torch.tanh(hidden(x)) @ out + x @ skip
    slopes, intercept = logistic_regression(
        scores.reshape(-1, 1).numpy().astype(np.float64),
        right.reshape(-1).astype(np.float64),
        np.repeat(weights, right.shape[1]).astype(np.float64),
        ridge=0.0,
    )
    return Blend(
        mean,
        std,
        _doubles(hidden.weight).T,
        _doubles(hidden.bias),
        _doubles(out),
        _doubles(skip),
        float(slopes[0]),
        intercept,
    )


def _doubles(tensor: Any) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = tensor.detach().numpy().astype(np.float64)
    return values
