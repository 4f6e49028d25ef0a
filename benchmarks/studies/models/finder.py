"""A recipe of a small VisTR: everything that determines a trained model of study 9."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.studies.models.recipe import STANDARD, Budget, digest
from sdmetrics.clips.generated.camouflage import CamouflageVariant

OBJECTS = 3
APART = CamouflageVariant(camouflaged=0.0, objects=OBJECTS)
"""Several objects in colours of their own, each with a place of its own."""


@dataclass(frozen=True)
class Finder:
    """How a VisTR is trained and measured.

    Parameters
    ----------
    seed
        Seed of the weights, the clips and their order.
    world
        The world that it is trained in. All are tested and measured on the same clips.
    """

    seed: int
    world: CamouflageVariant = APART
    budget: Budget = STANDARD

    @property
    def key(self) -> str:
        """A name that differs where anything differs."""
        return f"finder-occlusion{self.world.occlusion:g}-seed{self.seed}-{digest(self)}"
