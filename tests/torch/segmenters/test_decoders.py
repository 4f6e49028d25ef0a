"""Decoders and boundary refinement: which features reach which pixels, and what is drawn."""

import itertools

import pytest
import torch
from torch.nn.functional import interpolate

from sdmetrics.torch.segmenters.decoders import DeepLabDecoder, RefiningDecoder, make_decoder
from sdmetrics.torch.segmenters.refinement import BoundaryRefinement

torch.set_num_threads(1)

CHANNELS = {2: 4, 3: 5, 4: 6, 5: 8}
SUBSETS = [(*others, 5) for count in range(4) for others in itertools.combinations((2, 3, 4), count)]


def features(stages=(2, 3, 4, 5), size=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        stage: torch.randn(2, CHANNELS[stage], size >> stage, size >> stage, generator=generator, dtype=torch.float64)
        for stage in stages
    }


def decoder(kind, stages, **options):
    torch.manual_seed(0)
    made = make_decoder(kind, {stage: CHANNELS[stage] for stage in stages}, options.pop("width", 8), **options)
    return made.double().eval()


def heard_from(made, given, of, row, column):
    """Return which positions of the features of one stage count for one pixel of the logits."""
    wanted = {stage: value.clone().requires_grad_() for stage, value in given.items()}
    made(wanted)[0, 0, row, column].backward()
    return (wanted[of].grad[0] != 0).any(0)


@pytest.mark.parametrize("stages", SUBSETS, ids=str)
def test_the_refining_decoder_reads_whichever_stages_are_fused(stages):
    made, given = decoder("refining", stages), features(stages)
    logits = made(given)
    assert logits.shape == (2, 1, *given[stages[0]].shape[2:])
    for stage in stages:
        assert not torch.allclose(logits, made(given | {stage: torch.zeros_like(given[stage])})), stage


def test_the_order_in_which_stages_are_named_does_not_matter():
    shuffled = {stage: CHANNELS[stage] for stage in (4, 2, 5, 3)}
    torch.manual_seed(0)
    made = RefiningDecoder(shuffled, width=8).double().eval()
    assert torch.equal(made(features()), decoder("refining", (2, 3, 4, 5))(features()))


def test_the_deepest_features_are_seen_in_a_window_of_seven():
    made, given = decoder("refining", (5,)), {5: torch.randn(1, 8, 21, 21, dtype=torch.float64)}
    # 7 of the window; two convolutions of 3 in the residual, and one of the mask, widen it by 3 to each side.
    expected = torch.zeros(21, 21, dtype=torch.bool)
    expected[4:17, 4:17] = True
    assert torch.equal(heard_from(made, given, 5, 10, 10), expected)


@pytest.mark.parametrize(("published", "reach"), [(False, 7), (True, 3)])
def test_dilated_convolutions_reach_as_far_as_their_rates_or_as_the_first_thrice(published, reach):
    made = decoder("refining", (2, 5), published=published)
    part = made.refine["res2"]
    given = torch.randn(1, 4, 31, 31, dtype=torch.float64, requires_grad=True)
    branches = []
    for convolution in part.dilated:
        convolution.register_forward_hook(lambda module, _inputs, _output: branches.append(module.dilation[0]))
    coarser = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    refined = part(given, coarser)
    assert branches == ([3, 3, 3] if published else [3, 5, 7])
    refined[0, :, 15, 15].sum().backward()
    heard = (given.grad[0] != 0).any(0).nonzero()
    # Two residual parts of two convolutions follow, which reach 4 more.
    assert (heard.min().item(), heard.max().item()) == (15 - reach - 4, 15 + reach + 4)


def test_without_a_mask_of_coarser_stages_a_refinement_is_its_own_features():
    part = decoder("refining", (2, 5)).refine["res2"]
    stage = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    coarser = torch.randn(1, 8, 2, 2, dtype=torch.float64)
    for parameter in part.smooth.parameters():
        parameter.data.zero_()
    difference = part(stage, coarser) - part(stage, torch.zeros_like(coarser))
    torch.testing.assert_close(difference, interpolate(coarser, (8, 8), mode="bilinear"))


def test_deeplabs_pyramid_sees_all_positions_and_its_atrous_rates():
    made, given = decoder("deeplab", (2, 5), width=64), features((2, 5))
    assert [part[0].dilation[0] for part in made.pyramid[1:4]] == [6, 12, 18]
    assert heard_from(made, given, 5, 3, 3).all()
    assert heard_from(made, given, 2, 3, 3).sum() == 9
    assert made.project[0].out_channels == 12
    assert DeepLabDecoder({2: 4, 5: 8}).project[0].out_channels == 48


# --- boundaries


def refinement(width=4):
    torch.manual_seed(0)
    return BoundaryRefinement(CHANNELS, width).double().eval()


def test_every_stage_is_told_its_own_boundary_at_its_own_size():
    made, given = refinement(), features()
    refined, boundaries = made(given, (64, 64))
    assert made.channels == {2: 5, 3: 6, 4: 7, 5: 9}
    assert boundaries.shape == (2, 5, 64, 64)
    for place, stage in enumerate((2, 3, 4, 5), start=1):
        assert torch.equal(refined[stage][:, :-1], given[stage])
        drawn = refined[stage][:, -1:]
        assert drawn.shape[2:] == given[stage].shape[2:]
        torch.testing.assert_close(boundaries[:, place : place + 1], interpolate(drawn, (64, 64), mode="bilinear"))
        other, _ = made(given | {stage: given[stage] + 1}, (64, 64))
        assert [kept for kept in CHANNELS if torch.equal(other[kept], refined[kept])] == [
            s for s in CHANNELS if s != stage
        ]
    combined = torch.nn.functional.conv2d(boundaries[:, 1:], made.combine.weight, made.combine.bias, padding=1)
    torch.testing.assert_close(boundaries[:, :1], combined)


def test_boundaries_can_be_learned():
    """Where an edge is in the features, the boundary is drawn."""
    torch.manual_seed(0)
    made = BoundaryRefinement({5: 1}, width=8)
    edge = torch.zeros(8, 1, 16, 16)
    for number in range(8):
        edge[number, :, :, 4 + number :] = 1
    wanted = torch.zeros_like(edge)
    wanted[:, :, :, 1:] = (edge[..., 1:] != edge[..., :-1]).float()
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(60):
        _, boundaries = made({5: edge}, (16, 16))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(boundaries, wanted.expand_as(boundaries))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((boundaries > 0) == (wanted > 0)).float().mean() > 0.99
