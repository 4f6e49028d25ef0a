"""Two-stream segmenters: every combination of parts, and that a layer is what all later parts read."""

import contextlib
import copy
import itertools

import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.torch.segmenters.backbones import small_resnet, stage_shapes, take_apart
from sdmetrics.torch.segmenters.two_stream import TwoStream

torch.set_num_threads(1)

CROSS = ("none", "motion_to_appearance", "both_ways", "reciprocal")
FUSION = ("concatenation", "gated", "convex_gated")
VARIANTS = list(itertools.product(CROSS, FUSION, (False, True)))
SIDE = 64


def build(cross="none", fusion="gated", refinement=False, width=8, **options):
    torch.manual_seed(0)
    backbones = [small_resnet(widths=(8, 8, 16, 16)) for _ in range(2)]
    return TwoStream(*backbones, cross=cross, fusion=fusion, refinement=refinement, width=width, **options)


def batch(seed=1, size=(SIDE, SIDE), flow_channels=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, channels, *size, generator=generator) for channels in (3, flow_channels)]


@contextlib.contextmanager
def replaced(model, changes):
    """While the block runs, the modules named in `changes` return `change(output)`."""
    with contextlib.ExitStack() as hooks:
        for name, change in changes.items():
            module = model.get_submodule(name)
            hook = module.register_forward_hook(lambda _module, _inputs, output, change=change: change(output))
            hooks.callback(hook.remove)
        yield


@torch.no_grad()
def outputs(model, inputs, changes=None):
    with replaced(model.eval(), changes or {}):
        return model(*inputs)


def differ(one, other):
    return any(not torch.allclose(one[name], other[name], rtol=1e-5, atol=1e-7) for name in one)


# --- every combination


@pytest.mark.parametrize(("cross", "fusion", "refinement"), VARIANTS)
def test_every_combination_draws_masks_and_trains(cross, fusion, refinement):
    model = build(cross, fusion, refinement)
    found = model.train()(*batch())
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    assert shapes == {"mask": (2, 1, SIDE, SIDE)} | ({"boundaries": (2, 5, SIDE, SIDE)} if refinement else {})
    sum(value.square().mean() for value in found.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    crossed = [] if cross == "none" else ["res3", "res4", "res5"]
    assert list(model.cross) == crossed
    assert (model.refinement is not None) == refinement


@pytest.mark.parametrize(("cross", "fusion", "refinement"), VARIANTS)
def test_no_layer_can_be_removed_without_a_trace(cross, fusion, refinement):
    model, inputs = build(cross, fusion, refinement), batch()
    whole = outputs(model, inputs)
    assert not differ(whole, outputs(model, inputs, dict.fromkeys(model.layers, lambda value: value * 1.0)))
    for name in model.layers:
        assert differ(whole, outputs(model, inputs, {name: torch.zeros_like})), name


@pytest.mark.parametrize("fused_stages", [(2, 3, 4, 5), (2, 5), (3, 5), (5,)])
@pytest.mark.parametrize("cross", CROSS)
def test_all_that_comes_after_a_layer_reads_what_its_module_returns(cross, fused_stages):
    model = build(cross, refinement=True, fused_stages=fused_stages)
    here, there = batch(seed=1), batch(seed=2)
    assert differ(outputs(model, here), outputs(model, there))
    for stage in (2, 3, 4, 5):
        # With both streams cut at a stage, and what was fused before it, nothing is left of the inputs.
        names = [f"appearance.res{stage}", f"motion.res{stage}"]
        names += [f"fusion.res{earlier}" for earlier in fused_stages if earlier < stage]
        cut = dict.fromkeys(names, torch.ones_like)
        assert not differ(outputs(model, here, cut), outputs(model, there, cut)), stage
        for kept in names:
            leaking = {name: change for name, change in cut.items() if name != kept}
            assert differ(outputs(model, here, leaking), outputs(model, there, leaking)), (stage, kept)


def test_what_a_layer_returns_is_the_stages_features_where_nothing_is_received():
    model, inputs, seen = build(crossed_stages=(4,), cross="both_ways"), batch(), {}
    names = [f"appearance.{part}{stage}" for part in ("stage", "res") for stage in (3, 4)]
    outputs(model, inputs, {name: lambda value, name=name: seen.setdefault(name, value) for name in names})
    assert torch.equal(seen["appearance.res3"], seen["appearance.stage3"])
    assert not torch.equal(seen["appearance.res4"], seen["appearance.stage4"])


# --- who hears of whom


@torch.no_grad()
def layers_of(model, inputs):
    seen = {}
    with replaced(model.eval(), {name: lambda value, name=name: seen.update({name: value}) for name in model.layers}):
        model(*inputs)
    return seen


@pytest.mark.parametrize(
    ("cross", "appearance_hears", "motion_hears"),
    [
        ("none", (), ()),
        ("motion_to_appearance", (3, 4, 5), ()),
        ("both_ways", (3, 4, 5), (3, 4, 5)),
        ("reciprocal", (3, 4, 5), (3, 4, 5)),
    ],
)
def test_a_stream_hears_of_the_other_input_from_the_first_connection_on(cross, appearance_hears, motion_hears):
    model, (image, flow), (other_image, other_flow) = build(cross), batch(seed=1), batch(seed=2)
    before = layers_of(model, (image, flow))
    for stream, hears, inputs in (
        ("appearance", appearance_hears, (image, other_flow)),
        ("motion", motion_hears, (other_image, flow)),
    ):
        after = layers_of(model, inputs)
        changed = [stage for stage in (2, 3, 4, 5)
                   if not torch.allclose(before[f"{stream}.res{stage}"], after[f"{stream}.res{stage}"])]  # fmt: skip
        assert tuple(changed) == hears
        assert all(not torch.equal(before[name], after[name]) for name in before if name.startswith("fusion"))


def test_layers_are_named_in_order():
    assert build(fused_stages=(5, 2)).layers == (
        *(f"appearance.res{stage}" for stage in (2, 3, 4, 5)),
        *(f"motion.res{stage}" for stage in (2, 3, 4, 5)),
        *("fusion.res2", "fusion.res5"),
    )


# --- sizes, backbones, batches


@pytest.mark.parametrize("decoder", ["refining", "deeplab"])
@pytest.mark.parametrize("size", [(64, 64), (47, 85), (33, 17)])
def test_masks_have_the_size_of_the_input(decoder, size):
    model = build(decoder=decoder, fused_stages=(2, 5), refinement=True)
    assert {value.shape[2:] for value in outputs(model, batch(size=size)).values()} == {size}


@pytest.mark.parametrize(("cross", "fusion", "refinement"), VARIANTS)
def test_an_image_is_segmented_alike_alone_and_in_a_batch(cross, fusion, refinement):
    model = build(cross, fusion, refinement).double()
    image, flow = (value.double() for value in batch())
    together = outputs(model, (image, flow))
    alone = [outputs(model, (image[i : i + 1], flow[i : i + 1])) for i in range(2)]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.cat([part[name] for part in alone]))


def test_flow_as_vectors():
    model = TwoStream(small_resnet(), small_resnet(channels=2), width=8)
    assert outputs(model, batch(flow_channels=2))["mask"].shape == (2, 1, SIDE, SIDE)


class LikeTimm(nn.Module):
    """A ResNet whose parts are named as timm's, with its deep stem, and a classifier that is not used."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 1, 1))
        self.bn1 = nn.BatchNorm2d(8)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for number, (before, width) in enumerate(((8, 8), (8, 12), (12, 16), (16, 24)), start=1):
            setattr(self, f"layer{number}", nn.Sequential(nn.Conv2d(before, width, 3, 2, 1), nn.ReLU(inplace=True)))
        self.fc = nn.Linear(24, 1000)


def test_backbones_of_timm_and_of_torchvision():
    from torchvision.models import resnet18

    for make in (LikeTimm, lambda: resnet18(weights=None)):
        model = TwoStream(make(), make(), cross="both_ways", width=8)
        assert outputs(model, batch())["mask"].shape == (2, 1, SIDE, SIDE)
        assert not [name for name, _ in model.named_parameters() if "fc" in name]


def test_stages_are_measured_without_a_trace():
    backbone = small_resnet()
    before = copy.deepcopy(backbone.state_dict())
    shapes = stage_shapes(*take_apart(backbone))
    assert shapes == {2: (1, 16, 16, 16), 3: (1, 24, 8, 8), 4: (1, 32, 4, 4), 5: (1, 64, 2, 2)}
    assert all(part.training for part in backbone.modules())
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


def test_it_is_built_without_numbers():
    with torch.device("meta"):
        model = build("both_ways", "convex_gated", refinement=True)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


# --- learning


def test_it_learns_what_moves():
    """A square moves among squares that stand still: only flow tells it from them."""
    torch.manual_seed(0)
    model = build("motion_to_appearance", refinement=True, width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)

    def scenes(number):
        image, flow, mask = (torch.zeros(number, channels, 64, 64) for channels in (3, 3, 1))
        for i in range(number):
            places = torch.randint(0, 3, (2, 2), generator=generator)
            for moves, (row, column) in enumerate(places.tolist()):
                window = (i, slice(None), slice(20 * row, 20 * row + 20), slice(20 * column, 20 * column + 20))
                image[window] = 1
                flow[window], mask[window] = moves, moves
        return image, flow, mask

    for _ in range(40):
        image, flow, mask = scenes(8)
        loss = nn.functional.binary_cross_entropy_with_logits(model(image, flow)["mask"], mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    image, flow, mask = scenes(30)
    found, wanted = outputs(model, (image, flow))["mask"] > 0, mask > 0
    assert (found & wanted).sum() / (found | wanted).sum() > 0.7


# --- refusals


def unlike(**options):
    return lambda: TwoStream(small_resnet(), small_resnet(**options), width=8)


class Rotated(nn.Module):
    conv1 = None


REFUSED = {
    "cross": (lambda: build("sideways"), "cross is 'sideways'; allowed: none, motion_to_appearance, both_ways"),
    "fusion": (lambda: build(fusion="sum"), "fusion is 'sum'; allowed: concatenation, gated, convex_gated"),
    "decoder": (lambda: build(decoder="unet"), "decoder is 'unet'; allowed: refining, deeplab"),
    "width": (lambda: build(width=10), "width is 10; expected: a multiple of 4, e.g. 256"),
    "no width": (lambda: build(width=0), "width is 0; expected"),
    "stage": (lambda: build(fused_stages=(1, 5)), r"fused_stages are \(1, 5\); allowed: any of 2, 3, 4, 5, each once"),
    "stage twice": (lambda: build(crossed_stages=(3, 3)), r"crossed_stages are \(3, 3\); allowed"),
    "not the last": (lambda: build(fused_stages=(2, 3)), r"\(2, 3\); include 5, where the decoder begins"),
    "connects nowhere": (
        lambda: build("both_ways", crossed_stages=()),
        "name at least one stage, or pass cross='none'",
    ),
    "deeplab": (
        lambda: build(decoder="deeplab"),
        r"fused_stages are 2, 3, 4, 5; expected: two stages.* Pass fused_stages=",
    ),
    "parts": (lambda: TwoStream(nn.Linear(2, 2), small_resnet()), "Linear has no conv1, bn1, relu, maxpool, layer1"),
    "widths": (unlike(widths=(16, 24, 32, 48)), r"after stage 5, 64 × 64 pixels are \(64, 2, 2\) in .* \(48, 2, 2\)"),
    "four widths": (lambda: small_resnet((8, 8)), r"widths are \(8, 8\); expected: four numbers of channels"),
    "no channels": (lambda: small_resnet((8, 8, 8, 0)), r"widths are \(8, 8, 8, 0\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_named(case):
    make, said = REFUSED[case]
    with pytest.raises(InputError, match=said):
        make()


def test_one_backbone_is_not_two():
    backbone = small_resnet()
    with pytest.raises(InputError, match="the same backbone; pass two"):
        TwoStream(backbone, backbone)


def test_an_image_and_a_flow_of_two_sizes():
    image, _ = batch()
    _, flow = batch(size=(32, 64))
    with pytest.raises(InputError, match=r"the image is \(64, 64\) and the flow \(32, 64\) pixels"):
        build()(image, flow)
