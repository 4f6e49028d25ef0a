"""Segmentation by real models: both runners agree."""

from __future__ import annotations

import torch
from torch import nn

from sdmetrics.evaluation.segmentation import evaluate_segmentation
from sdmetrics.exporters.torch import export
from sdmetrics.loading.open import open_model
from sdmetrics.runners.torch import TorchRunner
from tests.evaluation.test_segmentation import IMAGE, shifted


class Bright(nn.Module):
    """Marks what is bright, and gives logits."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)
        nn.init.constant_(self.conv.weight, 0.5)
        nn.init.constant_(self.conv.bias, -6)

    def forward(self, image):
        return self.conv(image)


def test_the_runners_of_torch_and_onnx_agree(tmp_path):
    module = Bright().eval()
    clips = [shifted(number, f"video {number}") for number in range(12)]
    export(module, [IMAGE], ["conv"], tmp_path / "model.onnx")
    runners = [
        TorchRunner(module, [IMAGE], ["conv"]),
        open_model(tmp_path / "model.onnx", layers=(), provider="cpu", threads=1),
    ]
    with torch.inference_mode():
        found = [evaluate_segmentation(runner, clips, flip=True, batch=5, output="output") for runner in runners]
    assert found[0].clips == found[1].clips
    assert 0 < found[0].scores["miou"]["value"] < 1
