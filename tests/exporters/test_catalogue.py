import importlib
import re
import sys
from collections import defaultdict

import numpy as np
import onnx
import pytest
import torch

from sdmetrics.errors import InputError, MissingExtra
from sdmetrics.exporters.architectures import torchvision
from sdmetrics.exporters.catalogue import ARCHITECTURES, build_random, export, export_module, find_architecture
from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import check_agreement
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.session import fixed_batch
from tests.helpers.small_catalogue import reduced

# PyTorchVideo asks for a name of fvcore's that has moved.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

VARIANTS = {
    "C2D": ["c2d_r50_8x8", "c2d_r50_8x8x1", "c2d_r50_nopool_8x8x1"],
    "I3D": ["i3d_r18_8x8", "i3d_r50_8x8", "i3d_r50_32x2x1", "i3d_r50_heavy_32x2x1"],
    "SlowOnly": ["slowonly_r18_8x8", "slowonly_r50_4x16", "slowonly_r50_8x8"],
    "FastOnly": ["fastonly_r50"],
    "SlowFast": [
        *(f"slowfast_r{depth}_{rate}" for depth in (18, 50) for rate in ("4x16", "8x8", "16x8")),
        *("slowfast_r50_4x16x1", "slowfast_r50_8x8x1"),
    ],
    "TSN": ["tsn_r50_1x1x8"],
    "TSM": ["tsm_r50_1x1x8", "tsm_r50_1x1x16"],
    "X3D": ["x3d_xs", "x3d_s", "x3d_m", "x3d_l"],
    "MViT": ["mvit_b_16x4", "mvit_v2_s_16x4"],
    "TimeSformer": ["timesformer_8x32"],
    "R(2+1)D": ["r2plus1d_18", "r2plus1d_r34_8x8x1", "r2plus1d_r34_32x2x1"],
    "MC3": ["mc3_18"],
    "S3D": ["s3d"],
    "Swin3D": ["swin3d_t", "swin3d_s", "swin3d_b"],
    "VideoMAE": ["videomae_b_16x4"],
    "ViViT": ["vivit_b_16x2"],
    "V-JEPA 2": ["vjepa2_vitl"],
    "VideoPrism": ["videoprism_b"],
    "X-CLIP": ["xclip_b_32"],
    "VidEoMT": ["videomt"],
    "VisTR": ["vistr_r50", "vistr_r101"],
    "FusionSeg": ["fusionseg"],
    "MATNet": ["matnet", "matnet_both_ways"],
    "RTNet": ["rtnet"],
}
# Left to `--all`: families with exports in tests of their own, those made of nothing but others' blocks, the slowest.
LEFT = {"VidEoMT", "VisTR", "FusionSeg", "MATNet", "RTNet", "C2D", "SlowOnly", "FastOnly", "MC3", "TSM", "S3D"}
LEFT |= {"Swin3D", "MViT", "I3D", "TSN", "V-JEPA 2", "VideoPrism", "ViViT", "X-CLIP", "TimeSformer"}
SMALLEST = [names[0] for family, names in VARIANTS.items() if family not in LEFT]
# What PyTorchVideo's model zoo says of its models, in millions.
ZOO_PARAMETERS = {
    "c2d_r50_8x8": 24.33,
    "i3d_r50_8x8": 28.04,
    "slowonly_r50_4x16": 32.45,
    "slowonly_r50_8x8": 32.45,
    "slowfast_r50_4x16": 34.48,
    "slowfast_r50_8x8": 34.57,
    "x3d_xs": 3.79,
    "x3d_s": 3.79,
    "x3d_m": 3.79,
}


def unfilled(row):
    """Build a row's module without making its numbers."""
    with torch.device("meta"):
        return row.build(row.inputs, row.classes)


def test_the_catalogue_has_every_architecture_of_the_paper_and_those_beside_it():
    families = defaultdict(list)
    for row in ARCHITECTURES.values():
        families[row.family].append(row.name)
    assert {family: sorted(names) for family, names in families.items()} == {
        family: sorted(names) for family, names in VARIANTS.items()
    }
    assert all(row.labels or not row.classes for row in ARCHITECTURES.values())


@pytest.mark.parametrize("row", ARCHITECTURES.values(), ids=lambda row: row.name)
def test_a_row_names_the_owners_file_that_says_how_it_is_fed(row):
    assert re.fullmatch(r"https://github\.com/[\w-]+/[\w-]+/blob/\w+/[\w./-]+\.(yaml|py|sh|ipynb|json)", row.source)
    check_agreement(row.inputs)


def test_an_unknown_architecture_is_answered_with_the_nearest_names():
    with pytest.raises(InputError, match=r"no architecture 'slowfast_8x8'. The nearest names: slowfast_r50_8x8"):
        find_architecture("slowfast_8x8")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_layer_is_a_part_of_the_module_and_has_one_name(name):
    row = ARCHITECTURES[name] if name not in VARIANTS["VidEoMT"] else reduced(ARCHITECTURES[name])
    parts = dict(unfilled(row).named_modules())
    assert [path for path in row.layers.values() if path not in parts] == []
    assert len(set(row.layers.values())) == len(row.layers) >= 2


@pytest.mark.parametrize("name", ZOO_PARAMETERS)
def test_as_many_parameters_as_the_model_zoo_says(name):
    counted = sum(parameter.numel() for parameter in unfilled(ARCHITECTURES[name]).parameters())
    assert round(counted / 1e6, 2) == ZOO_PARAMETERS[name]


@pytest.mark.parametrize("row", torchvision.ROWS, ids=lambda row: row.name)
def test_a_row_is_fed_as_torchvision_evaluates_its_weights(row):
    from torchvision.models import get_weight

    weights = get_weight(row.weights)
    transforms, (video,) = weights.transforms(), row.inputs
    resize = transforms.resize_size
    assert (video.resize, video.size, video.mean, video.std) == (
        tuple(resize) if len(resize) == 2 else resize[0],
        tuple(transforms.crop_size),
        tuple(transforms.mean),
        tuple(transforms.std),
    )
    assert (video.sampling, video.stride) == ("window", 1)
    assert f"clip_len={video.frames}" in weights.meta["_docs"]
    assert f"frame_rate={video.fps:g}`" in weights.meta["_docs"]
    assert row.classes == len(weights.meta["categories"])
    assert sum(parameter.numel() for parameter in unfilled(row).parameters()) == weights.meta["num_params"]


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "_r18_" in name])
def test_depth_18_is_depth_50_with_two_blocks_a_stage(name):
    stages = [part for part in unfilled(ARCHITECTURES[name]).modules() if hasattr(part, "res_blocks")]
    assert [len(stage.res_blocks) for stage in stages] == [2] * (8 if name.startswith("slowfast") else 4)


def arrays(row, clips=2):
    return [torch.from_numpy(array) for array in prepare(random_feeds(row.inputs, clips), row.inputs).values()]


def test_random_weights_are_the_same_each_time_and_leave_torchs_generator_alone():
    row = reduced(find_architecture("fastonly_r50"))
    state = torch.random.get_rng_state()
    one, two = build_random(row), build_random(row)
    assert torch.equal(state, torch.random.get_rng_state())
    assert not one.training
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(first, second)


def check_export(row, tmp_path):
    """Export a row and build its probe, which proves numbers for one and three clips, and every mask."""
    path = export_module(build_random(row), row, row.inputs, tmp_path / f"{row.name}.onnx")
    assert fixed_batch(onnx.load(path)) is None
    metadata = read_metadata(path)
    assert metadata.inputs == row.inputs
    assert {layer.name: layer.module for layer in metadata.layers} == dict(row.layers)
    assert metadata.export_error < 1e-4
    probe = read_metadata(build_probe(path, tmp_path / "probe.onnx", masks=True))
    assert probe.masks
    assert [layer.name for layer in probe.layers] == list(row.layers)
    units = np.array([layer.units for layer in probe.layers])
    assert units.min() > 1


@pytest.mark.parametrize("name", SMALLEST)
def test_one_row_of_a_family_becomes_a_probe(name, tmp_path):
    check_export(reduced(find_architecture(name)), tmp_path)


@pytest.mark.all
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_row_becomes_a_probe_with_all_its_layers(name, tmp_path):
    check_export(reduced(find_architecture(name), whole=True), tmp_path)


def test_slowfast_is_measured_in_both_pathways_each_with_its_own_order():
    row = find_architecture("slowfast_r50_8x8")
    assert [item.name for item in row.inputs] == ["slow", "fast"]
    assert {item.source for item in row.inputs} == {"rgb"}
    stages = ("stem", "res2", "res3", "res4", "res5")
    assert list(row.layers) == [f"{pathway}.{stage}" for pathway in ("slow", "fast") for stage in stages]
    module = unfilled(row)
    # Before the lateral connections: the slow stages have the widths of a network without them.
    widths = [module.get_submodule(path).res_blocks[0].branch2.conv_c.out_channels for path in
              (row.layers["slow.res2"], row.layers["fast.res2"], row.layers["slow.res5"])]  # fmt: skip
    assert widths == [256, 32, 2048]


@pytest.mark.parametrize("row", torchvision.ROWS[:2], ids=lambda row: row.name)
def test_a_torchvision_that_does_not_fit_its_torch_is_one_line(row, monkeypatch):
    real = importlib.import_module

    def fails(name):
        if name == "torch":
            return real(name)
        raise RuntimeError("operator torchvision::nms does not exist\n")

    monkeypatch.setattr("importlib.import_module", fails)
    with pytest.raises(InputError, match=r"beside torch .*nms does not exist.*pip install --force-reinstall") as caught:
        row.build(row.inputs, row.classes)
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_answered_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models.video", None)
    row = find_architecture("mc3_18")
    with pytest.raises(MissingExtra, match=r"static-dynamic-metrics\[catalogue\]"):
        row.build(row.inputs, row.classes)


def test_weights_come_from_one_place(tmp_path):
    with pytest.raises(InputError, match=r"both --checkpoint a.pyth and --pretrained"):
        export("c2d_r50_8x8", tmp_path / "m.onnx", checkpoint="a.pyth", pretrained=True)
