"""Train one model by its recipe, and measure what the studies need."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.studies.models.networks import FRAMES, NETWORKS, SIZE
from benchmarks.studies.models.recipe import SHARES, Recipe
from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.generated.world import Variant, world_batch, world_clips
from sdmetrics.clips.sampling import frame_order
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch import BiasTracker, ShuffledFrames, StaticDropout, attach, finetune

BATCH = 16
RATES = {"timesformer": 1e-3}
RATE, DECAY = 4e-3, 0.05
FINETUNING_RATE = 1e-5
"""The paper's."""
TRAINING_SEED, TEST_SEED, MEASURING_SEED = 1000, 900, 901


def build(recipe: Recipe) -> nn.Module:
    """Return the untrained model."""
    return NETWORKS[recipe.network](sum(recipe.classes.values()))


def build_to_train(recipe: Recipe) -> nn.Module:
    """Return the untrained model of the recipe's seed."""
    torch.manual_seed(recipe.seed)
    model = build(recipe)
    if all(item.layout == "NCTHW" for item in model.inputs):
        model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return model


def optimiser_of(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser that a model is trained with."""
    return torch.optim.AdamW(model.parameters(), lr=RATES.get(recipe.network, RATE), weight_decay=DECAY)


def prepared(video: Tensor, inputs: Sequence[ModelInput]) -> list[Tensor]:
    """Convert frames, uint8 (N, T, H, W, 3), to the inputs of a network."""
    return [as_input(video[:, torch.from_numpy(frame_order(video.shape[1], item.frames))], item) for item in inputs]


def as_input(frames: Tensor, item: ModelInput) -> Tensor:
    """Convert the frames that an input reads, uint8 (N, T, H, W, 3), to its values and layout."""
    values = (frames.float() / 255 - item.mean[0]) / item.std[0]
    values = values.permute(["NTHWC".index(axis) for axis in item.layout])
    # Convolutions are faster if the channels are adjacent in memory.
    layout = torch.channels_last_3d if item.layout == "NCTHW" else torch.contiguous_format
    return values.contiguous(memory_format=layout)


def world(recipe: Recipe, clips: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return frames (N, T, H, W, 3) and labels (N, labels) of a world."""
    video, motion, appearance = world_batch(clips, frames=FRAMES, size=SIZE, seed=seed, variant=recipe.variant)
    by_name = {"motion": motion, "appearance": appearance}
    return torch.from_numpy(video), torch.from_numpy(np.stack([by_name[name] for name in recipe.classes], 1))


def by_label(recipe: Recipe, logits: Tensor) -> Iterator[Tensor]:
    """Split a network's outputs (N, classes) by label."""
    return iter(logits.float().split(list(recipe.classes.values()), dim=1))


class Training:
    """The training of a model, epoch by epoch, with measurements after the shares that the recipe specifies."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.model: nn.Module = build_to_train(recipe)
        self._drop()
        video, labels = world(recipe, recipe.budget.clips, TRAINING_SEED + recipe.seed)
        items: Any = TensorDataset(video, labels)
        self._items = ShuffledFrames(items, axis="THWC", seed=recipe.seed) if recipe.shuffled else items
        clips = measuring_clips(recipe, self.model.inputs)
        self.tracker = BiasTracker(self.model, self.model.inputs, self.layers, clips, batch=48)
        self.steps = recipe.budget.epochs * (recipe.budget.clips // BATCH)
        self._due = {share: round(share * self.steps) for share in (SHARES if recipe.tracked else (1.0,))}

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose biases are measured."""
        layers: tuple[str, ...] = self.model.layers  # type: ignore[assignment]
        return layers

    def _drop(self) -> None:
        """Add the recipe's dropout before the classifier."""
        kind, rate = self.recipe.dropout.kind, self.recipe.dropout.rate
        if kind == "standard":
            self.model.dropout = nn.Dropout(rate)
        elif kind == "static":
            dropout = StaticDropout(self.model.features, rate, **self.recipe.dropout.options)
            self.model.dropout = dropout
            attach(self.model, "dropout")

    def run(self) -> None:
        """Train. Afterwards the measurements are in `tracker.results`, by step."""
        recipe, rate = self.recipe, RATES.get(self.recipe.network, RATE)
        optimiser = optimiser_of(recipe, self.model)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=self.steps)
        order = torch.Generator().manual_seed(recipe.seed)
        step = 0
        self._measure(step)
        for epoch in range(recipe.budget.epochs):
            for video, labels in self._batches(epoch, order):
                self._learn(optimiser, video, labels)
                schedule.step()
                step += 1
                self._measure(step)
        self._finetune(order)

    def _finetune(self, order: torch.Generator) -> None:
        """Fine-tune without dropout, as the paper does, then measure."""
        epochs = range(self.recipe.budget.epochs, self.recipe.budget.epochs + self.recipe.budget.finetuned)
        if not epochs:
            return
        if self.recipe.dropout.kind == "static":
            finetune(self.model)
        else:
            self.model.dropout = nn.Identity()
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=FINETUNING_RATE, weight_decay=DECAY)
        for epoch in epochs:
            for video, labels in self._batches(epoch, order):
                self._learn(optimiser, video, labels)
        self.tracker.measure(self.steps)

    def _batches(self, epoch: int, order: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the batches of one epoch, shuffled. Clips that do not fill a batch are left out."""
        if isinstance(self._items, ShuffledFrames):
            self._items.set_epoch(epoch)
        return iter(DataLoader(self._items, BATCH, shuffle=True, drop_last=True, generator=order))

    def _learn(self, optimiser: torch.optim.Optimizer, video: Tensor, labels: Tensor) -> None:
        """Train for one step."""
        learn(self.recipe, self.model, optimiser, video, labels)

    def _measure(self, step: int) -> None:
        """Measure the biases if they are due after this step; at the end, only after fine-tuning."""
        tuned_later = step == self.steps and self.recipe.budget.finetuned
        if step in self._due.values() and not tuned_later:
            self.tracker.measure(step)

    def biases(self) -> dict[float, Results]:
        """Return the measurements, by share of the training."""
        return {share: self.tracker.results[step] for share, step in self._due.items()}


def learn(
    recipe: Recipe,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    video: Tensor,
    labels: Tensor,
    further: Callable[[], Tensor] | None = None,
) -> None:
    """Train a model for one step; `further` returns a loss to be added, after the forward."""
    model.train()
    logits = model(*prepared(video, model.inputs))
    loss = sum(functional.cross_entropy(part, labels[:, i]) for i, part in enumerate(by_label(recipe, logits)))
    if further:
        loss = loss + further()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


@torch.no_grad()
def answers(recipe: Recipe, model: nn.Module, video: Tensor) -> NDArray[np.int64]:
    """Return the predicted classes, `(N, labels)`."""
    training = model.training
    model.eval()
    predicted = []
    for part in video.split(50):
        logits = model(*prepared(part, model.inputs))
        predicted.append(torch.stack([one.argmax(1) for one in by_label(recipe, logits)], 1))
    model.train(training)
    return torch.cat(predicted).numpy()


def tested(recipe: Recipe, model: nn.Module) -> dict[str, Any]:
    """Return the top-1 of a model, on frames in order and shuffled, by label and by class.

    `decorrelated` is the test in a world without shortcut and rare labels, `alike` that in the world of the training.
    """
    fair = replace(recipe, variant=replace(recipe.variant, shortcut=0.0, tail=0.0))
    top1: dict[str, Any] = {}
    for name, where in (("decorrelated", fair), ("alike", recipe)):
        if name == "alike" and recipe.variant == fair.variant:
            top1[name] = top1["decorrelated"]
            continue
        video, labels = world(where, recipe.budget.tested, TEST_SEED)
        shuffled = torch.stack([item for item, _ in _shuffled(video)])
        top1[name] = {
            "in_order": accuracy(recipe, answers(recipe, model, video), labels),
            "shuffled": accuracy(recipe, answers(recipe, model, shuffled), labels),
        }
    return top1


def _shuffled(video: Tensor) -> ShuffledFrames:
    """Return the same clips with their frames in random order."""
    return ShuffledFrames([(clip, 0) for clip in video], axis="THWC", seed=TEST_SEED)


def accuracy(recipe: Recipe, predicted: NDArray[np.int64], labels: Tensor) -> dict[str, Any]:
    """Return the top-1 of each label, and of each of its classes."""
    right = predicted == labels.numpy()
    top1: dict[str, Any] = {}
    for column, (name, classes) in enumerate(recipe.classes.items()):
        of = [right[labels[:, column].numpy() == label, column] for label in range(classes)]
        top1[name] = {
            "top1": float(right[:, column].mean()),
            "by_class": [float(part.mean()) if len(part) else None for part in of],
        }
    return top1


def measuring_clips(recipe: Recipe, inputs: Sequence[ModelInput]) -> list[Clip]:
    """Return the clips that biases are measured on: the same for every model of a world, with the frames it reads."""
    fair = replace(recipe.variant, shortcut=0.0, tail=0.0)
    return clips_read(fair, recipe.budget.measured, MEASURING_SEED, inputs)


def clips_read(variant: Variant, clips: int, seed: int, inputs: Sequence[ModelInput]) -> list[Clip]:
    """Return clips of a world, with the frames that a network reads."""
    read = frame_order(FRAMES, max(item.frames for item in inputs))
    whole = world_clips(clips, frames=FRAMES, size=SIZE, seed=seed, variant=variant)
    return [replace(clip, load=partial(_some_frames, clip, read)) for clip in whole]


def _some_frames(clip: Clip, read: NDArray[np.int64]) -> Frames:
    """Return the frames of a clip that a network reads."""
    return clip.frames[read]


def train(recipe: Recipe) -> tuple[nn.Module, dict[str, Any]]:
    """Train and measure one model; return it and its record, ready for JSON."""
    started = time.process_time()
    training = Training(recipe)
    training.run()
    model = training.model.eval()
    record = {
        "top1": tested(recipe, model),
        "biases": [{"share": share, "layers": results.layers} for share, results in training.biases().items()],
        "features": model.features,
        "seconds": time.process_time() - started,
    }
    return model, record
