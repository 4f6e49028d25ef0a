"""Study 12: the remedies where labels are rare, are an order, or need appearance."""

from __future__ import annotations

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.dose import COMMON, RARE
from benchmarks.studies.remedies.arms import (
    CEILING,
    ENTROPY,
    NONE,
    STYLES,
    Choice,
    chosen,
    treated,
    tuned,
)
from benchmarks.studies.remedies.comparison import Comparison
from benchmarks.studies.remedies.recipe import Treated
from benchmarks.studies.remedies.training import CHANNELS, PREDICTIONS
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, larger, listed, smaller

ORDER, RARE_LABELS, APPEARANCES = "labels of an order", "rare motion labels", "labels of appearance"
PENALTY = "r², λ = 1"
COST = 2.0
"""Points that a remedy may cost where the labels need appearance, without a warning."""

RARE_TOP1, COMMON_TOP1 = "top-1, rare labels", "top-1, common labels"
BY_FREQUENCY = {
    RARE_TOP1: lambda arm: arm.top1_of("motion", RARE),
    COMMON_TOP1: lambda arm: arm.top1_of("motion", COMMON),
}


def arms(choice: Choice, scale: Scale) -> dict[str, dict[str, list[Treated]]]:
    """Return the recipes of every arm, by world."""
    # A world without shortcut has no ceiling; there, what each remedy costs is the question.
    names = {
        ORDER: (NONE, choice.combination, CEILING, PENALTY),
        RARE_LABELS: (NONE, choice.combination, CEILING, PENALTY),
        APPEARANCES: (NONE, choice.combination, PENALTY, ENTROPY, STYLES),
    }
    if scale.few:
        names = {APPEARANCES: (NONE, choice.combination)}
    named = choice.arms()
    return {
        world: {name: treated(named[name], scale, world=world) for name in arms_there}
        for world, arms_there in names.items()
    }


def further(bank: Bank, scale: Scale) -> list[Treated]:
    """Return every arm in every world, once the combination is chosen."""
    return [r for one in arms(chosen(bank, scale), scale).values() for recipes in one.values() for r in recipes]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the worlds."""
    choice = chosen(bank, scale)
    compared = {
        world: Comparison(
            {name: Arm(bank, recipes) for name, recipes in one.items()}, BY_FREQUENCY if world == RARE_LABELS else None
        )
        for world, one in arms(choice, scale).items()
    }
    return Study(
        "remedies_worlds",
        "Where do remedies pay, and where do they cost?",
        "SlowOnly in three more worlds: labels of the order of two motions, motion labels that follow Zipf's law in "
        f"training, both with the shortcut, and labels of appearance. {len(scale.seeds)} seeds; chosen in the first "
        f"study of remedies: {choice.combination}. Entropy alone and styles alone were trained only where labels "
        "need appearance.",
        _findings(compared, choice),
        [
            *(one.table(f"{world}, percent") for world, one in compared.items()),
            *(
                one.differences(f"{world}: differences from the untreated arm, points")
                for world, one in compared.items()
            ),
            _warnings(compared),
        ],
        [point for world, one in compared.items() for point in one.points(world=world)],
        ours=True,
    )  # fmt: skip


def _findings(compared: dict[str, Comparison], choice: Choice) -> list[Finding]:
    """Return the claims."""
    best = choice.combination
    treated_arms = [name for name in compared[APPEARANCES].arms if name != NONE]
    costs = {name: compared[APPEARANCES].minus(name, NONE) for name in treated_arms}
    found = []
    if ORDER in compared:
        order = compared[ORDER].minus(best, NONE)
        found.append(
            Finding(f"{best} raises the accuracy where labels are an order.", f"{order} points", larger(order))
        )
    if RARE_LABELS in compared:
        rare, common = (compared[RARE_LABELS].minus(best, NONE, measure) for measure in (RARE_TOP1, COMMON_TOP1))
        found.append(
            Finding(f"{best} raises it for rare labels.", f"rare: {rare} points, common: {common}", larger(rare))
        )
    there = compared[APPEARANCES]
    others = [name for name in treated_arms if name != best]
    found.append(
        Finding(
            f"Where the labels need appearance, {best} costs at most 2 points, or warns.",
            f"{costs[best]} points; warned: {_warned(there, [best])}",
            _cost_verdict(there, [best]),
            "≤ 2 points",
        )
    )
    if others:
        found.append(
            Finding(
                "So does each other remedy.",
                f"points: {listed([(name, costs[name]) for name in others])}; warned: {_warned(there, others)}",
                _cost_verdict(there, others),
                "≤ 2 points",
            )
        )
    found.append(
        Finding("There, each remedy costs something.", f"points: {listed(costs.items())}", smaller(*costs.values()))
    )
    elsewhere = [one for world, one in compared.items() if world != APPEARANCES]
    if elsewhere:
        warned = [kinds for one in elsewhere for kinds in _kinds(one, _on_shuffled(one))]
        count = sum(PREDICTIONS in kinds for kinds in warned)
        found.append(
            Finding(
                "Where motion tells the label, no training warns that predictions hardly depend on order.",
                f"{count} of {len(warned)} warned",
                FAILS if count else HOLDS,
            )
        )
    return found


def _cost_verdict(one: Comparison, treated_arms: list[str]) -> str:
    """Judge whether every arm costs little or warned of every model."""
    verdicts = []
    for name in treated_arms:
        cost = one.minus(name, NONE)
        half = cost.half
        if all(_kinds(one, [name])) or (half is not None and cost.value - half >= -COST):
            verdicts.append(HOLDS)
        else:
            verdicts.append(FAILS if half is not None and cost.value + half < -COST else OPEN)
    return FAILS if FAILS in verdicts else OPEN if OPEN in verdicts else HOLDS


def _on_shuffled(one: Comparison) -> list[str]:
    """Return the arms with a loss on shuffled frames, which can warn."""
    return [name for name in one.arms if name not in (NONE, CEILING, STYLES)]


def _kinds(one: Comparison, arms_of: list[str]) -> list[list[str]]:
    """Return what the training of each model of some arms warned of."""
    return [record["warnings"] for name in arms_of for record in one.arms[name].records]


def _warned(one: Comparison, arms_of: list[str]) -> str:
    """Return for how many models the training warned, by arm."""
    counts = [(name, _kinds(one, [name])) for name in arms_of]
    return ", ".join(f"{name}: {sum(map(bool, kinds))} of {len(kinds)}" for name, kinds in counts)


def _warnings(compared: dict[str, Comparison]) -> Table:
    """Return for how many models the training warned, and of what."""
    rows = []
    for world, one in compared.items():
        for name in _on_shuffled(one):
            kinds = _kinds(one, [name])
            counts = (sum(kind in warned for warned in kinds) for kind in (CHANNELS, PREDICTIONS))
            rows.append((world, name, *(f"{count} of {len(kinds)}" for count in counts)))
    title = (
        "For how many models the training warned of lost channels, and of predictions that hardly depend on the order"
    )
    return Table(title, ("world", "arm", "lost channels", "predictions"), rows)


PLAN = Plan("remedies_worlds", tuned, conclude, further)
