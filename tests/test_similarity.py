"""The score shown beside a candidate: order kept, in [0, 1], fitted as it should be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsi_chain.errors import ConfigurationError
from pmsi_chain.similarity import Similarity

probabilities = st.floats(0, 1)


@given(probabilities, probabilities, st.floats(0.05, 5), st.floats(-5, 5))
def test_the_order_stays_and_the_score_is_a_share(a: float, b: float, slope: float, intercept: float) -> None:
    similarity = Similarity(slope, intercept)
    assert 0 <= similarity.score(a) <= 1
    assert (similarity.score(a) <= similarity.score(b)) or a > b


def test_unfitted_it_is_the_probability() -> None:
    assert Similarity().score(0.3) == pytest.approx(0.3)


def test_the_fit_finds_the_numbers_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    given_ = rng.uniform(0.01, 0.99, 20_000)
    logits = 0.5 * np.log(given_ / (1 - given_)) + 1.0
    right = rng.random(20_000) < 1 / (1 + np.exp(-logits))
    found = Similarity.fit(given_.tolist(), right.tolist())
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(1.0, abs=0.06)
    assert found.n == 20_000


@pytest.mark.parametrize("right", [[True, True], [False, False]])
def test_nothing_to_learn_from_is_refused(right: list[bool]) -> None:
    with pytest.raises(ValueError, match="some of both"):
        Similarity.fit([0.2, 0.8], right)
    with pytest.raises(ValueError, match="not more often right"):
        Similarity.fit([0.1, 0.9, 0.2, 0.8], [True, False, True, False])


def test_it_lives_in_the_blend_beside_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "blend.json"
    path.write_text(json.dumps({"known": {"slope": 2}}))
    assert Similarity.from_path(path) == Similarity()
    path.write_text(json.dumps({"similarity": {"slope": 0.4, "intercept": 0.9, "n": 10}}))
    assert Similarity.from_path(path).score(0.5) == pytest.approx(1 / (1 + math.exp(-0.9)))
    for broken in ("{", json.dumps({"similarity": {"slope": -1}}), json.dumps({"similarity": {"angle": 1}})):
        path.write_text(broken)
        with pytest.raises(ConfigurationError, match="train reranker"):
            Similarity.from_path(path)
