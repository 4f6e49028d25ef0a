"""Models beyond 2 GiB keep their weights in a file of their own; here the bound is lowered to a fraction of that."""

import json
import os
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import sdmetrics as sd
from sdmetrics.ablation.result import Ablation
from sdmetrics.clips.generated.world import MOTIONS
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError
from sdmetrics.exporters.layers import list_layers
from sdmetrics.exporters.probe import build_probe, make_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes import kept_weights
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.probes.model_file import read_model_file
from sdmetrics.probes.onnx_file import file_sha256, load_model
from sdmetrics.runners.onnxruntime import OnnxRunner
from tests.helpers.graphs import graph_model

VIDEO = sd.ModelInput("video", frames=2, size=(8, 8))
QUICK = ("--fraction", 0.5, "--repeats", 2, "--provider", "cpu", "--threads", 1)


class Wide(nn.Module):
    """Two layers of 256 KiB."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 256, 2, padding=1)
        self.first, self.second = nn.Linear(256, 256), nn.Linear(256, 256)

    def forward(self, video):
        tokens = self.conv(video).flatten(2).transpose(1, 2)
        return self.second(self.first(tokens).relu()).mean(1)


@pytest.fixture
def bound(monkeypatch):
    """The bound is one of 256 KiB."""
    monkeypatch.setattr(kept_weights, "IN_MEMORY", 2**18)


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The module, exported to one file and with its weights apart."""
    torch.manual_seed(0)
    wide, folder = Wide(), tmp_path_factory.mktemp("exports")
    for name, size in (("whole", kept_weights.IN_MEMORY), ("apart", 2**18)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kept_weights, "IN_MEMORY", size)
            (folder / name).mkdir()
            export(wide, [VIDEO], {"first": -1, "second": -1}, folder / name / "model.onnx")
    return wide, folder


@pytest.fixture
def whole(exports):
    return exports[1] / "whole" / "model.onnx"


@pytest.fixture
def apart(exports, tmp_path):
    """A copy of the model with its weights apart."""
    return shutil.copytree(exports[1] / "apart", tmp_path / "apart") / "model.onnx"


@pytest.fixture(scope="module")
def expected(exports):
    """What the probe of one file returns."""
    return outputs_of(build_probe(exports[1] / "whole" / "model.onnx", exports[1] / "probe.onnx", masks=True))


def separate(model, folder, **options):
    """Save a model with its weights in other files, as other exporters do."""
    folder.mkdir(exist_ok=True)
    onnx.save(onnx.load(model), folder / "model.onnx", save_as_external_data=True, size_threshold=1024, **options)
    return folder / "model.onnx"


def outputs_of(probe, **options):
    runner = OnnxRunner(probe, provider="cpu", threads=1)
    names = [*runner.metadata.outputs, *(f"units/{layer}" for layer in runner.layers)]
    return runner.run(random_feeds(runner.inputs, 3), outputs=names, **options)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-6, err_msg=name)


def test_an_export_writes_its_weights_beside_the_model(exports, whole, apart):
    assert sorted(file.name for file in apart.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert apart.stat().st_size < 2**17 < 2**19 <= (apart.parent / "model.onnx.data").stat().st_size
    onnx.checker.check_model(str(apart), full_check=True)
    declared, expected = read_metadata(apart), read_metadata(whole)
    assert (declared.layers, declared.sha256, declared.outputs) == (expected.layers, expected.sha256, expected.outputs)
    video = np.random.default_rng(0).normal(size=(2, 3, 2, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(apart, providers=["CPUExecutionProvider"])
    (found,) = session.run([declared.outputs[0]], {"video": video})
    np.testing.assert_allclose(found, exports[0](torch.from_numpy(video)).detach().numpy(), atol=1e-5)


def test_a_probe_returns_what_that_of_one_file_returns(apart, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_weights, "IN_MEMORY", 2**18)
    probe = build_probe(apart, tmp_path / "probe.onnx", masks=True)
    assert_same(outputs_of(make_probe(apart, masks=True)), expected)
    shutil.rmtree(apart.parent)
    assert (tmp_path / "probe.onnx.data").stat().st_nlink == 1
    assert_same(outputs_of(probe), expected)
    monkeypatch.undo()
    assert_same(outputs_of(probe), expected)


@pytest.mark.usefixtures("bound")
def test_weights_in_many_files_and_not_in_line(whole, expected, tmp_path):
    model = separate(whole, tmp_path / "many", all_tensors_to_one_file=False)
    assert len(list(model.parent.iterdir())) > 3
    stored = onnx.load(model, load_external_data=False)
    for tensor in stored.graph.initializer:
        if tensor.external_data:
            entries = {entry.key: entry for entry in tensor.external_data}
            file = model.parent / entries["location"].value
            file.write_bytes(b"odd" + file.read_bytes())
            entries["offset"].value = "3"
            # A weight without a length ends with its file.
            tensor.external_data.remove(entries["length"])
    model.write_bytes(stored.SerializeToString())
    assert_same(outputs_of(build_probe(model, tmp_path / "probe.onnx")), expected)
    assert (tmp_path / "probe.onnx.data").is_file()


@pytest.mark.filterwarnings("ignore::sdmetrics.errors.Note")
@pytest.mark.parametrize("opset", [10, 18])
def test_a_plain_file_of_any_opset(tmp_path, monkeypatch, opset):
    rng = np.random.default_rng(0)
    weights = [("w", rng.normal(size=(384, 3, 2, 4, 4)).astype(np.float32)), ("s", np.array([0, 384]))]
    weights.append(("v", rng.normal(size=(384, 384)).astype(np.float32)))
    nodes = [
        ("Conv", ["x", "w"], ["c"], {}),
        ("GlobalAveragePool", ["c"], ["p"], {}),
        ("Reshape", ["p", "s"], ["r"], {}),
        ("MatMul", ["r", "v"], ["z"], {}),
    ]
    plain = graph_model(tmp_path, nodes, ["z"], weights, opset=opset)
    listed = list_layers(plain)
    expected = outputs_of(build_probe(plain, tmp_path / "plain.onnx", layers=["c"]))
    monkeypatch.setattr(kept_weights, "IN_MEMORY", 2**18)
    model = separate(plain, tmp_path / "apart", location="weights")
    assert len(kept_weights.kept_tensors(load_model(model).graph)) == 2
    assert list_layers(model) == listed
    probe = build_probe(model, tmp_path / "probe.onnx", layers=["c"])
    assert probe.stat().st_size < 2**16
    assert_same(outputs_of(probe), expected)


def test_a_run_and_its_ablation_are_those_of_one_file(command, tmp_path, monkeypatch):
    with demo_model("motion") as shipped:
        model = separate(shipped, tmp_path / "apart", location="weights")
        whole = shutil.copy(shipped, tmp_path / "whole.onnx")
    (tmp_path / "classes.txt").write_text("\n".join(MOTIONS) + "\n")
    runs = {}
    for name, file in (("whole", whole), ("apart", model)):
        if name == "apart":
            monkeypatch.setattr(kept_weights, "IN_MEMORY", 2**18)
            assert kept_weights.kept_tensors(load_model(file).graph)
        run = tmp_path / f"{name}-run"
        code, _, err = command("analyze", file, "world:8", "--out", run, "--provider", "cpu", "--threads", 1)
        assert code == 0, err
        code, _, err = command("ablate", run, "--labels", tmp_path / "classes.txt", *QUICK)
        assert code == 0, err
        runs[name] = run
    layers = [json.loads((run / "results.json").read_text())["layers"] for run in runs.values()]
    assert len(layers[0]) == 5
    for one, other in zip(*layers, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=1e-6)
        assert one["counts"] == other["counts"]
    curves = [Ablation.load(run).curves for run in runs.values()]
    assert curves[0] == curves[1]
    assert sorted(each.name for each in model.parent.iterdir()) == ["model.onnx", "weights"]


@pytest.mark.usefixtures("bound")
def test_the_hash_is_that_of_the_weights_too(apart, tmp_path):
    made = make_probe(apart)
    probe = build_probe(apart, tmp_path / "probe.onnx")
    assert read_metadata(probe).sha256 == file_sha256(apart) == read_model_file(apart).sha256
    assert OnnxRunner(probe, provider="cpu").circumstance["probe_sha256"] == file_sha256(probe)
    moved = shutil.copytree(apart.parent, tmp_path / "moved") / "model.onnx"
    assert make_probe(moved).sha256 == made.sha256
    stored = onnx.load(moved)
    weight = next(tensor for tensor in stored.graph.initializer if len(tensor.raw_data) == 2**18)
    weight.raw_data = bytes(4) + weight.raw_data[4:]
    onnx.save(stored, moved, save_as_external_data=True, location="model.onnx.data")
    assert make_probe(moved).sha256 != made.sha256


def change(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def link_outside(file):
    file.rename(file.parent.parent / "private")
    file.symlink_to(file.parent.parent / "private")


def hard_link(file):
    os.link(file, file.parent.parent / "private")


@pytest.mark.parametrize("kind", ["model", "probe"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.unlink(), r"keeps weights in .*\.data, which is missing; put it beside the model$"),
        (lambda file: os.truncate(file, 10**5), "weights that cannot be read: .* which has 100,000 bytes; copy the"),
        (change, "was written with other weights than those in .* copy both files again, or export the model again$"),
        (link_outside, "outside its own folder, which is not followed; move them beside the model"),
        (hard_link, "a hard link: the file has another name, perhaps outside .* put a copy in its place$"),
    ],
)
@pytest.mark.usefixtures("bound")
def test_weights_that_are_not_read(apart, monkeypatch, kind, spoil, message):
    path = apart if kind == "model" else build_probe(apart, apart.with_name("probe.onnx"))
    spoil(path.with_name(path.name + ".data"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("a session was opened"))
    openers = [lambda: sd.open_model(path), lambda: OnnxRunner(path)] if kind == "probe" else [lambda: make_probe(path)]
    for opened in openers:
        with pytest.raises(InputError, match=message) as caught:
            opened()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [2**18, 2**31])
def test_a_link_inside_the_folder_is_followed(apart, expected, tmp_path, monkeypatch, kept):
    monkeypatch.setattr(kept_weights, "IN_MEMORY", kept)
    data = apart.with_name("model.onnx.data")
    (apart.parent / "weights").mkdir()
    data.rename(apart.parent / "weights" / "real")
    data.symlink_to("weights/real")
    assert_same(outputs_of(build_probe(apart, tmp_path / "probe.onnx", masks=True)), expected)


@pytest.mark.parametrize("kept", [2**18, 2**31])
def test_weights_of_another_shape(apart, monkeypatch, kept):
    monkeypatch.setattr(kept_weights, "IN_MEMORY", kept)
    stored = onnx.load(apart, load_external_data=False)
    large = next(tensor for tensor in stored.graph.initializer if tensor.external_data)
    large.dims[0] += 1
    apart.write_bytes(stored.SerializeToString())
    with pytest.raises(InputError, match=r"weights that cannot be read: .* has the shape .* bytes; export it again"):
        make_probe(apart)


@pytest.mark.usefixtures("bound")
def test_weights_that_change_while_they_are_used(apart):
    file = read_model_file(apart)
    os.truncate(apart.parent / "model.onnx.data", 100)
    with pytest.raises(InputError, match="were changed while they were used; start again"):
        make_probe(file)


@pytest.mark.usefixtures("bound")
def test_half_precision_is_for_smaller_models(apart):
    with pytest.raises(InputError, match=r"more than 2 GiB of weights, .* e\.g\. with module\.half\(\)$"):
        make_probe(apart, half=True)


@pytest.mark.usefixtures("bound")
def test_an_export_without_room_leaves_nothing(exports, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onnx_ir.save", full)
    with pytest.raises(InputError, match=r"cannot write the weights to .*: No space left on device\. Make room"):
        export(exports[0], [VIDEO], {"first": -1}, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("bound")
def test_a_failed_write_keeps_what_was_there(apart, tmp_path, monkeypatch):
    probe = build_probe(apart, tmp_path / "probe.onnx")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_weights, "_blocks", full)
    with pytest.raises(InputError, match=r"cannot write .*probe\.onnx\.data: No space left on device"):
        build_probe(apart, probe, masks=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before
