"""A recipe: everything that determines a trained model of the studies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdmetrics.clips.generated.world import APPEARANCES, Variant

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WORLD = Variant(clutter=0.06, camera=0.1)
"""The world of the studies: a textured background and a panning camera."""

ORDERED = replace(WORLD, ordered=True)
"""The same world with labels that depend on the order of the frames."""

TASKS = ("motion", "appearance", "both", "order")
"""What a model is trained to classify. `both`: motion and appearance, by half of the outputs each."""

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the training after which a tracked model is measured."""


@dataclass(frozen=True)
class Dropout:
    """The dropout between the pooled features and the classifier: `none`, `standard` or `static`."""

    kind: str = "none"
    rate: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """Clips and epochs of training, epochs of fine-tuning, clips for tests, and clips to measure biases on."""

    clips: int = 2400
    epochs: int = 4
    finetuned: int = 0
    tested: int = 600
    measured: int = 200


NO_DROPOUT = Dropout()
STANDARD = Budget()


@dataclass(frozen=True)
class Recipe:
    """How a model is trained and measured.

    Parameters
    ----------
    network
        A key of `NETWORKS`.
    task
        One of `TASKS`.
    seed
        Seed of the weights, the clips and their order.
    variant
        The world that it is trained in. It is tested in the same world without shortcut and tail.
    shuffled
        Whether it is trained on shuffled frames.
    tracked
        Whether its biases are also measured during training.
    """

    network: str
    task: str
    seed: int
    variant: Variant = WORLD
    shuffled: bool = False
    tracked: bool = False
    dropout: Dropout = NO_DROPOUT
    budget: Budget = STANDARD

    @property
    def classes(self) -> dict[str, int]:
        """Number of classes by label, in the order of the outputs."""
        motions = len(self.variant.motions)
        return {
            "motion": {"motion": motions},
            "order": {"motion": motions},
            "appearance": {"appearance": len(APPEARANCES)},
            "both": {"motion": motions, "appearance": len(APPEARANCES)},
        }[self.task]

    @property
    def key(self) -> str:
        """A name that differs where anything differs."""
        words = [self.network, self.task, *(["shuffled"] if self.shuffled else [])]
        words += [f"{self.dropout.kind}{self.dropout.rate:g}"] if self.dropout.rate else []
        return "-".join([*words, f"seed{self.seed}", digest(self)])


def digest(recipe: DataclassInstance) -> str:
    """Return a few letters that differ where anything in a recipe differs."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:10]
