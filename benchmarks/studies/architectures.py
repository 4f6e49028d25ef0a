"""Study 1: which architectures encode dynamics, and where (paper, Sec. 4.1.1, Fig. 3)."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean, paired
from benchmarks.studies.models.networks import NETWORKS
from benchmarks.studies.models.recipe import Recipe
from benchmarks.studies.over_training import LAST
from benchmarks.studies.study import Finding, Plan, Scale, Study, Table, larger, listed, similar
from sdmetrics.metrics.classes import UNIT_CLASSES

SINGLE_STREAM = ("c2d", "i3d", "slowonly", "fastonly", "timesformer")
LONGER = {"timesformer": 3}
"""How many times longer a network is trained than the others. Without convolutions, few clips take longer to learn."""
WITHIN = 2.0
"""Two layers are called similar if their percents of Eq. 1 differ by at most so many points."""


def arm(network: str, scale: Scale) -> list[Recipe]:
    """Return the recipes of one network, trained to classify motion and appearance; study 3 shares some."""
    budget = replace(scale.budget, epochs=scale.budget.epochs * LONGER.get(network, 1))
    return [Recipe(network, "both", seed, tracked=network in LAST, budget=budget) for seed in scale.seeds]


def recipes(scale: Scale) -> list[Recipe]:
    """Return the recipes of every network."""
    return [recipe for network in NETWORKS for recipe in arm(network, scale)]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the networks."""
    arms = {network: Arm(bank, arm(network, scale)) for network in NETWORKS}
    return Study(
        "architectures",
        "Who encodes dynamics, and where?",
        f"Seven networks, trained to name motion and appearance; {scale.budget.clips} clips, {len(scale.seeds)} seeds. "
        f"The TimeSformer was trained {LONGER['timesformer']} times as long as the others.",
        _findings(arms),
        [_by_layer(arms), _last_layers(arms)],
        [
            {"network": network, "layer": number, "factor": factor, **Mean.of(one.percent(layer, factor)).json()}
            for network, one in arms.items()
            for number, layer in enumerate(one.layers)
            for factor in ("dynamic", "static")
        ],
    )


def _findings(arms: dict[str, Arm]) -> list[Finding]:
    """Compare the paper's claims with the arms."""
    leans = {
        (network, layer): paired(arms[network].percent(layer, "static"), arms[network].percent(layer, "dynamic"))
        for network in SINGLE_STREAM
        for layer in arms[network].layers
    }
    dynamic_layers = [f"{network} {layer}" for (network, layer), lean in leans.items() if lean.below]

    def more(factor_of: str, than: str, layer: str = "pathway.stage4", other: str = "pathway.stage4") -> Mean:
        return paired(arms[factor_of].percent(layer, "dynamic"), arms[than].percent(other, "dynamic"))

    to_c2d = [(network, more(network, "c2d")) for network in ("i3d", "slowonly")]
    last_units = {network: arms[network].units(arms[network].layers[-1], "dynamic") for network in SINGLE_STREAM}
    fast_units = [
        (f"− {network}", paired(last_units["fastonly"], units))
        for network, units in last_units.items()
        if network != "fastonly"
    ]
    jointly = more("slowfast", "fastonly", "fast.stage4")
    gained = more("slowfast", "slowonly", "slow.stage1", "pathway.stage1")
    connected = more("slowfast", "slowfast_unconnected", "slow.stage1", "slow.stage1")
    blocks = arms["timesformer"].layers
    rising = more("timesformer", "timesformer", blocks[2], blocks[0])
    return [
        Finding(
            "All single-stream networks lean static at all layers.",
            f"{sum(lean.above for lean in leans.values())} of {len(leans)} layers lean static; dynamic: "
            + (", ".join(dynamic_layers) or "none"),
            larger(*leans.values()),
        ),
        Finding(
            "I3D and SlowOnly have a similar percent of dynamics as C2D in the last layer.",
            f"points beside c2d: {listed(to_c2d)}",
            similar(WITHIN, *(mean for _, mean in to_c2d)),
        ),
        Finding(
            "FastOnly has more dynamic units in its last layer than the other single-stream networks.",
            f"FastOnly's dynamic units, points: {listed(fast_units)}",
            larger(*(mean for _, mean in fast_units)),
        ),
        Finding(
            "The fast pathway encodes more dynamics when trained with the slow one than alone.",
            f"SlowFast's fast − FastOnly, last layer: {jointly} points",
            larger(jointly),
        ),
        Finding(
            "The fast pathway's connections bring dynamics into the slow one as early as the second stage.",
            f"SlowFast's slow − SlowOnly: {gained} points; − SlowFast without connections: {connected}",
            larger(gained, connected),
            "+3.3",
        ),
        Finding(
            "In transformers dynamics increase up to the middle.",
            f"third block − first: {rising} points",
            larger(rising),
        ),
    ]


def _by_layer(arms: dict[str, Arm]) -> Table:
    """Return dynamic and static percent of every layer."""
    rows = [
        (network, layer, *(str(Mean.of(one.percent(layer, factor))) for factor in ("dynamic", "static")))
        for network, one in arms.items()
        for layer in one.layers
    ]
    return Table("Percent of Eq. 1 by layer", ("network", "layer", "dynamic", "static"), rows)


def _last_layers(arms: dict[str, Arm]) -> Table:
    """Return accuracy and unit classes of the last layer of every pathway."""
    rows = []
    for network, one in arms.items():
        for layer in [layer for layer in one.layers if layer.endswith("stage4")] or one.layers[-1:]:
            accuracy = [str(Mean.of(one.top1(label))) for label in ("motion", "appearance")]
            rows.append((network, layer, *accuracy, *(str(Mean.of(one.units(layer, c))) for c in UNIT_CLASSES)))
    columns = ("network", "layer", "top-1 motion", "top-1 appearance", *UNIT_CLASSES)
    return Table("Last layers: accuracy, and percent of units by class (Eq. 3)", columns, rows)


PLAN = Plan("architectures", recipes, conclude)
