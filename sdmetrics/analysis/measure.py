"""measure_biases(): clips → views → runner → moments, shard by shard, and the biases that they add up to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import writable_folder
from sdmetrics._progress import progress_bar
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.settings import _settings, agree_on_settings
from sdmetrics.analysis.shards import LayerMoments, Shard, Slice, load_shard, save_shard, slices
from sdmetrics.analysis.summary import summarize
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.prefetch import Unusable, rendered_ahead
from sdmetrics.clips.render import Shown, check_styles, feeds, render
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.clips.views import PAIRS, VIEWS_PER_CLIP, View
from sdmetrics.errors import InputError
from sdmetrics.metrics.bias import unit_bias
from sdmetrics.metrics.groups import GROUPS
from sdmetrics.metrics.moments import PairMoments
from sdmetrics.probes.inputs import to_shuffle
from sdmetrics.runners.protocols import Runner

Rendered = tuple[tuple[View, ...], list[Shown]]


def measure_biases(
    runner: Runner,
    clips: Iterable[Clip],
    *,
    seed: int = 0,
    out: str | Path | None = None,
    estimator: str = "pearson",
    threshold: float = 0.5,
    batch: int = 6,
    styles: Mapping[str, Style] | None = None,
    progress: bool = True,
) -> Results:
    """Measure the static and dynamic bias of every layer and unit of a model (paper, Sec. 3).

    Parameters
    ----------
    runner
        Runs the model, for example `sdmetrics.runners.onnxruntime.OnnxRunner`.
    clips
        The clips; one that cannot be decoded is skipped, and listed in the results with the reason.
    seed
        Draws styles and shuffles. The same seed and clip give the same views.
    out
        A folder for the run: finished shards, `results.json` and `units.csv`. Called again with the same arguments, the
        analysis goes on from the shards that are there. Without it everything stays in memory.
    estimator
        `"pearson"`, `"icc"` or `"reference"`, see `layer_bias`.
    threshold
        Scores above it say that a unit encodes a factor (λ of Eq. 3).
    batch
        Views per run of the model.
    styles
        At least two by name, each a function of frames, uint8 `(T, H, W, 3)`, to the same shape; the same frames must
        always give the same. `clips.networks.open_styles` makes them of ONNX networks. Of any other function a resumed
        run knows the name alone. Default: the styles that the clips come in, else the four built-in ones.
    progress
        Show a progress bar where standard error is a terminal.

    Raises
    ------
    InputError
        If fewer than two clips can be used, an activation is not finite, `styles` are given for clips that come in
        styles, or `out` cannot be written to or holds a run with other settings. Finished shards stay.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("appearance") as path:
    ...     runner = open_model(path, provider="cpu")
    >>> results = measure_biases(runner, world_clips(40), batch=48)
    >>> results.layer("stage4")["counts"]["static"] > results.layer("stage4")["counts"]["dynamic"]
    True
    """
    clips = list(clips)
    work = slices(clips)
    _check(runner, clips, seed, batch, estimator, threshold)
    if styles is not None:
        check_styles(styles, clips, runner.inputs)
    settings = _settings(runner, clips, seed, batch, styles)
    folder = None
    if out is not None:
        folder = writable_folder(Path(out) / "shards")
        agree_on_settings(folder, settings)
    groups: list[LayerMoments] = [{} for _ in range(GROUPS)]
    used, skipped = 0, []
    for piece, shard in _shards(runner, work, seed, batch, styles, folder, progress):
        _add(groups[piece.group], shard.moments)
        used += shard.used
        skipped += shard.skipped
    if used < 2:
        reasons = "".join(f"; {s['id']}: {s['reason']}" for s in skipped[:3])
        raise InputError(
            f"{used} of {len(clips)} clips could be used, and a correlation takes at least two{reasons}. "
            "Add clips, or mend those that were skipped"
        )
    results = Results(
        model=dict(runner.identity),
        seed=seed,
        estimator=estimator,
        threshold=threshold,
        clips={"used": used, "skipped": skipped},
        settings=settings,
    )
    for layer in runner.layers:
        row, units = summarize(layer, [group[layer] for group in groups if group], estimator, threshold)
        results.layers.append(row)
        results.units.extend(units)
    if out is not None:
        results.save(out)
    return results


def _check(runner: Runner, clips: Sequence[Clip], seed: int, batch: int, estimator: str, threshold: float) -> None:
    """Refuse at once what would only fail after hours."""
    unit_bias({"static": PairMoments(1)}, threshold=threshold, estimator=estimator)
    if not clips:
        raise InputError("there are no clips; give at least two")
    if not runner.layers:
        raise InputError("the model was opened without layers, so there is nothing to measure; name at least one")
    if seed < 0:
        raise InputError(f"seed is {seed}; allowed: 0 and above")
    if batch < 1:
        raise InputError(f"batch is {batch}; allowed: 1 view and above")
    for model_input in to_shuffle(runner.inputs):
        if model_input.frames < 2:
            raise InputError(
                f"model input {model_input.name!r} reads a single frame, which cannot be shuffled, so it has no static "
                "pair; analyse a model that reads several frames, or one that also reads optical flow"
            )


def _shards(
    runner: Runner,
    work: Sequence[Slice],
    seed: int,
    batch: int,
    styles: Mapping[str, Style] | None,
    folder: Path | None,
    progress: bool,
) -> Iterator[tuple[Slice, Shard]]:
    """Yield every shard in order: loaded where it is stored, else made and stored."""
    paths = [folder / piece.file_name if folder else None for piece in work]
    missing = [path is None or load_shard(path) is None for path in paths]
    todo = [clip for piece, is_missing in zip(work, missing, strict=True) if is_missing for clip in piece.clips]
    total = sum(len(piece.clips) for piece in work)
    with (
        rendered_ahead(lambda clip: render(clip, seed, runner.inputs, styles), todo) as rendered,
        progress_bar("clips", total, done=total - len(todo), wanted=progress) as advance,
    ):
        for piece, path, is_missing in zip(work, paths, missing, strict=True):
            shard = None if is_missing or path is None else load_shard(path)
            if shard is None:
                shard = _measure(runner, piece, rendered, batch, advance)
                if path:
                    save_shard(shard, path)
            yield piece, shard


def _measure(
    runner: Runner,
    piece: Slice,
    rendered: Iterator[Rendered | Unusable],
    batch: int,
    advance: Callable[[int], None],
) -> Shard:
    """Run the views of one shard, in batches that hold no other shard's, and take the moments of its pairs."""
    shard = Shard()
    ids: list[str] = []
    waiting: deque[tuple[View, Shown]] = deque()
    units: dict[str, list[NDArray[np.floating[Any]]]] = {layer: [] for layer in runner.layers}

    def forward(count: int) -> None:
        views, shown = zip(*(waiting.popleft() for _ in range(count)), strict=True)
        for layer, values in runner(feeds(views, shown)).items():
            _insist_finite(values, layer, sum(map(len, units[layer])), ids)
            units[layer].append(values)

    for clip, outcome in zip(piece.clips, rendered, strict=False):
        if isinstance(outcome, Unusable):
            shard.skipped.append({"id": clip.id, "reason": outcome.reason})
        else:
            ids.append(clip.id)
            waiting.extend(zip(*outcome, strict=True))
        while len(waiting) >= batch:
            forward(batch)
        advance(1)
    if waiting:
        forward(len(waiting))
    shard.used = len(ids)
    for layer, parts in units.items():
        if parts:
            by_clip = np.concatenate(parts).reshape(len(ids), VIEWS_PER_CLIP, -1)
            shard.moments[layer] = {
                factor: PairMoments.from_arrays(by_clip[:, i], by_clip[:, j]) for factor, (i, j) in PAIRS.items()
            }
    return shard


def _insist_finite(values: NDArray[np.floating[Any]], layer: str, first_view: int, ids: Sequence[str]) -> None:
    """Refuse activations that are NaN or infinite; the message says where they came from."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, unit = bad[0]
        clip = ids[(first_view + row) // VIEWS_PER_CLIP]
        raise InputError(
            f"layer {layer!r}, unit {unit}, clip {clip!r}: the activation is {values[row, unit]}; correlations need "
            "finite numbers. Check the model's weights and its input's mean and std (half precision may overflow)"
        )


def _add(total: LayerMoments, part: LayerMoments) -> None:
    """Merge the moments of a shard into its group's."""
    for layer, factors in part.items():
        mine = total.setdefault(layer, {})
        for factor, moments in factors.items():
            mine[factor] = mine[factor].merge(moments) if factor in mine else moments
