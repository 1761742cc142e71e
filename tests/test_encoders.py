"""The embedded encoders: the shipped weights, judged by arithmetic done another way."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_tests.integration_tests import EmbeddingsIntegrationTests

from pmsi_chain.encoders import EmbeddedEncoder, EmbeddedSparseEncoder
from pmsi_chain.encoders.dense import MODELS_DIR
from pmsi_chain.encoders.features import FEATURES_VERSION, spoken_words, text_features, word_features
from pmsi_chain.encoders.lexical import LexicalWeights, stem_id
from pmsi_chain.encoders.memory import ExpressionMemory
from pmsi_chain.encoders.nibbles import pack_rows, unpack_rows
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.text import tokens

TEXTS = [
    "Infarctus du myocarde",
    "fracture fermée du col du fémur",
    "hépatite A",
    "hépatite B",
    "BPCO décompensée",
    "",
    "?!",
    "œdème aigu du poumon",
]


@pytest.fixture(scope="module")
def encoder() -> EmbeddedEncoder:
    return EmbeddedEncoder.from_package()


@pytest.fixture(scope="module")
def lexical() -> LexicalWeights:
    return LexicalWeights.from_package()


class TestLangChainConformance(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[EmbeddedEncoder]:
        return EmbeddedEncoder

    @property
    def embedding_model_params(self) -> dict[str, object]:
        with np.load(MODELS_DIR / "encoder.npz", allow_pickle=False) as arrays:
            packed = {name: unpack_rows(arrays[name]) for name in ("table", "residuals", "vectors")}
            return packed | {name: arrays[name] for name in ("scale", "codes", "residual_scale", "n_members")}


def test_word_features_are_the_word_and_its_bordered_ngrams() -> None:
    marked = "<toux>"
    grams = [marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    expected = [crc32(b"w:toux") % 1000, *(crc32(gram.encode()) % 1000 for gram in grams)]
    assert list(word_features("toux", 1000)) == expected


@given(st.integers(1, 5), st.integers(1, 6), st.randoms(use_true_random=False))
def test_packed_integers_come_back(n_rows: int, half: int, rng: random.Random) -> None:
    matrix = np.array([[rng.randint(-8, 7) for _ in range(2 * half)] for _ in range(n_rows)], dtype=np.int8)
    packed = pack_rows(matrix)
    assert packed.nbytes * 2 == matrix.nbytes
    assert (unpack_rows(packed) == matrix).all()


def test_pairs_step_over_function_words_but_keep_single_letters() -> None:
    _, pairs = text_features("infarctus du myocarde", 10_000)
    assert pairs == [crc32(b"p:infarctus myocarde") % 10_000]
    _, pairs = text_features("hépatite A", 10_000)
    assert pairs == [crc32(b"p:hepatite a") % 10_000]


def test_signs_of_operating_lists_are_read_aloud() -> None:
    assert spoken_words("exérèse +/- suture de 2doigts +plaque") == (
        ["exerese", "avec", "ou", "sans", "suture", "de", "2", "doigts", "avec", "plaque"]
    )
    assert spoken_words("T4 B12 15% 1er 2,5cm") == ["t4", "b12", "15", "1", "er", "2,5", "cm"]


def test_vectors_have_length_one_and_empty_texts_are_zero(encoder: EmbeddedEncoder) -> None:
    norms = np.linalg.norm(encoder.encode(TEXTS), axis=1)
    assert norms == pytest.approx([1, 1, 1, 1, 1, 0, 0, 1], abs=1e-5)


def test_encoding_equals_the_plain_sum_of_feature_rows(encoder: EmbeddedEncoder) -> None:
    with np.load(MODELS_DIR / "encoder.npz", allow_pickle=False) as arrays:
        table = unpack_rows(arrays["table"]).astype(np.float64) * arrays["scale"].astype(np.float64)[:, None]
        n_members = int(arrays["n_members"])
    for text in ("Sténose aortique serrée", "hépatite A", "fracture fracture"):
        found, pairs = text_features(text, len(table))
        total = sum(table[list(word_features(word, len(table)))].sum(axis=0) for word in found) + table[pairs].sum(
            axis=0
        )
        members = total.reshape(n_members, -1)  # each of the same length, the whole of length 1
        expected = members / np.linalg.norm(members, axis=1, keepdims=True) / n_members**0.5
        assert encoder.encode([text])[0] == pytest.approx(expected.ravel(), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_a_batch_gives_what_single_texts_give(texts: list[str]) -> None:
    encoder = EmbeddedEncoder.from_package()
    alone = [encoder.encode([text])[0] for text in texts]
    assert encoder.encode(texts).shape == (len(texts), encoder.dim)
    for vector, single in zip(encoder.encode(texts), alone, strict=True):
        assert vector == pytest.approx(single, abs=1e-5)
        assert np.isfinite(vector).all()


def test_case_accents_and_apostrophes_make_no_difference(encoder: EmbeddedEncoder) -> None:
    a, b = encoder.encode(["Œdème de l’épaule", "OEDEME DE L'EPAULE"])
    assert a == pytest.approx(b, abs=1e-6)


def test_threads_share_the_word_cache_safely() -> None:
    fresh = EmbeddedEncoder.from_path(MODELS_DIR / "encoder.npz")
    rng = random.Random(1)  # noqa: S311
    texts = ["".join(rng.choice("aeioubcdlmnprst") for _ in range(8)) + " aigu" for _ in range(400)]
    expected = EmbeddedEncoder.from_package().encode(texts)
    wrong: list[int] = []

    def work(start: int) -> None:
        for i in range(start, len(texts), 4):
            if np.abs(fresh.encode([texts[i]])[0] - expected[i]).max() > 1e-4:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("crise cardiaque", "infarctus du myocarde", "fracture du fémur"),
        ("mal de tête", "céphalée", "tumeur maligne de la tête du pancréas"),
        ("hépatite B chronique", "Hépatite virale chronique B", "Hépatite virale chronique C"),
    ],
)
def test_meaning_is_closer_than_shared_letters(encoder: EmbeddedEncoder, text: str, right: str, wrong: str) -> None:
    query, near, far = encoder.encode([text, right, wrong])
    assert query @ near > query @ far


def test_a_code_is_its_label_plus_a_residual_and_an_unknown_code_its_label(encoder: EmbeddedEncoder) -> None:
    label = "Hypertension essentielle (primitive)"
    alone = encoder.encode([label])[0]
    unknown, known = encoder.encode_codes(["HHFA016", "I10"], [label, label])
    assert unknown == pytest.approx(alone, abs=1e-6)
    assert known @ alone < 0.9999
    assert encoder.knows("I10")
    assert not encoder.knows("HHFA016")
    assert encoder.encode(["HTA"])[0] @ known > encoder.encode(["HTA"])[0] @ alone


def test_the_category_after_the_dash_is_not_part_of_a_code(encoder: EmbeddedEncoder) -> None:
    a, b = encoder.encode_codes(["I2198"] * 2, ["Infarctus", "Infarctus — Cardiopathies"])
    assert a == pytest.approx(b, abs=1e-6)


def test_code_vectors_stand_for_every_known_code(encoder: EmbeddedEncoder) -> None:
    assert encoder.code_vectors.shape == (len(encoder.codes), encoder.dim)
    assert np.linalg.norm(encoder.code_vectors, axis=1) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("reader", [EmbeddedEncoder, LexicalWeights, ExpressionMemory])
def test_unreadable_weights_say_what_to_do(reader: type[EmbeddedEncoder], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reinstall the package"):
        reader.from_path(tmp_path / "absent.npz")
    (tmp_path / "garbage.npz").write_bytes(b"not an archive")
    with pytest.raises(ConfigurationError, match="pmsi-chain train encoder"):
        reader.from_path(tmp_path / "garbage.npz")
    np.savez(tmp_path / "other.npz", something=np.zeros(3))
    with pytest.raises(ConfigurationError):
        reader.from_path(tmp_path / "other.npz")


def test_weights_of_another_feature_version_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", features_version=np.array("words/0"), table=np.zeros((2, 2), np.int8))
    with pytest.raises(ConfigurationError, match=r"words/0.*" + FEATURES_VERSION[:5]):
        EmbeddedEncoder.from_path(tmp_path / "old.npz")
    np.savez(tmp_path / "old_sparse.npz", analyser_version=np.array("fr-0"))
    with pytest.raises(ConfigurationError, match="fr-0"):
        LexicalWeights.from_path(tmp_path / "old_sparse.npz")


def test_sparse_dot_product_is_bm25(lexical: LexicalWeights) -> None:
    sparse = EmbeddedSparseEncoder(lexical)
    label = "Fracture fermée du col du fémur, fracture"
    document = sparse.encode_codes(["XXXX001"], [label])[0]
    query = sparse.embed_query("fracture du fémur gauche")
    weights = dict(zip(document.indices, document.values, strict=True))
    product = sum(weights.get(i, 0.0) * v for i, v in zip(query.indices, query.values, strict=True))
    stems = tokens(label)
    with np.load(MODELS_DIR / "sparse.npz", allow_pickle=False) as arrays:
        k1, b, mean_length = (float(x) for x in arrays["bm25"])
    expected = 0.0
    for stem in {"fracture", "femur"}:
        n = stems.count(stem)
        norm = k1 * (1 - b + b * len(stems) / mean_length)
        expected += lexical.idf(stem_id(stem)) * n * (k1 + 1) / (n + norm)
    assert product == pytest.approx(expected, rel=1e-6)
    assert document.indices == sorted(document.indices)


def test_sparse_code_vectors_know_words_that_the_label_does_not_hold(lexical: LexicalWeights) -> None:
    sparse = EmbeddedSparseEncoder(lexical)
    label = "Infarctus du myocarde, sans précision"
    learned, plain = sparse.encode_codes(["I2198", "XXXX001"], [label, label])
    assert set(plain.indices) < set(learned.indices)
    assert sparse.embed_documents([label])[0] == plain


def test_sparse_query_without_content_is_empty(lexical: LexicalWeights) -> None:
    assert EmbeddedSparseEncoder(lexical).embed_query("…").indices == []


def test_memory_finds_the_nearest_expression_by_brute_force(encoder: EmbeddedEncoder) -> None:
    memory = ExpressionMemory.from_package()
    with np.load(MODELS_DIR / "memory.npz", allow_pickle=False) as arrays:
        codes = [str(code) for code in arrays["codes"]]
        bounds, units, codebook = arrays["bounds"], arrays["units"], arrays["codebook"].astype(np.float32)
    query = encoder.encode(["fracture du poignet"])[0]
    asked = ["S5250", "AAAA999", "I2198"]
    found = memory.best_cosine(query, asked, np.array([0.1, 0.2, 0.3], dtype=np.float32))
    for code, value in zip(asked, found, strict=True):
        if code not in codes:
            assert value == pytest.approx(0.2)
            continue
        row = codes.index(code)
        rebuilt = [
            np.concatenate([codebook[part, unit[part]] for part in range(units.shape[1])])
            for unit in units[bounds[row] : bounds[row + 1]]
        ]
        assert value == pytest.approx(max(float(query @ vector) for vector in rebuilt), abs=1e-3)
    assert memory.encoder_id == encoder.encoder_id
    assert memory.n_expressions(["AAAA999"]).tolist() == [0]
