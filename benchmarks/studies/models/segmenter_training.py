"""Train one segmenter by its recipe, and measure what study 6 needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.studies.models.recipe import SHARES, Budget
from benchmarks.studies.models.segmenter import MIXED, Segmenter
from benchmarks.studies.models.training import BATCH, DECAY, MEASURING_SEED, TEST_SEED, TRAINING_SEED
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.colour import flow_to_rgb
from sdmetrics.clips.generated.camouflage import CamouflageVariant, camouflage_batch, camouflage_clips
from sdmetrics.evaluation.overlap import region_similarity
from sdmetrics.probes.feeds import prepare
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker
from sdmetrics.torch.segmenters.backbones import small_resnet
from sdmetrics.torch.segmenters.two_stream import TwoStream

SIZE = 48
RATE = 2e-3
WIDTHS, WIDTH = (16, 24, 32, 48), 16
INPUTS = (
    ModelInput("image", frames=1, stride=1, size=(SIZE, SIZE), layout="NCHW"),
    ModelInput("flow", "flow", frames=1, stride=1, size=(SIZE, SIZE), layout="NCHW"),
)
WORLDS = {
    "camouflaged": replace(MIXED, camouflaged=1.0),
    "visible": replace(MIXED, camouflaged=0.0),
}
"""The tests: the same scenes with objects of the ground's texture and of other colours."""


def build(recipe: Segmenter) -> TwoStream:
    """Return the untrained model."""
    parts: Any = {"cross": recipe.cross, "fusion": recipe.fusion, "refinement": recipe.refinement}
    return TwoStream(small_resnet(WIDTHS), small_resnet(WIDTHS), width=WIDTH, **parts)


def examples(clips: int, seed: int, world: CamouflageVariant, flow: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the model's inputs, images and flow `(N, 3, H, W)`, and the foreground `(N, 1, H, W)` of a world."""
    batch = camouflage_batch(clips, frames=1, size=SIZE, seed=seed, variant=world, flow=cast(Any, flow))
    order = np.zeros((clips, 1), np.int64)
    fed = {"rgb": batch.frames, "flow": flow_to_rgb(batch.flow), "image/order": order, "flow/order": order}
    image, motion = (torch.from_numpy(array) for array in prepare(fed, INPUTS).values())
    return image, motion, torch.from_numpy(batch.masks > 0).float()


def measuring_clips(budget: Budget, flow: str) -> list[Clip]:
    """Return the clips that biases are measured on: the same for every model."""
    kind: Any = flow
    return camouflage_clips(budget.measured, frames=1, size=SIZE, seed=MEASURING_SEED, variant=MIXED, flow=kind)


def loss_of(outputs: dict[str, Tensor], foreground: Tensor) -> Tensor:
    """Return the cross-entropy of the masks and, if the model predicts them, of the boundaries of all stages."""
    loss = functional.binary_cross_entropy_with_logits(outputs["mask"], foreground)
    if "boundaries" in outputs:
        inner = -functional.max_pool2d(-foreground, 3, 1, 1)
        boundary = (functional.max_pool2d(foreground, 3, 1, 1) - inner).expand_as(outputs["boundaries"])
        loss = loss + functional.binary_cross_entropy_with_logits(outputs["boundaries"], boundary)
    return loss


def train(recipe: Segmenter) -> tuple[nn.Module, dict[str, Any]]:
    """Train and measure one segmenter; return it and its record, ready for JSON."""
    started = time.process_time()
    torch.manual_seed(recipe.seed)
    model, budget = build(recipe), recipe.budget
    items = TensorDataset(*examples(budget.clips, TRAINING_SEED + recipe.seed, recipe.world, recipe.flow))
    steps = budget.epochs * (budget.clips // BATCH)
    due = {share: round(share * steps) for share in (SHARES if recipe.tracked else (1.0,))}
    tracker = BiasTracker(model, INPUTS, model.layers, measuring_clips(budget, recipe.flow), batch=48)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for step, (image, flow, foreground) in enumerate(_batches(items, budget.epochs, recipe.seed)):
        if step in due.values():
            tracker.measure(step)
        model.train()
        loss = loss_of(model(image, flow), foreground)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    tracker.measure(steps)
    model.eval()
    record = {
        "iou": {name: similarity(model, recipe, world) for name, world in WORLDS.items()},
        "biases": [{"share": share, "layers": tracker.results[step].layers} for share, step in due.items()],
        "seconds": time.process_time() - started,
    }
    return model, record


def _batches(items: TensorDataset, epochs: int, seed: int) -> Iterator[list[Tensor]]:
    """Yield the batches of all epochs, each shuffled. Examples that do not fill a batch are left out of the epoch."""
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        yield from DataLoader(items, BATCH, shuffle=True, drop_last=True, generator=order)


@torch.no_grad()
def similarity(model: nn.Module, recipe: Segmenter, world: CamouflageVariant) -> float:
    """Return the mean region similarity in a world."""
    image, flow, foreground = examples(recipe.budget.tested, TEST_SEED, world, recipe.flow)
    masks = [model(*part)["mask"] > 0 for part in zip(image.split(50), flow.split(50), strict=True)]
    return float(region_similarity(torch.cat(masks)[:, 0].numpy(), foreground[:, 0].numpy().astype(np.uint8)).mean())
