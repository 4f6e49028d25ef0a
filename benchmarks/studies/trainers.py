"""The trainer of each kind of recipe: what builds its model, and what trains and measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from benchmarks.studies.models import finder_training, segmenter_training, training
from benchmarks.studies.models.finder import Finder
from benchmarks.studies.models.recipe import Recipe
from benchmarks.studies.models.segmenter import Segmenter
from benchmarks.studies.remedies import training as remedies_training
from benchmarks.studies.remedies.recipe import Treated


@dataclass(frozen=True)
class Trainer:
    """Functions of a recipe.

    Parameters
    ----------
    build
        Return the untrained model.
    train
        Return the trained model and its record, ready for JSON.
    """

    build: Callable[[Any], nn.Module]
    train: Callable[[Any], tuple[nn.Module, dict[str, Any]]]


TRAINERS: dict[type, Trainer] = {
    Recipe: Trainer(training.build, training.train),
    Treated: Trainer(remedies_training.build, remedies_training.train),
    Segmenter: Trainer(segmenter_training.build, segmenter_training.train),
    Finder: Trainer(finder_training.build, finder_training.train),
}
