"""measure_biases(): clips → views → runner → moments, shard by shard, and the biases computed from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import writable_folder
from sdmetrics.analysis.circumstance import circumstance, ran_on
from sdmetrics.analysis.identity import Identity
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.resume import resumed, say_passing
from sdmetrics.analysis.shards import LayerMoments, Shard, Slice, adds_up, load_shard, save_shard, slices
from sdmetrics.analysis.summary import summarize
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.prefetch import Unusable, check_any_usable
from sdmetrics.clips.render import Shown, check_styles, feeds, render
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.clips.views import PAIRS, VIEWS_PER_CLIP, View
from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole
from sdmetrics.metrics.bias import unit_bias
from sdmetrics.metrics.groups import GROUPS
from sdmetrics.metrics.moments import PairMoments
from sdmetrics.probes.inputs import to_shuffle
from sdmetrics.runners.protocols import Runner, model_description, rounding_of

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

    This is the measurement of `sdmetrics.analyze`, with the same arguments. Into `out` it writes finished shards,
    `results.json` and `units.csv`; the report and the source of the run are left to the caller.

    Raises
    ------
    InputError
        See `sdmetrics.analyze`. Finished shards are kept.

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
    pieces = slices(clips)
    seed, batch = whole("seed", seed, 0), whole("batch", batch, 1)
    threshold = unit_bias({"static": PairMoments(1)}, threshold=threshold, estimator=estimator).threshold
    _validate(runner, clips)
    if styles is not None:
        check_styles(styles, clips, runner.inputs)
    identity = Identity.of_analysis(runner, clips, seed, styles)
    folder = None
    if out is not None:
        folder = writable_folder(Path(out) / "shards")
        identity.claim(folder)
    groups: list[LayerMoments] = [{} for _ in range(GROUPS)]
    used, looped, skipped, passing, circumstances = 0, 0, [], [], []
    work = _Measurement(runner, seed, batch, styles, identity.digest)
    for piece, shard in resumed(work, pieces, folder, progress=progress):
        _add(groups[piece.group], shard.moments)
        used += shard.used
        looped += shard.looped
        skipped += shard.skipped
        passing += shard.passing
        circumstances.append(shard.ran_on)
    check_any_usable(used, len(clips), skipped, least=2)
    say_passing(passing, stored=out is not None)
    results = Results(
        model=model_description(runner),
        seed=seed,
        estimator=estimator,
        threshold=threshold,
        clips={"used": used, "looped": looped, "skipped": skipped},
        settings=identity.document(),
        ran_on=ran_on(circumstances),
    )
    for layer in runner.layers:
        row, units = summarize(layer, [group[layer] for group in groups if group], estimator, threshold)
        results.layers.append(row)
        results.units.extend(units)
    if out is not None:
        results.save(out)
    return results


def _validate(runner: Runner, clips: Sequence[Clip]) -> None:
    """Validate the arguments early, before anything is computed."""
    if not clips:
        raise InputError("there are no clips; pass at least two")
    if not runner.layers:
        raise InputError("the model was opened without layers, so there is nothing to measure; name at least one")
    for model_input in to_shuffle(runner.inputs):
        if model_input.frames < 2:
            raise InputError(
                f"model input {model_input.name!r} reads a single frame, which cannot be shuffled, so it has no static "
                "pair; use a model that reads several frames, or one that also reads optical flow"
            )


@dataclass(frozen=True)
class _Measurement:
    """How the shards of a run are computed and stored."""

    runner: Runner
    seed: int
    batch: int
    styles: Mapping[str, Style] | None
    identity: str

    def render(self, clip: Clip) -> Rendered:
        """Return the views of a clip."""
        return render(clip, self.seed, self.runner.inputs, self.styles)

    def make(
        self, rendered: Iterator[tuple[Clip, Rendered | Unusable]], clips: int, advance: Callable[[int], None]
    ) -> Shard:
        """Run the views of one shard, in batches that hold no other shard's, and take the moments of its pairs."""
        shard = Shard(ran_on=circumstance(self.runner, self.batch))
        ids: list[str] = []
        waiting: deque[tuple[View, Shown]] = deque()
        units: dict[str, list[NDArray[np.floating[Any]]]] = {layer: [] for layer in self.runner.layers}

        def forward(count: int) -> None:
            views, shown = zip(*(waiting.popleft() for _ in range(count)), strict=True)
            for layer, values in self.runner(feeds(views, shown)).items():
                _check_finite(values, layer, sum(map(len, units[layer])), ids)
                units[layer].append(values)

        for clip, outcome in rendered:
            if isinstance(outcome, Unusable):
                shard.skipped.append({"id": clip.id, "reason": outcome.reason})
                shard.passing += shard.skipped[-1:] if outcome.transient else []
            else:
                ids.append(clip.id)
                shard.looped += clip.looped
                waiting.extend(zip(*outcome, strict=True))
            while len(waiting) >= self.batch:
                forward(self.batch)
            advance(1)
        if waiting:
            forward(len(waiting))
        if len(ids) + len(shard.skipped) != clips:
            raise AssertionError(f"{len(ids)} used and {len(shard.skipped)} skipped clips do not add up to {clips}")
        shard.used = len(ids)
        eps = rounding_of(self.runner)
        for layer, parts in units.items():
            if parts:
                by_clip = np.concatenate(parts).reshape(len(ids), VIEWS_PER_CLIP, -1)
                shard.moments[layer] = {
                    factor: PairMoments.from_arrays(by_clip[:, i], by_clip[:, j], eps)
                    for factor, (i, j) in PAIRS.items()
                }
        return shard

    def load(self, path: Path, piece: Slice) -> Shard | None:
        """Read a shard of this run."""
        shard = load_shard(path, self.identity, self.runner.layers)
        return shard if shard and adds_up(piece.clips, shard.used, shard.skipped) else None

    def save(self, shard: Shard, path: Path) -> None:
        """Store a shard of this run, unless a clip is to be tried again."""
        if not shard.passing:
            save_shard(shard, path, self.identity)


def _check_finite(values: NDArray[np.floating[Any]], layer: str, first_view: int, ids: Sequence[str]) -> None:
    """Raise an `InputError` that names layer, unit and clip if an activation is NaN or infinite."""
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
