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
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.prefetch import check_any_usable, decoding_threads, usable_clips
from sdmetrics.clips.render import Shown, feeds, plain, reordered
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_scores import ScoreReader
from sdmetrics.evaluation.labels import class_indices
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
        Where and how the model ran: provider, threads, versions.
    scored
        Which model output was read: its name `"output"`, the number of `"classes"`, and over how many `"frames"` the
        mean of its scores was taken.
    """

    model: dict[str, Any]
    seed: int | None
    scores: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ran_on: dict[str, Any] = field(default_factory=dict)
    scored: dict[str, Any] = field(default_factory=dict)

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
    label_of = dict(zip(map(id, clips), labels.tolist(), strict=True))
    read = ScoreReader(output, classes, {model_input.frames for model_input in runner.inputs})
    evaluation = Evaluation(
        model_description(runner), seed if shuffle else None, ran_on=circumstance_of(runner) | {"batch": batch}
    )
    used: list[Clip] = []
    right: list[NDArray[np.bool_]] = []

    def render(clip: Clip) -> list[tuple[View, Shown]]:
        frames = clip.frames
        decoded = replace(clip, load=lambda: frames)
        view = plain(decoded, runner.inputs)
        return [view, reordered(decoded, seed, runner.inputs)] if shuffle else [view]

    threads = decoding_threads(evaluation.ran_on)
    with usable_clips(render, clips, evaluation.skipped, progress, threads) as usable:

        def views() -> Iterator[tuple[Clip, View, Shown]]:
            for clip, rendered in usable:
                used.append(clip)
                yield from ((clip, *view) for view in rendered)

        waiting = views()
        while of_batch := list(islice(waiting, batch)):
            shown_clips, in_view, shown = zip(*of_batch, strict=True)
            values = read(runner.run(feeds(in_view, shown)), len(of_batch))
            _check_labels(labels, values)
            ids = [clip.id for clip in shown_clips]
            expected = np.array([label_of[id(clip)] for clip in shown_clips])
            right.append(np.stack([top_k(values, expected, k, ids) for k in TOPS.values()], axis=1))
    check_any_usable(len(used), len(clips), evaluation.skipped)
    evaluation.scored = read.read
    orders = ORDERS if shuffle else ORDERS[:1]
    by_clip = np.concatenate(right).reshape(len(used), len(orders), len(TOPS))
    for clip, row in zip(used, by_clip.tolist(), strict=True):
        shares = {order: dict(zip(TOPS, of_order, strict=True)) for order, of_order in zip(orders, row, strict=True)}
        evaluation.clips.append({"id": clip.id, "video": clip.video, "label": label_of[id(clip)], **shares})
    evaluation.scores = _scores(by_clip, np.array([group_of(clip.content) for clip in used]))
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
