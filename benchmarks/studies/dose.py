"""Study 5: what StaticDropout does to a model, and when it pays (paper, Sec. 5.2, Figs. 13 and 14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.studies.arm import Arm
from benchmarks.studies.bank import Bank
from benchmarks.studies.means import Mean, paired, relative
from benchmarks.studies.models.recipe import NO_DROPOUT, WORLD, Dropout, Recipe
from benchmarks.studies.study import FAILS, HOLDS, OPEN, Finding, Plan, Scale, Study, Table, larger, listed, smaller

SHORTCUT_WORLD = replace(WORLD, shortcut=0.9, tail=1.0, speed=0.35)
"""Motions are small, appearance predicts them in most training clips, and most labels are rare."""
LAYER = "pathway.stage4"
RATES = (0.1, 0.3, 0.5, 0.7)
KINDS = {"standard": "standard dropout", "static": "StaticDropout"}
CHOSEN = 0.5
CHOICES: dict[str, dict[str, Any]] = {
    "with replacement": {"replacement": True},
    "one draw per batch": {"per": "batch"},
    "not rescaled": {"rescale": False},
    "temperature 0.25": {"temperature": 0.25},
    "8 batches per estimate": {"batches": 8},
}
FEW = ("temperature 0.25",)
"""The choices that a quick look compares."""
COMMON, RARE = slice(0, 2), slice(6, 8)
"""The most and the least frequent motion labels."""

Values = dict[tuple[tuple[str, float], str], list[float]]
"""Measurements, by arm (its kind and rate) and measure; a value per seed."""

SPECIALISED, SHUFFLED, DECORRELATED = "dynamic/(dynamic+static)", "shuffled/normal", "top-1, no shortcut"


def arm(dropout: Dropout, scale: Scale) -> list[Recipe]:
    """Return the recipes with one kind of dropout; all are fine-tuned in the same way."""
    # Fewer clips, seen more often: dropout is meant for this.
    budget = replace(scale.budget, clips=scale.budget.clips * 5 // 8, epochs=scale.budget.epochs + 1, finetuned=1)
    return [Recipe("i3d", "motion", s, SHORTCUT_WORLD, dropout=dropout, budget=budget) for s in scale.seeds]


def dropouts() -> dict[tuple[str, float], Dropout]:
    """Return the compared kinds of dropout, by kind and rate."""
    return {("none", 0.0): NO_DROPOUT} | {(kind, rate): Dropout(kind, rate) for kind in KINDS for rate in RATES}


def choices(scale: Scale) -> dict[str, Dropout]:
    """Return StaticDropout at one rate, each time with one setting changed."""
    return {name: Dropout("static", CHOSEN, CHOICES[name]) for name in (FEW if scale.few else CHOICES)}


def recipes(scale: Scale) -> list[Recipe]:
    """Return every arm with every seed."""
    return [recipe for dropout in [*dropouts().values(), *choices(scale).values()] for recipe in arm(dropout, scale)]


def specialised(one: Arm) -> list[float]:
    """Return dynamic units in percent of dynamic and static ones, the paper's first measure; 50 without any."""
    pairs = zip(one.units(LAYER, "dynamic"), one.units(LAYER, "static"), strict=True)
    return [100 * dynamic / (dynamic + static) if dynamic + static else 50.0 for dynamic, static in pairs]


def shuffled(one: Arm) -> list[float]:
    """Return the top-1 on shuffled frames in percent of that in order: the paper's second measure."""
    return relative(one.top1(frames="shuffled"), one.top1())


MEASURES: dict[str, Callable[[Arm], list[float]]] = {
    SPECIALISED: specialised,
    "dynamic units": lambda one: one.units(LAYER, "dynamic"),
    "static units": lambda one: one.units(LAYER, "static"),
    "joint units": lambda one: one.units(LAYER, "joint"),
    SHUFFLED: shuffled,
    DECORRELATED: lambda one: one.top1(),
    "top-1, shortcut": lambda one: one.top1(where="alike"),
    "rare labels": lambda one: one.top1_of("motion", RARE),
    "common labels": lambda one: one.top1_of("motion", COMMON),
}


def conclude(bank: Bank, scale: Scale) -> Study:
    """Compare the arms."""
    arms = {key: Arm(bank, arm(dropout, scale)) for key, dropout in dropouts().items()}
    values = {(key, name): measure(one) for key, one in arms.items() for name, measure in MEASURES.items()}
    chosen = {name: Arm(bank, arm(dropout, scale)) for name, dropout in choices(scale).items()}
    otherwise = {
        (name, measure): paired(m(one), values[("static", CHOSEN), measure])
        for name, one in chosen.items()
        for measure, m in MEASURES.items()
    }
    rows = [
        (kind, f"{rate:g}", *(str(Mean.of(values[(kind, rate), measure])) for measure in MEASURES))
        for kind, rate in arms
    ]
    return Study(
        "dose",
        "What does StaticDropout do, and when does it pay?",
        f"I3D-like network, labels of small motions. In training the appearance gives the label away in "
        f"{SHORTCUT_WORLD.shortcut:.0%} of the clips, and labels follow Zipf's law; in the test neither. "
        f"{arm(NO_DROPOUT, scale)[0].budget.clips} clips, {len(scale.seeds)} seeds; all arms fine-tuned without "
        "dropout for one epoch.",
        _findings(values),
        [
            Table("All arms, percent", ("dropout", "rate", *MEASURES), rows),
            Table(f"StaticDropout at {CHOSEN} with one choice made otherwise: difference to its defaults, points",
                  ("choice", *MEASURES),
                  [(name, *(str(otherwise[name, measure]) for measure in MEASURES)) for name in chosen]),
            _clear(values, otherwise),
        ],
        [
            {"kind": kind, "rate": rate, "measure": measure, **Mean.of(values[(kind, rate), measure]).json()}
            for kind, rate in arms
            for measure in MEASURES
        ],
    )  # fmt: skip


def _findings(values: Values) -> list[Finding]:
    """Compare the paper's claims with the arms."""

    def beside(kind: str, measure: str) -> list[tuple[str, Mean]]:
        """StaticDropout at every rate minus standard dropout at the same rate, or none."""
        other = {rate: (kind, 0.0 if kind == "none" else rate) for rate in RATES}
        return [
            (f"r = {rate}", paired(values[("static", rate), measure], values[other[rate], measure])) for rate in RATES
        ]

    def in_words(measure: str) -> str:
        to_standard, to_none = (listed(beside(kind, measure)) for kind in ("standard", "none"))
        return f"static − standard, points: {to_standard}. Static − none: {to_none}"

    def means(kind: str, measure: str) -> list[Mean]:
        return [mean for _, mean in beside(kind, measure)]

    by_seed = zip(*(values[("static", rate), SPECIALISED] for rate in RATES), strict=True)
    dose = Mean.of([slope(list(one)) for one in by_seed])
    helped = means("none", DECORRELATED)
    rare, common = (dict(beside("standard", name))["r = 0.3"] for name in ("rare labels", "common labels"))
    return [
        Finding(
            "StaticDropout raises dynamic/(dynamic+static) units far above standard dropout at the same rate.",
            in_words(SPECIALISED),
            larger(*means("standard", SPECIALISED)),
            "SSv2, dynamic units: 56.9 % at r = 0.1, 18.2 % with standard dropout",
        ),
        Finding("The effect grows with the dose.", f"slope: {dose} points per unit of r", larger(dose)),
        Finding(
            "StaticDropout lowers the accuracy on shuffled frames relative to that in order, below standard dropout's.",
            in_words(SHUFFLED),
            smaller(*means("standard", SHUFFLED)),
        ),
        Finding(
            "StaticDropout helps where appearance does not predict the label (SomethingElse), most at a middle rate.",
            in_words(DECORRELATED),
            HOLDS if any(mean.above for mean in helped) else FAILS if all(mean.below for mean in helped) else OPEN,
            "top-1 49.43 without dropout, 49.79 with standard, 51.16 at r = 0.3",
        ),
        Finding(
            "It helps rare labels and costs a little on common ones (r = 0.3, against standard dropout).",
            f"rare: {rare} points, common: {common}",
            HOLDS if rare.above and not common.above else FAILS if rare.below else OPEN,
        ),
    ]


def _clear(values: Values, otherwise: dict[tuple[str, str], Mean]) -> Table:
    """Return the differences whose interval excludes zero: where it pays or costs, and which choices matter."""
    differences = {
        (f"r = {rate}, {other}", measure): paired(values[("static", rate), measure], values[arm, measure])
        for rate in RATES
        for other, arm in (("none", ("none", 0.0)), ("standard dropout", ("standard", rate)))
        for measure in MEASURES
    } | {(f"{name}, defaults", measure): mean for (name, measure), mean in otherwise.items()}
    return Table(
        f"When it pays and what matters: of {len(differences)} differences those whose interval excludes zero "
        f"({0.05 * len(differences):.0f} would by chance), points",
        ("StaticDropout, minus", "measure", "difference"),
        [(what, measure, str(mean)) for (what, measure), mean in differences.items() if (mean.above or mean.below)],
    )


def slope(by_rate: list[float]) -> float:
    """Return the least-squares slope over `RATES`.

    >>> round(slope([1.0, 3.0, 5.0, 7.0]), 6)
    10.0
    """
    middle = sum(RATES) / len(RATES)
    above = sum((rate - middle) * value for rate, value in zip(RATES, by_rate, strict=True))
    return above / sum((rate - middle) ** 2 for rate in RATES)


PLAN = Plan("dose", recipes, conclude)
