"""A model that was trained with a loss on shuffled clips says so wherever its biases are shown."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

import sdmetrics as sd
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.exporters.probe import build_probe
from sdmetrics.exporters.torch import export
from sdmetrics.loading.open import open_model
from sdmetrics.probes.metadata import read_metadata
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch import ShuffleEntropy, StaticPenalty, attach

VIDEO = sd.ModelInput("video", frames=4, stride=1, size=(16, 16))
WORDS = "trained with ShuffleEntropy and StaticPenalty on shuffled clips"


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 8))


@pytest.fixture
def trained() -> nn.Module:
    model = network()
    attach(model, "1", penalty=StaticPenalty()).remove()
    attach(model, "1", entropy=ShuffleEntropy()).remove()
    return model.eval()


def test_the_losses_go_with_the_model_into_results_and_report(trained, tmp_path, command):
    file = export(trained, [VIDEO], ["0", "1"], tmp_path / "model.onnx")
    assert read_metadata(file).trained_on_shuffled == ("ShuffleEntropy", "StaticPenalty")
    probe = build_probe(file, tmp_path / "probe.onnx", layers=["1"])
    assert read_metadata(probe).trained_on_shuffled == ("ShuffleEntropy", "StaticPenalty")
    run = tmp_path / "run"
    code, out, err = command("analyze", probe, "world:30", "-o", run, "--provider", "cpu")
    assert (code, err) == (0, "")
    assert f"caution: the model was {WORDS}" in out
    document = json.loads((run / "results.json").read_text())
    assert document["model"]["trained_on_shuffled"] == ["ShuffleEntropy", "StaticPenalty"]
    assert WORDS in document["model"]["caution"]
    assert WORDS in (run / "report.html").read_text()
    assert sd.Results.load(run).model["caution"] == document["model"]["caution"]


def test_a_live_module_says_it_too(trained):
    results = sd.analyze(TorchRunner(trained, [VIDEO], ["1"]), world_clips(10, frames=4, size=16))
    assert WORDS in results.model["caution"]


def test_other_models_say_nothing(tmp_path):
    model = network()
    attach(model, "3", rate=0.3).remove()
    file = export(model.eval(), [VIDEO], ["1"], tmp_path / "model.onnx")
    assert "trained_on_shuffled" not in read_metadata(file).to_json()
    runner = open_model(file, provider="cpu")
    assert "trained_on_shuffled" not in runner.identity
    assert "caution" not in sd.analyze(runner, world_clips(10, frames=4, size=16)).model
