"""StaticPenalty and ShuffleEntropy by hand: values and gradients against naive twins and finite differences."""

import math

import numpy as np
import pytest
import torch

import sdmetrics as sd
from sdmetrics.errors import InputError
from sdmetrics.torch import ShuffleEntropy, StaticPenalty
from sdmetrics.torch.training.static_penalty import correlations

FORMS = {"square": lambda r: r * r, "positive": lambda r: max(r, 0), "hinge": lambda r: max(r - 0.5, 0)}


def features(seed=0, clips=9, units=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z1 = torch.randn(clips, units, generator=generator, dtype=torch.float64)
    z2 = z1 * torch.linspace(-1, 2, units) + torch.randn(clips, units, generator=generator, dtype=torch.float64)
    return z1.to(dtype), z2.to(dtype)


def naive_r(z1, z2):
    return [np.corrcoef(a, b)[0, 1] for a, b in zip(z1.T.tolist(), z2.T.tolist(), strict=True)]


@pytest.mark.parametrize("form", FORMS)
def test_the_value_is_that_of_a_naive_twin(form):
    z1, z2 = features()
    expected = np.mean([FORMS[form](r) for r in naive_r(z1, z2)])
    assert StaticPenalty(0.7, form=form)(z1, z2).item() == pytest.approx(0.7 * expected, abs=1e-12)


def test_r_is_the_score_of_the_metric():
    z1, z2 = features(clips=40)
    biases = sd.unit_bias({"static": sd.PairMoments.from_arrays(z1.numpy(), z2.numpy())})
    np.testing.assert_allclose(correlations(z1, z2), biases.scores["static"], atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_that_of_finite_differences(form):
    z1, z2 = (z.requires_grad_() for z in features(1))
    assert torch.autograd.gradcheck(StaticPenalty(2.0, form=form), (z1, z2))


def test_trailing_axes_are_pooled():
    z1, z2 = torch.randn(2, 6, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    pooled = StaticPenalty()(z1.mean((2, 3)), z2.mean((2, 3)))
    torch.testing.assert_close(StaticPenalty()(z1, z2), pooled)


@pytest.mark.parametrize("dead", [0.0, 1e4, 3.3])
def test_a_dead_channel_counts_as_zero_and_has_no_gradient(dead):
    z1, z2 = features(dtype=torch.float32)
    z1, z2 = z1.clone(), z2.clone()
    z1[:, 1] = z2[:, 3] = dead
    z1.requires_grad_()
    penalty = StaticPenalty()(z1, z2)
    penalty.backward()
    alive = [0, 2, 4]
    expected = sum(r * r for r in naive_r(z1.detach()[:, alive], z2[:, alive])) / 5
    assert penalty.item() == pytest.approx(expected, abs=1e-6)
    assert z1.grad.isfinite().all()
    assert not z1.grad[:, [1, 3]].any()
    assert z1.grad[:, alive].any()


def test_two_clips_are_safe_and_one_has_no_score():
    for clips, expected in ((2, 1.0), (1, 0.0)):
        z1, z2 = features(clips=clips, dtype=torch.float32)
        z1.requires_grad_()
        penalty = StaticPenalty()(z1, z2)
        penalty.backward()
        assert penalty.item() == pytest.approx(expected, abs=1e-5)
        assert z1.grad.abs().max() < 1e-2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_float32_inside(dtype):
    z1, z2 = features(2, clips=64, dtype=dtype)
    exact = StaticPenalty()(z1.double(), z2.double())
    with torch.autocast("cpu", torch.bfloat16):
        penalty = StaticPenalty()(z1.requires_grad_(), z2)
    penalty.backward()
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(exact.item(), abs=1e-5)
    assert z1.grad.dtype == dtype


def test_features_far_from_zero():
    z1, z2 = features(3, clips=32, dtype=torch.float32)
    exact = StaticPenalty()(z1.double(), z2.double())
    assert StaticPenalty()(z1 + 1000, z2 + 1000).item() == pytest.approx(exact.item(), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1}, "weight is -1; expected: 0 to inf"),
        ({"form": "r"}, "form is 'r'; allowed: square, positive, hinge"),
        ({"threshold": 2}, "threshold is 2; expected: 0 to 1"),
        ({"every": 0}, "every is 0"),
        ({"warmup": -1}, "warmup is -1"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        StaticPenalty(**arguments)


@pytest.mark.parametrize(
    ("z1", "z2", "message"),
    [
        (torch.zeros(4, 2), torch.zeros(4, 3), r"z1 has shape \(4, 2\), z2 \(4, 3\)"),
        (torch.zeros(4), torch.zeros(4), r"expected: \(N, units\)"),
        (torch.zeros(4, 2).long(), torch.zeros(4, 2), "z1 is a tensor of torch.int64"),
        (torch.zeros(4, 2), None, "z2 is a NoneType"),
    ],
)
def test_features_that_do_not_match(z1, z2, message):
    with pytest.raises(InputError, match=message):
        StaticPenalty()(z1, z2)


def naive_uncertainty(logits):
    total = 0
    for row in logits.tolist():
        top = max(row)
        shares = [math.exp(value - top) for value in row]
        p = [share / sum(shares) for share in shares]
        total += 1 + sum(one * math.log(one) for one in p if one) / math.log(len(row))
    return total / len(logits)


class TestShuffleEntropy:
    def test_the_value_is_that_of_a_naive_twin(self):
        logits = 3 * torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert ShuffleEntropy(0.5)(logits).item() == pytest.approx(0.5 * naive_uncertainty(logits), abs=1e-12)

    def test_the_gradient_is_that_of_finite_differences(self):
        logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert torch.autograd.gradcheck(ShuffleEntropy(), (logits.requires_grad_(),))

    def test_a_class_that_is_impossible_is_safe(self):
        logits = torch.tensor([[0.0, -math.inf, 0.0], [1e5, 0.0, -1e5]], requires_grad=True)
        value = ShuffleEntropy()(logits)
        value.backward()
        assert value.item() == pytest.approx((1 - math.log(2) / math.log(3) + 1) / 2)
        assert logits.grad.isfinite().all()

    @pytest.mark.parametrize("logits", [torch.zeros(3), torch.zeros(3, 1), torch.zeros(3, 2).long()])
    def test_what_are_no_logits(self, logits):
        with pytest.raises(InputError, match="of two classes or more"):
            ShuffleEntropy()(logits)
