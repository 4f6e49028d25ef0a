"""Study 6: which fusion and cross connection see what only motion shows? (paper, Sec. 4.1.2, 5.3, Figs. 4, 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.recipe import Budget
from benchmarks.studies.models.segmenter import CROSS, FUSIONS, Segmenter
from benchmarks.studies.study import Finding, Plan, Scale, Study, Table, larger, listed, smaller
from sdmetrics.metrics.classes import UNIT_CLASSES

SEEDS = 3
EARLY, LATE = "fusion.res2", "fusion.res5"
WORLDS = ("camouflaged", "visible")

Variant = tuple[str, str]
"""Cross connection and fusion."""

GRID: tuple[Variant, ...] = tuple((cross, fusion) for cross in CROSS for fusion in FUSIONS)


def budget(scale: Scale) -> Budget:
    """Return the budget of a segmenter: half the clips of a classifier, for one more epoch."""
    return replace(scale.budget, clips=scale.budget.clips // 2, epochs=scale.budget.epochs + 1)


def arm(variant: Variant, scale: Scale, **changes: Any) -> list[Segmenter]:  # noqa: ANN401 (fields of Segmenter)
    """Return the recipes of one variant, which differ only in their seed."""
    cross, fusion = variant
    return [Segmenter(cross, fusion, seed, budget=budget(scale), **changes) for seed in scale.seeds[:SEEDS]]


def recipes(scale: Scale) -> list[Segmenter]:
    """Return the recipes of the whole grid."""
    return [recipe for variant in GRID for recipe in arm(variant, scale)]


def overlaps(one: Arm, world: str) -> list[float]:
    """Return the mean IoU in percent, by seed."""
    return one.values(lambda record: 100 * record["iou"][world])


def best_and_worst(bank: Bank, scale: Scale) -> tuple[Variant, Variant]:
    """Return the variants of the grid that find camouflaged objects best and worst."""

    def accuracy(variant: Variant) -> float:
        return Mean.of(overlaps(Arm(bank, arm(variant, scale)), "camouflaged")).value

    ranked = sorted(GRID, key=accuracy)
    return ranked[-1], ranked[0]


def in_words(variant: Variant) -> str:
    """Return a variant's name.

    >>> in_words(("both_ways", "convex_gated"))
    'both ways + convex gated'
    """
    return " + ".join(part.replace("_", " ") for part in variant)


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the variants of the grid."""
    arms = {variant: Arm(bank, arm(variant, scale)) for variant in GRID}
    layers = arms[GRID[0]].layers
    fusions = [layer for layer in layers if layer.startswith("fusion.")]
    spent = budget(scale)
    return Study(
        "fusion",
        "Which fusion and which cross connection see what only motion shows?",
        f"Two streams of a small ResNet, nine variants; {spent.clips} frames of a world with one moving object, in "
        f"half of them of the ground's own texture; estimated flow; {len(scale.seeds[:SEEDS])} seeds. Tested on the "
        "same scenes with objects of the ground's texture (camouflaged) and of other colours (visible).",
        _findings(arms),
        [
            Table(
                "Mean IoU, percent",
                ("cross connection", "fusion", *WORLDS),
                [(*variant, *(str(Mean.of(overlaps(one, w))) for w in WORLDS)) for variant, one in arms.items()],
            ),
            Table(
                "Fusion layers: percent of Eq. 1, and percent of units by class (Eq. 3)",
                ("cross connection", "fusion", "layer", "dynamic %", "static %", *UNIT_CLASSES),
                [(*variant, layer, *_numbers(one, layer)) for variant, one in arms.items() for layer in fusions],
            ),
            Table(
                "Streams, with gated fusion",
                ("cross connection", "layer", "dynamic %", "static %", *UNIT_CLASSES),
                [
                    (cross, layer, *_numbers(arms[cross, "gated"], layer))
                    for cross in CROSS
                    for layer in layers
                    if layer not in fusions
                ],
            ),
        ],
        [
            {"variant": in_words(variant), "measure": f"mean IoU, {world}", **Mean.of(overlaps(one, world)).json()}
            for variant, one in arms.items()
            for world in WORLDS
        ]
        + [
            {"variant": in_words(variant), "layer": layer, "class": name, **Mean.of(one.units(layer, name)).json()}
            for variant, one in arms.items()
            for layer in fusions
            for name in UNIT_CLASSES
        ],
    )


def _numbers(one: Arm, layer: str) -> list[str]:
    """Return the percents of a layer and of its units as text."""
    percents = [one.percent(layer, factor) for factor in ("dynamic", "static")]
    return [str(Mean.of(values)) for values in (*percents, *(one.units(layer, name) for name in UNIT_CLASSES))]


def _findings(arms: Mapping[Variant, Arm]) -> list[Finding]:
    """Compare the paper's claims with the arms."""

    def by_cross(ours: str, theirs: str) -> list[tuple[str, Mean]]:
        return [
            (cross, paired(overlaps(arms[cross, ours], "camouflaged"), overlaps(arms[cross, theirs], "camouflaged")))
            for cross in CROSS
        ]

    def by_fusion(layer: str = "") -> list[tuple[str, Mean]]:
        def value(cross: str, fusion: str) -> list[float]:
            one = arms[cross, fusion]
            return one.percent(layer, "dynamic") if layer else overlaps(one, "camouflaged")

        return [
            (fusion, paired(value("both_ways", fusion), value("motion_to_appearance", fusion))) for fusion in FUSIONS
        ]

    def leaning(layer: str) -> list[tuple[str, Mean]]:
        return [
            (in_words(variant), paired(one.percent(layer, "dynamic"), one.percent(layer, "static")))
            for variant, one in arms.items()
        ]

    def deeper(stream: str, factor: str, cross: str) -> list[tuple[str, Mean]]:
        ends = [f"{stream}.res5", f"{stream}.res2"]
        return [(f, paired(*(arms[cross, f].percent(end, factor) for end in ends))) for f in FUSIONS]

    gated, both = by_cross("gated", "convex_gated"), by_fusion()
    early, late = leaning(EARLY), leaning(LATE)
    drop, appearance, motion = (
        by_fusion(LATE),
        deeper("appearance", "dynamic", "both_ways"),
        deeper("motion", "static", "both_ways"),
    )
    return [
        Finding(
            "Gated fusion finds camouflaged objects better than convex-combination gated fusion.",
            f"mean IoU, gated − convex gated, points: {listed(gated)}",
            larger(*_means(gated)),
        ),
        Finding(
            "Cross connections both ways find them better than motion to appearance alone.",
            f"mean IoU, both ways − motion to appearance, points: {listed(both)}",
            larger(*_means(both)),
            "with gated fusion on MoCA: 70.6 and 67.6 against 70.2 and 68.5 (two runs each)",
        ),
        Finding(
            "The early fusion layer leans dynamic.",
            f"{EARLY}, dynamic − static, points: {listed(early)}",
            larger(*_means(early)),
            "FusionSeg on DAVIS: 34.0 against 25.9",
        ),
        Finding(
            "The late fusion layer leans static.",
            f"{LATE}, dynamic − static, points: {listed(late)}",
            smaller(*_means(late)),
            "FusionSeg on DAVIS: 27.8 against 30.1",
        ),
        Finding(
            "Cross connections both ways lower the dynamics of the late fusion layer a little.",
            f"{LATE}, dynamic, both ways − motion to appearance, points: {listed(drop)}",
            smaller(*_means(drop)),
        ),
        Finding(
            "The appearance stream becomes more dynamic with depth, most with connections both ways.",
            f"dynamic, res5 − res2, both ways, points: {listed(appearance)}",
            larger(*_means(appearance)),
        ),
        Finding(
            "With connections both ways the motion stream becomes more static with depth.",
            f"static, res5 − res2, points: {listed(motion)}",
            larger(*_means(motion)),
        ),
    ]


def _means(differences: list[tuple[str, Mean]]) -> list[Mean]:
    return [mean for _, mean in differences]


PLAN = Plan("fusion", recipes, conclude)
