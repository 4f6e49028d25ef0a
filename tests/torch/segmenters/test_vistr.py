"""VisTR: what it returns, its export, and its authors' checkpoints."""

from __future__ import annotations

import argparse
import math
import re

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters.architectures.vistr import ROWS
from sdmetrics.exporters.catalogue import find_architecture
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.session import fixed_batch
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.torch.segmenters.instance_masks import InstanceMasks
from sdmetrics.torch.segmenters.transformer import sine_positions
from sdmetrics.torch.segmenters.vistr import VisTR
from tests.helpers.attention import joint, tensors
from tests.helpers.small_catalogue import reduced

torch.set_num_threads(1)

SMALL = {"frames": 3, "classes": 2, "channels": 12, "heads": 2, "layers": (2, 2), "hidden": 16, "queries": 4}


def backbone():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU())


def small(**changes):
    torch.manual_seed(0)
    return VisTR(backbone(), 8, **(SMALL | changes)).eval()


def clips(count=2, frames=3, height=16, width=24, seed=0):
    return torch.randn(count, frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


# --- the model


@torch.no_grad()
def test_what_it_returns():
    found = small(masks=True)(clips())
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "logits": (2, 3, 4, 3),
        "boxes": (2, 3, 4, 4),
        "masks": (2, 3, 4, 16, 24),
    }
    assert 0 < found["boxes"].min() < found["boxes"].max() < 1
    assert "masks" not in small()(clips())


@torch.no_grad()
def test_it_is_its_parts_in_order():
    model, video = small(), clips()
    features = torch.stack([model.projection(model.backbone(clip)) for clip in video])
    pixels = torch.stack([clip.permute(0, 2, 3, 1).reshape(-1, 12) for clip in features])
    positions, found = sine_positions(3, 4, 6, 12), torch.zeros(2, 12, 12)
    for number in "12":
        pixels = model.encoder[number](pixels, positions)
    for number in "12":
        found = model.decoder[number](found, pixels, positions, model.queries.weight)
    found = model.norm(found)
    outputs = model(video)
    for frame, query in np.ndindex(3, 4):
        place = found[:, 4 * frame + query]
        torch.testing.assert_close(outputs["logits"][:, frame, query], model.classes(place))
        torch.testing.assert_close(outputs["boxes"][:, frame, query], model.boxes(place).sigmoid())


@torch.no_grad()
def test_clips_of_a_batch_do_not_see_each_other():
    model, video = small(masks=True), clips(3)
    together, alone = model(video), [model(video[n : n + 1]) for n in range(3)]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.cat([one[name] for one in alone]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_it_tells_the_order_of_frames_by_their_positions_alone(monkeypatch):
    model, video = small(), clips()
    turned = video[:, [2, 0, 1]]
    assert not torch.allclose(model(video)["logits"], model(turned)["logits"], atol=1e-3)
    monkeypatch.setattr(
        "sdmetrics.torch.segmenters.vistr.sine_positions", lambda *shape: torch.zeros(math.prod(shape[:3]), 12)
    )
    torch.testing.assert_close(model(video)["logits"], model(turned)["logits"])


@torch.no_grad()
def test_every_frame_sees_all_others():
    model, video = small(), clips(1)
    changed = video.clone()
    changed[:, 2] += 1
    assert (model(video)["logits"] - model(changed)["logits"]).abs().amin((0, 2, 3)).min() > 1e-4


def test_all_parts_learn():
    model = small(masks=True).train()
    found = model(clips())
    sum(value.square().sum() for value in found.values()).backward()
    idle = {name for name, part in model.named_parameters() if not part.grad.abs().max() > 1e-5}
    # What shifts all scores alike changes no softmax; and all queries have found nothing when they first look around.
    excused = {name for name in idle if name.endswith("attention.key.bias")}
    excused |= {f"decoder.1.attention.{part}" for part in ("value.weight", "query.weight", "query.bias", "key.weight")}
    assert idle - excused == set()


@torch.no_grad()
def test_masks_are_drawn_from_how_each_query_sees_the_pixels_of_its_own_frame():
    found, pixels = tensors((2, 3, 4, 12), (2, 3, 5, 6, 12))
    draw = InstanceMasks(12, heads=3).eval()
    queries, keys, shown = draw.query(found), draw.key(pixels), draw.shown(pixels)
    drawn = draw(found, pixels)
    assert drawn.shape == (2, 3, 4, 20, 24)
    for clip, query in np.ndindex(2, 4):
        seen = torch.zeros(3 + shown.shape[-1], 3, 5, 6)
        for frame in range(3):
            for head in range(3):
                own = slice(4 * head, 4 * head + 4)
                seen[head, frame] = keys[clip, frame, ..., own] @ queries[clip, frame, query, own] / 2
            seen[3:, frame] = shown[clip, frame].permute(2, 0, 1)
        torch.testing.assert_close(drawn[clip, :, query], draw.convolutions(seen[None])[0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"heads": 5}, "12 channels in 5 heads"),
        ({"queries": 0}, "0 queries"),
        ({"layers": (2, 0)}, r"\(2, 0\) layers"),
        ({"classes": 0}, "0 classes"),
        ({"frames": 0}, "0 frames"),
    ],
)
def test_what_cannot_be_built_says_why(changes, named):
    with pytest.raises(InputError, match=named + r".* the channels a multiple of the heads"):
        small(**changes)


@pytest.mark.parametrize("shape", [(2, 4, 3, 16, 16), (3, 3, 16, 16)])
def test_a_clip_of_another_kind_is_refused(shape):
    with pytest.raises(InputError, match=re.escape(f"shape {shape}; expected: (N, 3, 3, H, W)")):
        small()(torch.zeros(shape))


def test_with_masks_it_becomes_a_probe_whose_layers_are_the_papers(tmp_path):
    video = ModelInput("video", frames=3, size=(16, 24), layout="NTCHW")
    model, layers = small(masks=True, layers=(1, 1)), ["encoder.1", "decoder.1"]
    path = export(model, [video], layers, tmp_path / "model.onnx")
    metadata = read_metadata(path)
    assert fixed_batch(onnx.load(path)) is None
    assert metadata.outputs == ("logits", "boxes", "masks")
    assert metadata.export_error < 1e-4
    runner = OnnxRunner(build_probe(path, tmp_path / "probe.onnx"), provider="cpu")
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24, 3)).astype(np.uint8)
    pooled = runner({"rgb": frames, "video/order": np.tile(np.arange(3), (2, 1))})
    taps = {}
    for name in layers:
        model.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: taps.update({name: out}))
    with torch.no_grad():
        scaled = (torch.from_numpy(frames).float() / 255 - 0.45) / 0.225
        model(scaled.permute(0, 1, 4, 2, 3))
    for name in layers:
        np.testing.assert_allclose(pooled[name], taps[name].mean(1), rtol=1e-4, atol=1e-5)


# --- the catalogue and its authors' checkpoints


@pytest.mark.parametrize(("row", "depth"), list(zip(ROWS, (50, 101), strict=True)), ids=["r50", "r101"])
def test_a_row_has_the_sizes_of_its_authors(row, depth):
    with torch.device("meta"):
        model = row.build(row.inputs, row.classes)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert list(row.layers) == [f"{part}.{n}" for part in ("encoder", "decoder") for n in range(1, 7)]
    assert shapes["queries.weight"] == (360, 384)
    assert shapes["projection.weight"] == (384, 2048, 1, 1)
    assert shapes["encoder.6.feedforward.0.weight"] == (2048, 384)
    assert shapes["classes.weight"] == (42, 384)
    # Frozen: numbers that training leaves alone.
    assert not any("bn" in name for name, _ in model.backbone.named_parameters())
    blocks = sum(name.endswith("conv3.weight") for name in shapes)
    assert 3 * blocks + 2 == depth
    (video,) = row.inputs
    # 6120 tokens.
    assert [-(-side // 32) for side in video.size] == [10, 17]
    assert (video.frames, video.layout) == (36, "NTCHW")


def published(model, *, prefix="vistr.", masks=True):
    """A model's weights by the names of its authors' files."""
    state = {}
    parts = {"query_embed.": model.queries, "class_embed.": model.classes, "input_proj.": model.projection}
    parts |= {"backbone.0.body.": model.backbone, "transformer.decoder.norm.": model.norm}
    parts |= {f"bbox_embed.layers.{n}.": model.boxes[2 * n] for n in range(3)}
    for coder in ("encoder", "decoder"):
        for number, layer in getattr(model, coder).items():
            start = f"transformer.{coder}.layers.{int(number) - 1}."
            parts |= {f"{start}linear1.": layer.feedforward[0], f"{start}linear2.": layer.feedforward[3]}
            parts |= {f"{start}{name}.": part for name, part in layer.named_children() if name.startswith("norm")}
            looks = {"self_attn": layer.attention}
            looks |= {"multihead_attn": layer.cross_attention} if coder == "decoder" else {}
            state |= {
                f"{start}{name}.{key}": value for name, look in looks.items() for key, value in joint(look).items()
            }
    state |= {start + name: value for start, part in parts.items() for name, value in part.state_dict().items()}
    drawing = {"bbox_attention.q_linear.bias": 3, "mask_head.dcn.weight": 4, "insmask_head.0.weight": 5}
    drawing = {name: torch.zeros(size) for name, size in drawing.items()} if masks else {}
    return {prefix + name: value.detach().clone() for name, value in state.items()} | drawing


@pytest.fixture(scope="module")
def trained():
    """A small row and a module of it with five classes and no bias or scale of 0 or 1."""
    row = reduced(find_architecture("vistr_r50"))
    model = row.build(row.inputs, 6).eval()
    generator = torch.Generator().manual_seed(5)
    for value in model.state_dict().values():
        if value.ndim == 1:
            value += 0.1 * torch.rand(value.shape, generator=generator)
    return row, model


@torch.no_grad()
def test_the_authors_checkpoint_gives_the_same_numbers_and_says_what_is_left_out(trained, tmp_path):
    row, model = trained
    arguments = argparse.Namespace(backbone="resnet50", masks=True)
    torch.save({"model": published(model), "optimizer": {}, "epoch": 17, "args": arguments}, tmp_path / "vistr_r50.pth")
    with pytest.warns(UserWarning, match="the 3 weights of VisTR's mask head are left out"):
        opened, inputs = open_checkpoint(row, tmp_path / "vistr_r50.pth")
    assert inputs == row.inputs
    assert not opened.training
    video = clips(1, frames=4, height=64, width=64)
    for name, value in model(video).items():
        assert value.isfinite().all()
        assert torch.equal(opened(video)[name], value)


def test_one_that_was_trained_on_boxes_alone_opens_without_a_word(trained, tmp_path):
    row, model = trained
    torch.save({"model": published(model, prefix="", masks=False)}, tmp_path / "boxes.pth")
    opened, _ = open_checkpoint(row, tmp_path / "boxes.pth")
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in opened.state_dict().items())


def test_weights_of_the_model_itself_open_too(trained, tmp_path):
    row, model = trained
    torch.save(model.state_dict(), tmp_path / "own.pth")
    opened, _ = open_checkpoint(row, tmp_path / "own.pth")
    assert torch.equal(opened.queries.weight, model.queries.weight)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda s: s.pop("vistr.bbox_embed.layers.2.bias"), r"Missing: boxes\.4\.bias \(4,\)"),
        (lambda s: s.pop("vistr.transformer.encoder.layers.0.self_attn.in_proj_bias"), r"encoder\.1\.attention\.key"),
        (
            lambda s: s.update({"vistr.query_embed.weight": torch.ones(360, 24)}),
            r"Of another shape: queries\.weight \(360, 24\), expected \(12, 24\)",
        ),
        (
            lambda s: s.update({"vistr.transformer.decoder.layers.0.self_attn.in_proj_weight": torch.ones(())}),
            r"Unexpected: decoder\.1\.attention\.in_proj_weight \(\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(trained, tmp_path, spoil, named):
    row, model = trained
    state = published(model, masks=False)
    spoil(state)
    torch.save({"model": state}, tmp_path / "spoilt.pth")
    with pytest.raises(InputError, match=named) as caught:
        open_checkpoint(row, tmp_path / "spoilt.pth")
    assert "\n" not in str(caught.value)


def test_a_part_that_the_network_does_not_have_is_left_out_and_named(trained, tmp_path):
    row, model = trained
    state = published(model, masks=False)
    torch.save({"model": {**state, "vistr.extra": torch.ones(2)}}, tmp_path / "more.pth")
    with pytest.warns(Note, match=r"left out: extra"):
        opened, _ = open_checkpoint(row, tmp_path / "more.pth")
    assert torch.equal(opened.queries.weight, model.queries.weight)


def test_weights_of_another_model_are_refused_by_name(tmp_path):
    row = reduced(find_architecture("vistr_r50"))
    torch.save(small().state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"vistr_r50: .*does not fit the architecture\. Of another shape: projection"):
        open_checkpoint(row, tmp_path / "other.pth")


@torch.no_grad()
def test_random_weights_of_the_deepest_network_keep_the_scale_of_what_they_are_given():
    video = ModelInput("video", frames=1, size=(64, 64), layout="NTCHW")
    model = find_architecture("vistr_r101").build([video], 3, channels=12, heads=2, hidden=8, layers=(1, 1)).eval()
    features = model.backbone(clips(1, frames=1, height=64, width=64)[0])
    assert 0.01 < features.std() < 10
