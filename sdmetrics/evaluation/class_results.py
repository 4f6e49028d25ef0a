"""Evaluation: what is known of a classifier's accuracy, and how it is computed from the rows of its clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import write_json
from sdmetrics.analysis.identity import Document
from sdmetrics.evaluation.class_views import UNTOUCHED, ClassViews
from sdmetrics.evaluation.counterfactual import SHUFFLE, counterfactual_of
from sdmetrics.evaluation.kept import Groups, correlations, ratio
from sdmetrics.evaluation.ranks import TOPS
from sdmetrics.evaluation.slicewise import Evaluated
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.intervals import mean_replicates, with_interval

SCHEMA = 1
FILE = "evaluation.json"
"""What an evaluation beside an analysis is written to, in the run's folder."""


@dataclass
class Evaluation:
    """The accuracy of a model.

    Parameters
    ----------
    model
        The model's name and the runner's identity: SHA-256, layers with their axes, precision.
    seed
        Random seed of the manipulations; `None` where there are none.
    scores
        For `"in_order"` and, where frames were shuffled, `"shuffled"` and their `"ratio"`: for `"top1"` and `"top5"` a
        `"value"` and its `"ci95"`. Shares of 1; undefined is `None`. Empty without labels.
    clips
        One row per clip that was used: `id`, `video`, `label` (an index, `None` without labels) and, for each order,
        `top1` and `top5`; as `manipulated`, for each manipulation `agrees`, whether its class with the highest score is
        that of the clip in order, and `top1` and `top5`.
    skipped
        The other clips: `{"id", "reason"}` each.
    ran_on
        Where and how the model ran: provider, threads, versions; where parts ran in several ways, a list of these as
        `"several"`.
    scored
        Which model output was read: its name `"output"`, the number of `"classes"`, and over how many `"frames"` the
        mean of its scores was taken; where predictions are subtracted, whether these `"scores"` were read as logits or
        probabilities.
    looped
        How many of the clips used repeat frames, since their videos are shorter than a clip.
    manipulated
        For each manipulation that was requested, a `"value"` and its `"ci95"` of: `"agreement"`, the share of clips
        whose prediction (the class with the highest score) stays; `"correlation"`, -1 to 1, of each score with that of
        the same clips in order, over clips, and its mean over classes; with labels also `"top1"`, `"top5"`, and
        `"top1_ratio"`, `"top5_ratio"`, relative to the clips in order.
    counterfactual
        Where requested, the accuracy with shuffled predictions subtracted, see
        `sdmetrics.evaluation.counterfactual.counterfactual_of`.
    """

    model: dict[str, Any]
    seed: int | None
    scores: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ran_on: dict[str, Any] = field(default_factory=dict)
    scored: dict[str, Any] = field(default_factory=dict)
    looped: int = 0
    manipulated: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    counterfactual: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Write everything to one JSON file; return its path."""
        document = asdict(self)
        for name in ("manipulated", "counterfactual"):
            if not document[name]:
                del document[name]
        return write_json(path, {"schema": SCHEMA, **document})


def outcome_of(row: Document, shuffle: bool, asked: Sequence[str]) -> Document:
    """Return what a clip's row says about its views, by name."""
    right = row["right"]
    orders = {UNTOUCHED: UNTOUCHED} | ({"shuffled": SHUFFLE} if shuffle else {})
    outcome = {order: right[view] for order, view in orders.items() if right}
    if asked:
        outcome["manipulated"] = {name: {"agrees": row["agrees"][name], **right.get(name, {})} for name in asked}
    return outcome


def means_of(rows: Sequence[Document], views: Sequence[str], group: Mapping[str, int]) -> dict[str, dict[str, Floats]]:
    """Return the share of clips that are right, as replicates, by view and measure."""
    groups = np.array([group[row["id"]] for row in rows])
    return {
        view: {top: mean_replicates([row["right"][view][top] for row in rows], groups) for top in TOPS}
        for view in views
    }


def scores_of(means: Mapping[str, Mapping[str, Floats]], shuffle: bool) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the shares of clips that are right in order and, where they were shuffled, also those and their ratio."""
    if not means:
        return {}
    orders = {UNTOUCHED: UNTOUCHED} | ({"shuffled": SHUFFLE} if shuffle else {})
    scores = {order: {top: with_interval(means[view][top], most=1) for top in TOPS} for order, view in orders.items()}
    if shuffle:
        scores["ratio"] = {top: ratio(means[UNTOUCHED][top], means[SHUFFLE][top]) for top in TOPS}
    return scores


def kept_of(done: Evaluated) -> tuple[list[Document], NDArray[np.float32]]:
    """Return the rows of the clips, slice by slice, and the outputs of theirs that are kept, in the same order."""
    parts = [part for part in done.parts if part.rows]
    return [row for part in parts for row in part.rows], np.concatenate([part.arrays["outputs"] for part in parts])


def subtracted_of(done: Evaluated, views: ClassViews, group: Mapping[str, int]) -> dict[str, Any]:
    """Return the accuracy with shuffled predictions subtracted, if that was requested."""
    if views.counterfactual is None:
        return {}
    rows, outputs = kept_of(done)
    ids = [row["id"] for row in rows]
    own = [0, *(1 + views.kept.index(name) for name in views.counterfactual.views)]
    labels = np.array([views.labels[name] for name in ids])
    groups: Groups = np.array([group[name] for name in ids])
    return counterfactual_of(views.counterfactual, outputs[:, own], done.read["scores"], labels, ids, groups)


def manipulated_of(
    done: Evaluated,
    asked: Sequence[str],
    means: Mapping[str, Mapping[str, Floats]],
    group: Mapping[str, int],
    eps: float,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what is kept under each manipulation."""
    if not asked:
        return {}
    rows, outputs = kept_of(done)
    groups: Groups = np.array([group[row["id"]] for row in rows])
    alike = correlations(outputs[:, : 1 + len(asked)], asked, groups, eps)
    kept = {}
    for name in asked:
        agrees = np.array([row["agrees"][name] for row in rows], np.float64)  # None is NaN
        kept[name] = {"agreement": with_interval(mean_replicates(agrees, groups), most=1), "correlation": alike[name]}
        for top in TOPS if means else ():
            kept[name][top] = with_interval(means[name][top], most=1)
            kept[name][f"{top}_ratio"] = ratio(means[UNTOUCHED][top], means[name][top])
    return kept
