"""Train one small VisTR by its recipe, and measure what study 9 needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.studies.models.finder import APART, OBJECTS, Finder
from benchmarks.studies.models.matching import Objects, match, overlap, vistr_loss
from benchmarks.studies.models.training import BATCH, MEASURING_SEED, TEST_SEED, TRAINING_SEED
from sdmetrics.clips.generated.camouflage import CamouflageVariant, camouflage_batch, camouflage_clips
from sdmetrics.probes.feeds import prepare
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker
from sdmetrics.torch.segmenters.vistr import VisTR

FRAMES, SIZE = 4, 48
RATE, DECAY, LONGEST = 1e-3, 1e-4, 1.0
CHANNELS = 64
LAYERS = ("encoder.1", "encoder.2", "decoder.1", "decoder.2")
VIDEO = ModelInput("video", frames=FRAMES, stride=1, size=(SIZE, SIZE), layout="NTCHW")
WORLDS = {"apart": APART, "occluded": replace(APART, occlusion=1.0)}
MEASURED = replace(APART, occlusion=0.5)


def build(_recipe: Finder) -> VisTR:
    """Return the untrained model, which is the same for every recipe."""
    widths = ((3, 24, 2), (24, 32, 2), (32, 48, 2), (48, CHANNELS, 1))
    parts = [part for read, width, stride in widths for part in _convolution(read, width, stride)]
    return VisTR(
        nn.Sequential(*parts),
        CHANNELS,
        frames=FRAMES,
        classes=1,
        channels=CHANNELS,
        heads=4,
        layers=(2, 2),
        hidden=2 * CHANNELS,
        queries=OBJECTS + 1,
        dropout=0.0,
    )


def _convolution(read: int, width: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(read, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]


def clips_of(count: int, seed: int, world: CamouflageVariant) -> tuple[Tensor, list[Objects]]:
    """Return the model's input, `(N, T, 3, H, W)`, and the objects of each video."""
    batch = camouflage_batch(count, frames=FRAMES, size=SIZE, seed=seed, variant=world)
    fed = {"rgb": batch.frames, "video/order": np.tile(np.arange(FRAMES), (count, 1))}
    objects = [Objects.of(torch.from_numpy(masks), [0] * OBJECTS) for masks in batch.masks]
    return torch.from_numpy(prepare(fed, [VIDEO])["video"]), objects


def train(recipe: Finder) -> tuple[nn.Module, dict[str, Any]]:
    """Train and measure one model; return it and its record, ready for JSON."""
    started = time.process_time()
    torch.manual_seed(recipe.seed)
    model, budget = build(recipe), recipe.budget
    video, objects = clips_of(budget.clips, TRAINING_SEED + recipe.seed, recipe.world)
    steps = budget.epochs * (budget.clips // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    order = torch.Generator().manual_seed(recipe.seed)
    for _ in range(budget.epochs):
        # Clips that do not fill a batch are left out of this epoch.
        for batch in torch.randperm(len(video), generator=order).split(BATCH)[: budget.clips // BATCH]:
            loss = vistr_loss(model(video[batch]), [objects[index] for index in batch.tolist()])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), LONGEST)
            optimiser.step()
            schedule.step()
    measured = camouflage_clips(budget.measured, frames=FRAMES, size=SIZE, seed=MEASURING_SEED, variant=MEASURED)
    tracker = BiasTracker(model, [VIDEO], LAYERS, measured, batch=48)
    tracker.measure(steps)
    model.eval()
    record = {
        "iou": {name: box_overlap(model, *clips_of(budget.tested, TEST_SEED, world)) for name, world in WORLDS.items()},
        "biases": [{"share": 1.0, "layers": tracker.results[steps].layers}],
        "seconds": time.process_time() - started,
    }
    return model, record


@torch.no_grad()
def box_overlap(model: nn.Module, video: Tensor, objects: Sequence[Objects]) -> float:
    """Return the mean overlap of the objects' boxes with their predictions, over all frames that show them."""
    overlaps: list[float] = []
    for first in range(0, len(video), 50):
        outputs = model(video[first : first + 50])
        for clip, item in enumerate(objects[first : first + 50]):
            queries, matched = match(outputs, clip, item)
            boxes = outputs["boxes"][clip].transpose(0, 1)[queries]
            both = overlap(boxes, item.boxes[matched])
            overlaps += both[item.visible[matched]].clamp(min=0).tolist()
    return float(np.mean(overlaps))
