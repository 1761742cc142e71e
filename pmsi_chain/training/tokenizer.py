"""The cross-encoder's tokenizer: WordPiece on folded text, in the files that FlashRank reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAD, CLS, SEP, UNK = "[PAD]", "[CLS]", "[SEP]", "[UNK]"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Any:
    """A `tokenizers.Tokenizer`; case, accents, ligatures and typographic apostrophes make no difference to it."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace("œ", "oe"),
            normalizers.Replace("æ", "ae"),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            # elided articles and everything that is no letter, digit, + or % stand for nothing
            normalizers.Replace(Regex(r"\b(?:jusqu|lorsqu|puisqu|quelqu|qu|[cdjlmnst])['’ʼ`´]"), " "),
            normalizers.Replace(Regex(r"[^a-z0-9+%]+"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=False)]
    )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size, special_tokens=[PAD, CLS, SEP, UNK], show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B:1 {SEP}:1", special_tokens=[(CLS, 1), (SEP, 2)]
    )
    return tokenizer


def write_tokenizer(tokenizer: Any, folder: Path, max_length: int) -> None:
    """Write the four JSON files beside the ONNX graph."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    files = {
        "config.json": {"pad_token_id": 0, "model_type": "pmsi-cross-encoder", "num_labels": 1},
        "tokenizer_config.json": {"model_max_length": max_length, "pad_token": PAD},
        "special_tokens_map.json": {"pad_token": PAD, "cls_token": CLS, "sep_token": SEP, "unk_token": UNK},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
