"""The jackknife: against a naive twin, at its edges, and how often it holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import STATED, coverage
from sdmetrics.metrics.bias import layer_bias, unit_bias
from sdmetrics.metrics.estimators import ESTIMATORS
from sdmetrics.metrics.intervals import correlation_jackknife, jackknife, leave_one_out, student_t
from sdmetrics.metrics.moments import PairMoments
from tests import naive


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_student_t_is_scipys(confidence):
    for freedom in (*range(1, 60), 199, 500):
        assert student_t(freedom, confidence) == pytest.approx(stats.t.ppf((1 + confidence) / 2, freedom), rel=1e-10)


def grouped(groups, rows=12, units=9, seed=0):
    """Pairs of two factors, the group of each, and their moments by group."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(groups * rows) % groups)
    pairs, moments = {}, {}
    for name in ("dynamic", "static"):
        z1, noise = rng.standard_normal((2, groups * rows, units))
        pairs[name] = z1, z1 + rng.uniform(0.3, 3, units) * noise
        moments[name] = [PairMoments.from_arrays(*(z[group == g] for z in pairs[name])) for g in range(groups)]
    return pairs, group, moments


def naive_jackknife(estimate, left_out):
    """The interval as its documentation says it, with SciPy's quantiles."""
    groups = len(left_out)
    pseudo = groups * estimate - (groups - 1) * np.asarray(left_out)
    error = pseudo.std(axis=0, ddof=1) / np.sqrt(groups)
    kurtosis = stats.kurtosis(pseudo, fisher=False, axis=0)
    freedom = np.floor(np.minimum(2 * groups / (kurtosis - 1), groups - 1))
    t = stats.t.ppf(0.975, freedom)
    bend = stats.skew(pseudo, axis=0) / np.sqrt(groups)
    stretched = 3 / np.abs(bend) * (1 - np.cbrt(1 - np.abs(bend) * t))
    low, high = np.where(bend < 0, stretched, t), np.where(bend > 0, stretched, t)
    return estimate - error * low, estimate + error * high


@pytest.mark.parametrize("groups", [5, 8, 20])
def test_intervals_equal_the_naive_twin(groups):
    pairs, group, moments = grouped(groups)
    layer, units = layer_bias(moments), unit_bias(moments)
    whole = {name: naive.pearson(*z) for name, z in pairs.items()}
    without = {
        name: np.array(
            [naive.pearson(a, b) for a, b in zip(*(naive.without_each_group(z, group) for z in members), strict=True)]
        )
        for name, members in pairs.items()
    }
    for name in pairs:
        low, high = naive_jackknife(np.arctanh(whole[name]), np.arctanh(without[name]))
        np.testing.assert_allclose(units.ci95[name], np.tanh([low, high]), rtol=1e-7)
        np.testing.assert_allclose(
            layer.ci95.scores[name],
            naive_jackknife(whole[name].mean(), without[name].mean(axis=1)),
            rtol=1e-7,
        )
    shares = naive.softmax_percent([r.mean() for r in whole.values()])
    shares_without = [
        naive.softmax_percent(means) for means in zip(*(r.mean(axis=1) for r in without.values()), strict=True)
    ]
    np.testing.assert_allclose(
        np.transpose(list(layer.ci95.percent.values())), naive_jackknife(shares, shares_without), rtol=1e-7
    )


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_interval_holds_its_estimate(estimator):
    _, _, moments = grouped(20)
    layer, units = layer_bias(moments, estimator), unit_bias(moments, estimator=estimator)
    for name in moments:
        low, high = units.ci95[name]
        assert (low < units.scores[name]).all()
        assert (units.scores[name] < high).all()
        assert layer.ci95.scores[name][0] < layer.scores[name] < layer.ci95.scores[name][1]
    assert list(layer.ci95.percent) == list(layer.percent)
    for name, (low, high) in layer.ci95.percent.items():
        assert low < layer.percent[name] < high


def test_further_variance_is_left_out_with_its_group():
    _, _, moments = grouped(6)
    static = {"static": moments["static"]}
    further = layer_bias(static, "reference", variance_from=[moments["dynamic"]])
    # With the same moments among the factors the pooled variance is the same, and so are score and interval.
    among = layer_bias(moments, "reference")
    assert further.scores["static"] == pytest.approx(among.scores["static"])
    assert further.ci95.scores["static"] == pytest.approx(among.ci95.scores["static"])


def test_leaving_out_merges_all_others():
    _, _, moments = grouped(7)
    groups = moments["static"]
    for left, without in enumerate(leave_one_out(groups)):
        others = [group for g, group in enumerate(groups) if g != left]
        assert without.n == sum(group.n for group in others)
        whole = others[0]
        for group in others[1:]:
            whole = whole.merge(group)
        np.testing.assert_allclose(without.m12, whole.m12, rtol=1e-12)
        np.testing.assert_allclose(without.mean1, whole.mean1, rtol=1e-12, atol=1e-14)


def test_undefined_below_five_groups_that_hold_pairs():
    _, _, moments = grouped(5)
    empty = PairMoments(9)
    for groups, defined in ((5, True), (4, False), (1, False), (0, False)):
        factors = {name: [*parts[:groups], empty, empty, empty] for name, parts in moments.items()}
        layer, units = layer_bias(factors), unit_bias(factors)
        for low, high in (*layer.ci95.scores.values(), *layer.ci95.percent.values()):
            assert np.isfinite([low, high]).all() == defined
        for ends in units.ci95.values():
            assert np.isfinite(ends).all() == defined


def test_empty_groups_change_nothing():
    _, _, moments = grouped(6)
    sprinkled = {name: [PairMoments(9), *parts[:2], PairMoments(9), *parts[2:]] for name, parts in moments.items()}
    assert layer_bias(sprinkled) == layer_bias(moments)


def test_a_score_of_exactly_one_has_no_width():
    z = np.random.default_rng(0).standard_normal((20, 10, 5)).astype(np.float32)
    factors = {
        "dynamic": [PairMoments.from_arrays(g, g) for g in z],
        "static": [PairMoments.from_arrays(g, -g) for g in z],
    }
    units, layer = unit_bias(factors), layer_bias(factors)
    assert np.array_equal(units.ci95["dynamic"], np.ones((2, 5)))
    assert np.array_equal(units.ci95["static"], -np.ones((2, 5)))
    assert layer.ci95.scores == {"dynamic": (1, 1), "static": (-1, -1)}


def test_ends_are_never_infinite_nor_beyond_one():
    replicates = np.array([[1.0, 0.99, -1.0, 0.0], *([[1.0, 1.0, -1.0, -1.0], [1 - 1e-16, 0.2, -1.0, 1.0]] * 4)])
    low, high = correlation_jackknife(replicates)
    assert np.isfinite([low, high]).all()
    assert (np.abs([low, high]) <= 1).all()
    assert (low <= replicates[0]).all()
    assert (replicates[0] <= high).all()


def test_a_unit_that_only_one_group_shows_has_a_score_but_no_interval():
    z = np.zeros((20, 10, 2), np.float32)
    z[:, :, 1] = np.random.default_rng(0).standard_normal((20, 10))
    z[3, 4, 0] = 1
    units = unit_bias({"static": [PairMoments.from_arrays(g, g) for g in z]})
    assert units.scores["static"].tolist() == [1, 1]
    assert np.isnan(units.ci95["static"])[:, 0].all()
    assert not np.isnan(units.ci95["static"])[:, 1].any()


def test_dead_layers_have_no_interval():
    z = np.zeros((20, 10, 2), np.float32)
    factors = {"static": [PairMoments.from_arrays(g, g) for g in z]}
    assert np.isnan(layer_bias(factors).ci95.scores["static"]).all()
    assert np.isnan(unit_bias(factors).ci95["static"]).all()


def test_the_interval_reaches_further_where_the_replicates_are_skewed():
    left_out = np.zeros(20)
    left_out[0] = -1.0  # one group alone holds the statistic up
    low, high = jackknife(np.array([0.0, *left_out]))
    assert high > -low > 0
    mirrored = jackknife(-np.array([0.0, *left_out]))
    assert mirrored == pytest.approx((-high, -low))


@pytest.mark.parametrize("name", STATED)
def test_intervals_hold_the_truth_as_often_as_stated(name):
    found = coverage(STATED[name], repeats=60)
    assert 93 <= found["units"] <= 97, found
    # Few layers are drawn here: three standard errors wide.
    assert 88 <= found["scores"] <= 100, found
    assert 88 <= found["percent"] <= 100, found
    assert found["undefined"] < 1, found
