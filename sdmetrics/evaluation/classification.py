"""Top-1 and top-5 accuracy of a classifier, on clips as they are and manipulated (paper, Sec. 4.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdmetrics._files import write_json
from sdmetrics.analysis.identity import Document, sha256_of
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.manipulations.manipulate import check_manipulations, identity_of_manipulations
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_scores import ScoreReader
from sdmetrics.evaluation.class_views import UNTOUCHED, ClassViews
from sdmetrics.evaluation.kept import Groups, correlations, ratio
from sdmetrics.evaluation.labels import class_indices, class_indices_if_known
from sdmetrics.evaluation.ranks import TOPS
from sdmetrics.evaluation.slicewise import (
    Evaluated,
    Evaluating,
    check_out,
    claimed,
    evaluated,
    identity_of,
    parts_beside,
)
from sdmetrics.metrics._arguments import whole
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import mean_replicates, with_interval
from sdmetrics.runners.batch_size import WORTH, BatchSize, batch_size
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import OutputRunner, circumstance_of, model_description, rounding_of

SCHEMA = 1
SHUFFLE = "shuffle"


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
        mean of its scores was taken.
    looped
        How many of the clips used repeat frames, since their videos are shorter than a clip.
    manipulated
        For each manipulation that was requested, a `"value"` and its `"ci95"` of: `"agreement"`, the share of clips
        whose prediction (the class with the highest score) stays; `"correlation"`, -1 to 1, of each score with that of
        the same clips in order, over clips, and its mean over classes; with labels also `"top1"`, `"top5"`, and
        `"top1_ratio"`, `"top5_ratio"`, relative to the clips in order.
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

    def save(self, path: str | Path) -> Path:
        """Write everything to one JSON file; return its path."""
        document = asdict(self)
        if not self.manipulated:
            del document["manipulated"]
        return write_json(path, {"schema": SCHEMA, **document})


def evaluate(
    runner: OutputRunner,
    clips: Iterable[Clip],
    classes: Mapping[str, int] | None = None,
    *,
    shuffle: bool = False,
    manipulate: Iterable[str] = (),
    seed: int = 0,
    batch: BatchSize = "auto",
    output: str | None = None,
    out: str | Path | None = None,
    part: str | Part | None = None,
    progress: bool = True,
) -> Evaluation:
    """Return top-1 and top-5 accuracy, optionally also on shuffled frames and under other manipulations.

    The ratio of both is the paper's relative top-1 (Sec. 4.2.1, where the models were also trained on shuffled frames).
    It is 1 for a model that is blind to the order of frames. A model that needs the order keeps only the accuracy that
    is possible without it.

    For manipulations the agreement of the predictions and the correlation of the scores are compared, too. Clips then
    need no labels: without any, or with names and no `classes`, only these are returned.

    Parameters
    ----------
    runner
        Runs the model: `OnnxRunner` or `TorchRunner`.
    clips
        Clips with labels. A clip that cannot be decoded, or that a requested shuffle or other manipulation does not
        change (a still clip), is skipped in all views, and listed with the reason.
    classes
        The index of the model's output for each class name, see `read_classes`. Default: labels are indices.
    shuffle
        Whether every clip is also shown with its frames shuffled, independently for every input.
    manipulate
        What else is done to every clip: any of `"shuffle"`, `"reverse"` (backwards), `"freeze"` (one frame all the
        time), `"loop"` (the first half twice) and `"appearance-free"` (noise that moves as the clip does), see
        `sdmetrics.clips.manipulations`.
    seed
        Random seed of shuffles and noise. The same seed and clip give the same.
    batch
        Batch size, in views; `"auto"` as in `sdmetrics.analyze`.
    output
        Name of the model output that holds the class scores, `(N, classes)`, `(N, classes, 1, 1, 1)` or, as the mean
        over frames, `(N, frames, classes)`. Default: the only one with two axes, else the only one of the other shapes.
    out
        A JSON file for everything. Finished slices of the clips are stored beside it, in `FILE.parts/`, which may be
        deleted afterwards; calling again with the same arguments resumes.
    part
        `"3/8"` or `"auto"`, see `sdmetrics.analyze_part`: only this part of the clips is scored and stored, and what is
        returned has its clips and no scores. A call without it, with the same `out`, adds the parts up.
    progress
        Show a progress bar if standard error is a terminal.

    Returns
    -------
    Evaluation
        Intervals are 95 % delete-one-group jackknife intervals, those of the ratio from both means without the same
        group; undefined below five groups of videos. If every clip is correct the interval collapses to 1.

    Raises
    ------
    InputError
        If no clip can be used, a label is not a class or has no output, there are not as many classes as scores, a
        manipulation is not known or has no place in what the model reads, or the model returns NaN.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import APPEARANCES, world_clips
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("appearance") as path:
    ...     runner = open_model(path, provider="cpu")
    >>> classes = {name: index for index, name in enumerate(APPEARANCES)}
    >>> found = evaluate(runner, world_clips(40), classes, shuffle=True, manipulate=["freeze"], batch=48)
    >>> found.scores["in_order"]["top1"]["value"] > 0.9, found.scores["ratio"]["top1"]["value"] > 0.8
    (True, True)
    >>> found.manipulated["freeze"]["agreement"]["value"] > 0.8
    True
    """
    check_runner(runner)
    clips = listed_clips(clips)
    asked = check_manipulations(manipulate, runner.inputs)
    shuffled = check_manipulations([SHUFFLE] if shuffle else [], runner.inputs)
    labels = class_indices_if_known(clips, classes) if asked else class_indices(clips, classes)
    seed = whole("seed", seed, 0)
    if not clips:
        raise InputError("there are no clips; pass at least one")
    batch = batch_size(batch, runner, runner.run, most=len(clips) // WORTH)
    share = check_out(out, part)
    beside = parts_beside(out)
    truth = [None] * len(clips) if labels is None else labels.tolist()
    label_of = {} if labels is None else dict(zip((clip.id for clip in clips), truth, strict=True))
    read = ScoreReader(output, classes, {model_input.frames for model_input in runner.inputs})
    done_to = tuple(dict.fromkeys((*shuffled, *asked)))
    views = ClassViews(runner, read, done_to, asked, seed, batch, label_of)
    decides = {
        "evaluation": "classification",
        "seed": seed if done_to else None,
        "output": output,
        "classes": sha256_of([getattr(classes, "first", 0), sorted((classes or {}).items())]),
        **({"shuffle": shuffle, "manipulate": identity_of_manipulations(asked)} if asked else {}),
    }
    folder, digest = claimed(beside, lambda: identity_of(runner, clips, truth, decides))
    ran_on = circumstance_of(runner) | {"batch": batch}
    work = Evaluating(runner, ran_on, views.render, views.score, views.shape, lambda: read.read, views.accepts, digest)
    done = evaluated(work, clips, folder, share, progress=progress)
    evaluation = Evaluation(model_description(runner), seed if done_to else None, ran_on=done.ran_on)
    evaluation.skipped, evaluation.scored, evaluation.looped = done.skipped, done.read, done.looped
    video_of = {clip.id: clip.video for clip in clips}
    for row in done.rows:
        name = row["id"]
        known = {"id": name, "video": video_of[name], "label": label_of.get(name)}
        evaluation.clips.append(known | _outcome(row, shuffle, asked))
    if share is not None:
        return evaluation
    check_any_usable(len(done.rows), len(clips), done.skipped)
    group = {clip.id: group_of(clip.content) for clip in clips}
    means = _means(done.rows, views.names, group) if label_of else {}
    evaluation.scores = _scores(means, shuffle)
    evaluation.manipulated = _manipulated(done, asked, means, group, rounding_of(runner))
    if out is not None:
        evaluation.save(out)
    return evaluation


def _outcome(row: Document, shuffle: bool, asked: Sequence[str]) -> Document:
    """Return what a clip's row says about its views, by name."""
    right = row["right"]
    orders = {UNTOUCHED: UNTOUCHED} | ({"shuffled": SHUFFLE} if shuffle else {})
    outcome = {order: right[view] for order, view in orders.items() if right}
    if asked:
        outcome["manipulated"] = {name: {"agrees": row["agrees"][name], **right.get(name, {})} for name in asked}
    return outcome


def _means(rows: Sequence[Document], views: Sequence[str], group: Mapping[str, int]) -> dict[str, dict[str, Floats]]:
    """Return the share of clips that are right, as replicates, by view and measure."""
    groups = np.array([group[row["id"]] for row in rows])
    return {
        view: {top: mean_replicates([row["right"][view][top] for row in rows], groups) for top in TOPS}
        for view in views
    }


def _scores(means: Mapping[str, Mapping[str, Floats]], shuffle: bool) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the shares of clips that are right in order and, where they were shuffled, also those and their ratio."""
    if not means:
        return {}
    orders = {UNTOUCHED: UNTOUCHED} | ({"shuffled": SHUFFLE} if shuffle else {})
    scores = {order: {top: with_interval(means[view][top], most=1) for top in TOPS} for order, view in orders.items()}
    if shuffle:
        scores["ratio"] = {top: ratio(means[UNTOUCHED][top], means[SHUFFLE][top]) for top in TOPS}
    return scores


def _manipulated(
    done: Evaluated,
    asked: Sequence[str],
    means: Mapping[str, Mapping[str, Floats]],
    group: Mapping[str, int],
    eps: float,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what is kept under each manipulation."""
    if not asked:
        return {}
    compared = [part for part in done.parts if part.rows]
    rows = [row for part in compared for row in part.rows]
    groups: Groups = np.array([group[row["id"]] for row in rows])
    alike = correlations(np.concatenate([part.arrays["outputs"] for part in compared]), asked, groups, eps)
    kept = {}
    for name in asked:
        agrees = np.array([row["agrees"][name] for row in rows], np.float64)  # None is NaN
        kept[name] = {"agreement": with_interval(mean_replicates(agrees, groups), most=1), "correlation": alike[name]}
        for top in TOPS if means else ():
            kept[name][top] = with_interval(means[name][top], most=1)
            kept[name][f"{top}_ratio"] = ratio(means[UNTOUCHED][top], means[name][top])
    return kept
