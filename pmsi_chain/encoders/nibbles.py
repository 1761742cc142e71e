"""Matrices of 4-bit integers: two to a byte, as the weights are kept on disk."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Packed = npt.NDArray[np.uint8]


def pack_rows(matrix: npt.NDArray[np.int8]) -> Packed:
    """(n, m) integers from -8 to 7, m even, as (n, m / 2) bytes."""
    shifted = (matrix + 8).astype(np.uint8)
    packed: Packed = np.bitwise_or(shifted[:, 0::2], shifted[:, 1::2] << 4, dtype=np.uint8)
    return packed


def unpack_rows(packed: Packed) -> npt.NDArray[np.int8]:
    """The (n, 2 * m) integers that `pack_rows` packed into (n, m) bytes."""
    out = np.empty((packed.shape[0], packed.shape[1] * 2), dtype=np.int8)
    out[:, 0::2] = packed & 15
    out[:, 1::2] = packed >> 4
    out -= 8
    return out
