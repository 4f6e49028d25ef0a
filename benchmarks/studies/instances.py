"""Study 9: a VisTR trained on objects apart or hiding each other (paper, Sec. 4.1.3 and 4.2.3, Figs. 5 and 9)."""

from __future__ import annotations

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.fusion import SEEDS, budget, overlaps
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.finder import OBJECTS, Finder
from benchmarks.studies.models.finder_training import LAYERS, WORLDS
from benchmarks.studies.study import Finding, Plan, Scale, Study, Table, larger, listed, similar, smaller
from sdmetrics.metrics.classes import UNIT_CLASSES

ENCODER, DECODER = "encoder.2", "decoder.2"
"""The last layer of each."""
WITHIN = 2.0
"""Two layers are called similar if their percents of Eq. 1 differ by at most so many points."""


def arm(world: str, scale: Scale) -> list[Finder]:
    """Return the recipes of one training set."""
    return [Finder(seed, WORLDS[world], budget(scale)) for seed in scale.seeds[:SEEDS]]


def recipes(scale: Scale) -> list[Finder]:
    """Return the recipes of both training sets."""
    return [recipe for world in WORLDS for recipe in arm(world, scale)]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the training sets, layer by layer."""
    arms = {world: Arm(bank, arm(world, scale)) for world in WORLDS}
    rows = [
        (
            world,
            layer,
            *(str(Mean.of(one.percent(layer, factor))) for factor in ("dynamic", "static")),
            *(str(Mean.of(one.units(layer, name))) for name in UNIT_CLASSES),
        )
        for world, one in arms.items()
        for layer in LAYERS
    ]
    accuracy = [(world, *(str(Mean.of(overlaps(one, test))) for test in WORLDS)) for world, one in arms.items()]
    return Study(
        "instances",
        "Several objects, apart or hiding each other",
        f"A small VisTR (two layers each of encoder and decoder), trained to find {OBJECTS} objects in clips of four "
        f"frames: in places of their own (as YouTube-VIS) and wandering about one place (as OVIS); measured on the "
        f"same clips, half-way between. {budget(scale).clips} clips, {len(scale.seeds[:SEEDS])} seeds.",
        _findings(arms),
        [
            Table("Percent of Eq. 1, and percent of units by class (Eq. 3)",
                  ("trained on", "layer", "dynamic %", "static %", *UNIT_CLASSES), rows),
            Table("Mean overlap of boxes (generalised IoU, at least 0), percent",
                  ("trained on", *(f"tested on objects {test}" for test in WORLDS)), accuracy),
        ],
        [
            {"set": world, "layer": layer, "factor": factor, **Mean.of(one.percent(layer, factor)).json()}
            for world, one in arms.items()
            for layer in LAYERS
            for factor in ("dynamic", "static")
        ],
    )  # fmt: skip


def _findings(arms: dict[str, Arm]) -> list[Finding]:
    """Compare the paper's claims with the arms."""
    leans = [
        (f"{world} {layer}", paired(one.percent(layer, "static"), one.percent(layer, "dynamic")))
        for world, one in arms.items()
        for layer in LAYERS
    ]
    deeper = [
        (world, paired(one.percent(DECODER, "static"), one.percent(LAYERS[0], "static"))) for world, one in arms.items()
    ]
    only_dynamic = [(f"{world} {layer}", Mean.of(one.units(layer, "dynamic", "residual")))
             for world, one in arms.items() for layer in LAYERS]  # fmt: skip

    def more(layer: str) -> Mean:
        return paired(arms["occluded"].percent(layer, "dynamic"), arms["apart"].percent(layer, "dynamic"))

    return [
        Finding(
            "All layers lean static.",
            f"static − dynamic, points: {listed(leans)}",
            larger(*(mean for _, mean in leans)),
            "VisTR-R101, first layer: 36.2 against 25.3",
        ),
        Finding(
            "The static bias grows with depth.",
            f"static, {DECODER} − {LAYERS[0]}, points: {listed(deeper)}",
            larger(*(mean for _, mean in deeper)),
            "VisTR-R101: 36.2 to 38.3",
        ),
        Finding(
            "Units are static or joint, hardly ever dynamic alone.",
            f"dynamic and residual units, percent: {listed(only_dynamic)}",
            smaller(*(Mean(mean.value - WITHIN, mean.half, mean.seeds) for _, mean in only_dynamic)),
        ),
        Finding(
            "Training on objects that hide each other makes the last layer of the encoder more dynamic.",
            f"{ENCODER}, dynamic, occluded − apart: {more(ENCODER)} points",
            larger(more(ENCODER)),
            "VisTR-R50: 26.3 on OVIS against 21.9 on YouTube-VIS",
        ),
        Finding(
            "In the last layer of the decoder both are similar.",
            f"{DECODER}, dynamic, occluded − apart: {more(DECODER)} points",
            similar(WITHIN, more(DECODER)),
            "21.4 against 22.1",
        ),
    ]


PLAN = Plan("instances", recipes, conclude)
