import io
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import sdmetrics as sd
from sdmetrics.errors import InputError
from sdmetrics.torch import StaticDropout, finetune
from sdmetrics.torch.training.moments import empty_moments, merge, pair_moments, pearson
from tests import naive

SCORES = [0.9, 0.5, 0.0, -0.3, -1.0]
DRAWS = 40_000


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def dropout_of(scores, rate, **options):
    """A module that has found these scores."""
    dropout = StaticDropout(len(scores), rate, **options)
    dropout.scores.copy_(torch.tensor(scores, dtype=torch.float64))
    return dropout


def dropped(dropout, rows=DRAWS):
    """Which channels go, `(rows, units)`."""
    return (dropout(torch.ones(rows, dropout.units)) == 0).numpy()


def assert_frequencies(found, expected, draws=DRAWS):
    spread = np.sqrt(np.asarray(expected) * (1 - np.asarray(expected)) / draws)
    np.testing.assert_array_less(np.abs(found - expected), 4.5 * spread + 1e-12)


def pairs(rng, rows=40, units=6):
    """Pairs whose units agree more or less, the last one dead."""
    z1 = rng.normal(size=(rows, units)) + 3
    z2 = z1 + np.linspace(0, 4, units) * rng.normal(size=(rows, units))
    z1[:, -1] = 2.5
    return z1, z2


def test_probabilities_by_hand():
    # e, 1 and 1/e over their sum 4.0862
    found = dropout_of([1.0, 0.0, -1.0], 0.5).probabilities
    np.testing.assert_allclose(found, [0.665241, 0.244728, 0.090031], atol=1e-6)
    np.testing.assert_allclose(dropout_of(SCORES, 0.5).probabilities, naive.softmax(SCORES), rtol=1e-14)
    np.testing.assert_allclose(
        dropout_of(SCORES, 0.5, temperature=0.2).probabilities, naive.softmax(np.array(SCORES) / 0.2), rtol=1e-14
    )


def test_scores_by_hand():
    dropout = StaticDropout(4, 0.5)
    assert dropout.probabilities.tolist() == [0.25] * 4
    z1 = torch.tensor([[0.0, 0.0, 0.0, 7.0], [1.0, 1.0, 1.0, 7.0], [2.0, 2.0, 2.0, 7.0]])
    z2 = torch.tensor([[5.0, 4.0, 1.0, 1.0], [7.0, 2.0, 0.0, 2.0], [9.0, 0.0, 2.0, 3.0]])
    dropout.observe(z1, z2)
    np.testing.assert_allclose(dropout.scores, [1.0, -1.0, 0.5, 0.0], atol=1e-15)  # the last one never varies
    np.testing.assert_allclose(dropout.probabilities, naive.softmax([1.0, -1.0, 0.5, 0.0]), rtol=1e-14)


@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    cut=st.integers(0, 40),
    offset=st.sampled_from([0.0, 10.0, -1000.0]),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
)
def test_scores_are_those_of_the_measure(seed, dtype, cut, offset, scale):
    z1, z2 = ((z * scale + offset).astype(dtype) for z in pairs(np.random.default_rng(seed)))
    expected = sd.unit_bias({"static": sd.PairMoments.from_arrays(z1, z2)}).scores["static"]
    assert np.isnan(expected[-1])
    z1, z2 = torch.from_numpy(z1), torch.from_numpy(z2)
    np.testing.assert_allclose(pearson(pair_moments(z1, z2)), expected, rtol=0, atol=1e-12)
    total = empty_moments(z1.shape[1])
    for rows in (slice(0, cut), slice(cut, None)):
        total = merge(total, pair_moments(z1[rows], z2[rows]))
    # The means of the parts are rounded: 1e-16 of 1,000 is 1e-10 of a spread of 0.001.
    np.testing.assert_allclose(pearson(total), expected, rtol=0, atol=1e-9)


def test_moments_are_those_of_the_measure():
    z1, z2 = pairs(np.random.default_rng(3))
    _, eps, *found = pair_moments(torch.from_numpy(z1), torch.from_numpy(z2))
    for ours, theirs in zip(found, naive.pair_moments(z1, z2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    assert eps.unique().item() == np.finfo(np.float64).eps
    coarse = pair_moments(torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(2, 3, dtype=torch.float64))
    assert coarse[1].unique().item() == 2**-7


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_without_replacement_every_set_is_drawn_as_often_as_in_theory(k):
    found = dropped(dropout_of(SCORES, k / 5, per="sample"))
    assert (found.sum(1) == k).all()
    p = naive.softmax(SCORES)
    assert_frequencies(found.mean(0), naive.inclusion(p, k))
    for units, chance in naive.drawn_sets(p, k).items():
        assert_frequencies((found[:, list(units)].all(1)).mean(), chance)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_with_replacement_channels_go_as_often_as_in_theory(k):
    found = dropped(dropout_of(SCORES, k / 5, replacement=True))
    p = naive.softmax(SCORES)
    assert_frequencies(found.mean(0), 1 - (1 - p) ** k)
    pair = 1 - (1 - p[0]) ** k - (1 - p[3]) ** k + (1 - p[0] - p[3]) ** k
    assert_frequencies((found[:, 0] & found[:, 3]).mean(), pair)


def test_without_replacement_more_channels_go():
    assert_frequencies(dropped(StaticDropout(100, 0.5, replacement=True), 2000).mean(), 1 - 0.99**50, draws=10_000)
    assert dropped(StaticDropout(100, 0.5), 2000).mean() == 0.5


@pytest.mark.parametrize(
    ("rate", "units", "count"), [(0, 10, 0), (1, 10, 10), (0.25, 10, 3), (0.24, 10, 2), (0.29, 50, 15), (0.49, 1, 0)]
)
def test_counts_round_half_up(rate, units, count):
    assert (dropped(StaticDropout(units, rate), 20).sum(1) == count).all()


def test_each_sample_has_its_own_draw_or_the_batch_one():
    assert len(np.unique(dropped(StaticDropout(20, 0.5), 50), axis=0)) > 40
    one = StaticDropout(20, 0.5, per="batch")
    draws = [dropped(one, 50) for _ in range(5)]
    assert all(len(np.unique(draw, axis=0)) == 1 for draw in draws)
    assert len(np.unique(np.concatenate(draws), axis=0)) == 5


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("per", ["sample", "batch"])
def test_rescaling_keeps_the_sum_of_the_factors(replacement, per):
    options = {"replacement": replacement, "per": per}
    ones = torch.ones(64, 5, dtype=torch.float64)
    scaled = dropout_of(SCORES, 0.6, **options)(ones)
    np.testing.assert_allclose(scaled.sum(1), 5, rtol=1e-14)
    assert set(dropout_of(SCORES, 0.6, rescale=False, **options)(ones).unique().tolist()) == {0.0, 1.0}
    if not replacement:
        assert set(scaled.unique().tolist()) == {0.0, 2.5}


def test_a_rate_of_one_drops_everything_and_of_none_nothing():
    features = torch.randn(4, 5)
    assert not dropout_of(SCORES, 1.0)(features).any()
    before = torch.get_rng_state()
    assert torch.equal(dropout_of(SCORES, 0.0)(features), features)
    assert torch.equal(torch.get_rng_state(), before)


def test_temperature():
    strict = dropped(dropout_of(SCORES, 0.4, temperature=1e-4), 100)
    assert strict[:, :2].all()
    assert not strict[:, 2:].any()
    mild = dropped(dropout_of(SCORES, 0.4, temperature=1e6))
    assert_frequencies(mild.mean(0), np.full(5, 0.4))


def test_draws_come_from_the_global_generator():
    dropout = dropout_of(SCORES, 0.4)
    state = torch.get_rng_state()
    first = dropped(dropout, 30)
    assert (dropped(dropout, 30) != first).any()
    torch.set_rng_state(state)
    assert (dropped(dropout, 30) == first).all()


@pytest.mark.parametrize("further", [(), (1,), (2, 3, 3)])
def test_whole_channels_go_and_their_mean_is_scored(further):
    features = torch.rand(8, 5, *further) + 1
    out = dropout_of(SCORES, 0.4)(features)
    zero = (out == 0).reshape(8, 5, -1)
    assert (zero.any(2) == zero.all(2)).all()
    assert (zero.any(2).sum(1) == 2).all()
    np.testing.assert_allclose(out[out != 0], features[out != 0] * 5 / 3, rtol=1e-6)
    other = features + 0.2 * torch.randn_like(features)
    dropout, plain = StaticDropout(5, 0.4), StaticDropout(5, 0.4)
    dropout.observe(features, other)
    plain.observe(*(z.double().flatten(2).mean(2) if further else z for z in (features, other)))
    np.testing.assert_allclose(dropout.scores, plain.scores, atol=1e-12)


def test_gradients_flow_through_what_is_kept():
    features = torch.randn(6, 5, requires_grad=True)
    out = dropout_of(SCORES, 0.4)(features)
    out.sum().backward()
    np.testing.assert_allclose(features.grad, np.where(out.detach() == 0, 0, 5 / 3), rtol=1e-6)


def test_evaluation_is_the_identity():
    dropout = dropout_of(SCORES, 0.4).eval()
    features = torch.randn(6, 5)
    before = torch.get_rng_state()
    assert dropout(features) is features
    assert torch.equal(torch.get_rng_state(), before)


def test_fine_tuning_switches_off_and_on_and_is_remembered():
    model = nn.Sequential(dropout_of(SCORES, 0.4, every=2), nn.Linear(5, 2))
    model[0].begin_step()
    finetune(model)
    features = torch.randn(6, 5)
    assert model[0](features) is features
    assert [model[0].begin_step() for _ in range(4)] == [False] * 4
    assert model[0].step == 1
    resumed = nn.Sequential(StaticDropout(5, 0.4, every=2), nn.Linear(5, 2))
    resumed.load_state_dict(model.state_dict())
    assert not resumed[0].active
    finetune(resumed, False)
    assert (resumed[0](features) == 0).sum() == 12
    with pytest.raises(InputError, match="Linear has no StaticDropout; add it with"):
        finetune(model[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_features_keep_their_type_and_moments_stay_float64(dtype):
    dropout = StaticDropout(4, 0.5).to(dtype)
    assert {buffer.dtype for buffer in dropout.buffers()} == {torch.float64}
    z = torch.randn(50, 4)
    dropout.observe(z.to(dtype), (z + 0.5 * torch.randn(50, 4)).to(dtype))
    expected = dropout.scores.clone()
    dropout.half()
    assert torch.equal(dropout.scores, expected)
    assert 0.5 < expected.min() < expected.max() < 1
    assert dropout(z.to(dtype)).dtype == dtype
    assert dropout.to("meta").scores.is_meta


def test_an_estimate_is_made_of_as_many_batches_as_wanted():
    z1, z2 = map(torch.from_numpy, pairs(np.random.default_rng(0)))
    dropout = StaticDropout(6, 0.5, every=4, batches=3)
    due = []
    for number in range(9):
        due.append(dropout.begin_step())
        assert dropout.estimates == (number > 2) + (number > 6)
        if due[-1]:
            rows = slice(10 * (number % 4), 10 * (number % 4) + 10)
            dropout.collect(z1[rows], z2[rows])
    assert due == [True, True, True, False, True, True, True, False, True]
    expected = sd.unit_bias({"static": sd.PairMoments.from_arrays(z1[:30].numpy(), z2[:30].numpy())})
    np.testing.assert_allclose(dropout.scores, np.nan_to_num(expected.scores["static"]), atol=1e-12)


def test_a_batch_that_is_not_finite_enters_no_estimate_and_is_warned_of_once():
    z1, z2 = map(torch.from_numpy, pairs(np.random.default_rng(0)))
    dropout, clean = StaticDropout(6, 0.5, every=4, batches=4), StaticDropout(6, 0.5)
    clean.observe(z1, z2)
    with pytest.warns(UserWarning, match="left out of StaticDropout's estimates"):
        dropout.observe(z1 * torch.tensor(float("nan")), z2)
    with warnings.catch_warnings(action="error"):
        dropout.observe(torch.where(z1 > 4, float("inf"), z1), z2)
        dropout.observe(z1, z2 * 1e300)  # finite, its squares are not
        assert dropout.estimates == 0
        dropout.observe(z1, z2)
    np.testing.assert_allclose(dropout.scores, clean.scores, atol=1e-12)

    before = clean.scores.clone()
    with pytest.warns(UserWarning, match="not finite"):
        clean.observe(z1, z2 * float("nan"))
    assert torch.equal(clean.scores, before)
    assert (clean.estimates, clean.collected) == (1, 0)


def test_one_pair_is_no_estimate():
    z = torch.randn(8, 3)
    with pytest.raises(InputError, match=r"has 1 pair\(s\), from batches=1; expected at least two"):
        StaticDropout(3, 0.5).observe(z[:1], z[:1])
    StaticDropout(3, 0.5, batches=2).observe(z[:1], z[:1])
    dropout = StaticDropout(3, 0.5)
    dropout.observe(z, z)
    before = dropout.scores.clone()
    dropout.observe(z[:1], -z[:1])  # the short batch at the end of an epoch is no reason to stop
    assert torch.equal(dropout.scores, before)
    dropout.observe(z[:2], -z[:2])
    assert dropout.scores.tolist() == [-1.0] * 3
    dropout.observe(z[:0], z[:0])
    assert dropout.scores.tolist() == [-1.0] * 3


def test_a_checkpoint_in_the_midst_of_an_estimate_goes_on_exactly():
    z1, z2 = map(torch.from_numpy, pairs(np.random.default_rng(0)))

    def steps(dropout, first, last):
        found = []
        for number in range(first, last):
            if dropout.begin_step():
                rows = slice(4 * number, 4 * number + 4)
                dropout.collect(z1[rows], z2[rows])
            found.append(dropout(torch.ones(3, 6)))
        return found

    whole = StaticDropout(6, 0.5, every=5, batches=3)
    uninterrupted = steps(whole, 0, 9)
    torch.manual_seed(0)
    stopped = StaticDropout(6, 0.5, every=5, batches=3)
    begun = steps(stopped, 0, 7)
    file = io.BytesIO()
    torch.save({"module": stopped.state_dict(), "rng": torch.get_rng_state()}, file)
    steps(stopped, 7, 9)
    resumed = StaticDropout(6, 0.5, every=5, batches=3)
    state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    resumed.load_state_dict(state["module"])
    torch.set_rng_state(state["rng"])
    ended = steps(resumed, 7, 9)
    assert all(map(torch.equal, uninterrupted, begun + ended))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    "options", [{}, {"replacement": True, "per": "batch", "rescale": False}], ids=["sets", "draws"]
)
def test_it_is_compiled_whole_and_once(options):
    from torch._dynamo.testing import CompileCounter

    torch.compiler.reset()
    counter = CompileCounter()
    dropout = dropout_of(SCORES, 0.4, every=2, **options)
    compiled = torch.compile(dropout, backend=counter, fullgraph=True)
    features = torch.randn(6, 5)
    for number in range(6):
        if dropout.begin_step():
            dropout.observe(features, features * number)
        torch.manual_seed(number)
        out = compiled(features)
        torch.manual_seed(number)
        assert torch.equal(out, dropout(features))
    assert counter.frame_count == 1
    torch.compiler.reset()
