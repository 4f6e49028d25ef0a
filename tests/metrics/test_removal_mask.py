"""Removal masks: which units are removed, how many, and by what draw."""

from __future__ import annotations

import numpy as np
import pytest

from sdmetrics.errors import InputError
from sdmetrics.metrics.bias import UnitBias
from sdmetrics.metrics.removal_mask import removal_mask


def units_of(**scores):
    scores = {name: np.asarray(values, float) for name, values in scores.items()}
    labels = np.full(len(next(iter(scores.values()))), "residual")
    return UnitBias(scores, labels, {}, None, 0.5, "pearson")


@pytest.fixture
def hundred():
    rng = np.random.default_rng(0)
    dynamic, static = rng.uniform(-0.2, 0.9, (2, 100))
    dynamic[90:] = static[90:] = np.nan
    return units_of(dynamic=dynamic, static=static + 0.1)


def removed(mask):
    assert mask.dtype == np.float64
    assert set(mask) <= {0.0, 1.0}
    return set(np.flatnonzero(mask == 0).tolist())


def test_top_removes_the_most_biased_by_softmax(hundred):
    static, dynamic = hundred.scores["static"], hundred.scores["dynamic"]
    share = np.exp(static) / (np.exp(static) + np.exp(dynamic) + np.e)
    expected = set(np.argsort(np.where(np.isnan(share), -1, share))[-30:].tolist())
    assert removed(removal_mask(hundred, factor="static", fraction=0.3)) == expected


def test_top_by_score(hundred):
    expected = set(np.argsort(np.nan_to_num(hundred.scores["static"], nan=-9))[-30:].tolist())
    found = removed(removal_mask(hundred, factor="static", fraction=0.3, by="score"))
    assert found == expected
    assert found != removed(removal_mask(hundred, factor="static", fraction=0.3))


@pytest.mark.parametrize(
    ("fraction", "total", "count"),
    [
        (0, 10, 0),
        (1, 10, 10),
        (0.25, 10, 3),
        (0.24, 10, 2),
        (0.15, 10, 2),
        (0.35, 10, 4),
        (0.29, 50, 15),
        (0.5, 1, 1),
        (0.49, 1, 0),
    ],
)
@pytest.mark.parametrize("method", ["top", "random", "least"])
def test_counts_round_half_up(fraction, total, count, method):
    units = units_of(static=np.linspace(0, 0.9, total))
    assert len(removed(removal_mask(units, factor="static", fraction=fraction, method=method))) == count


def test_seeds_draw_and_repeat(hundred):
    for arguments in ({"method": "random"}, {"method": "least"}):
        masks = [removal_mask(hundred, fraction=0.4, seed=seed, **arguments) for seed in (0, 0, 1)]
        np.testing.assert_array_equal(masks[0], masks[1])
        assert removed(masks[0]) != removed(masks[2])
    tops = [removal_mask(hundred, factor="dynamic", fraction=0.4, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*tops)


def test_ties_are_broken_by_the_seed_alone():
    units = units_of(static=[0.5] * 50)
    drawn = [removed(removal_mask(units, factor="static", fraction=0.2, seed=seed)) for seed in range(40)]
    assert len(set(map(frozenset, drawn))) > 30
    assert set.union(*drawn) == set(range(50))


def test_random_draws_every_unit_alike(hundred):
    total = sum(1 - removal_mask(hundred, fraction=0.3, method="random", seed=seed) for seed in range(400))
    assert (np.abs(total - 120) < 5 * np.sqrt(400 * 0.3 * 0.7)).all()


def test_least_draws_from_the_least_biased_to_the_dominant_factor(hundred):
    share = np.exp(hundred.scores["static"])  # dominant: its mean is larger
    share /= share + np.exp(hundred.scores["dynamic"]) + np.e
    pool = set(np.argsort(share)[:25].tolist())
    drawn = [removed(removal_mask(hundred, fraction=0.2, method="least", seed=seed)) for seed in range(60)]
    assert set.union(*drawn) == pool
    other = [removed(removal_mask(hundred, fraction=0.2, factor="dynamic", method="least", seed=s)) for s in range(60)]
    assert set.union(*other) != pool
    everything = [removed(removal_mask(hundred, fraction=0.97, method="least", seed=seed)) for seed in range(60)]
    assert set.intersection(*everything) != set.union(*everything) == set(range(100))


@pytest.mark.parametrize("method", ["top", "least"])
def test_dead_units_go_last(hundred, method):
    dead = set(range(90, 100))
    assert not removed(removal_mask(hundred, factor="static", fraction=0.85, method=method)) & dead
    ninety_five = removal_mask(hundred, factor="static", fraction=0.95)
    assert removed(ninety_five) >= set(range(90))
    assert len(removed(ninety_five) & dead) == 5


def test_one_factor_ranks_as_its_score():
    units = units_of(static=[0.1, 0.9, 0.5, -0.3])
    assert removed(removal_mask(units, factor="static", fraction=0.5)) == {1, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fraction": 1.2, "factor": "static"}, "fraction is 1.2; expected: 0 to 1. For 10 % pass 0.1"),
        ({"fraction": -0.1, "factor": "static"}, "fraction is -0.1"),
        ({"fraction": np.nan, "factor": "static"}, "fraction is nan"),
        ({"fraction": 0.1}, "factor is None; allowed: dynamic, static"),
        ({"fraction": 0.1, "factor": "identical"}, "factor is 'identical'; allowed: dynamic, static"),
        ({"fraction": 0.1, "factor": "x", "method": "least"}, "factor is 'x'"),
        (
            {"fraction": 0.1, "factor": "static", "method": "best"},
            "method is 'best'; allowed: top, random, least",
        ),
        ({"fraction": 0.1, "factor": "static", "by": "rank"}, "by is 'rank'; allowed: softmax, score"),
    ],
)
def test_what_cannot_be_used_is_named(hundred, arguments, message):
    with pytest.raises(InputError, match=message):
        removal_mask(hundred, **arguments)


def test_without_any_score_only_a_random_mask_is_possible():
    units = units_of(static=[np.nan] * 4)
    for method in ("top", "least"):
        with pytest.raises(InputError, match="no unit has a score"):
            removal_mask(units, factor="static", fraction=0.5, method=method)
    assert len(removed(removal_mask(units, fraction=0.5, method="random"))) == 2
