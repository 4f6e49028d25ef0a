"""An evaluation beside an analysis of the same clips: both go from slice to slice, and each clip is decoded once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from sdmetrics.analysis.keeping import Measure
from sdmetrics.analysis.resume import resumed
from sdmetrics.analysis.shards import Shard, Slice
from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError
from sdmetrics.evaluation.slicewise import Evaluating, Outcomes

Loaded = TypeVar("Loaded")
Rendered = TypeVar("Rendered")


def beside(
    measure: Measure,
    work: Evaluating[Rendered],
    own: Sequence[Slice],
    folder: Path | None,
    made: dict[str, Outcomes],
) -> Measure:
    """Return a function that measures shards as `measure` does, and evaluates each slice once its shard is there.

    Parameters
    ----------
    measure
        Measures the shards of slices in this process, see `sdmetrics.analysis.resume.resumed`.
    work, own, folder
        How slices are evaluated, all of them, and the folder of those that are finished.
    made
        Filled with the outcomes, by the names of the slices.

    Raises
    ------
    InputError
        When it is called, if its slices are not those of the evaluation.
    """
    known = {piece.file_name: _ids(piece) for piece in own}

    def both(
        measurement: Any,  # noqa: ANN401  of whatever is measured
        pieces: Sequence[Slice],
        shards: Path | None,
        *,
        progress: bool = True,
    ) -> Generator[tuple[Slice, Shard], None, None]:
        if any(known.get(piece.file_name) != _ids(piece) for piece in pieces):
            raise InputError("the analysis and the evaluation beside it have different clips; pass the same to both")
        both_lack = [_lacks(shards, piece) and _lacks(folder, piece) for piece in pieces]
        pieces = [_shared(piece) if lack else piece for piece, lack in zip(pieces, both_lack, strict=True)]
        with (
            closing(measure(measurement, pieces, shards, progress=progress)) as measured,
            closing(resumed(work, pieces, folder, progress=False)) as evaluated,
        ):
            for of_piece, (piece, outcomes) in zip(measured, evaluated, strict=True):
                made[piece.file_name] = outcomes
                for clip in piece.clips:
                    _forget(clip)
                yield of_piece

    return both


class _Once(Generic[Loaded]):
    """Loads what several read, once, and keeps it until nobody reads it any more."""

    __slots__ = ("_load", "_loaded")
    _lock = threading.Lock()

    def __init__(self, load: Callable[[], Loaded]) -> None:
        self._load = load
        self._loaded: Future[Loaded] | None = None

    def __call__(self) -> Loaded:
        with self._lock:
            is_first = self._loaded is None
            loaded = self._loaded = self._loaded or Future()
        if is_first:
            try:
                loaded.set_result(self._load())
            except BaseException as error:
                loaded.set_exception(error)
        return loaded.result()

    @property
    def looped(self) -> bool:
        """Whether frames are repeated."""
        return bool(getattr(self._load, "looped", False))

    def forget(self) -> None:
        """Keep it no longer."""
        self._loaded = None


def _shared(piece: Slice) -> Slice:
    """Return a slice whose clips load their frames and flow once, until they are forgotten."""
    return replace(
        piece,
        clips=tuple(
            replace(clip, load=_Once(clip.load), load_flow=None if clip.load_flow is None else _Once(clip.load_flow))
            for clip in piece.clips
        ),
    )


def _forget(clip: Clip) -> None:
    """Drop what was loaded of a clip."""
    for load in (clip.load, clip.load_flow):
        if isinstance(load, _Once):
            load.forget()


def _ids(piece: Slice) -> list[str]:
    """Return the names of a slice's clips."""
    return [clip.id for clip in piece.clips]


def _lacks(folder: Path | None, piece: Slice) -> bool:
    """Return whether a slice is not stored in a folder."""
    return folder is None or not (folder / piece.file_name).exists()
