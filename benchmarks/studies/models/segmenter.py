"""A recipe of a two-stream segmenter: everything that determines a trained model of study 6."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.studies.models.recipe import STANDARD, Budget, digest
from sdmetrics.clips.generated.camouflage import CamouflageVariant

CROSS = ("none", "motion_to_appearance", "both_ways")
FUSIONS = ("concatenation", "gated", "convex_gated")
MIXED = CamouflageVariant(camouflaged=0.5)
"""In half of the clips the object has the ground's own texture."""


@dataclass(frozen=True)
class Segmenter:
    """How a segmenter is built, trained and measured.

    Parameters
    ----------
    cross, fusion, refinement
        Its parts; see `TwoStream`.
    seed
        Seed of the weights, the clips and their order.
    world
        The world that it is trained in. All are tested and measured on the same clips.
    flow
        `"estimated"` or `"exact"`, in training and in tests.
    tracked
        Whether its biases are also measured during training.
    """

    cross: str
    fusion: str
    seed: int
    refinement: bool = False
    world: CamouflageVariant = MIXED
    flow: str = "estimated"
    tracked: bool = False
    budget: Budget = STANDARD

    @property
    def key(self) -> str:
        """A name that differs where anything differs."""
        words = ["segmenter", self.cross, self.fusion, *(["refined"] if self.refinement else [])]
        return "-".join([*words, f"seed{self.seed}", digest(self)])
