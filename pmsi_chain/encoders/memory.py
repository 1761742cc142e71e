"""How clinicians have named each code: vectors of the training expressions, product-quantised.

No text is kept: an expression is 64 bytes, each the nearest of 256 centroids for eight dimensions of its vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import MODELS_DIR, Floats
from pmsi_chain.errors import ConfigurationError


class ExpressionMemory:
    """Nearest known expression of a code.

    Attributes:
        encoder_id: the encoder whose space the vectors live in.
    """

    def __init__(
        self,
        encoder_id: str,
        codes: Sequence[str],
        bounds: npt.NDArray[np.int32],
        units: npt.NDArray[np.uint8],
        codebook: npt.NDArray[np.float16],
    ) -> None:
        """Assign the arrays.

        Args:
            codes: codes with at least one expression, stored form.
            bounds: (n_codes + 1,); the expressions of code i are rows bounds[i] to bounds[i + 1] of `units`.
            units: (n_expressions, n_parts), centroid numbers.
            codebook: (n_parts, 256, dim / n_parts), the centroids.
        """
        self.encoder_id = encoder_id
        self._row = {code: row for row, code in enumerate(codes)}
        self._bounds = bounds
        self._units = units
        self._codebook = codebook.astype(np.float32)
        self._parts = np.arange(units.shape[1])

    @classmethod
    def from_package(cls) -> ExpressionMemory:
        """The memory that ships with the package, loaded once per process."""
        return _packaged_memory()

    @classmethod
    def from_path(cls, path: Path) -> ExpressionMemory:
        """A memory written by `pmsi-chain train encoder`.

        Raises:
            ConfigurationError: the file is missing or is no such memory.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(
                    str(arrays["encoder_id"]),
                    [str(code) for code in arrays["codes"]],
                    arrays["bounds"],
                    arrays["units"],
                    arrays["codebook"],
                )
        except (OSError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as an expression memory ({type(error).__name__}): give a file written by "
                "`pmsi-chain train encoder`, or reinstall the package."
            ) from error

    def n_expressions(self, codes: Sequence[str]) -> npt.NDArray[np.int64]:
        """How many expressions are known for each code, (n,)."""
        rows = [self._row.get(code) for code in codes]
        return np.array([0 if r is None else int(self._bounds[r + 1] - self._bounds[r]) for r in rows], dtype=np.int64)

    def best_cosine(self, query: Floats, codes: Sequence[str], default: Floats) -> Floats:
        """Cosine of `query`, (dim,), with the nearest expression of each code, (n,); `default` where none is known."""
        scores = default.copy()
        known = [(i, self._row[code]) for i, code in enumerate(codes) if code in self._row]
        if not known:
            return scores
        table = np.einsum("pcd,pd->pc", self._codebook, query.reshape(len(self._parts), -1))
        spans = [np.arange(self._bounds[row], self._bounds[row + 1]) for _, row in known]
        cosines = table[self._parts, self._units[np.concatenate(spans)]].sum(axis=1)
        starts = np.cumsum([0, *(len(span) for span in spans[:-1])])
        places = np.array([i for i, _ in known])
        scores[places] = np.maximum.reduceat(cosines, starts)
        return scores


@lru_cache(maxsize=1)
def _packaged_memory() -> ExpressionMemory:
    return ExpressionMemory.from_path(MODELS_DIR / "memory.npz")
