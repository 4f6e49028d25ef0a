"""Layers of modules for which torch's exporter hands out stand-ins."""

from collections import OrderedDict

import torch
from torch import nn

from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.exports import check_outputs
from tests.helpers.torch_models import hooked

VIDEO = ModelInput("video", frames=2, size=(8, 8))


class Copying(nn.Sequential):
    """A module that copies the dicts assigned to it, as Keras's layers do on PyTorch."""

    def __setattr__(self, name, value):
        super().__setattr__(name, self.copied(value))

    def copied(self, value):
        kind = type(value)
        return kind((key, self.copied(each)) for key, each in value.items()) if kind in (dict, OrderedDict) else value

    def forward(self, x):
        torch._dynamo.graph_break()  # without it, torch's exporter has a second way, which hands out no stand-ins
        return super().forward(x)


class UnderTwoNames(nn.Module):
    """A module that has one part under two names: for such, torch's exporter hands out stand-ins."""

    def __init__(self):
        super().__init__()
        self.block = Copying(nn.Conv3d(3, 4, 1), nn.ReLU())
        self.again = self.block

    def forward(self, x):
        return self.again(x).flatten(1)


def test_the_layers_of_modules_that_copy_what_is_assigned_to_them(tmp_path):
    module = UnderTwoNames()
    path = export(module, [VIDEO], ["block", "block.0"], tmp_path / "model.onnx")
    arrays = prepare(random_feeds([VIDEO], 2), [VIDEO])
    own, taps = hooked(module, ["block", "block.0"], list(arrays.values()))
    check_outputs(path.read_bytes(), arrays, {"output": own.numpy()}, taps)
