"""keep_lacking(): measure the responses that finished shards lack; the shards stay as they are, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path

from sdmetrics.analysis.measurement import Measurement
from sdmetrics.analysis.responses import FOLDER, Kept, beside
from sdmetrics.analysis.shards import Shard, Slice
from sdmetrics.clips.views import VIEWS_PER_CLIP
from sdmetrics.errors import note
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.runners.protocols import Runner

BYTES = 4
"""Of a response: models return float32."""

Measure = Callable[..., Generator[tuple[Slice, Shard], None, None]]
"""`resumed`, or `spread` for a model that other processes open."""


@dataclass(frozen=True)
class ResponsesOnly(Measurement):
    """How the responses of shards that are there are computed and stored."""

    def load(self, path: Path, piece: Slice) -> None:
        """Read nothing: only those that are missing or damaged are asked for."""

    def save(self, shard: Shard, path: Path) -> None:
        """Store the responses of a shard, if all of its clips could be read again."""
        if not shard.skipped:
            self.save_responses(shard, path)


def keep_lacking(
    measure: Measure, work: Measurement, pieces: Sequence[Slice], folder: Path, *, progress: bool = True
) -> None:
    """Measure the responses that some of these shards lack, as far as the shards are in `folder`.

    Parameters
    ----------
    measure
        Measures shards.
    work, pieces
        How shards are computed, and their slices.
    folder
        The folder of the shards.
    progress
        Whether to show a progress bar.
    """
    lacking: list[Slice] = []
    stored: dict[str, Shard] = {}
    for piece in pieces:
        path = folder / piece.file_name
        shard = work.load(path, piece) if path.exists() else None
        if shard and Kept.load(beside(path), work.identity, work.runner.layers, shard.ids, work.also) is None:
            used = set(shard.ids)
            lacking.append(replace(piece, clips=tuple(clip for clip in piece.clips if clip.id in used)))
            stored[piece.file_name] = shard
    if not lacking:
        return
    only = ResponsesOnly(**{item.name: getattr(work, item.name) for item in fields(work)})
    unlike, unread = 0, []
    with closing(measure(only, lacking, folder.parent / FOLDER, progress=progress)) as measured:
        for piece, shard in measured:
            if shard.skipped:
                unread += shard.skipped
            else:
                unlike += shard.moments != stored[piece.file_name].moments
    if unread:
        note(
            f"{len(unread)} clip(s) that were used cannot be read now, e.g. {unread[0]['id']}: "
            f"{unread[0]['reason']}. The responses of their shards are missing; run the same again to try them"
        )
    if unlike:
        note(
            f"the responses of {unlike} shard(s) differ from the measured ones in the last bits, as they were computed "
            "with another batch size, machine or version: numbers from them agree within 1e-5, not to the bit"
        )


def size_in_words(runner: Runner, clips: int, also: Sequence[str] = ()) -> str:
    """Return how large the responses to so many clips are; the model is run once for the number of its units.

    Examples
    --------
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.open import open_model
    >>> with demo_model("motion") as path:
    ...     size_in_words(open_model(path, provider="cpu"), clips=10_000)
    '10,000 clips × 3 views × 136 units × 4 bytes = 16.3 MB'
    """
    units = sum(values.shape[-1] for values in runner(random_feeds(runner.inputs, 1)).values())
    views = VIEWS_PER_CLIP + len(also)
    size = clips * views * units * BYTES
    return f"{clips:,} clips × {views} views × {units:,} units × {BYTES} bytes = {size / 1e6:,.1f} MB"
