"""FusionSeg, MATNet and RTNet: what they are made of, how the catalogue feeds them, and their export."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.exporters.architectures import two_stream as segmentation
from sdmetrics.exporters.catalogue import find_architecture
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch.segmenters import published as segmenters
from sdmetrics.torch.segmenters.backbones import small_resnet
from sdmetrics.torch.segmenters.cross_connections import CoAttention, ReciprocalTransformation
from sdmetrics.torch.segmenters.decoders import DeepLabDecoder, RefiningDecoder
from sdmetrics.torch.segmenters.fusion import Concatenation, ConvexGated, Gated
from sdmetrics.torch.segmenters.two_stream import TwoStream

torch.set_num_threads(1)

STAGES = ("res2", "res3", "res4", "res5")
PARTS = {
    "fusionseg": (DeepLabDecoder, Concatenation, ("res2", "res5"), None, (), (256, 2048)),
    "matnet": (RefiningDecoder, Gated, STAGES, CoAttention, ("res3", "res4", "res5"), (512, 4096)),
    "rtnet": (RefiningDecoder, ConvexGated, STAGES, ReciprocalTransformation, STAGES, (512, 4096)),
}


def unfilled(name, **options):
    with torch.device("meta"):
        return getattr(segmenters, name)(**options)


@pytest.mark.parametrize("name", PARTS)
def test_what_it_is_made_of(name):
    decoder, fusion, fused, cross, crossed, widths = PARTS[name]
    model = unfilled(name)
    assert type(model.decoder) is decoder
    assert (tuple(model.fusion), {type(part) for part in model.fusion.values()}) == (fused, {fusion})
    assert (tuple(model.cross), {type(part) for part in model.cross.values()}) == (crossed, {cross} if cross else set())
    assert (model.refinement is not None) == (name == "matnet")
    assert (model.fusion["res2"].channels, model.fusion["res5"].channels) == widths
    # Of ResNet-101 and of ResNeXt-50 there are so many blocks.
    blocks = [len(model.motion[f"stage{stage}"]) for stage in (2, 3, 4, 5)]
    assert blocks == ([3, 4, 6, 3] if name == "rtnet" else [3, 4, 23, 3])


def test_fusionsegs_features_are_a_sixteenth_of_its_input():
    stage = unfilled("fusionseg").appearance["stage5"]
    assert {part.stride for part in stage.modules() if isinstance(part, nn.Conv2d)} == {(1, 1)}
    assert {part.dilation for part in stage.modules() if isinstance(part, nn.Conv2d)} == {(1, 1), (2, 2)}


def test_the_papers_variants_of_matnet():
    assert unfilled("matnet", refinement=False).refinement is None
    assert unfilled("matnet", cross="both_ways").cross["res3"].both_ways
    assert isinstance(unfilled("matnet", fusion="convex_gated").fusion["res2"], ConvexGated)
    assert [unfilled("matnet", published=published).fusion["res2"].published for published in (False, True)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("name", "backbone", "said"),
    [
        ("matnet", "vgg16", "backbone is 'vgg16'; allowed: resnet18, resnet34, resnet50"),
        ("fusionseg", "resnet18", "backbone is 'resnet18'; allowed: resnet50, resnet101"),
    ],
)
def test_another_backbone_is_refused(name, backbone, said):
    with pytest.raises(InputError, match=said):
        getattr(segmenters, name)(backbone)


def test_with_random_weights_the_features_of_all_stages_are_of_one_order_of_magnitude():
    torch.manual_seed(0)
    model, spread = segmenters.matnet("resnet101", refinement=False).eval(), {}
    for name in model.layers:
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: spread.update({name: output.std().item()})
        )
    with torch.no_grad():
        model(*torch.randn(2, 1, 3, 64, 64))
    assert list(spread) != []
    assert min(spread.values()) > 0.05
    assert max(spread.values()) < 5


# --- in the catalogue


@pytest.mark.parametrize("row", segmentation.ROWS, ids=lambda row: row.name)
def test_a_row_lists_the_layers_of_its_module_and_reads_a_frame_and_its_flow(row):
    with torch.device("meta"):
        model = row.build(row.inputs, row.classes)
    assert tuple(row.layers) == tuple(row.layers.values()) == model.layers
    assert list(inspect.signature(model.forward).parameters) == [item.name for item in row.inputs] == ["image", "flow"]
    assert [item.source for item in row.inputs] == ["rgb", "flow"]
    assert {(item.frames, item.stride, item.layout, item.size) for item in row.inputs} == {
        (1, 1, "NCHW", row.inputs[0].size)
    }
    assert row.inputs[0].mean == (0.485, 0.456, 0.406)


def test_a_row_of_matnet_is_as_its_authors_have_it():
    for name, both_ways in (("matnet", False), ("matnet_both_ways", True)):
        row = find_architecture(name)
        with torch.device("meta"):
            model = row.build(row.inputs, row.classes)
        assert model.fusion["res5"].published
        assert model.cross["res5"].both_ways == both_ways


# --- a small one of one's own


def inputs_of(source):
    image = ModelInput("image", "rgb", 1, 1, (64, 64), "NCHW")
    return [image, ModelInput("flow", source, 1, 1, (64, 64), "NCHW")]


@pytest.mark.parametrize(
    ("source", "options"),
    [
        (
            "flow",
            {
                "cross": "both_ways",
                "crossed_stages": (4,),
                "fused_stages": (3, 5),
                "fusion": "convex_gated",
                "refinement": True,
            },
        ),
        pytest.param(
            "flow_vectors",
            {"cross": "reciprocal", "crossed_stages": (5,), "fused_stages": (3, 5), "fusion": "gated"},
            marks=pytest.mark.all,
        ),
    ],
)
def test_a_model_of_ones_own_is_exported_with_its_layers_and_can_lose_units(source, options, tmp_path):
    torch.manual_seed(0)
    channels = 2 if source == "flow_vectors" else 3
    model = TwoStream(small_resnet((8, 8, 8, 8)), small_resnet((8, 8, 8, 8), channels), width=8, **options)
    inputs = inputs_of(source)
    path = export(model, inputs, model.layers, tmp_path / "model.onnx")
    metadata = read_metadata(path)
    assert [layer.name for layer in metadata.layers] == list(model.layers)
    assert metadata.outputs == (("mask", "boundaries") if "refinement" in options else ("mask",))
    assert metadata.export_error < 1e-4
    # This proves every mask, and the numbers for one and for three clips.
    build_probe(path, tmp_path / "probe.onnx", masks=True)
    probe, module = OnnxRunner(tmp_path / "probe.onnx"), TorchRunner(model, inputs, model.layers)
    feeds, drawn = random_feeds(inputs, clips=3), []
    for masks in ({}, {"fusion.res5": np.r_[np.zeros(5), np.ones(11)]}):
        found, expected = probe(feeds, masks), module(feeds, masks)
        for name in model.layers:
            assert found[name].shape == (3, 16 if name.startswith("fusion") else 8)
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
        drawn.append(module.run(feeds, masks)["mask"])
        np.testing.assert_allclose(probe.run(feeds, masks)["mask"], drawn[-1], rtol=1e-3, atol=1e-4)
    assert not np.allclose(*drawn, rtol=1e-3, atol=1e-4)
