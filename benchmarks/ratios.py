"""Measure every published ratio side by side in one run, and write the table.

`--quick` takes fewer clips and repeats, and fails if a ratio is below its floor, half of its aim, twice in a row: a
single failure may be caused by another program.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from benchmarks.machine import describe_machine
from benchmarks.memory import memory_ratio
from benchmarks.moments import moments_ratios
from benchmarks.pipeline import pipeline_ratios
from benchmarks.readme import add_write_option, write_between
from benchmarks.throughput.ablation import ablation_ratios, whole_ablation_ratio
from benchmarks.throughput.losses import losses_ratios
from benchmarks.throughput.responses import responses_ratio


@dataclass(frozen=True)
class Row:
    """A measured ratio and its aim."""

    what: str
    ratio: float
    aim: float
    at_most: bool = False
    floor: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the aim is reached."""
        return self.ratio <= self.aim if self.at_most else self.ratio >= self.aim

    @property
    def tolerable(self) -> bool:
        """Whether at least half the aim is reached; for an upper limit, whether at most thrice its excess over 1."""
        if self.at_most:
            return self.ratio <= 1 + 3 * (self.aim - 1)
        return self.ratio >= (self.aim / 2 if self.floor is None else self.floor)

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        return f"| {self.what} | {self.ratio:.2f}× | {sign} {self.aim:g}× | {'yes' if self.reached else 'no'} |"


def measure(quick: bool) -> list[Row]:
    """Return all ratios."""
    rows = []
    # In batches of 8 the peers take less than 15 and 20 times as long as merely reading the bytes: the aims are out of
    # reach, so there are floors.
    for batch, shape, floors in ((None, "3,000 pairs at once", (None, None)), (8, "in batches of 8", (2.0, 6.0))):
        moments = moments_ratios(batch=batch, repeats=7 if quick else 25)
        rows += [
            Row(f"moments, {shape}: speed over merely reading (`np.sum`)", moments["reading"], 0.6),
            Row(f"moments, {shape}: speed over vectorised NumPy", moments["numpy"], 15, floor=floors[0]),
            Row(
                f"moments, {shape}: speed over `torchmetrics.PearsonCorrCoef`",
                moments["torchmetrics"],
                20,
                floor=floors[1],
            ),
        ]
    size = {"videos": 2, "clips_per_video": 2} if quick else {}
    whole = pipeline_ratios(**size, eager=not quick)
    rows.append(Row("whole analysis: time over bare forwards", whole["analysis / plain forwards"], 1.1, at_most=True))
    rows.append(Row("reference procedure: time over the whole analysis", whole["reference procedure / analysis"], 6.2))
    if not quick:
        eager = whole["reference procedure in eager PyTorch / analysis"]
        rows.append(Row("the same in eager PyTorch: time over the whole analysis", eager, 6.2))
    masks = ablation_ratios(**({"clips": 8, "repeats": 3} if quick else {}))
    rows += [
        Row("109 masks of the last layer: time over one forward", masks["last / forward"], 1.5, at_most=True),
        Row("109 forwards: time over that of 109 masks of the last layer", masks["not cut / last"], 40),
        Row("109 forwards: time over that of 109 masks of a middle layer", masks["not cut / middle"], 4),
    ]
    once = whole_ablation_ratio(**({"clips": 20, "repeats": 1} if quick else {}))
    rows.append(Row("the demo's `ablate` with the whole model per mask: time over it as it is", once, 10))
    kept = responses_ratio(**({"shards": 3, "repeats": 3} if quick else {}))
    rows.append(Row("a run that keeps its responses: time over one that does not", kept, 1.05, at_most=True))
    losses = losses_ratios(**({"repeats": 3} if quick else {}))
    rows += [
        Row("training with losses on shuffled frames: time over without", losses[1], 2.05, at_most=True),
        Row("the same in one step of four: time over without", losses[4], 1.3, at_most=True),
    ]
    rows.append(Row("peak memory: 500 clips over 50", memory_ratio(), 1.05, at_most=True))
    return rows


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown, with the machine they were measured on."""
    head = "| what | ratio | aim | reached |\n|---|---|---|---|"
    note = f"Medians of ratios measured side by side; {describe_machine('numpy', 'numba')}."
    return "\n".join([head, *map(str, rows), "", note])


def main() -> None:
    """Measure and print the ratios; write them, or compare them with their floors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Take few clips, and fail if a ratio misses half its aim.")
    add_write_option(parser, "ratios")
    arguments = parser.parse_args()
    rows = measure(arguments.quick)
    text = table(rows)
    print(text)
    if arguments.write:
        write_between(arguments.write, "ratios", text)
    if arguments.quick and (slow := _intolerable(rows)) and (again := slow & _intolerable(measure(quick=True))):
        sys.exit("below the floor, twice: " + "; ".join(sorted(again)))


def _intolerable(rows: list[Row]) -> set[str]:
    """Return which ratios are below their floor."""
    return {row.what for row in rows if not row.tolerable}


if __name__ == "__main__":
    main()
