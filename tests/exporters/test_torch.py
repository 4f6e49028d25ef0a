import json
from collections import OrderedDict

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from sdmetrics.errors import InputError
from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.torch_hooks import replacing_outputs
from sdmetrics.probes.torch_stages import find_stages
from tests.helpers.exports import check_axes, check_file, check_metadata, check_outputs, open_file
from tests.helpers.torch_models import CASES, Framewise, ResNet3d, Transformer, exported, hooked, seeded, video_input

SMALL = ModelInput("video", frames=2, size=(8, 8))


class Tiny(nn.Module):
    """One convolution, then whatever the test wants."""

    def __init__(self, after):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.unused = nn.ReLU()
        self.after = after

    def forward(self, x):
        return self.after(self.conv(x))


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_the_named_outputs_are_what_the_modules_return(case, clips):
    model, inputs, layers = CASES[case].make(), CASES[case].inputs, CASES[case].layers
    arrays = prepare(random_feeds(inputs, clips, seed=7), inputs)
    own, taps = hooked(model, layers, list(arrays.values()))
    own = {name: value.numpy() for name, value in (own if isinstance(own, dict) else {"output": own}).items()}
    check_outputs(exported(case), arrays, own, taps)


@pytest.mark.parametrize("case", CASES)
def test_the_file_is_valid_onnx_with_a_dynamic_batch_and_tells_nothing_of_the_machine(case):
    check_file(exported(case), CASES[case].inputs)


def test_the_file_says_what_it_is():
    data, inputs = exported("time-major"), CASES["time-major"].inputs
    metadata = check_metadata(data, "time-major", inputs, f"torch {torch.__version__}")
    assert metadata.outputs == ("output",)
    conv, act, _, fc = metadata.layers
    assert (conv.name, conv.tensor, conv.module) == ("conv", "layer/conv", "conv")
    assert (conv.units, conv.channel_axis, conv.fold, conv.time_axis) == (8, 1, "time-major", None)
    assert (act.fold, fc.fold, fc.units) == ("time-major", None, 5)


@pytest.mark.parametrize(
    ("case", "layer", "channel_axis", "units", "time_axis", "fold"),
    [
        ("resnet", "stem", 1, 6, 2, None),
        ("resnet", "layer4", 1, 12, 2, None),
        ("resnet", "fc", 1, 5, None, None),
        ("transformer", "embed", 1, 16, 2, None),
        ("transformer", "blocks.0.qkv", 2, 48, None, None),
        ("transformer", "blocks.1", 2, 16, None, None),
        ("framewise", "deep", 1, 10, None, "batch-major"),
    ],
)
def test_axes_follow_from_the_graph(case, layer, channel_axis, units, time_axis, fold):
    check_axes(exported(case), layer, channel_axis, units, time_axis, fold)


def test_the_same_module_gives_the_same_file_and_other_weights_another_hash(tmp_path):
    first, second = seeded(Framewise), seeded(Framewise)
    paths = [
        export(m, [video_input("NTCHW")], ["act"], tmp_path / f"{n}" / "m.onnx") for n, m in enumerate([first, second])
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with torch.no_grad():
        second.fc.bias += 1
    export(second, [video_input("NTCHW")], ["act"], paths[1])
    assert read_metadata(paths[0]).sha256 != read_metadata(paths[1]).sha256


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_is_left_as_it_was(tmp_path, fails):
    model = Tiny(nn.Sequential(nn.Dropout3d(), nn.ReLU())).train()
    model.after[0].eval()
    modes = [part.training for part in model.modules()]
    if fails:
        with pytest.raises(InputError):
            export(model, [SMALL], ["conv", "unused"], tmp_path / "m.onnx")
    else:
        export(model, [SMALL], ["conv", "after"], tmp_path / "m.onnx")
    assert [part.training for part in model.modules()] == modes
    assert not any(part._forward_hooks for part in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.is_grad_enabled()


class Two(nn.Module):
    """Returns something with a tensor in it."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


class Reader(nn.Module):
    """Reads what `Two` returns, in whatever it is wrapped."""

    def forward(self, found):
        x = found["x"] if isinstance(found, dict) else found[0] if isinstance(found[0], torch.Tensor) else found[1]
        return x.mean((2, 3, 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: (x, 2 * x),
        lambda x: [None, x],
        lambda x: OrderedDict(x=x, y=2 * x),
    ],
)
def test_of_several_returned_tensors_the_first_is_the_layer(tmp_path, make):
    model = Tiny(nn.Sequential(Two(make), Reader()))
    path = export(model, [SMALL], ["conv", "after.0"], tmp_path / "m.onnx")
    arrays = prepare(random_feeds([SMALL], 2), [SMALL])
    session = open_file(path.read_bytes())
    conv, two = session.run(["layer/conv", "layer/after.0"], arrays)
    np.testing.assert_array_equal(conv, two)


def test_a_module_that_writes_into_its_input_does_not_change_the_layer_before_it(tmp_path):
    class Writes(nn.Module):
        def forward(self, x):
            x *= 0.5
            return x.relu_()

    model = Tiny(nn.Sequential(nn.Identity(), Writes()))
    path = export(model, [SMALL], ["conv", "after.0", "after"], tmp_path / "m.onnx")
    arrays = prepare(random_feeds([SMALL], 2), [SMALL])
    session = open_file(path.read_bytes())
    conv, same, after = session.run(["layer/conv", "layer/after.0", "layer/after"], arrays)
    with torch.no_grad():
        expected = model.conv(torch.from_numpy(arrays["video"])).numpy()
    np.testing.assert_allclose(conv, expected, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(same, conv)
    np.testing.assert_allclose(after, np.maximum(expected / 2, 0), rtol=0, atol=1e-6)


def test_what_becomes_of_a_tensor_later_does_not_change_the_layer(tmp_path):
    class Erases(nn.Module):
        def __init__(self):
            super().__init__()
            self.same = nn.Identity()

        def forward(self, x):
            doubled = self.same(x) * 2
            x.zero_()
            return doubled + x

    path = export(Tiny(Erases()), [SMALL], ["conv", "after.same"], tmp_path / "m.onnx")
    arrays = prepare(random_feeds([SMALL], 2), [SMALL])
    session = open_file(path.read_bytes())
    conv, same, own = session.run(["layer/conv", "layer/after.same", "output"], arrays)
    np.testing.assert_array_equal(conv, same)
    np.testing.assert_array_equal(own, 2 * conv)
    assert conv.any()


def test_half_precision_modules_export(tmp_path):
    path = export(Tiny(nn.ReLU()).half(), [SMALL], ["conv"], tmp_path / "m.onnx")
    assert read_metadata(path).export_error < 3e-2


def test_stages_of_a_resnet_are_its_stem_and_stages():
    assert find_stages(ResNet3d()) == ["stem", "layer1", "layer2", "layer3", "layer4"]


def test_stages_of_a_transformer_are_its_blocks():
    assert find_stages(Transformer(depth=3)) == ["blocks.0", "blocks.1", "blocks.2"]


def parts(count, width=4):
    return [nn.Sequential(nn.Linear(width, width)) for _ in range(count)]


class ProjectionHead(nn.Sequential):
    pass


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        (
            nn.ModuleDict({"conv1": nn.ReLU(), "maxpool": nn.ReLU(), "layer1": nn.ReLU(), "layer2": nn.ReLU()}),
            ["maxpool", "layer1", "layer2"],
        ),
        (
            nn.ModuleDict({"stage_1": nn.ReLU(), "stage_2": nn.ReLU(), "fc": nn.ReLU()}),
            ["stage_1", "stage_2"],
        ),
        (nn.ModuleDict({"s1": nn.ReLU(), "s2": nn.ReLU()}), ["s1", "s2"]),
        (
            nn.ModuleDict({"blocks": nn.ModuleList([*parts(3), ProjectionHead(*parts(2))])}),
            ["blocks.0", "blocks.1", "blocks.2"],
        ),
        (
            nn.ModuleDict(
                {
                    "small": nn.ModuleList(parts(5, 2)),
                    "encoder": nn.ModuleDict({"layers": nn.ModuleList(parts(2, 9))}),
                }
            ),
            ["encoder.layers.0", "encoder.layers.1"],
        ),
        (
            nn.ModuleDict({"backbone": nn.ModuleDict({"stem": nn.ReLU(), "res2": nn.ReLU(), "res3": nn.ReLU()})}),
            ["backbone.stem", "backbone.res2", "backbone.res3"],
        ),
    ],
)
def test_stages_are_found_by_structure(module, stages):
    assert find_stages(module) == stages


def test_a_module_without_stages_says_what_there_is():
    with pytest.raises(InputError, match=r"no stages.*The names: 0, 1"):
        find_stages(nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU()))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["layer5"], r"ResNet3d has no module 'layer5'\. The nearest names: .*layer4"),
        (["layer1.0.relu"], "'layer1.0.relu' runs more than once"),
        ([], r"layers are \[\]; name at least one module"),
        (["stem", "stem"], "each once"),
        ("blocks", "layers is 'blocks'; expected a list of module names, or 'stages'"),
    ],
)
def test_layers_that_cannot_be(tmp_path, layers, message):
    with pytest.raises(InputError, match=message):
        export(seeded(ResNet3d), [video_input()], layers, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def mixes(x):
    return x - x.mean(0, keepdim=True)


def lies(x):
    return x * 1.1 if torch.compiler.is_exporting() else x


def branches(x):
    return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("after", "layers", "message"),
    [
        (nn.Identity(), ["unused"], "'unused' does not run"),
        (Two(lambda _: ["no tensor"]), ["after"], "'after' returns list without a tensor"),
        (Two(lambda _: None), ["conv"], "the model returns NoneType"),
        (Two(mixes), ["after"], "the model mixes the clips of a batch"),
        (Two(lambda x: x.argmax(1)), ["after"], "units are floating-point numbers"),
        (Two(lambda x: x.mean(0)), ["after"], "no axis holds the clips"),
        (Two(lies), ["after"], r"output differs from the framework's by .* for 1 clip"),
        (Two(branches), ["conv"], "cannot export Tiny"),
        (Two(lambda x: x + x.new_zeros(len(x), 1, 1, 1, 1)), ["conv"], "reads 3 .* and no other number"),
    ],
)
def test_modules_that_cannot_be_exported(tmp_path, after, layers, message):
    with pytest.raises(InputError, match=message) as caught:
        export(Tiny(after), [SMALL], layers, tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_layer_whose_channels_are_uncertain_asks_for_their_axis(tmp_path):
    model = Tiny(Two(lambda x: x.flatten(1)[:, :8].reshape(-1, 2, 4)))
    with pytest.raises(
        InputError,
        match=r"axis of layer 'after' .* specify it, e\.g\. --layer 'after axis=\d', in Python layers=\{'after': \d\}",
    ):
        export(model, [SMALL], ["after"], tmp_path / "m.onnx")
    path = export(model, [SMALL], {"after": -1}, tmp_path / "m.onnx")
    (layer,) = read_metadata(path).layers
    assert (layer.channel_axis, layer.units) == (2, 4)


def test_a_hook_that_fails_leaves_no_hook():
    model = Tiny(nn.ReLU())

    def boom(name, _tensor):
        raise RuntimeError(name)

    with pytest.raises(RuntimeError, match="conv"), replacing_outputs(model, ["conv"], boom):
        model(torch.zeros(1, 3, 2, 4, 4))
    assert not model.conv._forward_hooks


def test_the_metadata_is_json_that_anyone_can_read():
    model = onnx.load_from_string(exported("framewise"))
    data = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "sdmetrics"))
    assert data["schema"] == 2
    assert data["inputs"][0]["size"] == [32, 32]
    assert data["layers"][0]["fold"] == "batch-major"
