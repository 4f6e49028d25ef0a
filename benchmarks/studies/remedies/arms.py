"""The arms of the studies of remedies, their worlds, and what is chosen on seeds of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean
from benchmarks.studies.models.recipe import ORDERED, WORLD, Dropout
from benchmarks.studies.remedies.recipe import Remedy, Treated
from benchmarks.studies.study import Scale, Table

SHORTCUT_WORLD = replace(WORLD, shortcut=0.9, speed=0.5)
"""Appearance gives the label away in most training clips."""

WORLDS = {
    "motion labels": ("motion", SHORTCUT_WORLD),
    "labels of an order": ("order", replace(ORDERED, shortcut=0.9)),
    "rare motion labels": ("motion", replace(SHORTCUT_WORLD, tail=1.0)),
    "labels of appearance": ("appearance", replace(SHORTCUT_WORLD, shortcut=0.0)),
}
"""What is trained on, and in which world: in the last one, what a single frame shows is all that counts."""

MOTION_LABELS = "motion labels"

NONE, LONGER, CEILING = "none", "none, twice the epochs", "no shortcut in training"
STANDARD, STATIC = "standard dropout 0.5", "StaticDropout 0.5"
SHARPER, HARDEST = "StaticDropout 0.5, temperature 0.03", "StaticDropout 0.5, hardest channels"
ENTROPY, STYLES, EVERY_FOURTH = "entropy", "styles", "the chosen combination, every = 4"

PENALTIES = {f"r², λ = {weight:g}": Remedy(penalty=weight) for weight in (0.3, 1.0, 3.0)}
COMBINATIONS = {
    "styles + entropy": Remedy(entropy=1.0, restyled=True),
    "styles + r²": Remedy(penalty=1.0, restyled=True),
    "entropy + r²": Remedy(penalty=1.0, entropy=1.0),
}
DROPOUTS = {
    STANDARD: Dropout("standard", 0.5),
    "StaticDropout 0.1": Dropout("static", 0.1),
    STATIC: Dropout("static", 0.5),
    SHARPER: Dropout("static", 0.5, {"temperature": 0.03}),
    HARDEST: Dropout("static", 0.5, {"temperature": 1e-4}),
}
ARMS: dict[str, dict[str, Any]] = {
    NONE: {},
    LONGER: {"longer": 2},
    **{name: {"dropout": dropout} for name, dropout in DROPOUTS.items()},
    **{name: {"remedy": remedy} for name, remedy in PENALTIES.items()},
    "relu(r)": {"remedy": Remedy(penalty=1.0, form="positive")},
    "hinge": {"remedy": Remedy(penalty=1.0, form="hinge")},
    ENTROPY: {"remedy": Remedy(entropy=1.0)},
    STYLES: {"remedy": Remedy(restyled=True)},
    **{name: {"remedy": remedy} for name, remedy in COMBINATIONS.items()},
    CEILING: {"ceiling": True},
}
"""What differs from a plain training, by arm; weights are 1 unless they are named."""

TUNED_FIRST = "slowonly"
"""The network of study 10, on which every arm is trained."""
TUNING_SEEDS = (100, 101)

Values = Mapping[str, list[float]]
"""A measure, by arm: one value for each seed."""


@dataclass(frozen=True)
class Choice:
    """The weight of the penalty and the combination with the highest top-1 without the shortcut, on their own seeds."""

    penalty: str
    combination: str

    def arms(self) -> dict[str, dict[str, Any]]:
        """Return all arms, with the chosen combination computed in one of four steps."""
        chosen = replace(COMBINATIONS[self.combination], every=4)
        return {**ARMS, EVERY_FOURTH: {"remedy": chosen}}


def treated(
    arm: Mapping[str, Any],
    scale: Scale,
    network: str = TUNED_FIRST,
    world: str = MOTION_LABELS,
    seeds: tuple[int, ...] | None = None,
) -> list[Treated]:
    """Return the recipes of an arm; its own seeds are for tuning."""
    task, variant = WORLDS[world]
    changes = {name: value for name, value in arm.items() if name != "longer"}
    epochs = (scale.budget.epochs + 2) * arm.get("longer", 1)
    # Fewer clips, seen more often, as in the study of dropout.
    budget = replace(scale.budget, clips=scale.budget.clips * 2 // 3, epochs=epochs)
    return [
        Treated(network, task, seed, variant, budget=budget, tuning=seeds is not None, **changes)
        for seed in seeds or scale.seeds
    ]


def tuned(scale: Scale, network: str = TUNED_FIRST) -> list[Treated]:
    """Return the recipes that the choices of a network depend on."""
    return [recipe for recipes in _candidates(scale, network).values() for recipe in recipes]


def chosen(bank: Bank, scale: Scale) -> Choice:
    """Return the choices of the first network, from trained models."""
    top1 = tuning_top1(bank, scale)
    return Choice(_best(top1, PENALTIES), _best(top1, COMBINATIONS))


def combination_of(bank: Bank, scale: Scale, network: str) -> str:
    """Return the combination that is chosen for a network, from trained models."""
    return _best(tuning_top1(bank, scale, network), COMBINATIONS)


def tuning_top1(bank: Bank, scale: Scale, network: str = TUNED_FIRST) -> dict[str, Mean]:
    """Return what the choices of a network are made by: its top-1 without the shortcut, by arm."""
    return {name: Mean.of(Arm(bank, recipes).top1()) for name, recipes in _candidates(scale, network).items()}


def tuning_table(bank: Bank, scale: Scale) -> Table:
    """Return what the choices of the first network are made by."""
    rows = [(name, str(mean)) for name, mean in tuning_top1(bank, scale).items()]
    title = f"What λ and the combination are chosen by, {on_seeds(scale)}"
    return Table(title, ("arm", "top-1, no shortcut"), rows)


def on_seeds(scale: Scale) -> str:
    """Return in words what choices are made on."""
    return f"on {_tuning_seeds(scale)} seeds and clips used for nothing else"


def _best(top1: Mapping[str, Mean], among: Collection[str]) -> str:
    """Return the arm with the highest top-1."""
    return max((name for name in top1 if name in among), key=lambda name: top1[name].value)


def _candidates(scale: Scale, network: str) -> dict[str, list[Treated]]:
    """Return the recipes of what is chosen from, by arm: λ is chosen on the first network for all."""
    names = [*(PENALTIES if network == TUNED_FIRST else ()), *COMBINATIONS]
    if scale.few:
        names = ["r², λ = 1", "styles + entropy"]
    seeds = TUNING_SEEDS[: _tuning_seeds(scale)]
    return {name: treated(ARMS[name], scale, network, seeds=seeds) for name in names}


def _tuning_seeds(scale: Scale) -> int:
    return 1 if scale.few else len(TUNING_SEEDS)
