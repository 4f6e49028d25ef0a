"""Cross connections: against naive twins, and which stream hears of which."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch.nn.functional import max_pool2d, scaled_dot_product_attention

from sdmetrics.errors import InputError
from sdmetrics.torch.segmenters.cross_connections import CoAttention, ReciprocalTransformation, make_cross

torch.set_num_threads(1)

KINDS = ("motion_to_appearance", "both_ways", "reciprocal")


def weights_of(module):
    return {name: value.detach().double().numpy() for name, value in module.named_parameters()}


def project(weights, name, features):
    """A 1 × 1 convolution of `(channels, positions)`."""
    out = weights[f"{name}.weight"][:, :, 0, 0] @ features
    return out + weights[f"{name}.bias"][:, None] if f"{name}.bias" in weights else out


def softmax(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def unit_length(features):
    return features / np.maximum(np.linalg.norm(features, axis=0), 1e-12)


def naive_coattention(module, a, m, both_ways):
    """The five cascades, one image, `(channels, positions)`, written out one after the other."""
    weights = weights_of(module)
    for cascade in range(5):
        a_seen = softmax(project(weights, "attend_appearance", a)[0]) * a
        m_seen = softmax(project(weights, "attend_motion", m)[0]) * m
        a_low, m_low = project(weights, "project_appearance", a_seen), project(weights, "project_motion", m_seen)
        new_a, new_m = np.zeros_like(a), np.zeros_like(m)
        for i in range(a.shape[1]):
            for j in range(m.shape[1]):
                alike = np.tanh(a_low[:, i] @ m_low[:, j])
                new_a[:, j] += alike * a_seen[:, i]
                new_m[:, i] += alike * m_seen[:, j]
        to_a, to_m = unit_length(new_a), m_seen
        if both_ways:
            gates = (1 + np.tanh(project(weights, "gate", np.concatenate([a_seen, m_seen])) / 2)) / 2
            to_a, to_m = to_a + (1 + gates[0]) * a_seen, unit_length(new_m) + (1 + gates[1]) * m_seen
        if cascade < 4:
            a, m = np.maximum(a + to_a, 0), np.maximum(m + to_m, 0)
    return to_a, to_m


@pytest.mark.parametrize("both_ways", [False, True])
@given(
    seed=st.integers(0, 2**31),
    channels=st.sampled_from([1, 5, 16, 40]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    scale=st.sampled_from([0.1, 1.0, 10.0]),
)
def test_every_image_of_a_batch_is_connected_as_the_twin_does(both_ways, seed, channels, size, scale):
    torch.manual_seed(seed)
    module = CoAttention(channels, both_ways=both_ways).double()
    appearance, motion = scale * torch.randn(2, 3, channels, *size, dtype=torch.float64)
    found = module(appearance, motion)
    for i in range(len(appearance)):
        expected = naive_coattention(module, appearance[i].flatten(1).numpy(), motion[i].flatten(1).numpy(), both_ways)
        for stream, twin in zip(found, expected, strict=True):
            assert_allclose(stream[i].detach().flatten(1), twin, rtol=1e-7, atol=1e-9)


def test_the_affinity_has_a_sixteenth_of_the_channels_and_one_set_of_weights_for_all_cascades():
    shapes = {name: tuple(value.shape) for name, value in CoAttention(256).named_parameters()}
    assert shapes == {
        "project_appearance.weight": (16, 256, 1, 1),
        "project_appearance.bias": (16,),
        "project_motion.weight": (16, 256, 1, 1),
        "project_motion.bias": (16,),
        "attend_appearance.weight": (1, 256, 1, 1),
        "attend_appearance.bias": (1,),
        "attend_motion.weight": (1, 256, 1, 1),
        "attend_motion.bias": (1,),
    }


@given(
    seed=st.integers(0, 2**31),
    sizes=st.sampled_from([(3, 1), (6, 2), (24, 8), (160, 4)]),
    pooled=st.booleans(),
)
def test_the_reciprocal_transformation_is_scaling_attention_and_gating(seed, sizes, pooled):
    channels, heads = sizes
    torch.manual_seed(seed)
    module = ReciprocalTransformation(channels, heads=heads, pooled=pooled).double()
    appearance, motion = torch.randn(2, 2, channels, 5, 3, dtype=torch.float64)
    means = torch.cat([appearance, motion], 1).mean((2, 3))
    hidden = (means @ module.reduce.weight[:, :, 0, 0].T + module.reduce.bias).relu()
    scales = 1 + (hidden @ module.expand.weight[:, :, 0, 0].T + module.expand.bias).sigmoid()
    a, m = appearance * scales[:, :channels, None, None], motion * scales[:, channels:, None, None]
    if pooled:
        a, m = max_pool2d(a, 3, 2, 1), max_pool2d(m, 3, 2, 1)

    def attend(part, own, other):
        query, key, value = (
            (projection.weight[:, :, 0, 0] @ stream.flatten(2)).unflatten(1, (heads, -1)).transpose(2, 3)
            for projection, stream in ((part.query, own), (part.key, other), (part.value, other))
        )
        attended = scaled_dot_product_attention(query, key, value)
        return attended.transpose(2, 3).flatten(1, 2).unflatten(2, own.shape[2:])

    a = attend(module.appearance, a, m)
    m = attend(module.motion, m, a)
    if pooled:
        assert a.shape[2:] == (3, 2)
        a, m = (torch.nn.Upsample((5, 3), mode="bilinear")(stream) for stream in (a, m))
    gates = 1 + module.gate(torch.cat([a, m], 1)).sigmoid()
    for found, expected in zip(module(appearance, motion), (a * gates[:, :1], m * gates[:, 1:]), strict=True):
        torch.testing.assert_close(found, expected)


def heard(module, received, sent):
    """Tell whether what stream `received` (0 appearance, 1 motion) gets depends on stream `sent`."""
    torch.manual_seed(1)
    streams = [torch.randn(1, 32, 4, 4).relu().requires_grad_() for _ in range(2)]
    (gradient,) = torch.autograd.grad(module(*streams)[received].sum(), streams[sent], allow_unused=True)
    return gradient is not None and bool(gradient.abs().max() > 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_who_hears_of_whom(kind):
    torch.manual_seed(0)
    module = make_cross(kind, 32, stage=3)
    assert heard(module, received=0, sent=1)
    assert heard(module, received=1, sent=0) == (kind != "motion_to_appearance")
    assert heard(module, received=0, sent=0)
    assert heard(module, received=1, sent=1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_sent_moves_with_the_positions(kind):
    torch.manual_seed(0)
    module = make_cross(kind, 32, stage=3).double()
    appearance, motion = torch.randn(2, 2, 32, 3, 4, dtype=torch.float64)
    order = torch.randperm(12)

    def moved(stream):
        return stream.flatten(2)[:, :, order].unflatten(2, (3, 4))

    for found, expected in zip(module(moved(appearance), moved(motion)), module(appearance, motion), strict=True):
        torch.testing.assert_close(found, moved(expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1e4, -1e4])
def test_features_without_any_structure_give_finite_numbers_and_gradients(kind, value):
    module = make_cross(kind, 16, stage=2)
    streams = [torch.full((1, 16, 4, 4), value, requires_grad=True) for _ in range(2)]
    sent = module(*streams)
    sum(part.sum() for part in sent).backward()
    assert all(part.isfinite().all() for part in (*sent, *(stream.grad for stream in streams)))


def test_the_reciprocal_transformation_after_every_stage_as_published():
    made = [make_cross("reciprocal", 64, stage=stage) for stage in (2, 3, 4, 5)]
    assert [part.pooled for part in made] == [True, False, False, False]
    assert [part.motion.heads for part in made] == [1, 2, 4, 8]
    assert make_cross("reciprocal", 12, stage=5).motion.heads == 4


def test_heads_that_the_channels_cannot_be_shared_among():
    with pytest.raises(InputError, match="channels is 12 and heads is 8; use a multiple of the heads, or fewer heads"):
        ReciprocalTransformation(12, heads=8)


@pytest.mark.parametrize("kind", ["none", "sideways"])
def test_a_kind_that_is_not_there_is_answered_with_those_that_are(kind):
    with pytest.raises(InputError, match="allowed: none, motion_to_appearance, both_ways, reciprocal"):
        make_cross(kind, 8, stage=3)
