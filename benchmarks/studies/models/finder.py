"""A recipe of a small VisTR: everything that decides what a trained model of study 9 becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.studies.models.recipe import STANDARD, Budget, digest
from sdmetrics.clips.generated.camouflage import CamouflageVariant

if TYPE_CHECKING:
    from torch import nn

OBJECTS = 3
APART = CamouflageVariant(camouflaged=0.0, objects=OBJECTS)
"""Several objects in colours of their own, each with a place of its own."""


@dataclass(frozen=True)
class Finder:
    """How a VisTR is trained and measured.

    Parameters
    ----------
    seed
        Of the weights, the clips and their order.
    world
        What it is trained on; all are tested and measured on the same clips.
    """

    seed: int
    world: CamouflageVariant = APART
    budget: Budget = STANDARD

    @property
    def key(self) -> str:
        """A name that differs where anything differs."""
        return f"finder-occlusion{self.world.occlusion:g}-seed{self.seed}-{digest(self)}"

    def build(self) -> nn.Module:
        """Return the model, untrained."""
        from benchmarks.studies.models.finder_training import build

        return build()

    def train(self) -> tuple[nn.Module, dict[str, Any]]:
        """Return the model, trained, and what was measured of it."""
        from benchmarks.studies.models.finder_training import train

        return train(self)
