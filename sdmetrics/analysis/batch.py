"""How many views of a run are computed at once, where that is left to the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sdmetrics._files import load_header
from sdmetrics.analysis.shards import Slice, shard_files
from sdmetrics.clips.views import VIEWS_PER_CLIP
from sdmetrics.runners.batch_size import AUTO, batch_size
from sdmetrics.runners.protocols import Runner, circumstance_of

SAME = ("provider", "device", "runtime")
"""What is the same wherever one batch size gives the same bits."""


def batch_of_run(batch: object, runner: Runner, pieces: Sequence[Slice], folder: Path | None) -> int:
    """Return the number that is meant by an argument `batch`: `"auto"` keeps that of finished shards.

    A batch never has more views than the largest shard.

    Raises
    ------
    InputError
        If it is neither a number from 1 on nor `"auto"`.
    """
    if batch == AUTO and folder is not None and (before := _before(folder, runner)):
        return before
    most = VIEWS_PER_CLIP * max((len(piece.clips) for piece in pieces), default=1)
    # A model that other processes run is tried there.
    there = getattr(runner, "batch_size", None)
    return int(there(batch, most)) if there else batch_size(batch, runner, runner, most=most)


def _before(folder: Path, runner: Runner) -> int | None:
    """Return the batch size of the first finished shard, if it was computed on such a device."""
    here = circumstance_of(runner)
    for _, path in shard_files(folder)[:1]:
        there = (load_header(path) or {}).get("ran_on")
        if isinstance(there, dict) and all(there.get(name) == here.get(name) for name in SAME):
            number = there.get("batch")
            return number if type(number) is int and number > 0 else None
    return None
