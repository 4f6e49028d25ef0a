"""Modules that index with int32, which torch allows."""

import pytest
import torch
from torch import nn

from sdmetrics.exporters.torch import export
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.exports import check_outputs
from tests.helpers.torch_models import hooked

VIDEO = ModelInput("video", frames=3, size=(8, 8))


class Reading(nn.Module):
    """Reads some frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 1)
        self.register_buffer("chosen", torch.tensor([0, -1], dtype=torch.int32))

    def forward(self, x):
        return self.conv(x)[:, :, self.chosen].flatten(1)


class Writing(Reading):
    """Writes some channels."""

    def forward(self, x):
        x = self.conv(x).clone()
        x[:, self.chosen] = 0.5
        return x.flatten(1)


@pytest.mark.parametrize("kind", [Reading, Writing])
def test_indices_of_int32(kind, tmp_path):
    module = kind()
    path = export(module, [VIDEO], ["conv"], tmp_path / "model.onnx")
    arrays = prepare(random_feeds([VIDEO], 2), [VIDEO])
    own, taps = hooked(module, ["conv"], list(arrays.values()))
    check_outputs(path.read_bytes(), arrays, {"output": own.numpy()}, taps)
