"""The torch runner: a live module, as it is."""

from __future__ import annotations

import json

import pytest
import torch

from sdmetrics.errors import InputError
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.runners.torch import TorchRunner
from tests.helpers.torch_models import CASES, Framewise, seeded, video_input


def test_the_torch_runner_leaves_the_module_as_it_was():
    model = seeded(Framewise).train()
    runner = TorchRunner(model, [video_input("NTCHW")], ["act"])
    runner(random_feeds(runner.inputs, 1))
    assert all(part.training for part in model.modules())
    assert not any(part._forward_hooks for part in model.modules())
    assert torch.is_grad_enabled()


def test_the_torch_runner_finds_stages_and_infers_axes():
    runner = TorchRunner(CASES["transformer"].make(), [video_input()], "stages")
    assert runner.layers == ["blocks.0", "blocks.1"]
    assert {name: units.shape for name, units in runner(random_feeds(runner.inputs, 2)).items()} == {
        "blocks.0": (2, 16),
        "blocks.1": (2, 16),
    }


def test_the_torch_runners_identity_tells_weights_apart():
    model = seeded(Framewise)
    first = TorchRunner(model, [video_input("NTCHW")], ["act"]).identity
    assert first == json.loads(json.dumps(first))
    with torch.no_grad():
        model.fc.bias += 1
    assert TorchRunner(model, [video_input("NTCHW")], ["act"]).identity["model_sha256"] != first["model_sha256"]


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        (["convolution"], {}, "Framewise has no module 'convolution'"),
        (["act"], {"device": "nowhere"}, "device 'nowhere' cannot be used"),
        ({"act": 0}, {}, "cannot have its channels in axis 0"),
    ],
)
def test_what_the_torch_runner_cannot_take(layers, options, message):
    with pytest.raises(InputError, match=message) as caught:
        TorchRunner(seeded(Framewise), [video_input("NTCHW")], layers, **options)
    assert "\n" not in str(caught.value)
