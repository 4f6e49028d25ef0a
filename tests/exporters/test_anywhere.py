"""The file that is copied into old environments: what it exports is opened here like an export of this package."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import sdmetrics as sd
from sdmetrics.exporters import anywhere
from sdmetrics.exporters.anywhere import ExportError, ModelInput, export
from sdmetrics.probes.feeds import example_feeds
from sdmetrics.probes.metadata import KEY, Layer, Metadata, read_metadata
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.exports import check_file, described
from tests.helpers.torch_models import CASES, exported

FILE = Path(anywhere.__file__)
SMALL = ModelInput("video", frames=4, size=(16, 24))


def described_in(path):
    """Return the description in a file, as it is there."""
    return json.loads(next(entry.value for entry in onnx.load(path).metadata_props if entry.key == KEY))


def check_units(path, module, inputs, layers):
    """Check that a probe of the file returns the units and outputs of the live module, also under a mask."""
    here = [sd.ModelInput(**dataclasses.asdict(item)) for item in inputs]
    live = TorchRunner(module, here, layers)
    runner = sd.open_model(path, provider="cpu", threads=1, masks=True)
    assert list(runner.inputs) == here
    feeds = example_feeds(here)
    found, expected = runner(feeds), live(feeds)
    for name, units in expected.items():
        np.testing.assert_allclose(found[name], units, rtol=0, atol=1e-5 * max(np.abs(units).max(), 1e-3))
        mask = {name: np.arange(units.shape[1]) % 2.0}
        for output, values in live.run(feeds, mask).items():
            np.testing.assert_allclose(
                runner.run(feeds, mask)[output], values, rtol=0, atol=1e-4 * np.abs(values).max()
            )
    return runner


def test_the_file_is_python_3_8_and_stands_alone():
    tree = ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, 8))
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    others = {name.partition(".")[0] for name in named} - sys.stdlib_module_names
    assert others == {"numpy", "onnx", "onnxruntime", "torch"}


def test_an_input_is_described_as_here():
    ours = {field.name: field.default for field in dataclasses.fields(sd.ModelInput)}
    assert {field.name: field.default for field in dataclasses.fields(ModelInput)} == ours
    for fields in ({}, {"source": "flow", "frames": 1, "layout": "NHWC"}, {"source": "flow_vectors", "limit": 20.0}):
        there, here = ModelInput("video", **fields), sd.ModelInput("video", **fields)
        assert dataclasses.asdict(there) == dataclasses.asdict(here)


def test_a_file_holds_what_exports_of_this_package_hold(tmp_path):
    export(nn.Sequential(nn.Conv3d(3, 5, 1), nn.ReLU()), SMALL, ["0"], tmp_path / "model.onnx")
    stored = described_in(tmp_path / "model.onnx")
    # Only a model that was trained with a loss on shuffled clips names it.
    assert stored.keys() == {"schema", *(field.name for field in dataclasses.fields(Metadata))} - {
        "trained_on_shuffled"
    }
    assert stored["layers"][0].keys() == {field.name for field in dataclasses.fields(Layer)}
    assert stored["schema"] == json.loads(read_metadata(tmp_path / "model.onnx").to_json())["schema"]


@pytest.mark.parametrize("case", CASES)
def test_it_exports_what_the_exporter_of_this_package_exports(case, tmp_path):
    made = CASES[case]
    layers = dict.fromkeys(made.layers, 1) if case == "resnet" else made.layers  # 8 channels, 8 pixels wide
    path = export(made.make(), made.inputs, layers, tmp_path / f"{case}.onnx")
    check_file(path.read_bytes(), made.inputs)
    ours, theirs = described(exported(case)), described(path.read_bytes())
    assert (theirs.name, theirs.kind, theirs.inputs, theirs.outputs) == (
        case,
        "model",
        ours.inputs and made.inputs,
        ours.outputs,
    )
    assert (theirs.sha256, theirs.framework) == (ours.sha256, ours.framework)
    assert theirs.export_error < 1e-5
    for layer, other in zip(theirs.layers, ours.layers, strict=True):
        assert layer == dataclasses.replace(other, shape=layer.shape, time_axis=None)
    check_units(path, made.make(), made.inputs, list(made.layers))


class Reads(nn.Module):
    """Convolves an input of any layout frame by frame; `order` brings it to `(N, T, C, H, W)`."""

    def __init__(self, order, channels=3):
        super().__init__()
        self.order = order
        self.conv = nn.Conv2d(channels, 7, 3)

    def forward(self, x, *more):
        x = self.order(x)
        y = self.conv(x.flatten(0, 1)).mean((2, 3)).reshape(x.shape[0], x.shape[1], 7).mean(1)
        return (y, *(y[:, :1] + other.mean((1, 2, 3))[:, None] for other in more))


LAYOUTS = {
    "NTHWC": lambda x: x.permute(0, 1, 4, 2, 3),
    "TNCHW": lambda x: x.transpose(0, 1),
    "NT,C,H,W": lambda x: x.reshape(-1, 4, *x.shape[1:]),
    "N,TC,H,W": lambda x: x.reshape(-1, 4, 3, *x.shape[2:]),
    "N1CTHW": lambda x: x[:, 0].transpose(1, 2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_are_fed_in_every_layout(layout, tmp_path):
    video = dataclasses.replace(SMALL, layout=layout, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    module = Reads(LAYOUTS[layout])
    path = export(module, [video], ["conv"], tmp_path / "model.onnx")
    check_units(path, module, [video], ["conv"])


def test_several_inputs_and_flow(tmp_path):
    video = ModelInput("video", frames=4, size=(16, 24))
    flow = ModelInput("flow", "flow_vectors", frames=1, size=(16, 24), layout="NCHW", limit=20.0)
    module = Reads(lambda x: x.transpose(1, 2))
    path = export(module, [video, flow], ["conv"], tmp_path / "model.onnx")
    runner = check_units(path, module, [video, flow], ["conv"])
    assert list(runner.metadata.outputs) == ["output_0", "output_1"]


def test_inputs_of_this_package_will_do_and_the_module_is_left_as_it_was(tmp_path):
    module = nn.Sequential(nn.Conv3d(3, 5, 1), nn.Dropout(), nn.ReLU()).train()
    video = sd.ModelInput("video", frames=4, size=(16, 24))
    path = export(module, video, ["0", "2"], str(tmp_path / "model.onnx"))
    assert module.training
    assert not any(part._forward_hooks for part in module.modules())
    assert read_metadata(path).inputs == (video,)


class Wraps(nn.Module):
    """Returns its layer's output in something with a tensor in it."""

    def __init__(self, wrap, unwrap):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv3d(3, 5, 3))
        self.inner.forward = lambda x: wrap(self.inner[0](x))
        self.unwrap = unwrap

    def forward(self, x):
        return self.unwrap(self.inner(x)).mean((2, 3, 4))


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: (None, x), lambda found: found[1]),
        (lambda x: [x, 3], lambda found: found[0]),
        (lambda x: {"extra": None, "x": x}, lambda found: found["x"]),
        (lambda x: torch.return_types.max((x, x)), lambda found: found[0]),
    ],
)
def test_layers_may_return_more_than_a_tensor(wrap, unwrap, tmp_path):
    module = Wraps(wrap, unwrap)
    check_units(export(module, SMALL, ["inner"], tmp_path / "model.onnx"), module, [SMALL], ["inner"])


class Last(nn.Module):
    """Returns channels last."""

    def __init__(self, width):
        super().__init__()
        self.out = nn.Linear(3, width)

    def forward(self, x):
        return self.out(x.permute(0, 2, 3, 4, 1))


class Constant(nn.Module):
    """Takes the number of clips of the example for a constant."""

    def forward(self, x):
        return x.reshape(int(x.shape[0]), -1) @ torch.ones(len(x) * 0 + 3 * 4 * 16 * 24, 5) + torch.zeros(len(x), 5)


class Shared(nn.Module):
    """Runs one part twice, another never."""

    def __init__(self):
        super().__init__()
        self.conv, self.unused = nn.Conv3d(3, 3, 1), nn.ReLU()

    def forward(self, x):
        return self.conv(self.conv(x))


class Named(nn.Module):
    """Returns its input under a name."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        return {self.name: x * 2}


class Mixing(nn.Module):
    """What a clip gives depends on the others."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv3d(3, 5, 1), nn.ReLU()

    def forward(self, x):
        return self.act(self.conv(x) - x.mean())


WRONG = {
    "no such layer": (lambda: nn.Sequential(nn.ReLU()), ["1"], r"the layers are '1'; expected .* names from: 0"),
    "no module": (lambda: "model.pt", ["0"], "the model is a str; expected a torch.nn.Module"),
    "no layers": (lambda: nn.Sequential(nn.ReLU()), [], r"the layers are \[\]; expected"),
    "stages": (
        lambda: nn.Sequential(nn.ReLU()),
        "stages",
        r"the layers are 'stages'; expected a list of different names",
    ),
    "doubled": (lambda: nn.Sequential(nn.ReLU()), ["0", "0"], r"the layers are \['0', '0'\]"),
    "twice": (Shared, ["conv"], "'conv' runs more than once in a forward; name the module around it"),
    "never": (Shared, ["unused"], "'unused' does not run in a forward"),
    "half": (lambda: nn.Sequential(nn.Conv3d(3, 5, 1)).half(), ["0"], r"not float32; call \.float\(\) on it"),
    "either axis": (
        lambda: Last(4),
        ["out"],
        r"which axis of layer 'out', \(1, 4, 16, 24, 4\), .*: 1\} or \{'out': 4\}",
    ),
    "unknown axis": (
        lambda: nn.Sequential(nn.ReLU()),
        ["0"],
        "holds the channels is not certain; pass the layers as a map",
    ),
    "no such axis": (lambda: nn.Sequential(nn.ReLU()), {"0": 9}, "has no axis 9; pass one from 0 to 4"),
    "axis in words": (lambda: nn.Sequential(nn.ReLU()), {"0": "C"}, "has no axis 'C'; pass one from 0 to 4"),
    "fails": (
        lambda: nn.Sequential(nn.Linear(3, 3)),
        ["0"],
        r"Sequential fails in its forward on \(3, 3, 4, 16, 24\): RuntimeError:",
    ),
    "name of an input": (
        lambda: nn.Sequential(nn.ReLU(), Named("video")),
        ["0"],
        "the model returns 'video', the name of an input or a layer; wrap it and rename that",
    ),
    "axis of clips": (lambda: nn.Sequential(nn.ReLU()), {"0": 0}, "has its clips in axis 0, not its channels"),
    "mixing": (Mixing, ["act"], "layer 'act' returns other values for a clip alone than in a batch"),
    "no tensor": (
        lambda: nn.Sequential(nn.ReLU(), Wraps(lambda _: 3, lambda x: x)),
        ["1.inner"],
        "returns int without a",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_exported_is_one_line(case, tmp_path):
    make, layers, words = WRONG[case]
    with pytest.raises(ExportError, match=words) as told:
        export(make(), SMALL, layers, tmp_path / "model.onnx")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_axes_may_be_given(tmp_path):
    module = Last(4)
    path = export(module, SMALL, {"out": -1}, tmp_path / "model.onnx")
    assert read_metadata(path).layers[0].channel_axis == 4


def test_a_batch_that_became_a_constant_is_found(tmp_path):
    module = nn.Sequential(nn.Conv3d(3, 3, 1), Constant())
    with pytest.raises(
        ExportError, match=r"the ONNX model .* 1 clip\(s\); torch's exporter may have taken a number for a constant"
    ):
        export(module, SMALL, {"0": 1}, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inputs", [[], None, ["video"], [{"name": "video"}]])
def test_inputs_are_model_inputs(inputs, tmp_path):
    with pytest.raises(ExportError, match="expected a ModelInput, or a list of them"):
        export(nn.ReLU(), inputs, ["0"], tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layout": "NCTHX"}, "the layout 'NCTHX'; expected e.g. NCTHW"),
        ({"layout": "CTHW"}, "the layout 'CTHW'"),
        ({"layout": "NCHW"}, "has 8 frames from 'rgb' as NCHW"),
        ({"source": "sound"}, "from 'sound'"),
        ({"frames": 0}, "the frames 0; expected a whole number from 1"),
        ({"stride": 1.5}, r"the stride 1\.5; expected a whole number"),
        ({"size": 224}, r"the size \(224,\); expected \(height, width\)"),
        ({"mean": 0.5}, r"the mean \(0\.5,\); expected 3 numbers"),
        ({"std": (1, 0, 1)}, r"the std \(1, 0, 1\); expected 3 numbers above 0"),
        ({"colours": "BGR"}, "the colours 'BGR'; expected rgb or bgr"),
        ({"resize": "256"}, "the resize '256'; expected the shorter side, or"),
        ({"sampling": "sparse"}, "the sampling 'sparse'; expected window or spread"),
        ({"sampling": "spread", "fps": 15}, "the fps 15; expected a number above 0, and none where frames are spread"),
    ],
)
def test_an_input_is_checked(fields, words):
    with pytest.raises(ExportError, match=words):
        ModelInput("video", **fields)


def test_without_onnxruntime_it_says_that_nothing_was_compared(tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "onnxruntime" else find(name, *more)
    )
    module = nn.Sequential(nn.Conv3d(3, 5, 1), nn.ReLU())
    path = export(module, SMALL, ["0"], tmp_path / "model.onnx")
    assert capsys.readouterr().err == (
        "note: onnxruntime is not installed, so the model was not compared with the module\n"
    )
    assert read_metadata(path).export_error is None
    monkeypatch.undo()
    check_units(path, module, [SMALL], ["0"])
