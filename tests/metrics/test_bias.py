"""Layer and unit bias against naive twins and SciPy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sdmetrics.errors import InputError
from sdmetrics.metrics.bias import RESERVED, layer_bias, unit_bias
from sdmetrics.metrics.estimators import ESTIMATORS
from sdmetrics.metrics.moments import PairMoments
from tests import naive


@pytest.fixture(scope="module")
def data():
    """Pairs of three factors; the units' scales, offsets and correlations differ."""
    rng = np.random.default_rng(3)
    scale, offset, share = np.exp(rng.normal(0, 2, 50)), rng.normal(0, 10, 50), rng.uniform(0, 1, 50)
    found = {}
    for name, rows in (("dynamic", 200), ("static", 150), ("camera", 77)):
        common, own1, own2 = rng.standard_normal((3, rows, 50))
        mix = rng.permutation(share)
        z1 = (mix * common + (1 - mix) * own1) * scale + offset
        found[name] = z1, (mix * common + (1 - mix) * own2) * scale + offset + rng.normal(0, 1, 50)
    return found


def moments_of(data):
    return {name: PairMoments.from_arrays(*pairs) for name, pairs in data.items()}


def test_pearson_is_scipys(data):
    scores = unit_bias(moments_of(data)).scores
    for name, (z1, z2) in data.items():
        expected = [stats.pearsonr(z1[:, u], z2[:, u]).statistic for u in range(50)]
        np.testing.assert_allclose(scores[name], expected, rtol=1e-10)


@pytest.mark.parametrize("factors", [["static"], ["dynamic", "static"], ["camera", "static", "dynamic"]])
def test_scores_equal_the_naive_twins(data, factors):
    chosen = {name: data[name] for name in factors}
    moments = moments_of(chosen)
    for estimator, twin in (("pearson", naive.pearson), ("icc", naive.icc)):
        units, layer = unit_bias(moments, estimator=estimator), layer_bias(moments, estimator)
        for name, pairs in chosen.items():
            np.testing.assert_allclose(units.scores[name], twin(*pairs), rtol=1e-9, atol=1e-12)
            assert layer.scores[name] == pytest.approx(twin(*pairs).mean(), rel=1e-9)
    layer = layer_bias(moments, "reference")
    assert layer.scores == pytest.approx(naive.reference_layer(chosen), rel=1e-9)
    np.testing.assert_allclose(list(layer.percent.values()), naive.softmax_percent(layer.scores.values()), rtol=1e-12)
    assert list(layer.percent) == [*factors, "identical"]
    assert sum(layer.percent.values()) == pytest.approx(100)
    assert (layer.units, layer.dead, layer.ci95) == (50, 0, None)
    assert layer.pairs == {name: len(chosen[name][0]) for name in factors}


def test_variance_from_enters_the_pooled_variance_only(data):
    chosen, further = {"static": data["static"]}, [data["camera"], data["dynamic"]]
    moments, more = moments_of(chosen), [PairMoments.from_arrays(*pairs) for pairs in further]
    layer = layer_bias(moments, "reference", variance_from=more)
    assert layer.scores == pytest.approx(naive.reference_layer(chosen, further), rel=1e-9)
    assert layer_bias(moments, "pearson", variance_from=more) == layer_bias(moments, "pearson")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_groups_do_not_change_the_scores(data, estimator):
    whole = moments_of(data)
    parts = {
        name: [PairMoments(50), *(PairMoments.from_arrays(z1[g::3], z2[g::3]) for g in range(3))]
        for name, (z1, z2) in data.items()
    }
    one, many = layer_bias(whole, estimator), layer_bias(parts, estimator)
    assert many.scores == pytest.approx(one.scores, rel=1e-10)
    assert many.percent == pytest.approx(one.percent, rel=1e-10)
    assert many.pairs == one.pairs
    by_unit = unit_bias(parts, estimator=estimator)
    for name, score in unit_bias(whole, estimator=estimator).scores.items():
        np.testing.assert_allclose(by_unit.scores[name], score, rtol=1e-10)


def test_equal_members_score_exactly_one_and_opposite_ones_minus_one():
    z = np.random.default_rng(0).lognormal(size=(2, 101, 64)).astype(np.float32)
    factors = {
        "same": PairMoments.from_arrays(z[0], z[0]),
        "opposite": PairMoments.from_arrays(z[1], -z[1]),
        "twice": PairMoments.from_arrays(z[1], 2 * z[1]),
    }
    scores = unit_bias(factors).scores
    assert (scores["same"] == 1).all()
    assert (scores["opposite"] == -1).all()
    assert (scores["twice"] == 1).all()
    assert layer_bias(factors).scores["same"] == 1


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e140])
def test_pearson_does_not_depend_on_scale(scale):
    z1, noise = np.random.default_rng(1).standard_normal((2, 60, 7))
    z2 = z1 + noise
    plain = unit_bias({"static": PairMoments.from_arrays(z1, z2)}).scores["static"]
    scaled = unit_bias({"static": PairMoments.from_arrays(z1 * scale, z2)}).scores["static"]
    np.testing.assert_allclose(scaled, plain, rtol=1e-12)


def test_scores_stay_within_one():
    z1 = np.random.default_rng(2).standard_normal((40, 500)) + 1e7
    z2 = z1 * 3.3 + 1e-9
    for estimator in ("pearson", "icc"):
        scores = unit_bias({"static": PairMoments.from_arrays(z1, z2)}, estimator=estimator).scores["static"]
        assert np.abs(scores).max() <= 1


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_unit_dead_in_one_member_of_one_factor_is_dead_in_all(estimator):
    z = np.random.default_rng(4).standard_normal((4, 30, 3)).astype(np.float32)
    z[1, :, 0] = 0.1
    factors = {"dynamic": PairMoments.from_arrays(z[0], z[1]), "static": PairMoments.from_arrays(z[2], z[3])}
    units, layer = unit_bias(factors, threshold=-1, estimator=estimator), layer_bias(factors, estimator)
    for score in units.scores.values():
        np.testing.assert_array_equal(np.isnan(score), [True, False, False])
    assert units.labels.tolist() == ["residual", "joint", "joint"]
    assert units.counts == {"dynamic": 0, "static": 0, "joint": 2, "residual": 1, "dead": 1}
    assert (layer.units, layer.dead) == (3, 1)
    if estimator != "reference":
        assert layer.scores["static"] == pytest.approx(units.scores["static"][1:].mean())


@pytest.mark.parametrize(("dtype", "eps"), [(np.float16, 2**-10), (np.float32, 2**-23), (np.float64, 2**-52)])
def test_rounding_noise_is_dead_and_a_little_more_is_not(dtype, eps):
    noise = np.where(np.arange(40) % 2, 1.0, -1.0)[:, None] * eps
    mean = 3.0
    units = unit_bias(
        {
            "static": PairMoments.from_arrays(
                (mean + noise * np.array([3.0, 24.0])).astype(dtype),
                (mean + noise * np.array([3.0, 24.0])).astype(dtype),
            )
        }
    )
    np.testing.assert_array_equal(units.scores["static"], [np.nan, 1.0])


def test_coarse_moments_stay_coarse_when_merged():
    fine = np.where(np.arange(40) % 2, 1.0, -1.0)[:, None] * 1e-8 + 3
    z = PairMoments.from_arrays(np.full((2, 1), 3, np.float32), np.full((2, 1), 3, np.float32))
    merged = z.merge(PairMoments.from_arrays(fine, fine))
    assert np.isnan(unit_bias({"static": merged}).scores["static"]).all()
    assert unit_bias({"static": PairMoments.from_arrays(fine, fine)}).scores["static"][0] == 1


def test_threshold_decides_the_labels():
    # Orthogonal signs: r is exactly the share of common sign changes.
    a = np.array([1.0, 1, 1, 1, -1, -1, -1, -1])
    b = np.array([1.0, 1, 1, -1, 1, -1, -1, -1])
    z1, z2 = np.stack([a, a], 1), np.stack([a, b], 1)
    factors = {"dynamic": PairMoments.from_arrays(z1, z2), "static": PairMoments.from_arrays(z1, z1)}
    at_tie = unit_bias(factors, threshold=0.5)
    assert at_tie.scores["dynamic"].tolist() == [1, 0.5]
    assert at_tie.labels.tolist() == ["joint", "static"]
    assert unit_bias(factors, threshold=0.49).labels.tolist() == ["joint", "joint"]
    assert unit_bias(factors, threshold=1).labels.tolist() == ["residual", "residual"]


def test_three_factors_have_three_labels():
    rng = np.random.default_rng(0)
    z, other = rng.standard_normal((2, 200, 4))
    same = {name: np.tile(other, 1) for name in ("a", "b", "c")}
    for unit, name in enumerate(("a", "b", "c")):
        same[name][:, unit] = z[:, unit]
    same["a"][:, 3], same["c"][:, 3] = z[:, 3], z[:, 3]
    units = unit_bias({name: PairMoments.from_arrays(z, z2) for name, z2 in same.items()})
    assert units.labels.tolist() == ["a", "b", "c", "joint"]
    assert units.counts == {"a": 1, "b": 1, "c": 1, "joint": 1, "residual": 0, "dead": 0}


@pytest.mark.parametrize("measure", [layer_bias, unit_bias])
def test_what_cannot_be_used_is_named(measure):
    two, three = PairMoments(2), PairMoments(3)
    for factors, message in (
        ({}, "factors is empty"),
        ({"static": two, "dynamic": three}, "'dynamic' has moments of 3 units, 'static' of 2"),
        ({"static": [two, three]}, "'static' has moments of 3 units"),
        ({"static": [two], "dynamic": [two, two]}, "'dynamic' has a sequence of 2, 'static' a sequence of 1"),
        ({"static": two, "dynamic": [two]}, "'dynamic' has a sequence of 1, 'static' one PairMoments"),
        ({"static": []}, "expected: a PairMoments"),
        ({"static": 0.7}, "'static' is 0.7; expected: a PairMoments"),
        ({"static": [two, None]}, "expected: a PairMoments"),
    ):
        with pytest.raises(InputError, match=message):
            measure(factors)
    for name in RESERVED:
        with pytest.raises(InputError, match=f"'{name}' is a reserved name"):
            measure({name: two})
    with pytest.raises(InputError, match="estimator is 'spearman'; allowed: pearson, icc, reference"):
        measure({"static": two}, estimator="spearman")


def test_further_moments_are_checked_too():
    two = PairMoments(2)
    with pytest.raises(InputError, match=r"'variance_from\[0\]' has moments of 3 units"):
        layer_bias({"static": two}, "reference", variance_from=[PairMoments(3)])
    with pytest.raises(InputError, match=r"'variance_from\[0\]' has one PairMoments"):
        layer_bias({"static": [two, two]}, "reference", variance_from=[two])


@pytest.mark.parametrize("threshold", [-1.01, 1.01, np.nan])
def test_threshold_is_a_score(threshold):
    with pytest.raises(InputError, match="expected: -1 to 1"):
        unit_bias({"static": PairMoments(2)}, threshold=threshold)
