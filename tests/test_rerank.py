"""The reranker and the evidence scorer on the shipped weights."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document

from pmsi_chain.encoders.dense import MODELS_DIR
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.names import clinical_names, codes_named
from pmsi_chain.rerank import EvidenceScorer, PmsiRerank
from pmsi_chain.rerank.blend import Blend, read_blends, with_list_columns
from pmsi_chain.rerank.cross_encoder import MODEL_NAME, cross_logits, load_ranker
from pmsi_chain.rerank.evidence import EVIDENCE_COLUMNS, EvidenceModel
from pmsi_chain.rerank.features import FEATURE_NAMES, PairFeatures

CANDIDATES = {
    "E43": "Malnutrition protéino-énergétique grave, sans précision",
    "I2198": "Infarctus aigu du myocarde, sans précision, autres prises en charge",
    "S7200": "Fracture fermée du col du fémur",
    "J459": "Asthme, sans précision",
    "I10": "Hypertension essentielle (primitive)",
}


@pytest.fixture(scope="module")
def reranker() -> PmsiRerank:
    return PmsiRerank.from_package(top_n=5)


@pytest.fixture(scope="module")
def evidence() -> EvidenceScorer:
    return EvidenceScorer.from_package()


def documents(**metadata: object) -> list[Document]:
    return [
        Document(page_content=label, metadata={"code": code, "chunk_id": f"c/{code}", **metadata})
        for code, label in CANDIDATES.items()
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [("crise cardiaque", "I2198"), ("HTA", "I10"), ("fracture cervicale vraie", "S7200"), ("crise d'asthme", "J459")],
)
def test_the_right_code_comes_first(reranker: PmsiRerank, query: str, code: str) -> None:
    assert reranker.compress_documents(documents(), query)[0].metadata["code"] == code


def test_scores_are_fresh_probabilities_in_order_and_go_into_json(reranker: PmsiRerank) -> None:
    given = documents(relevance_score=99.0, relevance_rank=7, edition="2025")
    found = reranker.compress_documents(given, "crise cardiaque")
    scores = [document.metadata["relevance_score"] for document in found]
    assert scores == sorted(scores, reverse=True)
    assert all(type(score) is float and 0 <= score <= 1 for score in scores)
    assert [document.metadata["relevance_rank"] for document in found] == [1, 2, 3, 4, 5]
    assert {document.metadata["edition"] for document in found} == {"2025"}
    assert given[0].metadata["relevance_score"] == 99.0, "the caller's documents stay as they are"
    json.dumps([document.metadata for document in found])


def test_a_right_candidate_is_likely_and_a_wrong_one_is_not(reranker: PmsiRerank) -> None:
    found = reranker.compress_documents(documents(), "hypertension artérielle essentielle")
    assert found[0].metadata["relevance_score"] > 0.5
    assert found[-1].metadata["relevance_score"] < 0.1


def test_nothing_in_nothing_out(reranker: PmsiRerank) -> None:
    assert reranker.compress_documents([], "toux") == []


def test_top_n_cuts() -> None:
    assert len(PmsiRerank.from_package(top_n=2).compress_documents(documents(), "asthme")) == 2


def test_the_order_of_the_candidates_does_not_matter(reranker: PmsiRerank) -> None:
    forward = reranker.compress_documents(documents(), "dénutrition sévère")
    backward = reranker.compress_documents(documents()[::-1], "dénutrition sévère")
    assert [d.metadata["code"] for d in forward] == [d.metadata["code"] for d in backward]
    assert [d.metadata["relevance_score"] for d in forward] == pytest.approx(
        [d.metadata["relevance_score"] for d in backward], abs=1e-6
    )


def test_typography_makes_no_difference_to_the_cross_encoder(reranker: PmsiRerank) -> None:
    labels = list(CANDIDATES.values())
    plain = cross_logits(reranker.client, "Insuffisance de l'oesophage", labels)
    typeset = cross_logits(reranker.client, "INSUFFISANCE DE L’ŒSOPHAGE", labels)
    assert plain == pytest.approx(typeset, abs=1e-4)


def test_a_long_query_leaves_room_for_the_passage(reranker: PmsiRerank) -> None:
    long_query = "asthme " + "patient hospitalisé pour bilan et surveillance " * 60
    logits = cross_logits(reranker.client, long_query, list(CANDIDATES.values()))
    assert len(set(np.round(logits, 4).tolist())) == len(CANDIDATES)


def test_cross_encoder_agrees_with_the_graph_run_by_hand(reranker: PmsiRerank) -> None:
    import onnxruntime
    from tokenizers import Tokenizer

    folder = MODELS_DIR / MODEL_NAME
    encoding = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("asthme", CANDIDATES["J459"])
    names = {
        "input_ids": encoding.ids,
        "attention_mask": encoding.attention_mask,
        "token_type_ids": encoding.type_ids,
    }
    inputs = {name: np.array([values], dtype=np.int64) for name, values in names.items()}
    expected = onnxruntime.InferenceSession(str(folder / "model.onnx")).run(None, inputs)[0][0, 0]
    padded = cross_logits(reranker.client, "asthme", list(CANDIDATES.values()))
    assert padded[list(CANDIDATES).index("J459")] == pytest.approx(expected, abs=2e-3), "padding changes nothing"


def test_loading_leaves_the_root_logger_alone(tmp_path: Path) -> None:
    shutil.copytree(MODELS_DIR / MODEL_NAME, tmp_path / MODEL_NAME)
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    load_ranker(tmp_path / MODEL_NAME)
    assert (list(root.handlers), root.level) == before


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"model\.onnx.*tokenizer\.json"):
        load_ranker(tmp_path)
    with pytest.raises(ConfigurationError, match="train reranker"):
        read_blends(tmp_path / "blend.json")
    with pytest.raises(ConfigurationError, match="evidence model"):
        EvidenceModel.from_path(tmp_path / "evidence.json")


def test_blend_survives_json_and_ranks_as_its_probabilities() -> None:
    rng = np.random.default_rng(0)
    mean, std, hidden, bias, out, skip = (rng.normal(size=s) for s in (4, 4, (4, 3), 3, 3, 4))
    blend = Blend(mean, std, hidden, bias, out, skip, slope=1.5, intercept=-0.5)
    blend = Blend.from_dict(json.loads(json.dumps(blend.as_dict())))
    columns = rng.normal(size=(9, 4)).astype(np.float32)
    scores = blend.scores(columns)
    by_hand = [
        sum(
            np.tanh(((row - blend.mean) / blend.std) @ blend.hidden[:, j] + blend.hidden_bias[j]) * blend.out[j]
            for j in range(3)
        )
        + ((row - blend.mean) / blend.std) @ blend.skip
        for row in columns
    ]
    assert scores == pytest.approx(by_hand)
    assert np.argsort(scores).tolist() == np.argsort(blend.probabilities(scores)).tolist()


def test_list_columns_measure_the_distance_to_the_best() -> None:
    features = np.arange(2 * len(FEATURE_NAMES), dtype=np.float32).reshape(2, -1)
    columns = with_list_columns(features, np.array([3.0, 1.0], dtype=np.float32))
    assert columns[:, -1].tolist() == [0.0, -2.0]
    assert columns[1, len(FEATURE_NAMES) + 1 : -1].tolist() == [0.0] * 4
    assert (columns[0, len(FEATURE_NAMES) + 1 : -1] < 0).all()


@pytest.mark.parametrize(
    ("code", "label", "attesting", "silent"),
    [
        ("K358", "Appendicites aigües, autres et sans précision", "appendicite aiguë phlegmoneuse", "genou stable"),
        ("S7200", "Fracture fermée du col du fémur", "fracture déplacée du col fémoral droit", "hémoglobine à 12 g/dL"),
        ("I10", "Hypertension essentielle (primitive)", "hypertension artérielle traitée", "ablation des fils à J10"),
    ],
)
def test_evidence_tells_attesting_from_silent(
    evidence: EvidenceScorer, code: str, label: str, attesting: str, silent: str
) -> None:
    yes, no = evidence.score([(code, label, attesting), (code, label, silent)])
    assert 0 <= no < 0.3 < yes <= 1


def test_evidence_of_nothing(evidence: EvidenceScorer) -> None:
    assert evidence.score([]) == []
    assert evidence.score([("I10", "Hypertension essentielle (primitive)", "…")]) == [0.0]


def test_evidence_pairs_are_judged_one_by_one(evidence: EvidenceScorer) -> None:
    triples = [("I10", CANDIDATES["I10"], "HTA"), ("J459", CANDIDATES["J459"], "asthme allergique")]
    together = evidence.score(triples)
    assert together == pytest.approx([evidence.score([triple])[0] for triple in triples])


def test_evidence_knows_acts_by_their_label_alone(evidence: EvidenceScorer) -> None:
    label = "Appendicectomie, par cœlioscopie"
    yes, no = evidence.score(
        [("HHFA016", label, "appendicectomie sous coelioscopie"), ("HHFA016", label, "toux sèche")]
    )
    assert yes > no


def test_evidence_columns_have_their_names(evidence: EvidenceScorer) -> None:
    columns = evidence.columns([("I10", CANDIDATES["I10"], "HTA connue depuis dix ans")])
    assert columns.shape == (1, len(EVIDENCE_COLUMNS))
    values = dict(zip(EVIDENCE_COLUMNS, columns[0].tolist(), strict=True))
    assert values["window_cosine"] >= values["cosine_code"] - 1e-5
    assert values["passage_words"] == pytest.approx(np.log1p(5), abs=1e-5)


def test_the_head_of_a_label_counts_and_its_organ_does_not() -> None:
    label = "Arthrose primaire d'autres articulations"
    features = PairFeatures.from_package()
    named, organ = (features.matrix(text, ["M190"], [label])[0] for text in ("arthrose de hanche", "articulations"))
    for column in ("aligned_head", "aligned_condition"):
        assert named[FEATURE_NAMES.index(column)] > organ[FEATURE_NAMES.index(column)] + 0.2
    other = features.matrix("hernie", ["K458"], ["Autres hernies abdominales précisées"])[0]
    assert other[FEATURE_NAMES.index("aligned_head")] > 0.7  # « Autres » heads nothing


def test_words_that_name_conditions_are_told_from_acts() -> None:
    features = PairFeatures.from_package()
    assert features.condition("arthrose") > 1 > 0 > features.condition("exérèse")
    assert features.condition("") == features.condition("zyxomarine") == 0


def test_a_passage_where_nothing_is_wrong_attests_less(evidence: EvidenceScorer) -> None:
    label = "Hernie d'un autre disque intervertébral précisé"
    with_it, without = evidence.score([("M512", label, "hernie discale"), ("M512", label, "absence de hernie discale")])
    assert with_it > without


def test_a_code_of_which_the_query_is_a_name_comes_first() -> None:
    reranker = PmsiRerank.from_package()
    name, code = next((name, code) for name, code in clinical_names() if code == "M751")
    codes = ["S434", code, "I10"]
    labels = ["Entorse et foulure de l'articulation de l'épaule", "Syndrome de la coiffe des rotateurs", "Hypertension"]
    for query in (name, name.upper()):
        scores, probabilities, _ = reranker.score(query, codes, labels)
        assert np.argmax(scores) == 1
        assert probabilities[1] >= 0.9 > 0.2 > max(probabilities[0], probabilities[2])
    plain, _, _ = reranker.score("hypertension", codes, labels)
    assert np.argmax(plain) == 2


def test_names_are_looked_up_by_their_words() -> None:
    assert all(code in codes_named(f"  {name.upper()} !") for name, code in clinical_names())
    assert codes_named("ce que personne ne dit") == frozenset()
