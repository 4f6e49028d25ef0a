"""Study 10: which remedies against static bias work, on one network in a world with a shortcut."""

from __future__ import annotations

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean
from benchmarks.studies.remedies import eq4
from benchmarks.studies.remedies.arms import (
    ARMS,
    CEILING,
    COMBINATIONS,
    ENTROPY,
    EVERY_FOURTH,
    HARDEST,
    LONGER,
    NONE,
    PENALTIES,
    SHARPER,
    SHORTCUT_WORLD,
    STANDARD,
    STATIC,
    STYLES,
    Choice,
    chosen,
    treated,
    tuned,
    tuning_table,
)
from benchmarks.studies.remedies.comparison import (
    APPEARANCE,
    FREE,
    MEASURES,
    SHORTCUT,
    STATIC_UNITS,
    TIME,
    Comparison,
    agreements,
    validity,
)
from benchmarks.studies.remedies.recipe import Treated
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, larger, listed, smaller
from sdmetrics.clips.generated.world import MOTIONS

FEW = (NONE, STATIC, "r², λ = 1", "styles + entropy", CEILING)
"""The arms of the quick form."""

SHUFFLED_IN_TRAINING = frozenset({*PENALTIES, "relu(r)", "hinge", ENTROPY, *COMBINATIONS, EVERY_FOURTH})
CHANCE = 100 / len(MOTIONS)
KEPT_BY_FOURTH, AT_MOST = 0.75, 130
"""What a loss in one of four steps is to keep of the gain, and the time of a step, in percent of a plain one's."""


def arms(choice: Choice, scale: Scale) -> dict[str, list[Treated]]:
    """Return the recipes of every arm."""
    named = choice.arms()
    return {name: treated(named[name], scale) for name in (FEW if scale.few else named)}


def further(bank: Bank, scale: Scale) -> list[Treated]:
    """Return every arm with every seed, once the combination is chosen."""
    return [recipe for recipes in arms(chosen(bank, scale), scale).values() for recipe in recipes]


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the arms."""
    choice = chosen(bank, scale)
    compared = Comparison({name: Arm(bank, recipes) for name, recipes in arms(choice, scale).items()})
    facts = eq4.probabilities(compared.arms[NONE].records)
    facts.append(eq4.estimate_error(compared.arms[STATIC].records))
    budget = treated(ARMS[NONE], scale)[0].budget
    return Study(
        "remedies",
        "What helps against static bias?",
        f"SlowOnly, motion labels. In training the appearance gives the label away in {SHORTCUT_WORLD.shortcut:.0%} of "
        f"the clips, in the test of none. {budget.clips} clips, {budget.epochs} epochs, {len(scale.seeds)} seeds, "
        "no fine-tuning. Units are those that the classifier reads. Weights are 1 unless named. "
        f"Chosen on other seeds and clips: {choice.penalty}; {choice.combination}. "
        "Losses on shuffled frames are trained to lower static units and the accuracy on shuffled frames: after them "
        "only the other columns are evidence.",
        _findings(compared, choice),
        [
            compared.table("All arms, percent; the time of a step in percent of a plain one's"),
            compared.differences("Differences from the untreated arm, paired by seed, points"),
            Table("Percent of the gap to the training without shortcut that is closed",
                  ("arm", "closed"),
                  [(name, f"{compared.closed(name):.0f}") for name in compared.arms if name not in (NONE, CEILING)]),
            _agreement(compared),
            tuning_table(bank, scale),
            eq4.table(facts),
        ],
        [*compared.points(), *facts],
        ours=True,
    )  # fmt: skip


def _findings(compared: Comparison, choice: Choice) -> list[Finding]:
    """Return the claims whose arms were trained."""
    return [
        *_single_remedies(compared),
        *_dropout(compared),
        *_combination(compared, choice),
        *_penalty_forms(compared, choice),
        _of_noise(compared),
        validity(agreements(compared)),
    ]


def _single_remedies(compared: Comparison) -> list[Finding]:
    """Return what each remedy does by itself."""
    claims = {
        "r², λ = 1": "StaticPenalty raises the accuracy without the shortcut.",
        ENTROPY: "ShuffleEntropy raises it.",
        STYLES: "StyleAugment raises it.",
    }
    gap = compared.minus(CEILING, NONE)
    return [
        Finding("The shortcut costs accuracy where there is none.", f"ceiling − none: {gap} points", larger(gap)),
        *(_gain(compared, arm, claim) for arm, claim in claims.items() if arm in compared),
    ]


def _gain(compared: Comparison, arm: str, claim: str) -> Finding:
    gain, alike = compared.minus(arm, NONE), compared.minus(arm, NONE, SHORTCUT)
    probe = compared.minus(arm, NONE, APPEARANCE)
    closed = f"{compared.closed(arm):.0f} % of the gap"
    words = f"{gain} points, {closed}; with the shortcut {alike}; appearance probe {probe}"
    return Finding(claim, words, larger(gain))


def _dropout(compared: Comparison) -> list[Finding]:
    """Return what StaticDropout does, and whether it does more if it prefers static channels more."""
    found = []
    if STATIC in compared:
        gain = compared.minus(STATIC, NONE)
        found.append(Finding("StaticDropout raises it.", f"{STATIC} − none: {gain} points", larger(gain)))
    if STANDARD in compared:
        over = compared.minus(STATIC, STANDARD)
        found.append(Finding("StaticDropout is better than standard dropout.", f"{over} points", larger(over)))
    if SHARPER in compared:
        units = [(name, compared.minus(name, STATIC, STATIC_UNITS)) for name in (SHARPER, HARDEST)]
        top1 = [(name, compared.minus(name, STATIC)) for name in (SHARPER, HARDEST)]
        found += [
            Finding(
                "Preferring static channels more strongly leaves fewer static units.",
                f"minus Eq. 4, points: {listed(units)}",
                smaller(*(mean for _, mean in units)),
            ),
            Finding(
                "And raises the accuracy without the shortcut.",
                f"minus Eq. 4, points: {listed(top1)}",
                larger(*(mean for _, mean in top1)),
            ),
        ]
    return found


def _combination(compared: Comparison, choice: Choice) -> list[Finding]:
    """Return what the chosen combination does."""
    best = choice.combination
    if best not in compared:
        return []
    parts = {name for name in (STYLES, ENTROPY, "r², λ = 1") if name.split(",")[0] in best and name in compared}
    over = [(name, compared.minus(best, name)) for name in sorted(parts)]
    beyond = compared.beyond(best, 0.9)
    found = []
    if over:
        found.append(
            Finding(
                f"The chosen combination ({best}) is better than each of its parts.",
                f"minus its parts, points: {listed(over)}",
                larger(*(mean for _, mean in over)),
            )
        )
    found.append(
        Finding(
            f"The chosen combination ({best}) closes at least 90 % of the gap.",
            f"{compared.closed(best):.0f} %; its gain − 90 % of the gap: {beyond} points",
            larger(beyond),
            "≥ 90 %",
        )
    )
    if LONGER in compared:
        equal = compared.minus(best, LONGER)
        found.append(Finding("It is better than twice the epochs.", f"{equal} points", larger(equal)))
    if EVERY_FOURTH in compared:
        kept = compared.beyond(EVERY_FOURTH, KEPT_BY_FOURTH, whole=best)
        time = compared.mean(EVERY_FOURTH, TIME)
        in_time = smaller(Mean(time.value - AT_MOST, time.half, time.seeds))
        verdicts = {larger(kept), in_time}
        found.append(
            Finding(
                "With every = 4 it keeps at least 75 % of its gain, in at most 1.3 × the time.",
                f"its gain − 75 % of that of every step: {kept} points; time {time} %",
                HOLDS if verdicts == {HOLDS} else FAILS if FAILS in verdicts else OPEN,
                "≥ 75 %, ≤ 130 %",
            )
        )
    return found


def _penalty_forms(compared: Comparison, choice: Choice) -> list[Finding]:
    """Return whether r² is the form to use."""
    if "hinge" not in compared:
        return []
    over = [(name, compared.minus(choice.penalty, name)) for name in ("relu(r)", "hinge")]
    words = f"{choice.penalty} (chosen) minus, points: {listed(over)}"
    return [Finding("r² is better than relu(r) and a hinge, λ = 1.", words, larger(*(mean for _, mean in over)))]


def _of_noise(compared: Comparison) -> Finding:
    """Return whether appearance-free clips tell anything about these networks."""
    above = {arm: Mean.of([value - CHANCE for value in MEASURES[FREE](compared.arms[arm])]) for arm in (NONE, CEILING)}
    return Finding(
        "The networks recognise motions in appearance-free clips.",
        f"top-1 − chance, points: {listed(above.items())}",
        larger(*above.values()),
    )


def _agreement(compared: Comparison) -> Table:
    """Return the rank correlations, over all arms and over those that were not trained on shuffled frames."""
    everywhere, apart = agreements(compared), agreements(compared, without=SHUFFLED_IN_TRAINING)
    rows = [(name, str(everywhere[name]), str(apart[name])) for name in everywhere]
    counts = [next(iter(found.values())).pairs for found in (everywhere, apart)]
    title = "Does the metric agree with behaviour? Spearman's ρ over arms, of the change of dynamic − static units with"
    columns = ("change of", f"all {counts[0]} arms", f"the {counts[1]} not trained on shuffled frames")
    return Table(f"{title} that of what the model does; 95 % intervals by the bootstrap over arms", columns, rows)


PLAN = Plan("remedies", tuned, conclude, further)
