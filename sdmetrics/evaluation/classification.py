"""Top-1 and top-5 accuracy of a classifier, in order and on shuffled frames (paper, Sec. 4.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import write_json
from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.shape import COUNT
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.manipulations.manipulate import manipulated_view
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.clips.render import Shown, feeds, plain
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_scores import ScoreReader
from sdmetrics.evaluation.labels import class_indices
from sdmetrics.evaluation.slicewise import (
    Evaluating,
    Outcomes,
    check_out,
    claimed,
    evaluated,
    identity_of,
    parts_beside,
)
from sdmetrics.metrics._arguments import whole
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import mean_replicates, with_interval
from sdmetrics.runners.batch_size import WORTH, BatchSize, batch_size
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import OutputRunner, circumstance_of, model_description

SCHEMA = 1
TOPS = {"top1": 1, "top5": 5}
ORDERS = ("in_order", "shuffled")


@dataclass
class Evaluation:
    """The accuracy of a model.

    Parameters
    ----------
    model
        The model's name and the runner's identity: SHA-256, layers with their axes, precision.
    seed
        Random seed of the shuffles; `None` where nothing was shuffled.
    scores
        For `"in_order"` and, where frames were shuffled, `"shuffled"` and their `"ratio"`: for `"top1"` and `"top5"` a
        `"value"` and its `"ci95"`. Shares of 1; undefined is `None`.
    clips
        One row per clip that was used: `id`, `video`, `label` (an index) and, for each order, `top1` and `top5`.
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
    """

    model: dict[str, Any]
    seed: int | None
    scores: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ran_on: dict[str, Any] = field(default_factory=dict)
    scored: dict[str, Any] = field(default_factory=dict)
    looped: int = 0

    def save(self, path: str | Path) -> Path:
        """Write everything to one JSON file; return its path."""
        return write_json(path, {"schema": SCHEMA, **asdict(self)})


def evaluate(
    runner: OutputRunner,
    clips: Iterable[Clip],
    classes: Mapping[str, int] | None = None,
    *,
    shuffle: bool = False,
    seed: int = 0,
    batch: BatchSize = "auto",
    output: str | None = None,
    out: str | Path | None = None,
    part: str | Part | None = None,
    progress: bool = True,
) -> Evaluation:
    """Return top-1 and top-5 accuracy, optionally also on shuffled frames.

    The ratio of both is the paper's relative top-1 (Sec. 4.2.1, where the models were also trained on shuffled frames).
    It is 1 for a model that is blind to the order of frames. A model that needs the order keeps only the accuracy that
    is possible without it.

    Parameters
    ----------
    runner
        Runs the model: `OnnxRunner` or `TorchRunner`.
    clips
        Clips with labels. A clip that cannot be decoded, or cannot be shuffled where that is requested, is skipped in
        both orders, and listed with the reason.
    classes
        The index of the model's output for each class name, see `read_classes`. Default: labels are indices.
    shuffle
        Whether every clip is also shown with its frames shuffled, independently for every input.
    seed
        Random seed of the shuffles. The same seed and clip give the same shuffle.
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
        If no clip can be used, a label is not a class or has no output, there are not as many classes as scores, an
        input cannot be shuffled, or the model returns NaN.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import APPEARANCES, world_clips
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("appearance") as path:
    ...     runner = open_model(path, provider="cpu")
    >>> classes = {name: index for index, name in enumerate(APPEARANCES)}
    >>> scores = evaluate(runner, world_clips(40), classes, shuffle=True, batch=48).scores
    >>> scores["in_order"]["top1"]["value"] > 0.9, scores["ratio"]["top1"]["value"] > 0.8
    (True, True)
    """
    check_runner(runner)
    clips = listed_clips(clips)
    labels = class_indices(clips, classes)
    seed = whole("seed", seed, 0)
    _validate(runner, clips, shuffle)
    batch = batch_size(batch, runner, runner.run, most=len(clips) // WORTH)
    share = check_out(out, part)
    beside = parts_beside(out)
    label_of = dict(zip((clip.id for clip in clips), labels.tolist(), strict=True))
    read = ScoreReader(output, classes, {model_input.frames for model_input in runner.inputs})
    orders = ORDERS if shuffle else ORDERS[:1]

    def render(clip: Clip) -> list[tuple[View, Shown]]:
        frames = clip.frames
        decoded = replace(clip, load=lambda: frames)
        view = plain(decoded, runner.inputs)
        return [view, manipulated_view("shuffle", decoded, *view, seed, runner.inputs)] if shuffle else [view]

    def score(usable: Iterator[tuple[Clip, list[tuple[View, Shown]]]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        used: list[str] = []
        right: list[NDArray[np.bool_]] = [np.empty((0, len(TOPS)), np.bool_)]

        def views() -> Iterator[tuple[str, View, Shown]]:
            for clip, rendered in usable:
                used.append(clip.id)
                yield from ((clip.id, *view) for view in rendered)

        waiting = views()
        while of_batch := list(islice(waiting, batch)):
            ids, in_view, shown = zip(*of_batch, strict=True)
            values = read(runner.run(feeds(in_view, shown)), len(of_batch))
            _check_labels(labels, values)
            expected = np.array([label_of[name] for name in ids])
            right.append(np.stack([top_k(values, expected, k, ids) for k in TOPS.values()], axis=1))
        by_clip = np.concatenate(right).reshape(len(used), len(orders), len(TOPS)).tolist()
        return [
            {"id": name}
            | {order: dict(zip(TOPS, of_order, strict=True)) for order, of_order in zip(orders, row, strict=True)}
            for name, row in zip(used, by_clip, strict=True)
        ], {}

    def accepts(found: Outcomes) -> bool:
        if found.read and not read.read:
            read.read |= found.read
        return not found.read or found.read == read.read

    decides = {
        "evaluation": "classification",
        "seed": seed if shuffle else None,
        "output": output,
        "classes": sha256_of([getattr(classes, "first", 0), sorted((classes or {}).items())]),
    }
    folder, digest = claimed(beside, lambda: identity_of(runner, clips, labels.tolist(), decides))
    right_or_wrong = dict.fromkeys(TOPS, bool)
    shape: dict[str, Any] = {
        "row": {"id": str} | dict.fromkeys(orders, right_or_wrong),
        "read": {"output": str, "classes": COUNT, "frames": COUNT},
    }
    ran_on = circumstance_of(runner) | {"batch": batch}
    work = Evaluating(runner, ran_on, render, score, shape, lambda: read.read, accepts, digest)
    done = evaluated(work, clips, folder, share, progress=progress)
    evaluation = Evaluation(model_description(runner), seed if shuffle else None, ran_on=done.ran_on)
    evaluation.skipped, evaluation.scored, evaluation.looped = done.skipped, done.read, done.looped
    video_of = {clip.id: clip.video for clip in clips}
    for row in done.rows:
        name = row["id"]
        shares = {order: row[order] for order in orders}
        evaluation.clips.append({"id": name, "video": video_of[name], "label": label_of[name], **shares})
    if share is not None:
        return evaluation
    check_any_usable(len(done.rows), len(clips), done.skipped)
    by_clip = np.array([[[row[order][top] for top in TOPS] for order in orders] for row in done.rows])
    group = {clip.id: group_of(clip.content) for clip in clips}
    evaluation.scores = _scores(by_clip, np.array([group[row["id"]] for row in done.rows]))
    if out is not None:
        evaluation.save(out)
    return evaluation


def top_k(
    outputs: NDArray[Any], labels: NDArray[np.int64], k: int, ids: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Return whether the label of each clip is among the `k` classes with the highest outputs, bool `(N,)`.

    Ties are broken by index, lower first: exactly `k` classes are among the highest, and a model whose outputs are all
    equal is right only for the first `k` classes.

    Parameters
    ----------
    outputs
        `(N, classes)`; larger is more likely.
    labels
        `(N,)`, indices of the true classes.
    k
        At least 1. If `k` is the number of classes, every clip is right.
    ids
        Names of the clips, for errors. Default: their numbers.

    Raises
    ------
    InputError
        If an output is NaN, or a label is not one of the classes.

    Examples
    --------
    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]), np.array([2, 1]), k=1)
    array([False, False])
    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]), np.array([2, 1]), k=2)
    array([ True,  True])
    """
    _check_labels(labels, outputs)
    undefined = np.argwhere(np.isnan(outputs))
    if len(undefined):
        row, index = undefined[0]
        name = f"clip {ids[row]!r}" if ids else f"clip number {row}"
        raise InputError(
            f"{name}: the output of class {index} is NaN, which has no rank. Check the model's weights and its input's "
            "mean and std (half precision may overflow)"
        )
    rows = np.arange(len(labels))
    own = outputs[rows, labels][:, None]
    before = np.arange(outputs.shape[1]) < labels[:, None]
    ahead = (outputs > own) | ((outputs == own) & before)
    return np.asarray(ahead.sum(axis=1) < k)


def _check_labels(labels: NDArray[np.int64], outputs: NDArray[Any]) -> None:
    """Raise an `InputError` for a label without an output of the model."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < outputs.shape[1]:
        wrong = labels[(labels < 0) | (labels >= outputs.shape[1])][0]
        raise InputError(
            f"a label is class {wrong}, and the model's output scores {outputs.shape[1]} classes, 0 to "
            f"{outputs.shape[1] - 1}; use the classes that this model was trained on"
        )


def _validate(runner: OutputRunner, clips: Sequence[Clip], shuffle: bool) -> None:
    """Validate the arguments early, before anything is computed."""
    if not clips:
        raise InputError("there are no clips; pass at least one")
    still = [model_input.name for model_input in runner.inputs if model_input.frames < 2]
    if shuffle and still:
        raise InputError(f"model input {still[0]!r} reads a single frame, which cannot be shuffled; evaluate in order")


def _scores(by_clip: NDArray[np.bool_], groups: NDArray[np.int64]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the shares of clips that are right, `by_clip` being `(clips, orders, tops)`, and their ratio."""
    means = mean_replicates(by_clip, groups)
    scores = {
        order: {top: with_interval(means[:, i, j], most=1) for j, top in enumerate(TOPS)}
        for i, order in zip(range(by_clip.shape[1]), ORDERS, strict=False)
    }
    if len(scores) == len(ORDERS):
        in_order, shuffled = means[:, 0], means[:, 1]
        ratio = np.divide(shuffled, in_order, out=np.full_like(shuffled, np.nan), where=in_order > 0)
        scores["ratio"] = {top: with_interval(ratio[:, j]) for j, top in enumerate(TOPS)}
    return scores
