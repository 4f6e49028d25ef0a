"""Study 4: does it hurt most to remove the units of the factor that a layer leans to? (paper, Sec. 5.1, Fig. 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.bank import Bank
from benchmarks.studies.bank import Recipe as AnyRecipe
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.networks import FRAMES, SIZE
from benchmarks.studies.models.recipe import Recipe
from benchmarks.studies.models.training import TEST_SEED, measuring_clips
from benchmarks.studies.over_training import LABELS, LAST, arm, recipes
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, smaller
from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.generated.world import APPEARANCES, world_clips
from sdmetrics.runners.torch import TorchRunner

OTHER = {"dynamic": "static", "static": "dynamic"}

Rule = Callable[[Mapping[str, NDArray[Any]], Sequence[Clip]], NDArray[np.float64]]


def right(recipe: Recipe) -> dict[str, Rule]:
    """Return, for each label of a recipe, the score that is 1 for every correctly classified clip, else 0."""
    scores: dict[str, Rule] = {}
    first = 0
    for label, classes in recipe.classes.items():
        place, names = (1, APPEARANCES) if label == "appearance" else (0, recipe.variant.motions)
        scores[label] = _rule(slice(first, first + classes), place, names)
        first += classes
    return scores


def _rule(part: slice, place: int, names: Sequence[str]) -> Rule:
    """Return a score that compares a part of the outputs with a part of the clips' labels."""

    def rule(outputs: Mapping[str, NDArray[Any]], clips: Sequence[Clip]) -> NDArray[np.float64]:
        expected = [names.index(str(clip.label).split("/")[place]) for clip in clips]
        return np.asarray(outputs["output"][:, part].argmax(1) == expected, np.float64)

    return rule


def measure(recipe: Recipe, folder: Path, scale: Scale) -> None:
    """Ablate a model of the bank and save the result beside it, unless it already exists."""
    bank = Bank(folder)
    run = ablation_folder(bank, recipe, scale)
    if (run / "ablation.json").exists():
        return
    layers = LAST[recipe.network]
    model = bank.model(recipe)
    runner = TorchRunner(model, model.inputs, layers)
    results = measure_biases(runner, measuring_clips(recipe, model.inputs), batch=48, progress=False)
    clips = world_clips(recipe.budget.measured, frames=FRAMES, size=SIZE, seed=TEST_SEED, variant=recipe.variant)
    removed: dict[str, Any] = {"layers": layers, "fractions": scale.removed, "repeats": scale.draws}
    ablate(runner, clips, results, score=right(recipe), **removed, batch=50, out=run, progress=False)


def ablation_folder(bank: Bank, recipe: AnyRecipe, scale: Scale) -> Path:
    """Return where the ablation of a model is stored: another folder where other shares are removed."""
    removed = "-".join(f"{share:g}" for share in scale.removed)
    return bank.folder / "removal" / f"{removed}x{scale.draws}" / recipe.key


def shares(scale: Scale) -> str:
    """Return the removed shares of the units as text."""
    return ", ".join(f"{share:.0%}" for share in scale.removed)


def overall(ablation: Ablation, layer: str, factor: str, label: str, against: str = "random") -> float:
    """Return, in points and averaged over the fractions, how removal by a factor differs from removal at random."""
    for row in ablation.overall:
        if (row["layer"], row["factor"], row["against"], row["score"]) == (layer, factor, against, label):
            return 100 * float(row["difference"])
    raise KeyError((layer, factor, label))


def leaning(ablations: Sequence[Ablation], layer: str) -> str:
    """Return the factor that a layer leans to in most of the models."""
    leans = [row["dominant"] for one in ablations for row in one.layers if row["name"] == layer]
    return max(OTHER, key=leans.count)


def cases(bank: Bank, scale: Scale) -> Iterator[tuple[tuple[str, str, str, str], list[Ablation]]]:
    """Yield network, labels, layer and the label that is scored, and the ablation of every seed."""
    for network, layers in LAST.items():
        for labels in LABELS:
            ablations = [Ablation.load(ablation_folder(bank, one, scale)) for one in arm(network, labels, scale)]
            for layer in layers:
                for label in ablations[0].scores:
                    yield (network, labels, layer, label), ablations


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare removal by factor with removal at random."""
    rows, points = [], []
    claims: list[str] = []
    harms: list[Mean] = []
    for (network, labels, layer, label), ablations in cases(bank, scale):
        leans = leaning(ablations, layer)
        by_factor = {factor: [overall(one, layer, factor, label) for one in ablations] for factor in OTHER}
        claims.append(smaller(paired(by_factor[leans], by_factor[OTHER[leans]])))
        harms.append(Mean.of(by_factor[leans]))
        harm = (str(Mean.of(values)) for values in by_factor.values())
        rows.append((network, labels, layer, label, leans, *harm, claims[-1]))
        place = {"network": network, "labels": labels, "layer": layer, "label": label}
        points += [{**place, **point} for point in curve(ablations, layer, label)]
    return Study(
        "removal",
        "Does it hurt most to lose the units of the factor that a layer leans to?",
        f"Units removed from the last layers of the models of study 3: {shares(scale)} of them, {scale.draws} random "
        "draws each.",
        [
            Finding(
                "Removing the units of the factor that a layer leans to hurts more than removing those of the other.",
                f"surely so in {claims.count(HOLDS)} of {len(claims)} cases, surely not in {claims.count(FAILS)}",
                FAILS if FAILS in claims else OPEN if OPEN in claims else HOLDS,
            ),
            Finding(
                "Removing the units of that factor hurts more than removing as many at random.",
                f"surely so in {sum(harm.below for harm in harms)} of {len(harms)} cases, the reverse in "
                f"{sum(harm.above for harm in harms)}",
                smaller(*harms),
            ),
        ],
        [
            Table(
                "Top-1 after removal by a factor minus that after removal at random, points, mean over the shares",
                ("network", "trained on", "layer", "top-1 of", "leans", "dynamic", "static", "first claim"),
                rows,
            )
        ],
        points,
    )


def curve(ablations: Sequence[Ablation], layer: str, label: str) -> list[dict[str, Any]]:
    """Return the points of a removal curve, means over the models."""
    by_point: dict[tuple[str, float], list[float]] = {}
    for one in ablations:
        for row in one.curves:
            if (row["layer"], row["score"]) == (layer, label):
                by_point.setdefault((row["ranking"], row["fraction"]), []).append(100 * row["mean"])
    return [
        {"ranking": ranking, "removed": 100 * fraction, **Mean.of(values).json()}
        for (ranking, fraction), values in by_point.items()
    ]


PLAN = Plan("removal", recipes, conclude, measure=measure)
