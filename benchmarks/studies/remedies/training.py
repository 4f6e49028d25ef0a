"""Train one model with a remedy against static bias, and measure what the studies of remedies need."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.studies.models import training
from benchmarks.studies.models.training import Training, build_to_train, learn, optimiser_of
from benchmarks.studies.remedies.measures import measured
from benchmarks.studies.remedies.recipe import Treated
from sdmetrics.torch import ShuffleEntropy, StaticDropout, StaticPenalty, StyleAugment, attach

FEATURES = "dropout"
"""The module that returns what the classifier reads: of every network, and whether anything is dropped or not."""

TIMED_EVERY = 25
"""Before one of so many steps an untreated twin is trained for a step, whose time is that of a plain one."""

CHANNELS, PREDICTIONS = "channels", "predictions"
WARNINGS = {CHANNELS: "are dead", PREDICTIONS: "hardly depend on the order"}
"""What the warnings of lost channels and of predictions say."""


class Treatment(Training):
    """A training with a remedy, and the time of its steps."""

    def __init__(self, recipe: Treated) -> None:
        fair = replace(recipe.variant, shortcut=0.0)
        super().__init__(replace(recipe, variant=fair) if recipe.ceiling else recipe)
        remedy = recipe.remedy
        self._restyled = StyleAugment("NTHWC") if remedy.restyled else None
        penalty = StaticPenalty(remedy.penalty, form=remedy.form, every=remedy.every) if remedy.penalty else None
        entropy = ShuffleEntropy(remedy.entropy, every=remedy.every) if remedy.entropy else None
        self.attached = None
        if penalty or entropy:
            layout = [*self.model.inputs]
            self.attached = attach(
                self.model, FEATURES, penalty=penalty, entropy=entropy, layout=layout, seed=recipe.seed
            )
        with torch.random.fork_rng():
            self._twin = build_to_train(recipe)
        self._plain_steps = optimiser_of(recipe, self._twin)
        self._seconds: list[float] = []
        self._plain_seconds: list[float] = []

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose biases are measured."""
        return (FEATURES,)

    @property
    def relative_time(self) -> float:
        """The time of a step in percent of a plain one's, in turns in this process; the first of both is left out."""
        return 100 * fmean(self._seconds[1:] or self._seconds) / fmean(self._plain_seconds[1:] or self._plain_seconds)

    def _learn(self, optimiser: torch.optim.Optimizer, video: Tensor, labels: Tensor) -> None:
        """Train for one step."""
        if len(self._seconds) % TIMED_EVERY == 0:
            began = time.process_time()
            learn(self.recipe, self._twin, self._plain_steps, video, labels)
            self._plain_seconds.append(time.process_time() - began)
        began = time.process_time()
        shown = self._restyled(video) if self._restyled else video
        learn(self.recipe, self.model, optimiser, shown, labels, self.attached.loss if self.attached else None)
        self._seconds.append(time.process_time() - began)


def train(recipe: Treated) -> tuple[nn.Module, dict[str, Any]]:
    """Train and measure one model; return it and its record, ready for JSON."""
    started = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        treatment = Treatment(recipe)
        treatment.run()
    kinds = {kind for kind, words in WARNINGS.items() if any(words in str(one.message) for one in caught)}
    for one in caught:
        if not any(words in str(one.message) for words in WARNINGS.values()):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    treatment.model.eval()
    if treatment.attached:
        treatment.attached.remove()
    results = treatment.tracker.results[treatment.steps]
    dropout = treatment.model.dropout
    record = {
        **measured(recipe, treatment.model),
        "biases": [{"share": 1.0, "layers": results.layers}],
        "static_scores": [unit["static"] for unit in results.units],
        "drawn_by": dropout.scores.tolist() if isinstance(dropout, StaticDropout) else None,
        "features": treatment.model.features,
        "relative_time": treatment.relative_time,
        "lost": treatment.attached.lost if treatment.attached else {},
        "agreement": treatment.attached.agreement if treatment.attached else None,
        "warnings": sorted(kinds),
        "seconds": time.process_time() - started,
    }
    return treatment.model, record


def build(recipe: Treated) -> nn.Module:
    """Return the untrained model."""
    return training.build(recipe)
