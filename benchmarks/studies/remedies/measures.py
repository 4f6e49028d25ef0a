"""What is measured of a treated model: its accuracy without what it may have learned, and what its features tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.studies.models.training import TEST_SEED, accuracy, as_input, by_label, clips_read, world
from benchmarks.studies.remedies.probe import linear_probe
from benchmarks.studies.remedies.recipe import Treated
from sdmetrics.clips.generated.world import APPEARANCES, Variant
from sdmetrics.clips.manipulations.manipulate import manipulated
from sdmetrics.clips.render import plain
from sdmetrics.probes.inputs import ModelInput

TUNING_SEED, PROBE_SEED = 910, 920
"""Of the clips that choices depend on, and of those that a probe is fitted to."""

MANIPULATED = ("shuffle", "appearance-free")
AT_ONCE = 50
KEPT = 12
"""Sets of clips that a process keeps for its next models."""

Frames = tuple[Tensor, ...]
"""What a network reads of some clips: for each input uint8 (N, T, H, W, 3)."""


def measured(recipe: Treated, model: nn.Module) -> dict[str, Any]:
    """Return the accuracies of a model, how often it answers with what appearance suggests, and what probes find.

    Tests are in the world without shortcut and rare labels (`decorrelated`) and in that of the recipe (`alike`).
    """
    fair = replace(recipe, variant=replace(recipe.variant, shortcut=0.0, tail=0.0))
    clips, inputs = recipe.budget.tested, tuple(model.inputs)
    seed = TUNING_SEED if recipe.tuning else TEST_SEED
    frames = frames_of(fair.variant, clips, seed, inputs)
    features, predicted = seen(recipe, model, frames)
    labels = world(fair, clips, seed)[1]
    top1: dict[str, Any] = {
        "decorrelated": {"in_order": accuracy(recipe, predicted, labels)},
        "alike": {
            "in_order": accuracy(
                recipe,
                seen(recipe, model, frames_of(recipe.variant, clips, seed, inputs))[1],
                world(recipe, clips, seed)[1],
            )
        },
    }
    for name in MANIPULATED:
        without = frames_of(fair.variant, clips, seed, inputs, name)
        top1["decorrelated"][name] = accuracy(recipe, seen(recipe, model, without)[1], labels)
    both = replace(fair, task="both")
    motion, appearance = world(both, clips, seed)[1].numpy().T
    fitted, _ = seen(recipe, model, frames_of(fair.variant, clips, PROBE_SEED, inputs))
    known_motion, known_appearance = world(both, clips, PROBE_SEED)[1].numpy().T
    return {
        "top1": top1,
        "follows_appearance": float((predicted[:, 0] % len(APPEARANCES) == appearance).mean()),
        "probe": {
            "motion": linear_probe(fitted, known_motion, features, motion),
            "appearance": linear_probe(fitted, known_appearance, features, appearance),
        },
    }


@lru_cache(KEPT)
def frames_of(variant: Variant, clips: int, seed: int, inputs: Sequence[ModelInput], manipulation: str = "") -> Frames:
    """Return what a network reads of the clips of a world, as they are or manipulated."""
    read: list[list[NDArray[np.uint8]]] = [[] for _ in inputs]
    for clip in clips_read(variant, clips, seed, inputs):
        view, shown = manipulated(manipulation, clip, seed, inputs) if manipulation else plain(clip, inputs)
        for frames, item in zip(read, inputs, strict=True):
            frames.append(shown[item.source][view.orders[item.name]])
    return tuple(torch.from_numpy(np.stack(frames)) for frames in read)


@torch.no_grad()
def seen(recipe: Treated, model: nn.Module, frames: Frames) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what the classifier reads of clips, `(N, units)`, and the classes that it answers, `(N, labels)`."""
    features: list[Tensor] = []
    hook = model.fc.register_forward_pre_hook(lambda _module, args: features.append(args[0]))
    predicted = []
    try:
        for parts in zip(*(of_input.split(AT_ONCE) for of_input in frames), strict=True):
            logits = model(*(as_input(part, item) for part, item in zip(parts, model.inputs, strict=True)))
            predicted.append(torch.stack([one.argmax(1) for one in by_label(recipe, logits)], 1))
    finally:
        hook.remove()
    return torch.cat(features).double().numpy(), torch.cat(predicted).numpy()
