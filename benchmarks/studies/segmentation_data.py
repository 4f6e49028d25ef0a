"""Study 8: what a segmenter is trained on, and what its fusion layers encode (paper, Sec. 4.2.2, Table 1, Fig. 8)."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.fusion import EARLY, LATE, arm, best_and_worst, budget, in_words, overlaps, recipes
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.segmenter import MIXED, Segmenter
from benchmarks.studies.models.segmenter_training import SIZE, WORLDS
from benchmarks.studies.models.training import TRAINING_SEED
from benchmarks.studies.study import Finding, Plan, Scale, Study, Table, larger, listed
from sdmetrics.clips.generated.camouflage import CamouflageVariant, camouflage_clips
from sdmetrics.evaluation.centre_bias import centre_bias
from sdmetrics.metrics.classes import UNIT_CLASSES

SETS: dict[str, CamouflageVariant] = {
    "mixed, anywhere": MIXED,
    "mixed, centred": replace(MIXED, centred=1.0),
    "visible, centred": replace(MIXED, camouflaged=0.0, centred=1.0),
    "camouflaged, anywhere": replace(MIXED, camouflaged=1.0),
}
"""The training sets, by whether single frames show the objects and where they are."""
FRAMES = 400
"""Number of frames of a set that its centre bias is measured on."""


def trained(bank: Bank, scale: Scale) -> dict[str, list[Segmenter]]:
    """Return the recipes of study 6's best variant, trained on each set."""
    best, _ = best_and_worst(bank, scale)
    return {name: arm(best, scale, world=world) for name, world in SETS.items()}


def further(bank: Bank, scale: Scale) -> list[Segmenter]:
    """Return the recipes of all sets."""
    return [recipe for recipes_of_set in trained(bank, scale).values() for recipe in recipes_of_set]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the sets."""
    best, _ = best_and_worst(bank, scale)
    arms = {name: Arm(bank, recipes_of_set) for name, recipes_of_set in trained(bank, scale).items()}
    layers = (LATE, EARLY)
    rows = [
        (
            name,
            f"{_centre(world):.2f}",
            *(str(Mean.of(arms[name].percent(layer, factor))) for layer in layers for factor in ("dynamic", "static")),
            *(str(Mean.of(arms[name].units(layer, "dynamic"))) for layer in layers),
            *(str(Mean.of(overlaps(arms[name], world))) for world in WORLDS),
        )
        for name, world in SETS.items()
    ]
    percents = [f"{layer}, {factor} %" for layer in layers for factor in ("dynamic", "static")]
    units = [f"{layer}, dynamic units" for layer in layers]
    columns = ("trained on", "centre bias", *percents, *units, *(f"mean IoU, {world}" for world in WORLDS))

    def more(ours: str, theirs: str) -> list[tuple[str, Mean]]:
        return [
            (layer, paired(arms[ours].units(layer, "dynamic"), arms[theirs].units(layer, "dynamic")))
            for layer in layers
        ]

    spread = more("mixed, anywhere", "mixed, centred")
    needed = more("camouflaged, anywhere", "visible, centred")
    return Study(
        "segmentation_data",
        "What are segmenters trained on?",
        f"The best variant of study 6, {in_words(best)}, trained on four sets and measured on the same clips; "
        f"{budget(scale).clips} frames each. Centre bias: how often objects are in the central box of half the height "
        "and width, over the average place; 1 is none.",
        [
            Finding(
                "Training on the set with the least centre bias gives the most dynamic units.",
                f"dynamic units, mixed anywhere − mixed centred, points: {listed(spread)}",
                larger(*(mean for _, mean in spread)),
                "TAO-VOS, the least centre-biased of four",
            ),
            Finding(
                "Objects that a frame does not show give more dynamic units than those that it shows.",
                f"dynamic units, camouflaged anywhere − visible centred, points: {listed(needed)}",
                larger(*(mean for _, mean in needed)),
            ),
        ],
        [Table("Fusion layers and accuracy by what is trained on", columns, rows)],
        [
            {"set": name, "layer": layer, "class": kind, **Mean.of(one.units(layer, kind)).json()}
            for name, one in arms.items()
            for layer in layers
            for kind in UNIT_CLASSES
        ],
    )


def _centre(world: CamouflageVariant) -> float:
    """Return a set's centre bias."""
    clips = camouflage_clips(FRAMES, frames=1, size=SIZE, seed=TRAINING_SEED, variant=world)
    return centre_bias(clips, size=(SIZE, SIZE), progress=False).number or 0.0


PLAN = Plan("segmentation_data", recipes, conclude, further)
