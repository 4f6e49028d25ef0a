"""Live modules of the user's code: opened as ONNX files are, and found again by name only."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

import sdmetrics as sd
from sdmetrics.clips.request import ClipRequest
from sdmetrics.errors import InputError
from sdmetrics.exporters.torch import export
from sdmetrics.loading.live import torch_device
from sdmetrics.loading.run_source import RunSource
from sdmetrics.loading.user_code import build_model
from sdmetrics.probes.feeds import example_feeds
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.user_code import write_code


@pytest.fixture
def code(tmp_path):
    return f"{write_code(tmp_path)}:build"


def test_the_module_runs_as_it_is_where_an_export_fails(code, tmp_path):
    runner = sd.open_model(code, provider="cpu")
    built = build_model(code)
    with pytest.raises(InputError, match="cannot export Net"):
        export(built.module, built.inputs, built.layers, tmp_path / "model.onnx")
    feeds = example_feeds(built.inputs)
    expected = TorchRunner(built.module, built.inputs, built.layers)
    assert runner.layers == ["stem", "tokens"]
    for name, units in expected(feeds).items():
        assert np.array_equal(runner(feeds)[name], units)
    assert np.array_equal(runner.run(feeds)["logits"], expected.run(feeds)["logits"])
    assert runner.name == "my_code.build"
    assert runner.identity["model_sha256"] == expected.identity["model_sha256"]
    assert runner.circumstance["provider"] == "cpu"


LATE = """
import sys
import torch
import sdmetrics as sd


class Late(torch.nn.Conv3d):
    def forward(self, x):
        {first}
        return super().forward(x)


def build():
    return torch.nn.Sequential(Late(3, 4, 1)), sd.ModelInput("v", frames=2, size=(8, 8)), ["0"]
"""


def test_code_that_imports_a_neighbour_only_as_it_runs_finds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "late_neighbour.py").touch()
    (tmp_path / "code.py").write_text(LATE.format(first="import late_neighbour"))
    assert sd.open_model(f"{tmp_path / 'code.py'}:build", provider="cpu").layers == ["0"]


def test_code_that_exits_as_it_runs_is_one_line(tmp_path):
    (tmp_path / "code.py").write_text(LATE.format(first="sys.exit('no data')"))
    with pytest.raises(InputError, match="Sequential fails in its forward: SystemExit: no data"):
        sd.open_model(f"{tmp_path / 'code.py'}:build", provider="cpu")


def test_layers_and_inputs_can_be_others(code):
    video = ModelInput("video", frames=6, stride=2, size=(16, 16))
    runner = sd.open_model(code, layers={"act": None, "tokens": 2}, inputs=[video], provider="cpu")
    assert runner.inputs == (video,)
    axes = runner.identity["layers"]
    assert [(name, layer["channel_axis"]) for name, layer in axes.items()] == [("act", 1), ("tokens", 2)]
    assert sd.open_model(code, layers=["fc"], provider="cpu").layers == ["fc"]
    bare = sd.open_model(code, layers=(), provider="cpu")
    assert bare.layers == []
    assert list(bare.run(example_feeds(bare.inputs))) == ["logits"]
    assert bare(example_feeds(bare.inputs)) == {}


def test_axes_that_the_function_returns_hold_for_layers_that_are_named(tmp_path):
    path = write_code(tmp_path)
    path.write_text(path.read_text().replace('["stem", "tokens"]', '{"stem": 2, "tokens": None}'))
    axes = sd.open_model(f"{path}:build", layers=["stem"], provider="cpu").identity["layers"]
    assert {name: axis["channel_axis"] for name, axis in axes.items()} == {"stem": 2}
    axes = sd.open_model(f"{path}:build", layers={"stem": 1}, provider="cpu").identity["layers"]
    assert axes["stem"]["channel_axis"] == 1
    axes = sd.open_model(f"{path}:build", provider="cpu").identity["layers"]
    assert {name: axis["channel_axis"] for name, axis in axes.items()} == {"stem": 2, "tokens": 2}


def test_threads_are_those_of_torch(code):
    before = torch.get_num_threads()
    try:
        assert sd.open_model(code, provider="cpu", threads=1).circumstance["threads"] == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"half": True}, r"half \(--half\) is for ONNX models; let your function return the module in its precision"),
        ({"allow_tf32": True}, r"allow_tf32 \(--tf32\) is for ONNX models"),
        ({"provider": "gpu"}, "provider is 'gpu'; allowed: auto, cpu, cuda"),
        ({"threads": 0}, "threads is 0; expected at least 1"),
        ({"layers": ["stm"]}, "Net has no module 'stm'. The nearest names: stem"),
        ({"inputs": [ModelInput("video"), HeldInput("ids", 0)]}, "inputs has a HeldInput, which is for ONNX models"),
    ],
)
def test_what_it_cannot_do_is_one_line(code, options, words):
    with pytest.raises(InputError, match=words):
        sd.open_model(code, **{"provider": "cpu", **options})


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA works here")
def test_cuda_is_an_error_where_it_does_not_work_and_not_tried_in_vain(code):
    with pytest.raises(InputError, match=r"provider 'cuda' is not available from torch .*; or choose cpu"):
        sd.open_model(code, provider="cuda")
    assert torch_device("auto") == "cpu"


def test_what_is_no_module_is_told_by_the_runner(tmp_path):
    path = write_code(tmp_path)
    path.write_text(path.read_text().replace("return Net()", "return Net().state_dict()"))
    with pytest.raises(
        InputError, match=r"the model is a OrderedDict; expected: a torch\.nn\.Module, with its weights"
    ):
        sd.open_model(f"{path}:build", provider="cpu")


def test_a_run_names_its_code_and_never_runs_it_by_itself(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = sd.open_model("my_code.py:build", provider="cpu", layers=["stem"])
    sd.analyze(runner, sd.open_clips("world:4", runner), out="run")
    assert json.loads((tmp_path / "run" / "source.json").read_text())["model"] == code
    with pytest.raises(
        InputError, match=rf"made from the code {code}, which runs only where you name it: pass --model"
    ):
        RunSource.load("run")
    assert RunSource.load("run", model=code) == RunSource(code, ClipRequest("world:4"))
    (tmp_path / "run" / "planted.py").write_text("import sys\nsys.planted = True\ndef build(): ...")
    for planted in ("planted.py:build", "planted:build", "os:abort"):
        source = json.loads((tmp_path / "run" / "source.json").read_text())
        (tmp_path / "run" / "source.json").write_text(json.dumps({**source, "model": planted}))
        with pytest.raises(InputError, match="which runs only where you name it"):
            RunSource.load("run")
    assert not hasattr(sys, "planted")


def test_modules_are_recorded_by_their_name(tmp_path):
    RunSource("package.module:build", None).save(tmp_path)
    assert json.loads((tmp_path / "source.json").read_text())["model"] == "package.module:build"
    with pytest.raises(InputError, match=r"pass --model package\.module:build"):
        RunSource.load(tmp_path)
