"""Study 11: whether the remedies help every network, in the world with a shortcut."""

from __future__ import annotations

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.remedies.arms import (
    ARMS,
    CEILING,
    COMBINATIONS,
    NONE,
    SHORTCUT_WORLD,
    TUNED_FIRST,
    chosen,
    combination_of,
    on_seeds,
    treated,
    tuned,
    tuning_top1,
)
from benchmarks.studies.remedies.comparison import Comparison, agreements, validity
from benchmarks.studies.remedies.recipe import Treated
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, larger, listed

TUNED = (TUNED_FIRST, "i3d", "slowfast")
"""Networks of which each has a combination of its own."""

BLIND, SLOW_LEARNER = "c2d", "timesformer"
"""One is blind to the order of frames, which no remedy changes; the other hardly learns it at this size."""

AIM, ENOUGH = 0.9, 3
"""The share of the gap that is to be closed, and in how many of the networks."""


def candidates(scale: Scale) -> list[Treated]:
    """Return the recipes that choices depend on."""
    networks = TUNED[:1] if scale.few else TUNED
    return [recipe for network in networks for recipe in tuned(scale, network)]


def combinations(bank: Bank, scale: Scale) -> dict[str, str]:
    """Return the combination of each network: its own, or the one that was chosen on SlowOnly."""
    of_slowonly = chosen(bank, scale).combination
    if scale.few:
        return {TUNED_FIRST: of_slowonly, BLIND: of_slowonly}
    own = {network: combination_of(bank, scale, network) for network in TUNED}
    return {**own, BLIND: of_slowonly, SLOW_LEARNER: of_slowonly}


def arms(bank: Bank, scale: Scale) -> dict[str, dict[str, list[Treated]]]:
    """Return the recipes of every arm, by network."""
    choice = chosen(bank, scale)
    found = {}
    for network, own in combinations(bank, scale).items():
        penalty = () if scale.few or network == SLOW_LEARNER else (choice.penalty,)
        # A combination that was chosen twice is one arm.
        names = dict.fromkeys((NONE, own, choice.combination, CEILING, *penalty))
        found[network] = {name: treated(ARMS[name], scale, network) for name in names}
    return found


def further(bank: Bank, scale: Scale) -> list[Treated]:
    """Return every arm of every network, once the combinations are chosen."""
    return [recipe for one in arms(bank, scale).values() for recipes in one.values() for recipe in recipes]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the networks."""
    choice, own = chosen(bank, scale), combinations(bank, scale)
    compared = {
        network: Comparison({name: Arm(bank, recipes) for name, recipes in one.items()})
        for network, one in arms(bank, scale).items()
    }
    return Study(
        "remedies_networks",
        "Does it help every network?",
        f"The world of the previous study, shortcut {SHORTCUT_WORLD.shortcut:.0%}, {len(scale.seeds)} seeds. Chosen "
        f"there, on SlowOnly: {choice.penalty}; {choice.combination}. {_tuned_in_words(scale)}Other remedies were not "
        "trained here; and of the TimeSformer, which hardly learns the order of frames at this size, the penalty was "
        "not either.",
        _findings(compared, own, choice.combination),
        [
            _closed(compared, own, (choice.combination, choice.penalty)),
            *([] if scale.few else [_tuning(bank, scale)]),
            *(one.table(f"{network}, percent") for network, one in compared.items()),
            *(
                one.differences(f"{network}: differences from the untreated arm, points")
                for network, one in compared.items()
            ),
        ],
        [point for network, one in compared.items() for point in one.points(network=network)],
        ours=True,
    )


def _tuned_in_words(scale: Scale) -> str:
    """Return for which networks a combination is chosen, as a sentence."""
    if scale.few:
        return ""
    named = ", ".join(TUNED)
    return f"Of {named}, each has a combination of its own, chosen {on_seeds(scale)}; the others have SlowOnly's. "


def _closed(compared: dict[str, Comparison], own: dict[str, str], elsewhere: tuple[str, ...]) -> Table:
    """Return how much of the gap is closed by a network's combination and by what was chosen on SlowOnly."""

    def percent(network: str, name: str) -> str:
        return f"{compared[network].closed(name):.0f}" if name in compared[network] else "–"

    return Table(
        "Percent of the gap to the training without shortcut that is closed; the gap in points",
        ("network", "gap", "its combination", "closes", *elsewhere),
        [
            (
                *(network, str(one.minus(CEILING, NONE)), own[network]),
                *(percent(network, name) for name in (own[network], *elsewhere)),
            )
            for network, one in compared.items()
        ],
    )


def _tuning(bank: Bank, scale: Scale) -> Table:
    """Return what the networks' own combinations are chosen by."""
    top1 = {network: tuning_top1(bank, scale, network) for network in TUNED}
    rows = [(name, *(str(top1[network][name]) for network in TUNED)) for name in COMBINATIONS]
    return Table(f"What they are chosen by, {on_seeds(scale)}: top-1, no shortcut", ("arm", *TUNED), rows)


def _findings(compared: dict[str, Comparison], own: dict[str, str], elsewhere: str) -> list[Finding]:
    """Return the claims."""
    gains = {network: one.minus(own[network], NONE) for network, one in compared.items() if network != BLIND}
    beyond = {network: one.beyond(own[network], AIM) for network, one in compared.items()}
    closing = [network for network, mean in beyond.items() if mean.above]
    failing = [network for network, mean in beyond.items() if mean.below]
    blind = compared[BLIND].minus(own[BLIND], NONE)
    better = {n: one.minus(own[n], elsewhere) for n, one in compared.items() if own[n] != elsewhere}
    found = [
        Finding(
            "Its combination gives each network that sees the order of frames a higher accuracy without the shortcut.",
            f"points: {listed(gains.items())}",
            larger(*gains.values()),
        ),
        Finding(
            "It closes at least 90 % of the gap in at least three of the networks.",
            f"gain − 90 % of the gap, points: {listed(beyond.items())}",
            HOLDS if len(closing) >= ENOUGH else FAILS if len(compared) - len(failing) < ENOUGH else OPEN,
            f"≥ 90 % in {ENOUGH} of {len(compared)}",
        ),
        Finding("It helps a network that is blind to the order of frames (C2D).", f"{blind} points", larger(blind)),
        validity(agreements(*compared.values())),
    ]
    if better:
        found.insert(
            2,
            Finding(
                f"A network's own combination is better than the one that was chosen on SlowOnly ({elsewhere}).",
                f"points: {listed(better.items())}",
                larger(*better.values()),
            ),
        )
    return found


PLAN = Plan("remedies_networks", candidates, conclude, further)
