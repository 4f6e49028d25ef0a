"""Paired differences of two runs over the same clips, so that the clips' own spread cancels (jackknife)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path

from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.shards import LayerMoments, load_shard, shard_files
from sdmetrics.clips.manipulations.further import factors_with, further_of
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.classes import FACTORS, PERCENTS
from sdmetrics.metrics.estimators import Stack, layer_scores, percent
from sdmetrics.metrics.intervals import jackknife, leave_one_out
from sdmetrics.metrics.moments import PairMoments

Groups = Sequence[Sequence[LayerMoments]]
"""The moments of the shards of each non-empty group, in the order of the groups' numbers."""


def unpaired_reason(one: Results, other: Results) -> str:
    """Return why two runs cannot be compared clip by clip; an empty text if they can.

    Examples
    --------
    >>> one, other = (Results({}, seed, "pearson", 0.5, {}, settings={"clips": {"sha256": "9f"}}) for seed in (0, 1))
    >>> unpaired_reason(one, one), unpaired_reason(one, other)
    ('', 'other seeds')
    """
    clips, others = (run.settings.get("clips", {}).get("sha256") for run in (one, other))
    reasons = {
        "other estimators": one.estimator != other.estimator,
        "other seeds": one.seed != other.seed,
        "stopped after other rounds": one.rounds != other.rounds,
        "which clips they saw is not known": clips is None or others is None,
        "other clips": clips != others or one.clips != other.clips,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def load_groups(run: Path, results: Results) -> Groups | None:
    """Return the moments of a run's groups from its shards, or `None` if shards are missing.

    A run that stopped may have shards of later rounds, from a longer run: they are left out.

    Examples
    --------
    >>> run = Results({}, 0, "pearson", 0.5, {"used": 300, "skipped": []})
    >>> load_groups(Path("a folder without shards"), run) is None
    True
    """
    groups: dict[int, list[LayerMoments]] = {}
    used, identity = 0, sha256_of(results.settings)
    layers = [row["name"] for row in results.layers]
    factors = factors_with(further_of(results.settings))
    rounds = results.rounds
    for group, path in shard_files(run / "shards"):
        if rounds is not None and int(path.stem[3:]) >= rounds:
            continue
        shard = load_shard(path, identity, layers, factors)
        if shard is None:
            return None
        if shard.moments:
            groups.setdefault(group, []).append(shard.moments)
        used += shard.used
    return [*groups.values()] if used == results.clips["used"] else None


def difference(
    one: tuple[Groups, str], other: tuple[Groups, str], estimator: str
) -> dict[str, tuple[float, float, float]]:
    """Return by how much a layer's scores and percents are higher in the other run, with 95 % intervals.

    Parameters
    ----------
    one, other
        The groups of a run and the name of its layer; both of the same clips.
    estimator
        As for `layer_bias`.

    Returns
    -------
    dict
        `score_FACTOR` and `percent_FACTOR` (also `percent_identical`): difference, low, high; NaN where undefined.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(6, 2, 9, 4))
    >>> groups = [[{"a": {factor: PairMoments.from_arrays(*pair) for factor in FACTORS}}] for pair in z]
    >>> difference((groups, "a"), (groups, "a"), "pearson")["percent_static"]
    (0.0, 0.0, 0.0)
    """
    before, after = (layer_replicates(groups, layer, estimator) for groups, layer in (one, other))
    differences = {}
    for name, values in after.items():
        change = values - before[name]
        low, high = jackknife(change)
        differences[name] = (float(change[0]), float(low), float(high))
    return differences


def layer_replicates(groups: Groups, layer: str, estimator: str) -> dict[str, Floats]:
    """Return the replicates of a layer's numbers, `(1 + groups,)` each: of all groups first, then without each group.

    `score_FACTOR` and `percent_FACTOR`; see `jackknife`.
    """
    scores = layer_scores(layer_stacks(groups, layer), estimator)
    percents = percent(scores)
    return {f"score_{f}": scores[f] for f in FACTORS} | {f"percent_{f}": percents[f] for f in PERCENTS}


def layer_stacks(groups: Groups, layer: str) -> dict[str, Stack]:
    """Return the moments of a layer by factor: of all groups first, then without each group."""
    stacks = {}
    for factor in FACTORS:
        parts = [_merged([shard[layer][factor] for shard in group]) for group in groups]
        stacks[factor] = Stack.of([_merged(parts), *leave_one_out(parts)])
    return stacks


def _merged(parts: Sequence[PairMoments]) -> PairMoments:
    """Merge the moments of all parts."""
    return reduce(PairMoments.merge, parts)
