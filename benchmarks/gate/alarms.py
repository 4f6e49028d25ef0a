"""Measure how often `sdmetrics check` says *worse* of a model that is not, on simulated clips.

`python -m benchmarks.gate.alarms --write docs/gate.md` repeats the table; the tests run a part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import CLIPS, GROUPS, SIGNAL_R, STATED, UNITS, Floats, Kind, draw
from benchmarks.readme import main
from sdmetrics.comparison.paired import Groups, layer_replicates
from sdmetrics.gate.change import Change, Error, alone, apart, paired
from sdmetrics.gate.class_shares import class_shares
from sdmetrics.gate.limit import Limit
from sdmetrics.gate.verdict import WORSE, verdict_of
from sdmetrics.metrics.bias import unit_bias
from sdmetrics.metrics.moments import PairMoments

LAYER = "layer"
LIMITS = [
    *(Limit.parse(f"{LAYER}.{measure} 0", drop=True) for measure in ("dynamic", "score.dynamic", "units.dynamic")),
    *(Limit.parse(f"{LAYER}.{measure} 0", drop=False) for measure in ("static", "score.static", "units.static")),
]
"""The strictest limits, with which a change of nothing is most often taken for one."""

Members = dict[str, tuple[Floats, Floats]]


def members(kind: Kind, video: NDArray[np.int64], rng: np.random.Generator) -> Members:
    """Return both members of every pair, by factor."""
    return {factor: draw(kind, r, video, rng) for factor, r in SIGNAL_R.items()}


def other_seed(_before: Members, kind: Kind, video: NDArray[np.int64], rng: np.random.Generator) -> Members:
    """Return the same model on other clips and another seed: everything is drawn anew."""
    return members(kind, video, rng)


def half_changed(before: Members, kind: Kind, video: NDArray[np.int64], rng: np.random.Generator) -> Members:
    """Return a model on the same clips and seed of which every other unit was replaced by one that is as good."""
    after = members(kind, video, rng)
    changed = np.arange(UNITS) % 2 == 0
    return {
        factor: tuple(np.where(changed, new, old) for old, new in zip(before[factor], after[factor], strict=True))  # type: ignore[misc]
        for factor in before
    }


def grouped(drawn: Members, group: NDArray[np.int64]) -> Groups:
    """Return the moments by group, as a run's shards have them."""
    return [
        [{LAYER: {f: PairMoments.from_arrays(z1[group == g], z2[group == g]) for f, (z1, z2) in drawn.items()}}]
        for g in range(GROUPS)
        if (group == g).any()
    ]


def errors_of(groups: Groups) -> dict[Limit, tuple[float, Error]]:
    """Return the value of what each limit is on, and what its interval follows from."""
    replicates = layer_replicates(groups, LAYER, "pearson")
    whole = {f: reduce(PairMoments.merge, (group[0][LAYER][f] for group in groups)) for f in SIGNAL_R}
    counts = unit_bias(whole).counts
    known: dict[Limit, tuple[float, Error]] = {}
    for limit in LIMITS:
        if limit.of == "units":
            known[limit] = 100 * counts[limit.name] / UNITS, class_shares(groups, LAYER, limit.name, "pearson", 0.5)
        else:
            error = replicates[f"{limit.of}_{limit.name}"]
            known[limit] = float(error[0]), error
    return known


def change(before: tuple[float, Error], after: tuple[float, Error], same_clips: bool) -> Change:
    """Return the change as the gate computes it."""
    values, errors = zip(before, after, strict=True)
    if same_clips:
        low, high = paired(values[1] - values[0], *errors)
    else:
        low, high = apart(list(values), [alone(*one) for one in zip(values, errors, strict=True)])
    return Change(*values, low, high, "", "", CLIPS)


def alarms(
    kind: Kind,
    again: Callable[[Members, Kind, NDArray[np.int64], np.random.Generator], Members],
    cases: int,
    seed: int = 0,
) -> dict[str, float]:
    """Return in what percent of the cases the second run is *worse*, by limit, although its model is no worse."""
    rng = np.random.default_rng(seed)
    video = np.arange(CLIPS) // kind.clips_per_video
    same_clips = again is half_changed
    worse = {str(limit): 0 for limit in LIMITS}
    for _ in range(cases):
        before = members(kind, video, rng)
        after = again(before, kind, video, rng)
        groups = [rng.integers(GROUPS, size=video.max() + 1)[video]]
        groups.append(groups[0] if same_clips else rng.integers(GROUPS, size=video.max() + 1)[video])
        one, other = (errors_of(grouped(drawn, of)) for drawn, of in zip((before, after), groups, strict=True))
        for limit in LIMITS:
            worse[str(limit)] += verdict_of(change(one[limit], other[limit], same_clips), limit) == WORSE
    return {name: 100 * count / cases for name, count in worse.items()}


def table(cases: int) -> str:
    """Return how often a run is *worse* without being so, in percent, as Markdown."""
    names = [limit.measure.removeprefix(f"{LAYER}.") for limit in LIMITS]
    rows = [f"| units | interval | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for name, kind in STATED.items():
        for again, interval in ((other_seed, "not paired"), (half_changed, "paired")):
            found = alarms(kind, again, cases)
            rows.append(f"| {name} | {interval} | {' | '.join(f'{percent:.1f}' for percent in found.values())} |")
    setting = (
        f"{cases} cases each, {CLIPS} clips, {UNITS} units; percent of the cases that are *worse* with a limit of 0. "
        "Not paired: the same model on other clips, with another seed. Paired: every other unit is replaced by one as "
        "good."
    )
    return "\n".join([*rows, "", setting])


if __name__ == "__main__":
    main("alarms", __doc__, table, cases=200)
