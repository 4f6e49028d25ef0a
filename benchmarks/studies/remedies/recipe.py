"""The recipe of a model that is trained with remedies against static bias."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.studies.models.recipe import Recipe
from sdmetrics.torch.training.static_penalty import Form

PREFIX = "remedy-"
"""What the keys of these recipes begin with."""


@dataclass(frozen=True)
class Remedy:
    """What is added to the training, dropout aside: losses on shuffled frames by their weights, and random looks."""

    penalty: float = 0.0
    form: Form = "square"
    entropy: float = 0.0
    restyled: bool = False
    every: int = 1


@dataclass(frozen=True)
class Treated(Recipe):
    """How a model is trained with a remedy, and measured.

    Parameters
    ----------
    remedy
        What is added to its training.
    ceiling
        Whether the training has no shortcut; the tests are those of the same world with it.
    tuning
        Whether a choice depends on the model. It is then tested on clips that are used for nothing else.
    """

    remedy: Remedy = Remedy()
    ceiling: bool = False
    tuning: bool = False

    @property
    def key(self) -> str:
        """A name that differs where anything differs."""
        return f"{PREFIX}{super().key}"
