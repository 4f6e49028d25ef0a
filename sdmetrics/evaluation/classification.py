"""How often a classifier is right, in order and on shuffled frames (paper, Sec. 4.2.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import write_json
from sdmetrics._progress import progress_bar
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.prefetch import Unusable, rendered_ahead
from sdmetrics.clips.render import Shown, feeds, plain, reordered
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError
from sdmetrics.evaluation.labels import class_indices
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import mean_replicates, with_interval
from sdmetrics.runners.protocols import OutputRunner

SCHEMA = 1
TOPS = {"top1": 1, "top5": 5}
ORDERS = ("in_order", "shuffled")


@dataclass
class Evaluation:
    """How often a model is right.

    Parameters
    ----------
    model
        The runner's identity: name, SHA-256, provider, versions.
    seed
        What drew the shuffles; `None` where nothing was shuffled.
    scores
        For `"in_order"` and, where frames were shuffled, `"shuffled"` and their `"ratio"`: for `"top1"` and `"top5"` a
        `"value"` and its `"ci95"`. Shares of 1; undefined is `None`.
    clips
        One row per clip that was used: `id`, `video`, `label` (an index) and, for each order, `top1` and `top5`.
    skipped
        The other clips: `{"id", "reason"}` each.
    """

    model: dict[str, Any]
    seed: int | None
    scores: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)

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
    batch: int = 6,
    output: str | None = None,
    progress: bool = True,
) -> Evaluation:
    """Count how often a classifier is right and, on request, how much of that it keeps when frames are shuffled.

    The ratio of both is the paper's relative top-1 (Sec. 4.2.1, there of models that were also trained on shuffled
    frames). A model that is blind to the order of frames keeps 1; one that needs the order keeps what can be told
    without it.

    Parameters
    ----------
    runner
        Runs the model: `OnnxRunner` or `TorchRunner`.
    clips
        Clips with labels. One that cannot be decoded, or cannot be shuffled where that is asked for, is skipped in both
        orders, and listed with the reason.
    classes
        The index of the model's output for each class name, as `labels.read_classes` gives it. Default: labels are
        indices.
    shuffle
        Whether every clip is also shown with its frames shuffled, every input by itself.
    seed
        Draws the shuffles. The same seed and clip give the same one.
    batch
        Views per run of the model.
    output
        The model's output that scores the classes, `(N, classes)`; default: the only one with two axes.
    progress
        Show a progress bar where standard error is a terminal.

    Returns
    -------
    Evaluation
        Intervals are 95 % delete-one-group jackknife intervals, those of the ratio from both means without the same
        group; undefined below five groups of videos. They see only the spread that the clips show: where every clip is
        right, both ends are 1.

    Raises
    ------
    InputError
        If no clip can be used, a label is no class or none of the outputs, an input cannot be shuffled, or the model
        gives NaN.

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
    clips = list(clips)
    labels = class_indices(clips, classes)
    _check(runner, clips, shuffle, seed, batch)
    found = Evaluation(dict(runner.identity), seed if shuffle else None)
    used: list[int] = []
    right: list[NDArray[np.bool_]] = []

    def render(clip: Clip) -> list[tuple[View, Shown]]:
        frames = clip.frames
        decoded = replace(clip, load=lambda: frames)
        view = plain(decoded, runner.inputs)
        return [view, reordered(decoded, seed, runner.inputs)] if shuffle else [view]

    with (
        rendered_ahead(render, clips) as rendered,
        progress_bar("clips", len(clips), wanted=progress) as advance,
    ):

        def views() -> Iterator[tuple[int, View, Shown]]:
            for index, outcome in enumerate(rendered):
                if isinstance(outcome, Unusable):
                    found.skipped.append({"id": clips[index].id, "reason": outcome.reason})
                else:
                    used.append(index)
                    yield from ((index, *view) for view in outcome)
                advance(1)

        waiting = views()
        while some := list(islice(waiting, batch)):
            indices, in_view, shown = zip(*some, strict=True)
            values = class_scores(runner.run(feeds(in_view, shown)), output)
            _insist_outputs(labels, values)
            ids = [clips[index].id for index in indices]
            right.append(np.stack([top_k(values, labels[list(indices)], k, ids) for k in TOPS.values()], axis=1))
    if not used:
        reasons = "; ".join(f"{row['id']}: {row['reason']}" for row in found.skipped[:3])
        raise InputError(f"none of {len(clips)} clips could be used; {reasons}. Mend them, or add others")
    orders = ORDERS if shuffle else ORDERS[:1]
    by_clip = np.concatenate(right).reshape(len(used), len(orders), len(TOPS))
    for index, row in zip(used, by_clip.tolist(), strict=True):
        shares = {order: dict(zip(TOPS, of_order, strict=True)) for order, of_order in zip(orders, row, strict=True)}
        found.clips.append({"id": clips[index].id, "video": clips[index].video, "label": int(labels[index]), **shares})
    found.scores = _scores(by_clip, np.array([group_of(clips[index].video) for index in used]))
    return found


def top_k(
    outputs: NDArray[Any], labels: NDArray[np.int64], k: int, ids: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Return for each clip whether its label is among the `k` classes with the highest outputs, bool `(N,)`.

    Of equal outputs, the one with the lower index counts as the higher: exactly `k` classes are among the highest,
    whatever the ties, and a model that tells nothing apart is right about the first `k` classes only.

    Parameters
    ----------
    outputs
        `(N, classes)`; larger is more likely.
    labels
        `(N,)`, indices of the right classes.
    k
        1 and above; from the number of classes on, every clip is right.
    ids
        Names of the clips, for errors. Default: their numbers.

    Raises
    ------
    InputError
        If an output is NaN, or a label is none of the classes.

    Examples
    --------
    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]), np.array([2, 1]), k=1)
    array([False, False])
    >>> top_k(np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2]]), np.array([2, 1]), k=2)
    array([ True,  True])
    """
    _insist_outputs(labels, outputs)
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


def class_scores(outputs: Mapping[str, NDArray[Any]], name: str | None = None) -> NDArray[Any]:
    """Return the output of a model that scores the classes, `(N, classes)`: the only one with two axes, or that named.

    Raises
    ------
    InputError
        If there is no such output, or there are several and none is named.

    Examples
    --------
    >>> class_scores({"features": np.zeros((2, 8, 7, 7)), "logits": np.zeros((2, 5))}).shape
    (2, 5)
    """
    shapes = ", ".join(f"{key} {np.shape(value)}" for key, value in outputs.items())
    if name is not None and name not in outputs:
        raise InputError(f"the model has no output {name!r}; allowed: {shapes}")
    scores = [value for key, value in outputs.items() if np.ndim(value) == 2 and name in (None, key)]
    if len(scores) == 1:
        return scores[0]
    if name is not None:
        raise InputError(f"output {name!r} is no score (clips, classes); the model's outputs are {shapes}")
    if scores:
        raise InputError(f"several outputs could score the classes: {shapes}; name one")
    raise InputError(f"no output scores the classes, (clips, classes); the model's outputs are {shapes}")


def _insist_outputs(labels: NDArray[np.int64], outputs: NDArray[Any]) -> None:
    """Refuse labels that the model has no output for."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < outputs.shape[1]:
        wrong = labels[(labels < 0) | (labels >= outputs.shape[1])][0]
        raise InputError(
            f"a label is class {wrong}, and the model's output scores {outputs.shape[1]} classes, 0 to "
            f"{outputs.shape[1] - 1}; give the classes that this model was trained to tell"
        )


def _check(runner: OutputRunner, clips: Sequence[Clip], shuffle: bool, seed: int, batch: int) -> None:
    """Refuse at once what would only fail after hours."""
    if not clips:
        raise InputError("there are no clips; give at least one")
    if seed < 0:
        raise InputError(f"seed is {seed}; allowed: 0 and above")
    if batch < 1:
        raise InputError(f"batch is {batch}; allowed: 1 view and above")
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
