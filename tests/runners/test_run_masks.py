"""Many masks of one layer at once: each is what `run` returns, and what no mask changes runs once."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners import trunk
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.torch_models import CASES, exported, probed

VIDEO = ModelInput("video", frames=4, size=(8, 8))
FRAMES = ModelInput("video", frames=4, size=(8, 8), layout="NT,C,H,W")


def masks_of(layer):
    rng = np.random.default_rng(5)
    return [{layer.name: mask} for mask in (np.arange(layer.units) % 2, np.zeros(layer.units), rng.random(layer.units))]


def check(runner, clips=3, only=None):
    """Compare all layers' masks with runs of the whole probe, which is cut at every layer in `only`, by default all."""
    feeds = random_feeds(runner.inputs, clips, seed=2)
    for layer in runner.metadata.layers:
        if only is not None and layer.name not in only:
            continue
        masks = [{}, *masks_of(layer)]
        expected = [runner.run(feeds, mask) for mask in masks]
        found = list(runner.run_masks(feeds, masks))
        assert runner._cut._halves[layer.name] is not None, layer.name
        assert len(found) == len(expected)
        for index, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
            assert list(mine) == list(theirs)
            for name, value in theirs.items():
                atol = 1e-6 * np.abs(value).max() if index else 0
                np.testing.assert_allclose(mine[name], value, rtol=0, atol=atol, err_msg=f"{layer.name} {index} {name}")
        assert any(not np.array_equal(found[0][name], found[2][name]) for name in found[0]), layer.name


@pytest.fixture(scope="module")
def resnet():
    return OnnxRunner(probed("resnet"), provider="cpu", threads=1)


@pytest.mark.parametrize("case", CASES)
def test_every_mask_of_every_layer(case):
    check(OnnxRunner(probed(case), provider="cpu", threads=1))


def test_half_precision(tmp_path):
    (tmp_path / "model.onnx").write_bytes(exported("resnet"))
    probe = build_probe(tmp_path / "model.onnx", tmp_path / "probe.onnx", masks=True, half=True)
    check(OnnxRunner(probe, provider="cpu", threads=1), only=("stem", "layer2", "layer4"))


class PerFrame(nn.Module):
    """Reads the frames of all clips as one batch, and returns scores and features of every frame."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU()
        self.scores = nn.Linear(4, 5)

    def forward(self, frames):
        features = self.act(self.features(frames)).mean((2, 3))
        return {"scores": self.scores(features), "brightness": frames.mean((1, 2, 3))[:, None]}


class Baked(nn.Module):
    """Reads two clips only."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv3d(3, 4, 3)
        self.scores = nn.Linear(4 * 2 * 6 * 6, 5)

    def forward(self, video):
        return self.scores(torch.relu(self.features(video)).reshape(2, -1))


class Streams(nn.Module):
    """Two inputs, one stream each, and a connection from one to the other."""

    def __init__(self):
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 4, 1)
        self.mixed = nn.ReLU()
        self.scores = nn.Linear(8, 5)

    def forward(self, slow, fast):
        slow, fast = self.slow(slow), self.fast(fast)
        slow = self.mixed(slow + fast[:, :, ::2])
        return self.scores(torch.cat([slow.mean((2, 3, 4)), fast.amax((2, 3, 4))], 1))


def runner_of(module, inputs, layers, folder: Path, **arguments):
    torch.manual_seed(0)
    path = export(module().eval(), inputs, layers, folder / "model.onnx", **arguments)
    return OnnxRunner(build_probe(path, folder / "probe.onnx", masks=True), provider="cpu", threads=1)


@pytest.mark.parametrize("clips", [1, 3])
def test_frames_of_all_clips_in_the_batch(tmp_path, clips):
    runner = runner_of(PerFrame, [FRAMES], ["features", "act"], tmp_path)
    check(runner, clips)
    feeds = random_feeds(runner.inputs, clips)
    (_, outputs) = runner.run_masks(feeds, [{}, {"act": np.zeros(4)}])
    assert outputs["scores"].shape == (clips, 4, 5)


@pytest.mark.parametrize("clips", [1, 2, 5])
def test_a_fixed_batch(tmp_path, clips):
    with pytest.warns(Note, match=r"runs 2 clip\(s\) at a time"):
        runner = runner_of(Baked, [VIDEO], ["features"], tmp_path, batch=2)
    check(runner, clips)


def test_two_inputs(tmp_path):
    inputs = [ModelInput("slow", frames=2, size=(8, 8)), ModelInput("fast", frames=4, size=(8, 8))]
    check(runner_of(Streams, inputs, ["slow", "fast", "mixed"], tmp_path))


def test_what_no_mask_changes_runs_once(resnet, monkeypatch):
    feeds, layer = random_feeds(resnet.inputs, 2), "layer4"
    (units,) = (each.units for each in resnet.metadata.layers if each.name == layer)
    masks = [{}, *({layer: np.arange(units) != unit} for unit in range(units))]
    list(resnet.run_masks(feeds, masks))
    halves, runs = resnet._cut._halves[layer], []
    for session in (halves.trunk, halves.head):
        run = session.run_with_iobinding
        monkeypatch.setattr(
            session, "run_with_iobinding", lambda *given, own=session, run=run: runs.append(own) or run(*given)
        )
    monkeypatch.setattr(resnet._session, "run", lambda *_: pytest.fail("the whole model ran"))
    assert len(list(resnet.run_masks(feeds, masks))) == 1 + units
    assert runs == [halves.trunk] + [halves.head] * (1 + units)


def test_masks_of_several_layers_at_once(resnet):
    feeds = random_feeds(resnet.inputs, 2)
    first, second = (layer for layer in resnet.metadata.layers if layer.name in ("layer2", "layer4"))
    both = {name: mask for masks in (masks_of(first), masks_of(second)) for name, mask in masks[0].items()}
    masks = [masks_of(first)[0], masks_of(second)[0], both]
    for found, mask in zip(resnet.run_masks(feeds, masks), masks, strict=True):
        for name, value in resnet.run(feeds, mask).items():
            np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"layer4": np.ones(3)}, r"the mask of layer 'layer4' has the shape \(3,\)"),
        ({"absent": np.ones(3)}, "there is no layer 'absent' to mask"),
        ({"layer4": np.full(12, np.inf)}, "one finite number"),
    ],
)
def test_masks_and_feeds_that_do_not_fit(resnet, mask, message):
    feeds = random_feeds(resnet.inputs, 2)
    with pytest.raises(InputError, match=message):
        list(resnet.run_masks(feeds, [{}, mask]))
    with pytest.raises(InputError, match="expected"):
        list(resnet.run_masks({"rgb": feeds["rgb"]}, [{}, {"layer4": np.zeros(12)}]))


def test_a_probe_without_masks(tmp_path):
    (tmp_path / "model.onnx").write_bytes(exported("framewise"))
    runner = OnnxRunner(build_probe(tmp_path / "model.onnx", tmp_path / "probe.onnx"), provider="cpu", threads=1)
    with pytest.raises(InputError, match="this probe has no masks"):
        list(runner.run_masks(random_feeds(runner.inputs, 1), [{}, {"conv": np.ones(8)}]))


def other_halves(*arguments):
    halves = OPEN(*arguments)
    start = halves.start

    def off(feeds):
        head = start(feeds)
        return lambda mask: {name: value * 1.001 for name, value in head(mask).items()}

    object.__setattr__(halves, "start", off)
    return halves


OPEN = trunk.open_halves


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("machine_memory", lambda: 1000, "this machine lacks the memory for further copies"),
        ("open_halves", other_halves, "its halves would differ from it by 1.0e-03 of its scale"),
    ],
)
def test_a_model_that_cannot_be_cut_runs_whole_and_says_so_once(monkeypatch, name, value, reason):
    runner = OnnxRunner(probed("framewise"), provider="cpu", threads=1)
    feeds = random_feeds(runner.inputs, 2)
    masks = [{}, {"deep": np.zeros(10)}]
    monkeypatch.setattr(trunk, name, value)
    with pytest.warns(Note, match=f"every mask of layer 'deep' runs the whole model, which is not cut there: {reason}"):
        found = list(runner.run_masks(feeds, masks))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = list(runner.run_masks(feeds, masks))
    for outputs in (found, again):
        for mine, mask in zip(outputs, masks, strict=True):
            for output, expected in runner.run(feeds, mask).items():
                np.testing.assert_array_equal(mine[output], expected)


def test_halves_that_the_runtime_optimises_by_themselves():
    runner = OnnxRunner(probed("transformer"), provider="cpu", threads=1)
    runner._cut._exact = False
    feeds = random_feeds(runner.inputs, 3)
    layer = next(each for each in runner.metadata.layers if each.name == "blocks.0")
    masks = [{}, *masks_of(layer)]
    for found, mask in zip(runner.run_masks(feeds, masks), masks, strict=True):
        for name, expected in runner.run(feeds, mask).items():
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert runner._cut._halves["blocks.0"] is not None


def test_what_fails_in_a_half_is_an_input_error(resnet, monkeypatch):
    feeds, masks = random_feeds(resnet.inputs, 2), [{}, {"layer4": np.zeros(12)}]
    list(resnet.run_masks(feeds, masks))

    def out_of_memory(*_):
        raise RuntimeError("Failed to allocate memory for requested buffer of size 9\n")

    monkeypatch.setattr(resnet._cut._halves["layer4"].head, "run_with_iobinding", out_of_memory)
    with pytest.raises(InputError, match=r"batch of 2 view\(s\): Failed to allocate .* use a smaller batch"):
        list(resnet.run_masks(feeds, masks))
