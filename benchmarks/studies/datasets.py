"""Study 2: what the training data ask for, and what the model then encodes (paper, Sec. 4.2.1, Figs. 6 and 7)."""

from __future__ import annotations

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean, paired, relative
from benchmarks.studies.models.recipe import ORDERED, WORLD, Recipe
from benchmarks.studies.study import Finding, Plan, Scale, Study, Table, larger, listed, smaller
from sdmetrics.metrics.classes import UNIT_CLASSES

NETWORKS = ("slowonly", "fastonly")
LABELS = ("appearance", "both", "motion", "order")
LAYER = "pathway.stage4"

Key = tuple[str, str]


def arm(network: str, labels: str, scale: Scale, shuffled: bool = False) -> list[Recipe]:
    """Return the recipes of one network, trained on one kind of label."""
    variant = ORDERED if labels == "order" else WORLD
    return [Recipe(network, labels, seed, variant, shuffled=shuffled, budget=scale.budget) for seed in scale.seeds]


def recipes(scale: Scale) -> list[Recipe]:
    """Return both networks, trained on each kind of label, on frames in order and shuffled."""
    arms = [arm(n, labels, scale, shuffled) for n in NETWORKS for labels in LABELS for shuffled in (False, True)]
    return [recipe for one in arms for recipe in one]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the kinds of label."""
    keys = [(network, labels) for network in NETWORKS for labels in LABELS]
    arms = {key: Arm(bank, arm(*key, scale)) for key in keys}
    shuffled = {key: Arm(bank, arm(*key, scale, shuffled=True)).top1(frames="shuffled") for key in keys}
    kept = {key: relative(shuffled[key], one.top1()) for key, one in arms.items()}
    rows = [
        (
            *key,
            *(str(Mean.of(one.percent(LAYER, factor))) for factor in ("dynamic", "static")),
            *(str(Mean.of(one.units(LAYER, name))) for name in UNIT_CLASSES),
            *(str(Mean.of(values)) for values in (one.top1(), shuffled[key], kept[key])),
        )
        for key, one in arms.items()
    ]
    units = [f"{name} units" for name in UNIT_CLASSES]
    columns = ("network", "labels", "dynamic", "static", *units, "top-1", "trained and tested shuffled", "relative")
    return Study(
        "datasets",
        "What do the labels ask for?",
        f"SlowOnly and FastOnly, trained on the same kind of videos with four kinds of label; "
        f"{scale.budget.clips} clips, {len(scale.seeds)} seeds; last layer.",
        _findings(arms, kept),
        [Table("Last layer (percent of Eq. 1, percent of units of Eq. 3) and accuracy", columns, rows)],
        [
            {"network": network, "labels": labels, "class": name, **Mean.of(one.units(LAYER, name)).json()}
            for (network, labels), one in arms.items()
            for name in UNIT_CLASSES
        ],
    )


def _findings(arms: dict[Key, Arm], kept: dict[Key, list[float]]) -> list[Finding]:
    """Compare the paper's claims with the arms."""

    def differ(factor: str, ours: str, theirs: str) -> list[tuple[str, Mean]]:
        return [
            (n, paired(arms[n, ours].percent(LAYER, factor), arms[n, theirs].percent(LAYER, factor))) for n in NETWORKS
        ]

    more, orders = differ("dynamic", "motion", "appearance"), differ("dynamic", "order", "appearance")
    less = differ("static", "motion", "appearance")
    needed = [(n, paired(kept[n, "appearance"], kept[n, "order"])) for n in NETWORKS]
    units = {key: one.units(LAYER, "dynamic") for key, one in arms.items()}
    fast = [(labels, paired(units["fastonly", labels], units["slowonly", labels])) for labels in LABELS]
    most = [(n, paired(units[n, "motion"], units[n, "appearance"])) for n in NETWORKS]
    return [
        Finding(
            "Labels that need motion (SSv2) give more dynamics in the last layer than labels that do not (Kinetics).",
            f"motion − appearance, points: {listed(more)}. Order − appearance: {listed(orders)}",
            larger(*(mean for _, mean in more)),
            "SlowOnly 23.6 against 21.4, FastOnly 28.5 against 27.3",
        ),
        Finding(
            "And less of the static.",
            f"motion − appearance, points: {listed(less)}",
            smaller(*(mean for _, mean in less)),
            "SlowOnly 32.6 against 38.4, FastOnly 23.0 against 30.9",
        ),
        Finding(
            "Trained and tested on shuffled frames, models keep most of their accuracy where labels do not need "
            "motion, and less where they do.",
            f"relative top-1, appearance − order, points: {listed(needed)}",
            larger(*(mean for _, mean in needed)),
        ),
        Finding(
            "FastOnly has more dynamic units than SlowOnly, whatever it is trained on.",
            f"FastOnly − SlowOnly, points: {listed(fast)}",
            larger(*(mean for _, mean in fast)),
        ),
        Finding(
            "Labels that need motion give the most dynamic units, in both networks.",
            f"motion − appearance, points: {listed(most)}",
            larger(*(mean for _, mean in most)),
        ),
    ]


PLAN = Plan("datasets", recipes, conclude)
