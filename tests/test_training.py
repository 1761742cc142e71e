"""Training: its small parts by hand-worked examples, and whole runs on an invented nomenclature (slow)."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import random
from pathlib import Path

import numpy as np
import pytest

from pmsi_chain.errors import ConfigurationError, SourceFileError
from pmsi_chain.names import clinical_names, generated_expressions, report_phrases
from pmsi_chain.text import words
from pmsi_chain.training import train_encoder, train_reranker
from pmsi_chain.training.augment import abbreviate, drop_word, mistype, plain_index_form, truncate, vary
from pmsi_chain.training.data import TrainingData, asked_under, read_expression_queries, usable
from pmsi_chain.training.evidence import USED_COLUMNS, fit_columns, reliability, roc_auc
from pmsi_chain.training.memory import product_quantise
from pmsi_chain.training.notes import note_pairs, target_of, unfold_note
from pmsi_chain.training.quantise import quantise_rows
from pmsi_chain.training.reranker import mine


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


NO_TORCH = importlib.util.find_spec("torch") is None


def test_notes_are_read_with_their_headings() -> None:
    note = "Conjonctivite (due à) :\n - poussière\n - fumée :\n  - de bois\nŒil rouge"
    assert unfold_note(note) == [
        "Conjonctivite (due à) poussière",
        "Conjonctivite (due à) fumée de bois",
        "Œil rouge",
    ]


def test_exclusions_give_the_code_that_they_name() -> None:
    labels = {"X10": "Toux", "X109": "Toux, sans précision", "Y201": "Rhume"}
    pairs = note_pairs({"X10": "Quinte"}, {"X10": "rhume des foins [Y20.1]\nautre chose"}, labels, {"X109", "Y201"})
    assert pairs == [("Quinte", "X109"), ("rhume des foins", "Y201")]


def test_a_line_shared_by_categories_is_said_with_its_label() -> None:
    labels = {"X109": "Toux", "Y201": "Rhume"}
    pairs = note_pairs({"X109": "Forme aiguë", "Y201": "Forme aiguë"}, {}, labels, {"X109", "Y201"})
    assert pairs == [("Toux Forme aiguë", "X109"), ("Rhume Forme aiguë", "Y201")]


def test_target_of_a_category_is_its_unspecified_code() -> None:
    assert target_of("X10", {"X109", "X101"}) == "X109"
    assert target_of("X11", {"X110"}) is None


def test_augmentation_depends_on_the_seed_alone() -> None:
    text = "Hypertrophie (bénigne) (de), myocarde, ventricule gauche (voir aussi cardiomégalie)"
    once = [vary(text, seeded(seed)) for seed in range(30)]
    assert once == [vary(text, seeded(seed)) for seed in range(30)]
    assert len(set(once)) > 5


def test_index_entries_lose_brackets_and_cross_references() -> None:
    forms = {plain_index_form("Colique (hépatique), néphrétique (voir aussi calcul)", seeded(i)) for i in range(40)}
    assert "Colique néphrétique" in forms
    assert not any("voir" in form for form in forms)


def test_abbreviations_keep_the_start_of_words() -> None:
    label = "Résection de tumeur du poumon gauche, par thoracotomie"
    for seed in range(20):
        short = abbreviate(label, seeded(seed), 1.0)
        assert len(short) < len(label)
        assert short[0] in "rt"


@pytest.mark.parametrize("seed", range(10))
def test_truncation_is_a_prefix_ending_in_a_consonant(seed: int) -> None:
    cut = truncate("laparotomie", seeded(seed)).rstrip(".")
    assert "laparotomie".startswith(cut)
    assert len(cut) >= 3
    assert cut[-1] not in "aeiouy"


def test_typos_change_one_place_and_short_words_are_left() -> None:
    assert mistype("toux", seeded(0)) == "toux"
    assert all(abs(len(mistype("pneumopathie", seeded(i))) - 12) <= 1 for i in range(20))
    assert drop_word("un deux trois", seeded(0)) == "un deux trois"
    assert len(drop_word("un deux trois quatre", seeded(0)).split()) == 3


def test_quantised_rows_are_within_half_a_step() -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    matrix[3] = 0
    quantised, step = quantise_rows(matrix)
    assert np.abs(quantised * step[:, None].astype(np.float32) - matrix).max() <= 0.51 * float(step.max())
    assert step[3] == 0


def test_product_quantisation_keeps_well_separated_points() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 128)).astype(np.float32)
    vectors = np.repeat(centres, 5, axis=0) + rng.normal(scale=1e-3, size=(200, 128)).astype(np.float32)
    units, codebook = product_quantise(vectors, seed=1)
    rebuilt = np.concatenate([codebook[part, units[:, part]] for part in range(units.shape[1])], axis=1)
    assert np.abs(rebuilt - vectors).max() < 0.05


def test_mining_is_the_sorted_top_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    queries, codes = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=(30, 5)).astype(np.float32)
    expected = np.argsort(-(queries @ codes.T), axis=1)[:, :6]
    assert mine(queries, codes, 6).tolist() == expected.tolist()


def test_roc_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(40) < 0.4).astype(float)
    scores = np.round(rng.random(40), 1)
    pairs = [(a, b) for a in scores[y == 1] for b in scores[y == 0]]
    by_hand = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    assert roc_auc(y, scores) == pytest.approx(by_hand)


def test_reliability_bands_add_up() -> None:
    y, p = np.array([0, 0, 1, 1.0]), np.array([0.05, 0.15, 0.95, 1.0])
    bands = reliability(y, p)
    assert [(band["from"], band["n"], band["observed_rate"]) for band in bands] == [(0.0, 2, 0.0), (0.8, 2, 1.0)]


def test_evidence_fit_learns_a_column_and_never_tests_on_a_code_it_fitted() -> None:
    from pmsi_chain.rerank.evidence import EVIDENCE_COLUMNS

    rng = np.random.default_rng(0)
    y = rng.random(200) < 0.5
    columns = rng.normal(size=(200, len(EVIDENCE_COLUMNS))).astype(np.float32)
    columns[:, EVIDENCE_COLUMNS.index(USED_COLUMNS[0])] += 3 * y
    codes = [f"X{i % 50:02d}" for i in range(200)]
    fitted = fit_columns(columns, y, codes, seed=0)
    assert fitted["cross_validation"]["roc_auc"] > 0.9
    noise = fit_columns(rng.normal(size=columns.shape).astype(np.float32), y, codes, seed=0)
    assert abs(noise["cross_validation"]["roc_auc"] - 0.5) < 0.15


def test_missing_extra_names_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pmsi-chain\[train\]"):
        train_encoder(tmp_path, tmp_path / "out")
    with pytest.raises(ConfigurationError, match=r"pmsi-chain\[train\]"):
        train_reranker(tmp_path, tmp_path / "out")


def test_missing_data_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="LIBCIM10MULTI"):
        TrainingData.from_directory(tmp_path)


@pytest.mark.parametrize(
    "pairs",
    [clinical_names(), generated_expressions(), report_phrases()],
    ids=["names", "generated", "phrases"],
)
def test_the_projects_own_lists_hold_codes_of_the_edition_and_no_development_expression(
    shared_dir: Path, pairs: tuple[tuple[str, str], ...]
) -> None:
    data = TrainingData.from_directory(shared_dir)
    assert [text for text, code in pairs if code not in set(data.codable)] == []
    asked = {tuple(words(text)) for text, _ in read_expression_queries(shared_dir / "bench" / "expressions_dev.csv")}
    assert [text for text, _ in pairs if tuple(words(text)) in asked] == []


def test_expressions_that_a_bench_asks_for_are_left_out(tmp_path: Path) -> None:
    every, codable = clinical_names(), frozenset(code for _, code in clinical_names())
    (tmp_path / "expressions_dev.csv").write_text(f"expression,codes\n{every[0][0].upper()},X\n", encoding="utf-8")
    assert usable(every, codable, asked_under(tmp_path)) == tuple(pair for pair in every if pair[0] != every[0][0])
    assert usable(every, frozenset(["X"]), asked_under(tmp_path)) == ()


@pytest.fixture
def invented(tmp_path: Path) -> Path:
    """An invented nomenclature: organs × conditions, and what clinicians would call them."""
    organs = ["rein", "foie", "poumon", "genou", "coude", "estomac", "rate", "sein", "oreille", "nez"]
    conditions = ["inflammation", "calcul", "fracture", "tumeur", "abcès", "kyste", "douleur", "ulcère"]
    folder = tmp_path / "data"
    folder.mkdir()
    labels, expressions = [], []
    for i, organ in enumerate(organs):
        labels.append(f"X{i}0   |3|NNN|3|AFF {organ.upper()}|Affections : {organ}")
        for j, condition in enumerate(conditions):
            code = f"X{i}0{j}"
            labels.append(
                f"{code}  |0|OOO|0|{condition[:4].upper()}. {organ.upper()}|{condition.capitalize()} : {organ}"
            )
            expressions += [
                (f"{condition} du {organ} {kind}", code) for kind in ("aigu", "chronique", "gauche", "droit")
            ]
    (folder / "LIBCIM10MULTI_test.TXT").write_text("\n".join(labels), encoding="iso-8859-1")
    for name, header, rows in (
        ("expressions_train.csv", ["source", "expression", "code"], [("t", *pair) for pair in expressions]),
        ("cim10_notes_test.csv", ["code", "inclusion_notes", "exclusion_notes"], [("X000", "Néphrite", "")]),
        (
            "evidence_dev.csv",
            ["code", "definition", "passage", "label"],
            [(c, e, e if i % 2 else "rien à signaler", i % 2) for i, (e, c) in enumerate(expressions[:60])],
        ),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
    acts = [
        {"code": f"AAAA{i:03d}", "libelle_long": f"{verb} de {organ}, par {way}"}
        for i, (verb, organ, way) in enumerate(
            (v, o, w) for v in ("Résection", "Biopsie") for o in organs for w in ("laparotomie", "cœlioscopie")
        )
    ]
    (folder / "ccam_actes.json.gz").write_bytes(gzip.compress(json.dumps(acts).encode()))
    return folder


@pytest.mark.slow
@pytest.mark.skipif(NO_TORCH, reason="the train extra is not installed")
@pytest.mark.filterwarnings("ignore")
def test_both_trainings_run_end_to_end_and_can_be_loaded(invented: Path, tmp_path: Path) -> None:
    from pmsi_chain.encoders import EmbeddedEncoder
    from pmsi_chain.rerank import EvidenceScorer, PmsiRerank
    from pmsi_chain.rerank.evidence import EvidenceModel
    from pmsi_chain.rerank.features import PairFeatures
    from pmsi_chain.training.encoder import EncoderRecipe, Member
    from pmsi_chain.training.reranker import RerankerRecipe

    small = EncoderRecipe((Member(6, 0.3), Member(3, 0.0)), n_buckets=4096, dim=64, batch=32)
    twice = [tmp_path / "one", tmp_path / "two"]
    for out in twice:
        train_encoder(invented, out, seed=3, device="cpu", recipe=small)
    first, second = (EmbeddedEncoder.from_path(out / "encoder.npz") for out in twice)
    texts = ["kyste du rein", "fracture coude"]
    assert first.encode(texts) == pytest.approx(second.encode(texts), abs=1e-3), "the same seed gives the same encoder"
    query = first.encode(["calcul du foie"])[0]
    best = first.codes[int((first.code_vectors @ query).argmax())]
    assert best == "X101"

    recipe = RerankerRecipe(vocabulary_size=300, dim=32, epochs=2, batch=8, n_candidates=6, list_length=12)
    train_reranker(invented, twice[0], seed=3, device="cpu", recipe=recipe, encoder_recipe=small)
    reranker = PmsiRerank.from_path(twice[0])
    scores, probabilities, _ = reranker.score("kyste du rein", ["X005", "X302"], ["Kyste : rein", "Fracture : genou"])
    assert scores[0] > scores[1]
    assert ((probabilities > 0) & (probabilities < 1)).all()
    scorer = EvidenceScorer(PairFeatures.from_path(twice[0]), EvidenceModel.from_path(twice[0] / "evidence.json"))
    yes, no = scorer.score([("X005", "Kyste : rein", "kyste du rein"), ("X005", "Kyste : rein", "rien à signaler")])
    assert yes > no
