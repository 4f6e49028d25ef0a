"""The scores of a segmentation that an ablation measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.segmentation_scores import moca_score, region_score
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.evaluation.segmentation import evaluate_segmentation
from sdmetrics.runners.torch import TorchRunner
from tests.evaluation.test_segmentation import FLOW_INPUTS, SIZE, clip_of, square


def test_scores_of_an_ablation_are_the_clips_means_over_frames():
    marked = np.concatenate([square(0, 4, 8), square(4, 4, 8)])
    truth = np.concatenate([square(0, 4, 8), 2 * square(0, 4, 8)])
    clips = [clip_of("a", marked, truth), clip_of("b", marked, np.concatenate([truth[:1], 255 + 0 * truth[1:]]))]
    outputs = {"mask": np.stack([marked, marked])[:, :, None].astype(np.float32)}
    for score, name in ((region_score(), "iou"), (moca_score("mask"), "box_iou")):
        assert score(outputs, clips).tolist() == pytest.approx([2 / 3, 1])
        assert score.__name__ == name
    assert moca_score(threshold=0.9)({"mask": outputs["mask"] * 0.8}, clips).tolist() == [0, 0]


class TwoStreams(nn.Module):
    """A small segmenter that fuses a frame with its flow."""

    def __init__(self):
        super().__init__()
        self.appearance, self.motion = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.fusion, self.head = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 1, 1)

    def forward(self, image, picture):
        both = torch.cat([self.appearance(image), self.motion(picture)], dim=1)
        told = self.head(torch.relu(self.fusion(both)))
        return torch.sigmoid(20 * (told - told.mean((2, 3), keepdim=True)))


def test_an_ablation_measures_what_a_segmenter_loses_without_its_units():
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    runner = TorchRunner(TwoStreams().eval(), FLOW_INPUTS[:2], ["fusion"])
    clips = []
    for number in range(6):
        marked, flow = rng.random((1, SIZE, SIZE)), rng.normal(size=(1, SIZE, SIZE, 2)).astype(np.float32)
        clips.append(clip_of(f"frame-{number}", marked, square(3, 3, 9), load_flow=lambda flow=flow: flow))
    scores = {"region": region_score(), "boxes": moca_score()}
    results = measure_biases(runner, clips, progress=False)
    found = ablate(runner, clips, results, score=scores, fractions=[0.5], repeats=1, batch=4, progress=False)
    whole = evaluate_segmentation(runner, clips)
    rows = {(row["score"], row["ranking"], row["fraction"]): row["mean"] for row in found.curves}
    assert rows["region", "static", 0] == pytest.approx(whole.scores["miou"]["value"])
    assert rows["region", "static", 0.5] != rows["region", "static", 0]
    boxes = evaluate_segmentation(runner, clips, protocol="moca")
    assert rows["boxes", "dynamic", 0] == pytest.approx(boxes.scores["miou"]["value"])
