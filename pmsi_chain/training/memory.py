"""Write the expression memory: encode, deduplicate, product-quantise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import EmbeddedEncoder, Floats

N_PARTS = 64
#: Cosine from which an expression says nothing that another one of its code does not.
NEAR = 0.95


def write_memory(encoder: EmbeddedEncoder, pairs: Sequence[tuple[str, str]], path: Path, seed: int) -> None:
    """Quantise the vectors of (expression, code) pairs, grouped by code, and write them."""
    ordered = sorted(set(pairs), key=lambda pair: pair[1])
    vectors = encoder.encode([text for text, _ in ordered])
    keep: list[int] = []
    for _, group in groupby(range(len(ordered)), key=lambda i: ordered[i][1]):
        keep += _distinct(vectors, list(group))
    codes = [ordered[i][1] for i in keep]
    distinct = sorted(set(codes))
    bounds = [*np.searchsorted(np.array(codes), np.array(distinct)).tolist(), len(codes)]
    units, codebook = product_quantise(vectors[keep], seed)
    np.savez(
        path,
        encoder_id=np.array(encoder.encoder_id),
        codes=np.array(distinct),
        bounds=np.array(bounds, dtype=np.int32),
        units=units,
        codebook=codebook.astype(np.float16),
    )


def _distinct(vectors: Floats, rows: Sequence[int]) -> list[int]:
    """The rows of one code without those that say nearly the same as one before."""
    cosines = vectors[rows] @ vectors[rows].T
    kept: list[int] = []
    for i in range(len(rows)):
        if cosines[i, i] > 0 and (not kept or cosines[i, kept].max() < NEAR):
            kept.append(i)
    return [rows[i] for i in kept]


def product_quantise(vectors: Floats, seed: int) -> tuple[npt.NDArray[np.uint8], Floats]:
    """k-means in each of `N_PARTS` slices: (n, N_PARTS) centroid numbers, (N_PARTS, 256, dim / N_PARTS) centroids."""
    rng = np.random.default_rng(seed)
    slices = vectors.reshape(len(vectors), N_PARTS, -1)
    sample = slices[rng.choice(len(vectors), size=min(8192, len(vectors)), replace=False)]
    units = np.zeros((len(vectors), N_PARTS), dtype=np.uint8)
    codebook = np.zeros((N_PARTS, 256, slices.shape[2]), dtype=np.float32)
    for part in range(N_PARTS):
        points = sample[:, part]
        centroids = points[rng.choice(len(points), size=256, replace=len(points) < 256)].copy()
        for _ in range(8):
            nearest = _nearest(points, centroids)
            counts = np.bincount(nearest, minlength=256)
            for axis in range(points.shape[1]):
                sums = np.bincount(nearest, weights=points[:, axis], minlength=256)
                centroids[:, axis] = np.where(counts > 0, sums / np.maximum(counts, 1), centroids[:, axis])
        codebook[part] = centroids
        for start in range(0, len(vectors), 16_384):
            units[start : start + 16_384, part] = _nearest(slices[start : start + 16_384, part], centroids)
    return units, codebook


def _nearest(points: Floats, centroids: Floats) -> npt.NDArray[np.int64]:
    nearest: npt.NDArray[np.int64] = (points @ centroids.T - 0.5 * (centroids**2).sum(axis=1)).argmax(axis=1)
    return nearest
