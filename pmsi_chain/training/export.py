"""The cross-encoder as ONNX, its token vectors in 8 bits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any


def export_onnx(model: Any, path: Path) -> None:
    """Write `model` as FlashRank wants it: input_ids, attention_mask, token_type_ids → logits (n, 1).

    The embedding table, nearly all of the size, is quantised to 8 bits; the layers keep 32.
    """
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path.parent.mkdir(parents=True, exist_ok=True)
    ids = torch.randint(4, 50, (3, 11))
    types = (torch.arange(11) > 5).long().expand(3, 11).clone()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    whole = path.with_suffix(".fp32.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (ids, torch.ones_like(ids), types),
            str(whole),
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: {0: "pairs", 1: "tokens"} for name in names} | {"logits": {0: "pairs"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(str(whole), str(path), op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    onnx.checker.check_model(str(path))
    whole.unlink()
