"""Live torch modules under one folder: what the weights do not show is part of a run's identity, too."""

import pytest
import torch
from torch import nn

from sdmetrics.ablation.ablate import ablate
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.fakes import noise_clip

VIDEO = ModelInput("video", frames=2, stride=1, size=(4, 4))
CLIPS = [noise_clip(number, frames=2, size=4) for number in range(12)]


class Absolute(nn.Module):
    def forward(self, x):
        return x.abs()


def model(activation=nn.ReLU, head=nn.Identity):
    """Convolution, activation, and a head without weights: every variant has the same state dict."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 5, 1), activation(), head())


def measured(out, layers, **parts):
    return measure_biases(TorchRunner(model(**parts), [VIDEO], layers), CLIPS, out=out, progress=False)


def test_the_same_module_built_again_resumes(tmp_path):
    assert measured(tmp_path, {"0": 1, "1": 1}) == measured(tmp_path, {"0": 1, "1": 1})


def test_another_channel_axis_of_the_same_layer_is_not_merged_with_the_first(tmp_path):
    measured(tmp_path, {"0": 1})
    with pytest.raises(InputError, match=r"different settings: .*model\.layers\.0\S* was .*, is "):
        measured(tmp_path, {"0": 2})


def test_an_exchanged_activation_is_not_merged_although_the_weights_are_equal(tmp_path):
    first = TorchRunner(model(), [VIDEO], {"1": 1})
    other = TorchRunner(model(Absolute), [VIDEO], {"1": 1})
    assert first.identity["model_sha256"] == other.identity["model_sha256"]
    measured(tmp_path, {"1": 1})
    with pytest.raises(InputError, match=r"different settings: model\.answers was \"\w+\", is \"\w+\"\. Use another"):
        measured(tmp_path, {"1": 1}, activation=Absolute)


def test_an_added_layer_is_not_looked_for_in_shards_that_lack_it(tmp_path):
    measured(tmp_path, {"0": 1})
    with pytest.raises(InputError, match=r'different settings: layers was \["0"\], is \["0", "1"\]'):
        measured(tmp_path, {"0": 1, "1": 1})


def test_a_head_exchanged_behind_the_last_layer_is_not_scored_by_the_first_heads_parts(tmp_path):
    def first(outputs, _clips):
        return outputs["output"].reshape(len(_clips), -1).min(axis=1)

    def lowest(head):
        runner = TorchRunner(model(nn.Identity, head), [VIDEO], {"0": 1})
        results = measure_biases(runner, CLIPS, progress=False)
        return ablate(runner, CLIPS, results, score=first, fractions=[0.4], repeats=2, out=tmp_path, progress=False)

    whole, absolute = lowest(nn.Identity), lowest(Absolute)
    assert whole.curves[0]["mean"] < 0 <= absolute.curves[0]["mean"]
