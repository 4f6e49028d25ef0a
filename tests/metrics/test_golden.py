"""The golden values: the authors' code and the paper's formulas on the same synthetic features."""

from __future__ import annotations

import numpy as np
import pytest

from sdmetrics.metrics.bias import layer_bias, unit_bias
from sdmetrics.metrics.estimators import ESTIMATORS
from sdmetrics.metrics.moments import NonFinite, PairMoments

WITH_REFERENCE = [
    "dead_units",
    "four_factors",
    "gauss_planted",
    "gauss_planted_f64",
    "hetero_scales",
    "mean_shift",
    "offset_1e4_f32_n3000",
    "offset_1e6_f32",
    "offset_1e6_f64",
    "one_unit",
    "relu_sparse",
    "small_n2",
    "small_n5",
    "ties_at_half",
    "wide_2048",
    "with_factor2_rows",
]
WITHOUT_REFERENCE = ["all_dead", "one_factor_missing", "one_nan", "small_n1"]


@pytest.fixture
def case(request, shared):
    """One golden file: its arrays, the moments by factor and those that enter the pooled variance only."""
    with np.load(shared / "golden" / f"{request.param}.npz", allow_pickle=False) as file:
        arrays = dict(file)
    names = ["dynamic", "static", "third"][: int(arrays.get("arg_n_factors", 3)) - 1]
    rows = arrays["factor"]
    moments = [PairMoments.from_arrays(arrays["za"][rows == f], arrays["zb"][rows == f]) for f in range(4)]
    factors = dict(zip(names, moments, strict=False))
    return arrays, factors, [m for m in moments[len(names) :] if m.n]


def test_every_case_is_tested(shared):
    assert {p.stem for p in (shared / "golden").glob("*.npz")} == {*WITH_REFERENCE, *WITHOUT_REFERENCE}


@pytest.mark.parametrize("case", WITH_REFERENCE, indirect=True)
def test_reference_is_the_authors_code(case):
    arrays, factors, further = case
    layer = layer_bias(factors, estimator="reference", variance_from=further)
    np.testing.assert_allclose([*layer.scores.values(), 1], arrays["ref64_layer_scores"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        np.array(list(layer.percent.values())) / 100, _softmax(arrays["ref64_layer_scores"]), rtol=1e-9
    )
    assert list(layer.percent) == [*factors, "identical"]


@pytest.mark.parametrize("case", WITH_REFERENCE, indirect=True)
@pytest.mark.parametrize("estimator", ["icc", "reference"])
def test_unit_scores_are_the_authors(case, estimator):
    arrays, factors, _ = case
    units = unit_bias(factors, estimator=estimator)
    alive = _alive(factors)
    for score, expected in zip(units.scores.values(), arrays["ref64_unit_scores"], strict=False):
        np.testing.assert_allclose(score[alive], expected[alive], rtol=1e-8, atol=1e-10)
        assert np.isnan(score[~alive]).all()
    if len(factors) == 2:
        ties = (np.abs(arrays["ref64_unit_scores"] - 0.5) < 1e-9).any(axis=0)
        for label in ("dynamic", "static", "joint", "residual"):
            theirs = np.isin(np.arange(len(alive)), arrays[f"ref64_units_{label}"])
            np.testing.assert_array_equal((units.labels == label)[alive & ~ties], theirs[alive & ~ties])


@pytest.mark.parametrize("case", WITH_REFERENCE, indirect=True)
def test_pearson_is_the_papers_formula(case):
    arrays, factors, _ = case
    units, layer = unit_bias(factors), layer_bias(factors)
    alive = _alive(factors)
    for name, r in zip(factors, arrays["paper_unit_r"], strict=False):
        np.testing.assert_allclose(units.scores[name][alive], r[alive], rtol=1e-7, atol=1e-9)
        assert layer.scores[name] == pytest.approx(r[alive].mean(), rel=1e-7)
    if len(factors) == 2:
        if alive.all():
            np.testing.assert_allclose(list(layer.percent.values()), arrays["paper_percent_nan_excluded"], rtol=1e-7)
        for label in ("dynamic", "static", "joint", "residual"):
            theirs = np.isin(np.arange(len(alive)), arrays[f"paper_units_{label}"])
            np.testing.assert_array_equal((units.labels == label)[alive], theirs[alive])
    assert layer.dead == units.counts["dead"] == (~alive).sum()


@pytest.mark.parametrize("case", ["ties_at_half"], indirect=True)
def test_a_tie_is_not_above_the_threshold(case):
    _, factors, _ = case
    for estimator in ("pearson", "icc"):
        units = unit_bias(factors, estimator=estimator)
        tied = {name: score == 0.5 for name, score in units.scores.items()}
        assert any(tie.any() for tie in tied.values())
        for name, tie in tied.items():
            assert not np.isin(units.labels[tie], [name, "joint"]).any()


@pytest.mark.parametrize("case", ["dead_units"], indirect=True)
def test_dead_units_are_residual(case):
    arrays, factors, _ = case
    units = unit_bias(factors)
    assert (units.labels[:13] == "residual").all()
    assert units.counts["dead"] == 13
    assert sum(units.counts[label] for label in ("dynamic", "static", "joint", "residual")) == 32
    assert units.counts["residual"] == 13 + len(arrays["paper_units_residual"])


@pytest.mark.parametrize("case", ["all_dead"], indirect=True)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_dead_layer_has_no_scores(case, estimator):
    _, factors, _ = case
    layer, units = layer_bias(factors, estimator), unit_bias(factors, estimator=estimator)
    assert np.isnan([*layer.scores.values(), *layer.percent.values()]).all()
    assert np.isnan(list(units.scores.values())).all()
    assert units.counts == {"dynamic": 0, "static": 0, "joint": 0, "residual": 8, "dead": 8}


@pytest.mark.parametrize("case", ["small_n1"], indirect=True)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_pair_says_nothing(case, estimator):
    _, factors, _ = case
    layer, units = layer_bias(factors, estimator), unit_bias(factors, estimator=estimator)
    assert layer.pairs == {"dynamic": 1, "static": 1}
    assert np.isnan([*layer.scores.values(), *layer.percent.values()]).all()
    assert np.isnan(list(units.scores.values())).all()
    assert units.counts == {"dynamic": 0, "static": 0, "joint": 0, "residual": 16, "dead": 0}


@pytest.mark.parametrize("case", ["one_factor_missing"], indirect=True)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_factor_without_pairs_is_undefined(case, estimator):
    arrays, factors, _ = case
    layer, units = layer_bias(factors, estimator), unit_bias(factors, estimator=estimator)
    assert layer.pairs == {"dynamic": 30, "static": 0}
    assert np.isfinite(layer.scores["dynamic"])
    assert np.isnan([layer.scores["static"], *layer.percent.values()]).all()
    assert np.isnan(units.scores["static"]).all()
    assert units.counts["residual"] == 16
    if estimator == "pearson":
        np.testing.assert_allclose(units.scores["dynamic"], arrays["paper_unit_r"][0], rtol=1e-9)


def test_the_nan_is_named(shared):
    with np.load(shared / "golden" / "one_nan.npz", allow_pickle=False) as file:
        arrays = dict(file)
    bad = np.argwhere(np.isnan(arrays["za"]) | np.isnan(arrays["zb"]))
    assert len(bad) == 1
    row, unit = bad[0]
    with pytest.raises(NonFinite, match=f"unit {unit} is nan in pair {row}"):
        PairMoments.from_arrays(arrays["za"], arrays["zb"])


def _alive(factors):
    """Return which units vary beyond rounding in every member of every factor."""
    alive = np.ones(next(iter(factors.values())).units, bool)
    for m in factors.values():
        for second, mean in ((m.m11, m.mean1), (m.m22, m.mean2)):
            alive &= second / m.n > (4 * m.eps * mean) ** 2
    return alive


def _softmax(scores):
    powers = np.exp(scores)
    return powers / powers.sum()
