"""The convolutional rows are the networks of PyTorchVideo's model zoo, with and without PyTorchVideo at hand."""

import dataclasses
import importlib

import pytest
import torch
from torch import nn

from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters.architectures import pytorchvideo
from sdmetrics.exporters.catalogue import ARCHITECTURES, build_random
from sdmetrics.probes.feeds import prepare, random_feeds
from tests.helpers import pytorchvideo_code
from tests.helpers.pytorchvideo_code import in_numbers, unfilled
from tests.helpers.small_catalogue import reduced

# PyTorchVideo asks for a name of fvcore's that has moved.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ROWS = {row.name: row for row in pytorchvideo.ROWS}
# What PyTorchVideo's networks have: parameters, tensors, and a checksum of the tensors' names and shapes.
PUBLISHED = {
    "c2d_r50_8x8": (24_327_632, 320, 116310175),
    "i3d_r18_8x8": (17_269_200, 176, 4092339494),
    "i3d_r50_8x8": (28_043_472, 320, 1828959978),
    "slowonly_r18_8x8": (18_697_936, 176, 2145568376),
    "slowonly_r50_4x16": (32_454_096, 320, 412941081),
    "slowonly_r50_8x8": (32_454_096, 320, 412941081),
    "fastonly_r50": (616_952, 320, 1215126682),
    "slowfast_r18_4x16": (20_502_072, 374, 3801813115),
    "slowfast_r18_8x8": (20_588_344, 374, 1681731416),
    "slowfast_r18_16x8": (20_588_344, 374, 1681731416),
    "slowfast_r50_4x16": (34_480_216, 662, 614710718),
    "slowfast_r50_8x8": (34_566_488, 662, 1370966409),
    "slowfast_r50_16x8": (34_045_558, 662, 112304662),
    "x3d_xs": (3_794_274, 563, 3750436776),
    "x3d_s": (3_794_274, 563, 3750436776),
    "x3d_m": (3_794_274, 563, 3750436776),
    "x3d_l": (6_153_384, 1141, 2372159412),
}


def shapes(network):
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def random_weights(network):
    """Return weights of every tensor, which keep the scale of what they read."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, tensor in network.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            weights[name] = drawn.abs() + 0.5
        elif tensor.ndim > 1:
            weights[name] = drawn / tensor[0].numel() ** 0.5
        elif tensor.is_floating_point():
            weights[name] = 0.3 * drawn + (0.5 if name.endswith("weight") else 0)
        else:
            weights[name] = torch.zeros((), dtype=tensor.dtype)
    return weights


def small(row):
    """Return a row with a quarter of its frames, in a size that the heads of some networks do not cover at once."""
    inputs = [dataclasses.replace(item, frames=item.frames // 4, size=(48, 80)) for item in row.inputs]
    return dataclasses.replace(row, inputs=tuple(inputs))


@pytest.fixture(scope="module")
def library():
    pytest.importorskip("pytorchvideo", reason="no PyTorchVideo, which has had no release since 2022")


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_weights_of_pytorchvideos_network(name):
    row = ROWS[name]
    assert in_numbers(unfilled(row.build, row.inputs, row.classes)) == PUBLISHED[name]


def check_equal(row):
    made, own = unfilled(row.build, row.inputs, row.classes), unfilled(pytorchvideo_code.build, row)
    assert [name for name, _ in made.named_modules()] == [name for name, _ in own.named_modules()]
    weights = random_weights(own)
    for network in (made, own):
        network.load_state_dict(weights, assign=True)
        network.eval()
    clips = [torch.from_numpy(array) for array in prepare(random_feeds(row.inputs, 2), row.inputs).values()]
    before = [clip.clone() for clip in clips]
    with torch.no_grad():
        found = made(*clips)
        expected = own(list(clips) if len(clips) > 1 else clips[0])
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert all(map(torch.equal, clips, before))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ROWS)
def test_a_row_gives_the_numbers_of_pytorchvideos_network(name):
    check_equal(small(ROWS[name]))


@pytest.mark.usefixtures("library")
def test_the_head_averages_over_the_windows_of_a_full_crop():
    (clip,) = ROWS["fastonly_r50"].inputs
    check_equal(dataclasses.replace(ROWS["fastonly_r50"], inputs=(dataclasses.replace(clip, frames=2),)))


@pytest.mark.usefixtures("library")
def test_mvit_gives_the_numbers_of_pytorchvideos_from_its_checkpoint(tmp_path):
    row = reduced(ARCHITECTURES["mvit_b_16x4"], whole=True)
    own = pytorchvideo_code.mvit(row).eval()
    own.load_state_dict(random_weights(own))
    torch.save({"model_state": own.state_dict()}, tmp_path / "mvit.pyth")
    made, _ = open_checkpoint(row, tmp_path / "mvit.pyth")
    (clip,) = prepare(random_feeds(row.inputs, 2), row.inputs).values()
    with torch.no_grad():
        expected = own(torch.from_numpy(clip))
        torch.testing.assert_close(made(torch.from_numpy(clip)), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("name", "builder"),
    [
        ("c2d_r50_8x8", "resnet.c2d_r50"),
        ("i3d_r50_8x8", "resnet.i3d_r50"),
        ("slowonly_r50_8x8", "resnet.slow_r50"),
        ("slowfast_r50_8x8", "slowfast.slowfast_r50"),
        *((name, f"x3d.{name}") for name in ROWS if name.startswith("x3d")),
    ],
)
def test_a_row_is_what_pytorchvideos_hub_has(name, builder):
    module, _, function = builder.partition(".")
    build = getattr(importlib.import_module(f"pytorchvideo.models.hub.{module}"), function)
    row = ROWS[name]
    made, own = unfilled(row.build, row.inputs, row.classes), unfilled(build)
    assert shapes(made) == shapes(own)
    windows = [
        [part.kernel_size for part in network.modules() if isinstance(part, nn.AvgPool3d)] for network in (made, own)
    ]
    assert windows[0] == windows[1]


@pytest.mark.usefixtures("library")
def test_published_weights_are_where_the_hub_says():
    hubs = [importlib.import_module(f"pytorchvideo.models.hub.{name}") for name in ("resnet", "slowfast", "x3d")]
    # Two that the model zoo lists and the hub does not.
    listed = {f"{pytorchvideo.ZOO}{name}" for name in ("SLOW_4x16_R50.pyth", "SLOWFAST_4x16_R50.pyth")}
    known = listed.union(*(hub.checkpoint_paths.values() for hub in hubs))
    assert {row.weights for row in ROWS.values() if row.weights} <= known


def test_random_weights_let_every_part_say_something():
    """PyTorchVideo's own start at zero where the branches end, which would hide what the branches compute."""
    network = build_random(reduced(ARCHITECTURES["x3d_xs"]))
    said = {}
    for name, part in network.named_modules():
        part.register_forward_hook(lambda _module, _inputs, output, name=name: said.update({name: output}))
    with torch.no_grad():
        network(torch.randn(2, 3, 4, 64, 64))
    branches = [output.std().item() for name, output in said.items() if name.endswith("branch2")]
    assert len(branches) == 4
    assert min(branches) > 0.05
    assert max(branches) < 20
