"""Study 7: fusion layers during training and without units, and what refinement and exact flow change.

For the best and the worst variant of study 6 (paper, Sec. 4.3.2 and 5.1, Figs. 10 and 11, bottom; Sec. 4.1.2, NoBAR).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.fusion import EARLY, LATE, Variant, arm, best_and_worst, budget, in_words, overlaps, recipes
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.recipe import SHARES
from benchmarks.studies.models.segmenter import Segmenter
from benchmarks.studies.models.segmenter_training import INPUTS, SIZE, WORLDS, measuring_clips
from benchmarks.studies.models.training import TEST_SEED
from benchmarks.studies.over_training import reached
from benchmarks.studies.removal import OTHER, ablation_folder, curve, leaning, overall, shares
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, smaller
from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.result import Ablation
from sdmetrics.ablation.segmentation_scores import region_score
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.generated.camouflage import camouflage_clips
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.runners.torch import TorchRunner

SCORE = "iou"
CHANGES: dict[str, dict[str, Any]] = {"boundary refinement": {"refinement": True}, "exact flow": {"flow": "exact"}}


def further(bank: Bank, scale: Scale) -> list[Segmenter]:
    """Return the best and the worst variant, measured during training, and both with one change."""
    changes: Sequence[dict[str, Any]] = ({"tracked": True}, *CHANGES.values())
    return [
        recipe
        for variant in best_and_worst(bank, scale)
        for change in changes
        for recipe in arm(variant, scale, **change)
    ]


def measure(recipe: Segmenter, folder: Path, scale: Scale) -> None:
    """Ablate the fusion layers of a tracked model on camouflaged objects and save the result, unless it exists."""
    bank = Bank(folder)
    run = ablation_folder(bank, recipe, scale)
    if not recipe.tracked or (run / "ablation.json").exists():
        return
    model: Any = bank.model(recipe)
    layers = [layer for layer in model.layers if layer.startswith("fusion.")]
    runner = TorchRunner(model, INPUTS, layers)
    results = measure_biases(runner, measuring_clips(recipe.budget, recipe.flow), batch=48, progress=False)
    flow: Any = recipe.flow
    world = WORLDS["camouflaged"]
    clips = camouflage_clips(recipe.budget.measured, frames=1, size=SIZE, seed=TEST_SEED, variant=world, flow=flow)
    score = {SCORE: region_score("mask", logits=True)}
    removed: dict[str, Any] = {"layers": layers, "fractions": scale.removed, "repeats": scale.draws}
    ablate(runner, clips, results, score=score, **removed, batch=50, out=run, progress=False)


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the fusion layers during training and without some of their units."""
    variants = dict(zip(("best", "worst"), best_and_worst(bank, scale), strict=True))
    tracked = {name: arm(variant, scale, tracked=True) for name, variant in variants.items()}
    trained = {name: Arm(bank, some) for name, some in tracked.items()}
    ablated = {
        name: [Ablation.load(ablation_folder(bank, one, scale)) for one in some] for name, some in tracked.items()
    }
    rows, claims, points = _removal(ablated)
    when, curves = _over_training(trained)
    early = sum(mean.half is not None and mean.value + mean.half <= 50 for mean in when.values())
    late = sum(mean.half is not None and mean.value - mean.half > 50 for mean in when.values())
    return Study(
        "fusion_layers",
        "Fusion layers during training, and without some of their units",
        f"The best variant of study 6 on camouflaged objects, {in_words(variants['best'])}, and the worst, "
        f"{in_words(variants['worst'])}; {budget(scale).clips} clips, {len(tracked['best'])} seeds. Removed: "
        f"{shares(scale)} of a layer's units, {scale.draws} random draws each from the units least biased to the "
        "factor that the layer leans to; scored by mean IoU on camouflaged objects.",
        [
            Finding(
                "In every fusion layer, removing the units of the factor that it leans to hurts most.",
                f"more than those of the other factor: surely so in {claims.count(HOLDS)} of {len(claims)} layers, "
                f"surely not in {claims.count(FAILS)}",
                FAILS if FAILS in claims else OPEN if OPEN in claims else HOLDS,
            ),
            Finding(
                "The biases of the fusion layers are reached in the first half of the training.",
                f"of {len(when)} curves {early} surely reach their final value in the first half, {late} surely later; "
                f"on average after {Mean.of([mean.value for mean in when.values()]).value:.0f} %",
                HOLDS if early == len(when) else FAILS if late else OPEN,
                "MATNet trained on DAVIS and YouTube-VOS did not",
            ),
        ],
        [
            Table(
                "Mean IoU after removal by a factor minus that of the least biased, points, mean over the shares",
                ("variant", "layer", "leans", *OTHER, "first claim"),
                rows,
            ),
            Table(
                "Percent of the training after which the final percent of Eq. 1 is reached",
                ("variant", "layer", *FACTORS),
                [
                    (name, layer, *(str(when[name, layer, factor]) for factor in FACTORS))
                    for name in trained
                    for layer in (EARLY, LATE)
                ],
            ),
            _changed(bank, scale, variants),
        ],
        points + curves,
    )


def _removal(
    ablated: dict[str, list[Ablation]],
) -> tuple[list[tuple[str, ...]], list[str], list[dict[str, Any]]]:
    """Return the table's rows, the verdict on each, and the points of the figure."""
    rows, claims, points = [], [], []
    for name, ablations in ablated.items():
        for layer in [row["name"] for row in ablations[0].layers]:
            leans = leaning(ablations, layer)
            by_factor = {factor: [overall(one, layer, factor, SCORE, "least") for one in ablations] for factor in OTHER}
            claims.append(smaller(paired(by_factor[leans], by_factor[OTHER[leans]])))
            rows.append((name, layer, leans, *(str(Mean.of(values)) for values in by_factor.values()), claims[-1]))
            points += [{"variant": name, "layer": layer, **point} for point in curve(ablations, layer, SCORE)]
    return rows, claims, points


def _over_training(trained: dict[str, Arm]) -> tuple[dict[tuple[str, str, str], Mean], list[dict[str, Any]]]:
    """Return when each bias is reached, in percent of the training, and the points of the figure."""
    when, points = {}, []
    for name, one in trained.items():
        for layer in (EARLY, LATE):
            for factor in FACTORS:
                by_share = {share: one.percent(layer, factor, share) for share in SHARES}
                by_seed = zip(*by_share.values(), strict=True)
                when[name, layer, factor] = Mean.of([100 * reached(SHARES, values) for values in by_seed])
                place = {"variant": name, "layer": layer, "factor": factor}
                points += [{**place, "share": 100 * s, **Mean.of(v).json()} for s, v in by_share.items()]
    return when, points


def _changed(bank: Bank, scale: Scale, variants: dict[str, Variant]) -> Table:
    """Return the effects of the changes on the variants."""
    rows = []
    for name, variant in variants.items():
        plain = Arm(bank, arm(variant, scale))
        for change, fields in CHANGES.items():
            changed = Arm(bank, arm(variant, scale, **fields))
            differences = [paired(overlaps(changed, world), overlaps(plain, world)) for world in WORLDS]
            differences += [
                paired(changed.percent(layer, "dynamic"), plain.percent(layer, "dynamic")) for layer in (EARLY, LATE)
            ]
            rows.append((name, change, *map(str, differences)))
    columns = ("variant", "with", *(f"mean IoU, {world}" for world in WORLDS), f"{EARLY}, dynamic", f"{LATE}, dynamic")
    return Table("What one change makes of a variant, points", columns, rows)


PLAN = Plan("fusion_layers", recipes, conclude, further, measure)
