"""Weights of words: BM25 over what is said of each code, as hashed stems; no LangChain, no Qdrant.

For a CIM-10 code that the training knew, the document is its label, its official notes and the training expressions
together, kept as weights of hashed stems and never as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt

from pmsi_chain.encoders.dense import MODELS_DIR
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.text import ANALYSER_VERSION, tokens


@lru_cache(maxsize=400_000)
def stem_id(stem: str) -> int:
    """The 32-bit index of a stem in sparse vectors."""
    return crc32(stem.encode())


class LexicalWeights:
    """Idf of stems, and BM25 weights of texts and of known codes."""

    def __init__(
        self,
        idf: dict[int, float],
        mean_length: float,
        k1: float,
        b: float,
        code_vectors: dict[str, tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]],
        conditions: dict[int, float] | None = None,
    ) -> None:
        """Assign the parameters.

        Args:
            idf: stem id → inverse document frequency over labels, acts, notes and training expressions.
            mean_length: stems in a mean label, for length normalisation.
            k1: saturation of repeated stems.
            b: length normalisation, 0–1.
            code_vectors: code → (stem ids ascending, weights) learned for it.
            conditions: stem id → what `condition` gives.
        """
        self._idf = idf
        self._unseen_idf = max(idf.values(), default=1.0)
        self._mean_length = mean_length
        self._k1 = k1
        self._b = b
        self._code_vectors = code_vectors
        self._conditions = conditions or {}
        self.weights_id = f"{ANALYSER_VERSION}/{len(idf)}-{len(code_vectors)}"
        self._code_dicts: dict[str, dict[int, float]] = {}

    @classmethod
    def from_package(cls) -> LexicalWeights:
        """The weights that ship with the package, loaded once per process."""
        return _packaged_weights()

    @classmethod
    def from_path(cls, path: Path) -> LexicalWeights:
        """Weights written by `pmsi-chain train encoder`.

        Raises:
            ConfigurationError: the file is missing, is no such file, or was made with another analyser.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                if str(arrays["analyser_version"]) != ANALYSER_VERSION:
                    raise ConfigurationError(
                        f"{path.name} was made with analyser {arrays['analyser_version']}, this version has "
                        f"{ANALYSER_VERSION}: make it again with `pmsi-chain train encoder`."
                    )
                vocabulary = arrays["vocabulary"]
                idf = arrays["idf"].astype(np.float64)
                conditions = arrays["conditions"].astype(np.float64)
                bounds = arrays["bounds"]
                stems = vocabulary[arrays["stem_rows"]]
                weights = arrays["weights"].astype(np.float32) * float(arrays["weight_step"])
                k1, b, mean_length = (float(x) for x in arrays["bm25"])
                codes = [str(code) for code in arrays["codes"]]
        except (OSError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read as lexical weights ({type(error).__name__}): give a file written by "
                "`pmsi-chain train encoder`, or reinstall the package."
            ) from error
        vectors = {
            code: (stems[start:end], weights[start:end])
            for code, start, end in zip(codes, bounds[:-1], bounds[1:], strict=True)
        }
        stem_ids = vocabulary.tolist()
        return cls(
            dict(zip(stem_ids, idf.tolist(), strict=True)),
            mean_length,
            k1,
            b,
            vectors,
            dict(zip(stem_ids, conditions.tolist(), strict=True)),
        )

    def idf(self, stem: int) -> float:
        """Inverse document frequency of a stem id; a stem never met counts as the rarest."""
        return self._idf.get(stem, self._unseen_idf)

    def condition(self, stem: int) -> float:
        """How much more often a stem is said of conditions than of acts: the log of the ratio, about -5 to 5.

        « arthrose » is said of conditions, « exérèse » of acts, « tendon » of both. 0 for a stem never met.
        """
        return self._conditions.get(stem, 0.0)

    def of_text(self, text: str) -> dict[int, float]:
        """BM25 weights of the stems of a text."""
        counts = Counter(stem_id(stem) for stem in tokens(text))
        length = sum(counts.values())
        norm = self._k1 * (1 - self._b + self._b * length / self._mean_length)
        return {stem: self.idf(stem) * n * (self._k1 + 1) / (n + norm) for stem, n in counts.items()}

    def of_code(self, code: str) -> dict[int, float] | None:
        """Learned weights of a code, stored form; None when it was not known to the training."""
        if code not in self._code_vectors:
            return None
        kept = self._code_dicts.get(code)
        if kept is None:
            ids, weights = self._code_vectors[code]
            kept = self._code_dicts[code] = dict(zip(ids.tolist(), weights.tolist(), strict=True))
        return kept

    def score(self, asked: Set[int], code: str, label_stems: Set[int]) -> float:
        """BM25 of the stems asked for against a code; against its label's stems when the code is not known."""
        weights = self.of_code(code)
        if weights is None:
            return sum(self.idf(stem) for stem in asked & label_stems)
        return sum(weights.get(stem, 0.0) for stem in asked)


@lru_cache(maxsize=1)
def _packaged_weights() -> LexicalWeights:
    return LexicalWeights.from_path(MODELS_DIR / "sparse.npz")
