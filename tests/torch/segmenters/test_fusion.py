"""Fusion: Eqs. 5 to 8 by hand, against a naive twin, and what the authors' code does otherwise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sdmetrics.errors import InputError
from sdmetrics.torch.segmenters.fusion import ConvexGated, Gated, make_fusion

torch.set_num_threads(1)

LOG3 = math.log(3)
"""The sigmoid of log 3 is 3/4, that of -log 3 is 1/4."""


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def centre_tap(convolution, values):
    """Let a 7 × 7 convolution read its own position only, channel i times `values[i]`."""
    convolution.weight.data.zero_()
    convolution.weight.data[0, :, 3, 3] = torch.tensor(values)


# --- by hand


# Means 4 and 1.
APPEARANCE = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
MOTION = torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]])


def excite(fusion, reduce, expand):
    """Set the weights of the first of the four hidden units; the others stay silent, and nothing has a bias."""
    for parameter in fusion.channel.parameters():
        parameter.data.zero_()
    fusion.channel.reduce.weight.data[0] = torch.tensor(reduce)
    fusion.channel.expand.weight.data[:, 0] = torch.tensor(expand)


def test_equations_6_and_8_by_hand():
    fusion = Gated(1)
    excite(fusion, [0.5, -1.0], [LOG3, -LOG3])
    # Eq. 6: of the hidden unit 4/2 - 1 = 1 follow Ac = (3/4, 1/4) and Z = (3/4 Ua, 1/4 Um). The largest channel of Z
    # is 3/4 Ua; Asp is made 3^Ua / (1 + 3^Ua).
    centre_tap(fusion.spatial, [LOG3 / 0.75])
    asp = np.array([[3 / 4, 27 / 28], [243 / 244, 2187 / 2188]])
    z = np.array([[[0.75, 2.25], [3.75, 5.25]], [[0, 0.5], [0, 0.5]]])
    # Eq. 8: Asp ∘ Z + Z.
    expected = [
        [[0.75 * 7 / 4, 2.25 * 55 / 28], [3.75 * 487 / 244, 5.25 * 4375 / 2188]],
        [[0, 0.5 * 55 / 28], [0, 0.5 * 4375 / 2188]],
    ]
    assert_allclose(asp * z + z, expected)
    found = fusion(APPEARANCE, MOTION)
    assert_allclose(found[0].detach(), expected, rtol=1e-6)
    assert fusion.channels == found.shape[1] == 2


def test_equations_5_and_7_by_hand():
    fusion = ConvexGated(2)
    # Means: 4 and 2 of appearance, 1 and 3 of motion. The hidden unit is 4 - 2 - 1 = 1.
    appearance = torch.cat([APPEARANCE, torch.full((1, 1, 2, 2), 2.0)], 1)
    motion = torch.cat([MOTION, torch.full((1, 1, 2, 2), 3.0)], 1)
    excite(fusion, [1.0, -1.0, -1.0, 0.0], [LOG3, 0.0])
    # Eq. 5: Ac = (3/4, 1/2), Za = (3/4 Ua1, 1), Zm = (1/4 Um1, 3/2).
    # The averages over the channels are 3/8 Ua1 + 1/2 and 1/8 Um1 + 3/4; Asp is 3 to the power of 8 (first - second)
    # + 2 = 3 Ua1 - Um1, over one more than that: of 3, 7, 15 and 19.
    centre_tap(fusion.spatial, [8 * LOG3, -8 * LOG3])
    fusion.spatial.bias = torch.nn.Parameter(torch.tensor([2 * LOG3]))
    powers = 3.0 ** np.array([[3, 7], [15, 19]])
    asp = powers / (1 + powers)
    expected = [
        asp * [[0.75, 2.25], [3.75, 5.25]],
        asp * 1.0,
        (1 - asp) * [[0, 0.5], [0, 0.5]],
        (1 - asp) * 1.5,
    ]
    found = fusion.double()(appearance.double(), motion.double())
    assert_allclose(found[0].detach(), expected, rtol=1e-6)
    assert_allclose(expected[1][0, 0], 27 / 28)
    assert fusion.channels == found.shape[1] == 4


@pytest.mark.parametrize("kind", [Gated, ConvexGated])
def test_a_position_is_gated_by_what_is_around_it(kind):
    torch.manual_seed(0)
    fusion = kind(4).double()
    # Gates of one half whatever the averages are: no position tells of all others.
    fusion.channel.expand.weight.data.zero_()
    streams = torch.rand(2, 1, 4, 15, 15, dtype=torch.float64, requires_grad=True)
    fusion(*streams)[:, :, 7, 7].sum().backward()
    heard = (streams.grad != 0).any(2).any(1).any(0)
    window = torch.zeros(15, 15, dtype=torch.bool)
    window[4:11, 4:11] = True
    assert torch.equal(heard, window)


# --- against a naive twin


def naive_channel_gates(module, u):
    squeezed = u.mean(axis=(1, 2))
    weights = {name: value.detach().double().numpy() for name, value in module.named_parameters()}
    hidden = np.maximum(weights["reduce.weight"] @ squeezed + weights["reduce.bias"], 0)
    return sigmoid(weights["expand.weight"] @ hidden + weights["expand.bias"]), hidden


def naive_convolution(weight, maps):
    """A 7 × 7 convolution of `(channels, H, W)` to one map, zero outside."""
    _, height, width = maps.shape
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            for dy in range(-3, 4):
                for dx in range(-3, 4):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        out[y, x] += weight[:, dy + 3, dx + 3] @ maps[:, y + dy, x + dx]
    return out


def naive_gated(module, ua, um, published):
    u = np.concatenate([ua, um])
    ac, hidden = naive_channel_gates(module.channel, u)
    z = ac[:, None, None] * u
    asp = naive_convolution(module.spatial.weight[0].detach().double().numpy(), z.max(0)[None])
    if not published:
        return sigmoid(asp) * z + z
    norm, overall = module.norm, module.overall
    asp = (asp - norm.running_mean.item()) / np.sqrt(norm.running_var.item() + norm.eps)
    asp = asp * norm.weight.item() + norm.bias.item()
    all_of_it = sigmoid(overall.weight[0].detach().double().numpy() @ hidden + overall.bias.item())
    return u + all_of_it * asp * z


def naive_convex(module, ua, um, published):
    ac, _ = naive_channel_gates(module.channel, np.concatenate([ua, um]))
    za, zm = ac[:, None, None] * ua, (1 - ac)[:, None, None] * um
    maps = [za.mean(0), za.max(0), zm.mean(0), zm.max(0)] if published else [za.mean(0), zm.mean(0)]
    asp = sigmoid(naive_convolution(module.spatial.weight[0].detach().double().numpy(), np.stack(maps)))
    return np.concatenate([asp * za, (1 - asp) * zm])


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize(("kind", "twin"), [(Gated, naive_gated), (ConvexGated, naive_convex)])
@given(
    seed=st.integers(0, 2**31),
    channels=st.integers(1, 20),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_every_image_of_a_batch_is_fused_as_the_twin_does(kind, twin, published, seed, channels, size, scale):
    torch.manual_seed(seed)
    fusion = kind(channels, published=published).double().eval()
    for part in fusion.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for value in (part.running_var, part.running_mean, part.weight.data, part.bias.data):
                value.uniform_(0.5, 2)
    ua, um = scale * torch.randn(2, 3, channels, *size, dtype=torch.float64)
    found = fusion(ua, um).detach()
    for i in range(len(ua)):
        assert_allclose(found[i], twin(fusion, ua[i].numpy(), um[i].numpy(), published), rtol=1e-9, atol=1e-9)


def test_published_weights_have_parts_that_the_equations_have_not():
    shapes = {
        published: {name: tuple(value.shape) for name, value in Gated(32, published=published).named_parameters()}
        for published in (False, True)
    }
    assert shapes[True].keys() - shapes[False].keys() == {"norm.weight", "norm.bias", "overall.weight", "overall.bias"}
    # Squeeze and excitation by a sixteenth.
    assert shapes[False]["channel.reduce.weight"] == (4, 64)
    assert ConvexGated(32).spatial.in_channels == 2
    assert ConvexGated(32, published=True).spatial.in_channels == 4


# --- what sets them apart


@given(seed=st.integers(0, 2**31), published=st.booleans())
def test_the_gates_of_the_convex_combination_sum_to_one_and_those_of_the_gated_do_not(seed, published):
    torch.manual_seed(seed)
    same = torch.rand(2, 8, 5, 6, dtype=torch.float64) + 0.5
    sums = {}
    for kind in (ConvexGated, Gated):
        fusion = kind(8, published=published).double().eval()
        appearance, motion = (fusion(same, same) / same.repeat(1, 2, 1, 1)).chunk(2, 1)
        gates = fusion.channel(torch.cat([same, same], 1))
        shares = (gates, 1 - gates) if kind is ConvexGated else gates.chunk(2, 1)
        # Over channels, and, with that share taken out, over positions.
        sums[kind] = shares[0] + shares[1], appearance / shares[0] + motion / shares[1]
    for total in sums[ConvexGated]:
        assert_allclose(total.detach(), 1, rtol=1e-12)
    for total in sums[Gated]:
        assert (total - 1).abs().max() > 1e-3


def test_concatenation_mixes_both_streams():
    torch.manual_seed(0)
    fusion = make_fusion("concatenation", 3).double()
    ua, um = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    expected = torch.einsum("oc,nchw->nohw", fusion.mix.weight[:, :, 0, 0], torch.cat([ua, um], 1))
    assert_allclose(fusion(ua, um).detach(), (expected + fusion.mix.bias[:, None, None]).detach())


def test_a_kind_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(InputError, match="fusion is 'sum'; allowed: concatenation, gated, convex_gated"):
        make_fusion("sum", 8)
