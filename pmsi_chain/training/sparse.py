"""Make the embedded sparse encoder: BM25 weights of each code's label, notes and training expressions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from pmsi_chain.encoders.lexical import stem_id
from pmsi_chain.text import ANALYSER_VERSION, tokens
from pmsi_chain.training.data import TrainingData

K1, B = 1.2, 0.3


def write_sparse_encoder(data: TrainingData, path: Path) -> None:
    """Count, weigh, quantise to 8 bits and write."""
    expressions: dict[str, list[str]] = {}
    for expression, code in data.said:
        expressions.setdefault(code, []).append(expression)
    for text, code in (*data.notes, *data.parents, *data.names):
        expressions.setdefault(code, []).append(text)
    counts: list[Counter[int]] = []
    for code in data.codable:
        texts = [data.labels[code]] * 2
        texts += [data.short_labels[code], *expressions.get(code, ())]
        counts.append(Counter(stem_id(stem) for text in texts for stem in tokens(text)))
    df = Counter(stem for count in counts for stem in count)
    acts = [{stem_id(stem) for stem in tokens(label)} for label in data.acts.values()]
    acts_df = Counter(stem for act in acts for stem in act)
    n_documents = len(counts)
    idf = {stem: np.log1p((n_documents - n + 0.5) / (n + 0.5)) for stem, n in df.items()}
    for stem, n in acts_df.items():  # words of acts only
        idf.setdefault(stem, np.log1p((len(acts) - n + 0.5) / (n + 0.5)))
    vocabulary = np.array(sorted(idf), dtype=np.uint32)
    place = {int(stem): i for i, stem in enumerate(vocabulary)}
    lengths = np.array([sum(count.values()) for count in counts])
    norms = K1 * (1 - B + B * lengths / lengths.mean())
    said = Counter(stem for text, _ in data.said for stem in {stem_id(s) for s in tokens(text)})
    named = Counter(stem for code in data.codable for stem in {stem_id(s) for s in tokens(data.labels[code])})
    conditions = [
        _log_share(named[int(stem)] + said[int(stem)] / 2, n_documents + len(data.said) / 2)
        - _log_share(acts_df[int(stem)], len(acts))
        for stem in vocabulary
    ]
    bounds, rows, weights = [0], [], []
    for count, norm in zip(counts, norms, strict=True):
        for stem in sorted(count):
            rows.append(place[stem])
            weights.append(idf[stem] * count[stem] * (K1 + 1) / (count[stem] + norm))
        bounds.append(len(rows))
    step = max(weights) / 255
    labels_length = float(np.mean([len(tokens(data.labels[code])) for code in data.codable]))
    np.savez_compressed(
        path,
        analyser_version=np.array(ANALYSER_VERSION),
        codes=np.array(data.codable),
        vocabulary=vocabulary,
        idf=np.array([idf[int(stem)] for stem in vocabulary], dtype=np.float32),
        conditions=np.array(conditions, dtype=np.float16),
        bounds=np.array(bounds, dtype=np.int32),
        stem_rows=np.array(rows, dtype=np.uint16 if len(vocabulary) < 65_536 else np.uint32),
        weights=np.maximum(1, np.rint(np.array(weights) / step)).astype(np.uint8),
        weight_step=np.array(step, dtype=np.float32),
        bm25=np.array([K1, B, labels_length], dtype=np.float32),
    )


def _log_share(n: float, of: float) -> float:
    """Log of a share, with half an occurrence more so that none is 0."""
    return float(np.log((n + 0.5) / (of + 1)))
