"""Study 11: whether the remedies help every network, in the world with a shortcut."""

from __future__ import annotations

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.remedies.arms import (
    CEILING,
    NONE,
    SHORTCUT_WORLD,
    Choice,
    chosen,
    treated,
    tuned,
)
from benchmarks.studies.remedies.comparison import Comparison, agreements, validity
from benchmarks.studies.remedies.recipe import Treated
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, larger, listed

NETWORKS = ("slowonly", "i3d", "slowfast", "c2d", "timesformer")
BLIND = "c2d"
"""It is blind to the order of frames, which no remedy changes."""

SLOW_LEARNER = "timesformer"

AIM, ENOUGH = 0.9, 3
"""The share of the gap that is to be closed, and in how many of the networks."""


def arms(choice: Choice, scale: Scale) -> dict[str, dict[str, list[Treated]]]:
    """Return the recipes of every arm, by network."""
    names = (NONE, choice.combination, CEILING, choice.penalty)
    networks = NETWORKS
    if scale.few:
        names, networks = (NONE, choice.combination, CEILING), ("slowonly", BLIND)
    named = choice.arms()
    few = (NONE, choice.combination, CEILING)
    return {
        network: {name: treated(named[name], scale, network) for name in (few if network == SLOW_LEARNER else names)}
        for network in networks
    }


def further(bank: Bank, scale: Scale) -> list[Treated]:
    """Return every arm of every network, once the combination is chosen."""
    by_network = arms(chosen(bank, scale), scale).values()
    return [recipe for one in by_network for recipes in one.values() for recipe in recipes]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the networks."""
    choice = chosen(bank, scale)
    compared = {
        network: Comparison({name: Arm(bank, recipes) for name, recipes in one.items()})
        for network, one in arms(choice, scale).items()
    }
    first = next(iter(compared.values()))
    return Study(
        "remedies_networks",
        "Does it help every network?",
        f"The world of the previous study, shortcut {SHORTCUT_WORLD.shortcut:.0%}, {len(scale.seeds)} seeds. What is "
        f"chosen there, on SlowOnly, is used in all networks: {choice.penalty}; {choice.combination}. No other "
        "remedy was trained here; and of the TimeSformer, which hardly learns the order of frames at this size, the "
        "penalty was not either.",
        _findings(compared, choice),
        [
            Table(
                "Percent of the gap to the training without shortcut that is closed; the gap in points",
                ("network", "gap", *(name for name in first.arms if name not in (NONE, CEILING))),
                [
                    (
                        network,
                        str(one.minus(CEILING, NONE)),
                        *(
                            f"{one.closed(name):.0f}" if name in one else "–"
                            for name in first.arms
                            if name not in (NONE, CEILING)
                        ),
                    )
                    for network, one in compared.items()
                ],
            ),
            *(one.table(f"{network}, percent") for network, one in compared.items()),
            *(
                one.differences(f"{network}: differences from the untreated arm, points")
                for network, one in compared.items()
            ),
        ],
        [point for network, one in compared.items() for point in one.points(network=network)],
        ours=True,
    )  # fmt: skip


def _findings(compared: dict[str, Comparison], choice: Choice) -> list[Finding]:
    """Return the claims."""
    best = choice.combination
    gains = {network: one.minus(best, NONE) for network, one in compared.items() if network != BLIND}
    beyond = {network: one.beyond(best, AIM) for network, one in compared.items()}
    closing = [network for network, mean in beyond.items() if mean.above]
    failing = [network for network, mean in beyond.items() if mean.below]
    blind = compared[BLIND].minus(best, NONE)
    return [
        Finding(
            f"{best} raises the accuracy without the shortcut in every network that sees the order of frames.",
            f"points: {listed(gains.items())}",
            larger(*gains.values()),
        ),
        Finding(
            "It closes at least 90 % of the gap in at least three of the networks.",
            f"gain − 90 % of the gap, points: {listed(beyond.items())}",
            HOLDS if len(closing) >= ENOUGH else FAILS if len(compared) - len(failing) < ENOUGH else OPEN,
            f"≥ 90 % in {ENOUGH} of {len(NETWORKS)}",
        ),
        Finding("It helps a network that is blind to the order of frames (C2D).", f"{blind} points", larger(blind)),
        validity(agreements(*compared.values())),
    ]


PLAN = Plan("remedies_networks", tuned, conclude, further)
