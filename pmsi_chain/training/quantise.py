"""Weights as small integers with one step per row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def quantise_rows(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """(int8 matrix, step per row) with `matrix ≈ int8 * step[:, None]`; a zero row has step 0."""
    step = (np.abs(matrix).max(axis=1) / 127).astype(np.float16)
    safe = np.where(step > 0, step, 1).astype(np.float32)
    return np.clip(np.rint(matrix / safe[:, None]), -127, 127).astype(np.int8), step


#: Largest values tried for a row, as shares of its extreme one: cutting a few peaks makes the step finer.
_CUTS = (1.0, 0.8, 0.65)


def quantise_rows_to_4_bits(
    matrix: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """(integers from -8 to 7, step per row) with `matrix ≈ integers * step[:, None]`, the best of three steps each."""
    best = np.zeros(matrix.shape, dtype=np.int8)
    best_step = np.zeros(len(matrix), dtype=np.float16)
    error = np.full(len(matrix), np.inf)
    for cut in _CUTS:
        step = (np.abs(matrix).max(axis=1) * cut / 7).astype(np.float16)
        safe = np.where(step > 0, step, 1).astype(np.float32)
        integers = np.clip(np.rint(matrix / safe[:, None]), -8, 7).astype(np.int8)
        found = ((integers * step.astype(np.float32)[:, None] - matrix) ** 2).sum(axis=1)
        better = found < error
        best[better], best_step[better], error[better] = integers[better], step[better], found[better]
    return best, best_step
