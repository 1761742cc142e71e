"""Weights as int8 with one scale per row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def quantise_rows(matrix: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float16]]:
    """(int8 matrix, step per row) with `matrix ≈ int8 * step[:, None]`; a zero row has step 0."""
    step = (np.abs(matrix).max(axis=1) / 127).astype(np.float16)
    safe = np.where(step > 0, step, 1).astype(np.float32)
    return np.clip(np.rint(matrix / safe[:, None]), -127, 127).astype(np.int8), step
