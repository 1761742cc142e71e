"""BGE-M3: its two sides on a scripted model, and the whole way on a tiny random checkpoint in its own format.

The checkpoint needs the extra [bge-m3] (FlagEmbedding, torch); those tests are skipped without it.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests

from pmsi_chain import CodingChain, RAGEngine, Settings
from pmsi_chain.encoders.bge_m3 import BgeM3Encoder
from pmsi_chain.errors import ConfigurationError


class ScriptedModel:
    """Answers like BGEM3FlagModel and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], **options: Any) -> dict[str, Any]:
        assert options["return_dense"]
        assert options["return_sparse"]
        self.asked.append(list(texts))
        dense = np.array([[len(text), 1.0, 0.0] for text in texts], dtype=np.float16)
        return {
            "dense_vecs": dense,
            "lexical_weights": [{"7": np.float32(0.5), "3": np.float32(len(t))} for t in texts],
        }


def test_one_pass_serves_both_sides() -> None:
    model = ScriptedModel()
    encoder = BgeM3Encoder(model, 3, "somewhere")
    assert encoder.embed_query("toux") == [4.0, 1.0, 0.0]
    sparse = encoder.sparse.embed_query("toux")
    assert (sparse.indices, sparse.values) == ([3, 7], [4.0, 0.5])
    assert model.asked == [["toux"]]


def test_texts_come_back_in_order_each_encoded_once() -> None:
    model = ScriptedModel()
    encoder = BgeM3Encoder(model, 3, "somewhere")
    assert encoder.encode(["a", "bbb", "a"])[:, 0].tolist() == [1.0, 3.0, 1.0]
    assert model.asked == [["a", "bbb"]]
    assert encoder.encode([]).shape == (0, 3)


def test_a_batch_larger_than_the_cache_is_whole() -> None:
    encoder = BgeM3Encoder(ScriptedModel(), 3, "somewhere")
    texts = ["x" * n for n in range(1, 700)]
    assert encoder.encode_codes(["I10"] * len(texts), texts)[:, 0].tolist() == pytest.approx(range(1, 700))
    assert encoder.encode(["x", "xx"])[:, 0].tolist() == [1.0, 2.0]


class TestLangChainConformance(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[BgeM3Encoder]:
        return BgeM3Encoder

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": ScriptedModel(), "dim": 3, "digest": "0"}


@pytest.mark.skipif(importlib.util.find_spec("FlagEmbedding") is not None, reason="FlagEmbedding is installed")
def test_a_missing_extra_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pmsi-chain\[bge-m3\]"):
        BgeM3Encoder.from_path(tmp_path)


def test_reports_are_read_without_it(settings: Settings) -> None:
    absent = Settings(**{**settings.model_dump(), "bge_m3": "/nowhere"})
    chain = CodingChain.from_settings(absent)
    coding = chain.invoke("Conclusion : embolie pulmonaire.")
    assert {d.code[:3] for d in coding.diagnoses} == {"I26"}
    with pytest.raises(ConfigurationError, match="BGE-M3"):
        chain.engine.search_icd10("embolie pulmonaire")


# -- a checkpoint in BGE-M3's own format, tiny and random ------------------------------------------------------------

WORDS = ("fracture", "du", "col", "fémur", "hépatite", "A", "B", "aiguë", "asthme", "rein", "cataracte", "scanner")
HIDDEN = 32


def write_checkpoint(directory: Path, seed: int) -> None:
    """XLM-RoBERTa with two thin layers, a Unigram tokeniser, and BGE-M3's two linear heads."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    transformers = pytest.importorskip("transformers")
    special = {
        "bos": "<s>",
        "cls": "<s>",
        "eos": "</s>",
        "sep": "</s>",
        "unk": "<unk>",
        "pad": "<pad>",
        "mask": "<mask>",
    }
    letters = "abcdefghijklmnopqrstuvwxyzàâçéèêëîïôùûABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.'()-"
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -2.0) for word in WORDS] + [("▁", -3.0)] + [(letter, -6.0) for letter in letters]
    pieces.append(("<mask>", 0.0))
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {f"{name}_token": token for name, token in special.items()}
    (directory / "special_tokens_map.json").write_text(json.dumps(names))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({**names, "model_max_length": 8192, "tokenizer_class": "XLMRobertaTokenizer"})
    )
    torch.manual_seed(seed)
    config = transformers.XLMRobertaConfig(
        vocab_size=len(pieces), hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=300, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    transformers.XLMRobertaModel(config).save_pretrained(directory)
    lexical = torch.nn.Linear(HIDDEN, 1)
    torch.nn.init.constant_(lexical.bias, 2.0)  # weights are cut at 0: random ones around 0 would leave none
    torch.save(lexical.state_dict(), directory / "sparse_linear.pt")
    torch.save(torch.nn.Linear(HIDDEN, HIDDEN).state_dict(), directory / "colbert_linear.pt")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("FlagEmbedding", reason="the extra [bge-m3] is not installed")
    directory = tmp_path_factory.mktemp("bge") / "tiny"
    write_checkpoint(directory, seed=0)
    return directory


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> BgeM3Encoder:
    return BgeM3Encoder.from_path(checkpoint)


def test_a_checkpoint_gives_dense_and_lexical_vectors_from_one_pass(
    encoder: BgeM3Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    real = encoder._model.encode_single_device

    def counted(*texts: Any, **options: Any) -> Any:
        passes.append(1)
        return real(*texts, **options)

    monkeypatch.setattr(encoder._model, "encode_single_device", counted)
    dense = np.array(encoder.embed_query("fracture du col du fémur"))
    sparse = encoder.sparse.embed_query("fracture du col du fémur")
    assert len(passes) == 1
    assert dense.shape == (HIDDEN,) == (encoder.dim,)
    assert np.linalg.norm(dense) == pytest.approx(1, abs=1e-5)
    tokens = encoder._model.tokenizer.convert_ids_to_tokens(sparse.indices)
    assert sorted(tokens) == ["▁col", "▁du", "▁fracture", "▁fémur"]
    assert all(weight > 0 for weight in sparse.values)


def test_a_setting_searches_with_it_in_the_same_schema(checkpoint: Path, tmp_path: Path) -> None:
    engine = RAGEngine.from_settings(Settings(state_dir=tmp_path, bge_m3=str(checkpoint)))
    found = engine.search_ccam("cataracte", top_k=5)
    assert len(found) == 5
    assert {"dense", "sparse"} <= {leg for candidate in found for leg in candidate.ranks}
    index = engine.index("ccam")
    assert index.manifest.dims == {"dense": HIDDEN}
    assert all(name.startswith("bge-m3/") for name in index.manifest.encoders.values())
    label = index.chunks[0].text
    dense, sparse = engine.encoders.dense["dense"], engine.encoders.sparse["sparse"]
    assert index.vectors[0] == pytest.approx(np.array(dense.embed_query(label)), abs=1e-5)
    assert sparse.embed_query(label).indices
    # reports go on being read with the embedded encoder
    assert engine.index("ccam", embedded=True).manifest.dims == {"dense": engine.encoder.dim}
    assert RAGEngine.from_settings(Settings(state_dir=tmp_path)).index("ccam").manifest.dims != index.manifest.dims


def test_the_device_is_the_one_set(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import FlagEmbedding

    asked: dict[str, Any] = {}
    real = FlagEmbedding.BGEM3FlagModel

    def loaded(path: str, **options: Any) -> Any:
        asked.update(options)
        return real(path, use_fp16=False, devices="cpu")

    monkeypatch.setattr(FlagEmbedding, "BGEM3FlagModel", loaded)
    engine = RAGEngine.from_settings(Settings(state_dir=tmp_path, bge_m3=str(checkpoint), bge_m3_device="cuda:0"))
    assert engine.encoders.dense["dense"].dim == HIDDEN
    assert asked == {"use_fp16": True, "devices": "cuda:0"}


@pytest.mark.parametrize("name", ["sparse_linear.pt", "colbert_linear.pt", "config.json", "model.safetensors"])
def test_a_directory_that_is_not_whole_says_what_is_missing(checkpoint: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(checkpoint, tmp_path / "cut")
    (tmp_path / "cut" / name).unlink()
    with pytest.raises(ConfigurationError, match=name):
        BgeM3Encoder.from_path(tmp_path / "cut")


def test_a_broken_file_or_an_absent_directory_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match="chargement impossible"):
        BgeM3Encoder.from_path(tmp_path / "broken")
    with pytest.raises(ConfigurationError, match="répertoire absent"):
        BgeM3Encoder.from_path(tmp_path / "nowhere")


def test_other_weights_have_another_name(encoder: BgeM3Encoder, checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "moved")
    assert BgeM3Encoder.from_path(tmp_path / "moved").encoder_id == encoder.encoder_id
    write_checkpoint(tmp_path / "moved", seed=1)
    assert BgeM3Encoder.from_path(tmp_path / "moved").encoder_id != encoder.encoder_id
