"""StaticDynamic has the bits of PairMoments, in one process and in several."""

import copy
import json
import math
import pickle
import subprocess
import sys
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import torch

from sdmetrics.errors import InputError
from sdmetrics.metrics.bias import layer_bias, unit_bias
from sdmetrics.metrics.moments import PairMoments

torchmetrics = pytest.importorskip("torchmetrics", reason="StaticDynamic needs torchmetrics")
from sdmetrics.torch import StaticDynamic  # noqa: E402
from tests.workers.static_dynamic_worker import SHARES, UNITS, batches, results, stored  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
FACTORS = ("dynamic", "static")


def expected(some):
    """The moments of batches, without the metric."""
    moments = {factor: PairMoments(UNITS) for factor in FACTORS}
    for batch in some:
        for factor in FACTORS:
            moments[factor].update(*batch[factor])
    return moments


def updated(some, **arguments):
    metric = StaticDynamic(UNITS, **arguments)
    for batch in some:
        metric.update(**batch)
    return metric


def test_updates_have_the_bits_of_pair_moments():
    metric = updated(batches())
    assert metric.moments == expected(batches())
    assert metric.dynamic.dtype == torch.float64


@pytest.mark.parametrize("estimator", ["pearson", "icc", "reference"])
def test_results_are_those_of_the_functions(estimator):
    moments = expected(batches())
    found = updated(batches(), estimator=estimator, threshold=0.3).compute()
    layer = layer_bias(moments, estimator)
    counts = unit_bias(moments, 0.3, estimator).counts
    assert {name: found[name].item() for name in layer.percent} == layer.percent
    assert {name: found[f"units-{name}"].item() for name in counts} == {n: 100 * c / UNITS for n, c in counts.items()}
    assert len(found) == len(layer.percent) + len(counts)
    assert counts["dead"] == 1


def test_forward_adds_as_update_does_and_returns_the_batch():
    metric = StaticDynamic(UNITS)
    for batch in batches():
        alone = metric(**batch)
        assert alone == updated([batch]).compute()
    assert metric.moments == expected(batches())


@pytest.mark.parametrize("as_states", [False, True])
def test_merging_is_that_of_pair_moments(as_states):
    first, second = (updated(batches()[share]) for share in SHARES)
    before = second.moments
    first.compute()  # which is cached, and must be computed again
    first.merge_state(second.metric_state if as_states else second)
    parts = [expected(batches()[share]) for share in SHARES]
    assert first.moments == {factor: parts[0][factor].merge(parts[1][factor]) for factor in FACTORS}
    assert second.moments == before
    assert first.compute()["static"].item() == layer_bias(first.moments).percent["static"]
    empty = StaticDynamic(UNITS)
    empty.merge_state(second)
    assert empty.moments == second.moments
    assert math.isfinite(empty.compute()["static"])  # without torchmetrics' warning that nothing was added


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_type_of_float(dtype):
    batch = {name: tuple(z.to(dtype) for z in pair) for name, pair in batches()[0].items()}
    assert updated([batch]).moments == expected([batch])


def test_trailing_axes_are_averaged_and_keep_their_precision():
    maps = {
        name: tuple(z[..., None, None] + torch.rand(1, 1, 2, 3) for z in pair) for name, pair in batches()[0].items()
    }
    found = updated([maps]).moments["static"]
    means = [z.double().mean((2, 3)) for z in maps["static"]]
    whole = PairMoments.from_arrays(*means, eps=2.0**-23)
    assert (found.n, found.eps) == (whole.n, whole.eps)
    np.testing.assert_allclose(found.m12, whole.m12, rtol=1e-12)


def test_gradients_are_left_out():
    batch = {name: tuple(z.clone().requires_grad_() for z in pair) for name, pair in batches()[0].items()}
    assert not updated([batch]).dynamic.requires_grad


def test_reset_copies_and_stored_states():
    metric = updated(batches())
    for twin in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric)), metric.clone()):  # noqa: S301
        assert twin.moments == metric.moments
    metric.persistent(True)
    loaded = StaticDynamic(UNITS)
    loaded.persistent(True)
    loaded.load_state_dict(metric.state_dict())
    assert loaded.moments == metric.moments
    metric.reset()
    assert metric.moments == {factor: PairMoments(UNITS) for factor in FACTORS}


def test_in_a_collection_and_without_pairs():
    collection = torchmetrics.MetricCollection({"stem": StaticDynamic(UNITS), "head": StaticDynamic(UNITS)})
    collection.update(**batches()[0])
    assert {"stem_static", "head_units-joint"} <= set(collection.compute())
    with pytest.warns(UserWarning, match="before the ``update``"):
        assert math.isnan(StaticDynamic(UNITS).compute()["static"])


class TestHostileInput:
    def test_arguments(self):
        with pytest.raises(InputError, match="units is 0; expected at least 1"):
            StaticDynamic(0)
        with pytest.raises(InputError, match="estimator is 'spearman'; allowed: pearson"):
            StaticDynamic(4, estimator="spearman")
        with pytest.raises(InputError, match="threshold is 2; expected: -1 to 1"):
            StaticDynamic(4, threshold=2)

    @pytest.mark.parametrize("static", [None, torch.zeros(3, 5, UNITS), [torch.zeros(5, UNITS)], "ab", (1, 2)])
    def test_what_is_not_a_pair(self, static):
        metric = updated(batches()[:1])
        before = metric.moments
        with pytest.raises(InputError, match=r"static is not a pair; expected: two tensors of floats, \("):
            metric.update(dynamic=batches()[0]["dynamic"], static=static)
        assert metric.moments == before

    def test_a_batch_that_is_not_finite_changes_nothing(self):
        metric = updated(batches()[:1])
        bad = torch.full((8, UNITS), torch.nan)
        with pytest.raises(InputError, match="unit 0 is nan in pair 0"):
            metric.update(dynamic=batches()[1]["dynamic"], static=(bad, bad))
        assert metric.moments == expected(batches()[:1])

    def test_another_layer(self):
        with pytest.raises(InputError, match="the batch has 2 units, these moments 6"):
            StaticDynamic(UNITS).update(torch.zeros(2, 5, 2), torch.zeros(2, 5, 2))
        with pytest.raises(InputError, match="moments of 6 and 2 units cannot be merged"):
            StaticDynamic(UNITS).merge_state(StaticDynamic(2))
        with pytest.raises(InputError, match="incoming_state is a dict; expected: a StaticDynamic"):
            StaticDynamic(UNITS).merge_state({"dynamic": torch.zeros(7, UNITS)})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process finds with all batches, and two with three and two of them."""
    folder = tmp_path_factory.mktemp("processes")
    worker = [sys.executable, "-m", "tests.workers.static_dynamic_worker", str(folder)]
    done = subprocess.run(worker, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [results(0, 1), *(json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1))]


def test_two_processes_have_the_bits_of_merged_pair_moments(found):
    one, *two = found
    parts = [updated(batches()[share]) for share in SHARES]
    joined = reduce(lambda a, b: (a.merge_state(b), a)[1], parts)
    for process in two:
        assert process["joined"] == stored(joined)
        assert process["computed"] == {name: value.item() for name, value in joined.compute().items()}
        assert process["restored"]
    # Merged and updated moments differ by the order of their additions.
    assert one["joined"] == stored(updated(batches()))
    for factor in FACTORS:
        np.testing.assert_allclose(two[0]["joined"][factor], one["joined"][factor], rtol=1e-12)
    assert two[0]["computed"] == pytest.approx(one["computed"], rel=1e-12)


def test_a_process_without_pairs_takes_part(found):
    one, first, second = found
    assert one["lonely"] == first["lonely"] == second["lonely"]
    assert math.isfinite(one["lonely"]["static"])
