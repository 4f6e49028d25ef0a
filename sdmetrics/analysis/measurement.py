"""Measurement: how one shard of a run is computed from its clips, stored and loaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.analysis.circumstance import circumstance
from sdmetrics.analysis.responses import Kept, beside
from sdmetrics.analysis.shards import Shard, Slice, load_shard, save_shard
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.manipulations.further import factors_with, pairs_with
from sdmetrics.clips.manipulations.manipulate import manipulated_view
from sdmetrics.clips.prefetch import Unusable
from sdmetrics.clips.render import Shown, feeds, render
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.clips.views import VIEWS_PER_CLIP, View
from sdmetrics.errors import InputError
from sdmetrics.metrics.moments import PairMoments
from sdmetrics.runners.protocols import Runner, model_description, rounding_of

Rendered = tuple[tuple[View, ...], list[Shown]]


@dataclass(frozen=True)
class Measurement:
    """How the shards of a run are computed and stored.

    Parameters
    ----------
    runner
        Runs the model.
    seed, styles, batch
        How clips are rendered, and the batch size, in views; see `sdmetrics.analyze`.
    identity
        The digest of the run's identity.
    keep
        Whether the responses to all views are stored beside the shards.
    also
        The manipulations whose pairs are measured, too.
    """

    runner: Runner
    seed: int
    batch: int
    styles: Mapping[str, Style] | None
    identity: str
    keep: bool = False
    also: tuple[str, ...] = ()

    def render(self, clip: Clip) -> Rendered:
        """Return the views of a clip."""
        views, shown = render(clip, self.seed, self.runner.inputs, self.styles)
        more = [manipulated_view(name, clip, views[0], shown[0], self.seed, self.runner.inputs) for name in self.also]
        return (*views, *(view for view, _ in more)), [*shown, *(drawn for _, drawn in more)]

    def make(
        self, rendered: Iterator[tuple[Clip, Rendered | Unusable]], clips: int, advance: Callable[[int], None]
    ) -> Shard:
        """Run the views of one shard, in batches that hold no other shard's, and take the moments of its pairs."""
        shard = Shard(ran_on=circumstance(self.runner, self.batch), model=model_description(self.runner)["name"])
        ids = shard.ids
        # Further views run in batches of their own, so that those of the paper's pairs keep their bits.
        queues = [_Queue(self, ids, VIEWS_PER_CLIP), *([_Queue(self, ids, len(self.also))] if self.also else [])]
        for clip, outcome in rendered:
            if isinstance(outcome, Unusable):
                shard.skipped.append({"id": clip.id, "reason": outcome.reason})
                shard.passing += shard.skipped[-1:] if outcome.transient else []
            else:
                ids.append(clip.id)
                shard.looped += clip.looped
                views = list(zip(*outcome, strict=True))
                for queue, own in zip(queues, (views[:VIEWS_PER_CLIP], views[VIEWS_PER_CLIP:]), strict=False):
                    queue.add(own)
            advance(1)
        for queue in queues:
            queue.finish()
        if len(ids) + len(shard.skipped) != clips:
            raise AssertionError(f"{len(ids)} used and {len(shard.skipped)} skipped clips do not add up to {clips}")
        eps = rounding_of(self.runner)
        for layer in self.runner.layers if ids else ():
            by_clip = np.concatenate([queue.by_clip(layer) for queue in queues], axis=1)
            shard.moments[layer] = {
                factor: PairMoments.from_arrays(by_clip[:, i], by_clip[:, j], eps)
                for factor, (i, j) in pairs_with(self.also).items()
            }
            if self.keep:
                shard.responses[layer] = by_clip
        return shard

    def load(self, path: Path, piece: Slice) -> Shard | None:
        """Read a shard of this run."""
        shard = load_shard(path, self.identity, self.runner.layers, factors_with(self.also))
        known = [clip.id for clip in piece.clips]
        return shard if shard and sorted([*shard.ids, *(row["id"] for row in shard.skipped)]) == sorted(known) else None

    def save(self, shard: Shard, path: Path) -> None:
        """Store a shard of this run, unless a clip is to be tried again."""
        if not shard.passing:
            if self.keep:  # first, so that a shard that is there has them
                self.save_responses(shard, beside(path))
            save_shard(shard, path, self.identity)

    def save_responses(self, shard: Shard, path: Path) -> None:
        """Store the responses of a shard of this run."""
        Kept(shard.ids, shard.responses, rounding_of(self.runner)).save(path, self.identity)


class _Queue:
    """Views of the clips of a shard, as many of each, that wait to run in batches; and the units of those that ran."""

    def __init__(self, work: Measurement, ids: Sequence[str], per_clip: int) -> None:
        self._work, self._ids, self._per_clip = work, ids, per_clip
        self._waiting: deque[tuple[View, Shown]] = deque()
        self._units: dict[str, list[NDArray[np.floating[Any]]]] = {layer: [] for layer in work.runner.layers}

    def add(self, views: Iterable[tuple[View, Shown]]) -> None:
        """Add the views of the clip whose id is the last; run every full batch."""
        self._waiting.extend(views)
        while len(self._waiting) >= self._work.batch:
            self._run(self._work.batch)

    def finish(self) -> None:
        """Run the views that still wait."""
        if self._waiting:
            self._run(len(self._waiting))

    def by_clip(self, layer: str) -> NDArray[np.floating[Any]]:
        """Return the units of a layer, `(clips, views, units)`."""
        return np.concatenate(self._units[layer]).reshape(len(self._ids), self._per_clip, -1)

    def _run(self, count: int) -> None:
        """Run the views that came first."""
        views, shown = zip(*(self._waiting.popleft() for _ in range(count)), strict=True)
        for layer, values in self._work.runner(feeds(views, shown)).items():
            units = self._units[layer]
            _check_finite(values, layer, sum(map(len, units)), self._ids, self._per_clip)
            units.append(values)


def _check_finite(
    values: NDArray[np.floating[Any]], layer: str, first_view: int, ids: Sequence[str], per_clip: int
) -> None:
    """Raise an `InputError` that names layer, unit and clip if an activation is NaN or infinite."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, unit = bad[0]
        clip = ids[(first_view + row) // per_clip]
        raise InputError(
            f"layer {layer!r}, unit {unit}, clip {clip!r}: the activation is {values[row, unit]}; correlations need "
            "finite numbers. Check the model's weights and its input's mean and std (half precision may overflow)"
        )
