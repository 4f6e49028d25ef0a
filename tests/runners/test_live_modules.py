"""Live modules of every kind: they are exported, run, tracked and trained, or one line says why not."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.clips.generated.world import world_clips
from sdmetrics.errors import InputError
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.onnxruntime import OnnxRunner
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch import BiasTracker, attach, finetune

VIDEO = ModelInput("video", frames=8, stride=1, size=(16, 16))
EXAMPLE = torch.zeros(1, 3, 8, 16, 16)


def made() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 5)).eval()


def mixed() -> nn.Sequential:
    module = made()
    module[3].double()
    return module


def traced() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against TorchScript
        return torch.jit.trace(made(), EXAMPLE)


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(made())


class Failing(nn.Module):
    """Needs more than it is fed."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 1)

    def forward(self, video, text):
        return self.conv(video) + text


FACES = {
    "export": lambda module: export(module, [VIDEO], ["0"], Path("never.onnx")),
    "runner": lambda module: TorchRunner(module, [VIDEO], ["0"]),
    "tracker": lambda module: BiasTracker(module, [VIDEO], ["0"], world_clips(2, frames=8, size=16)),
    "attach": lambda module: attach(module, "2", rate=0.5, units=8),
    "finetune": finetune,
}
NO_MODULES = [
    (
        traced,
        r"the model is TorchScript \(TopLevelTracedModule\), whose parts cannot be reached; pass the Python module",
    ),
    (scripted, r"the model is TorchScript \(RecursiveScriptModule\)"),
    (lambda: made().to("meta"), "Sequential is on the device 'meta', without values; load its weights first"),
    (lambda: "model.pt", "the model is 'model.pt', a str; expected: a torch.nn.Module"),
    (lambda: made().state_dict(), "the model is a OrderedDict; expected: a torch.nn.Module, with its weights loaded"),
    (lambda: made().forward, "the model is a method; expected"),
    (lambda: nn.Linear, "the model is a type; expected"),
    (lambda: None, "the model is a NoneType; expected"),
]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("make", "words"), NO_MODULES)
def test_what_is_no_module_is_told_in_one_line(face, make, words):
    with pytest.raises(InputError, match=words) as told:
        FACES[face](make())
    assert str(told.value).isprintable()


class Filtering(nn.Module):
    """Multiplies the spectrum of every frame, and returns real numbers."""

    def __init__(self):
        super().__init__()
        self.filter = nn.Parameter(torch.full((16, 9), 2 + 0j))

    def forward(self, video):
        return torch.fft.irfft2(torch.fft.rfft2(video) * self.filter)


class Spectrum(nn.Module):
    def forward(self, video):
        return torch.fft.rfft2(video)


FEEDS = {
    "rgb": np.random.default_rng(0).integers(0, 256, (2, 8, 16, 16, 3), np.uint8),
    "video/order": np.tile(np.arange(8), (2, 1)),
}


def test_a_module_with_complex_weights_runs_and_is_not_exported(tmp_path):
    module = nn.Sequential(Filtering(), nn.ReLU())
    plain = nn.Sequential(nn.Identity(), nn.ReLU())
    units = TorchRunner(module, [VIDEO], ["0"])(FEEDS)["0"]
    np.testing.assert_allclose(units, 2 * TorchRunner(plain, [VIDEO], ["0"])(FEEDS)["0"], rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="Sequential has complex weights, which cannot be exported; use"):
        export(module, [VIDEO], ["0"], tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"module '0' returns torch\.complex64; units are floating-point numbers"):
        TorchRunner(nn.Sequential(Spectrum(), nn.Linear(9, 2, dtype=torch.complex64)), [VIDEO], ["0"])


def test_float64_is_exported_where_the_runtime_computes_it(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 16 * 16, 5)).double()
    file = export(module, [VIDEO], {"1": 1}, tmp_path / "model.onnx")
    runner = OnnxRunner(build_probe(file, tmp_path / "probe.onnx"), provider="cpu")
    expected = TorchRunner(module, [VIDEO], {"1": 1})(FEEDS)["1"]
    np.testing.assert_allclose(runner(FEEDS)["1"], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["bfloat16", "float64"])
def test_other_precisions_are_not_exported_but_run(kind, tmp_path):
    module = made().to(getattr(torch, kind))
    with pytest.raises(
        InputError, match=rf"the module is {kind}, which ONNX Runtime's CPU does not compute; call .float"
    ):
        export(module, [VIDEO], ["0"], tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
    feeds = {"rgb": np.random.default_rng(0).integers(0, 256, (2, 8, 16, 16, 3), np.uint8)}
    feeds["video/order"] = np.tile(np.arange(8), (2, 1))
    units = TorchRunner(module, [VIDEO], ["0"])(feeds)["0"]
    expected = TorchRunner(made(), [VIDEO], ["0"])(feeds)["0"]
    assert np.allclose(units, expected, atol=0.02)
    export(copy.deepcopy(module).float(), [VIDEO], ["0"], tmp_path / "model.onnx")


def test_what_fails_in_a_forward_is_told_with_what_may_help():
    with pytest.raises(
        InputError, match=r"Sequential fails in its forward: RuntimeError: .*; its weights are float32 and"
    ):
        TorchRunner(mixed(), [VIDEO], ["0"])
    with pytest.raises(InputError, match=r"Failing fails .*: TypeError: .*'text'. Check how it is fed") as told:
        TorchRunner(Failing(), [VIDEO], ["conv"])
    assert isinstance(told.value.__cause__, TypeError), "the traceback of the model's own error is there for its author"
    with pytest.raises(InputError, match="Failing fails in its forward"):
        export(Failing(), [VIDEO], ["conv"], Path("never.onnx"))


def test_a_module_around_torchscript_runs():
    module = nn.Sequential(traced(), nn.Linear(5, 3))
    assert TorchRunner(module, [VIDEO], ["1"]).layers == ["1"]


def test_a_program_of_torch_export_is_no_module_either():
    program = torch.export.export(made(), (EXAMPLE,))
    with pytest.raises(InputError, match="the model is a ExportedProgram"):
        TorchRunner(program, [VIDEO], ["0"])
    with pytest.raises(InputError, match=r"GraphModule cannot be evaluated .*; pass the module that it was made from"):
        TorchRunner(program.module(), [VIDEO], ["0"])
