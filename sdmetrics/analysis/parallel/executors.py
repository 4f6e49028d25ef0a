"""spread(): the shards of a run are measured by the workers of an executor, and stored and added in order here.

A worker is sent a slice of the clips and answers with the shard, which is small. Since shards are added in their order,
the bits of the results do not depend on who measured what.
"""

from __future__ import annotations

import pickle
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, wait
from dataclasses import replace
from itertools import count, groupby, islice
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sdmetrics._interrupts import stop_if_asked
from sdmetrics._progress import progress_bar
from sdmetrics.analysis.measurement import Measurement
from sdmetrics.analysis.parallel.worker import Job, Source, batch_here, deciding, described, measured, views_run
from sdmetrics.analysis.shards import Shard, Slice
from sdmetrics.errors import InputError, note, one_line, require
from sdmetrics.runners.batch_size import BatchSize

LOOK, PATIENCE = 5.0, 60
"""Seconds after which a wait for a cluster looks whether it has workers, and looks in a row that may find none.

Looks are counted, not timed: the clock goes on while a machine is asleep or its processes are held, and on a busy
machine a new worker takes many seconds, which a clip that crashes it asks for three times."""

IN_FLIGHT = 256
"""Shards that are handed out and not yet added: enough for that many workers, and little memory."""

KEPT_IN_FLIGHT = 64
"""The same for shards that come with their responses, which are larger."""

CRASHED = "it crashed its worker"
"""How the reason begins for which such a clip is skipped."""

Waiting = deque[tuple[Slice, "Future[Shard]"]]
Measuring = Callable[[Slice], "Future[Shard]"]


class RemoteModel:
    """A model that the workers of an executor open, each once; here is only its description.

    Parameters
    ----------
    source
        Describes the model, e.g. a `sdmetrics.ModelSource`.
    executor
        Any executor of `concurrent.futures`' kind, or a client of Dask.

    Raises
    ------
    InputError
        If a worker cannot open the model.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from sdmetrics.demo import demo_model
    >>> from sdmetrics.loading.model_source import ModelSource
    >>> with demo_model("motion") as path, ThreadPoolExecutor(1) as executor:
    ...     RemoteModel(ModelSource(path, provider="cpu"), executor).layers[0]
    'stem'
    """

    def __init__(self, source: Source, executor: Any) -> None:  # noqa: ANN401  Dask's client is optional
        self.source = source
        self._client = executor if hasattr(executor, "get_executor") else None
        self.executor: Executor = executor.get_executor() if self._client else executor
        if not callable(getattr(self.executor, "submit", None)):
            raise InputError(
                f"executor is a {type(executor).__name__}; pass an executor, e.g. of concurrent.futures, or a client "
                "of Dask"
            )
        self._run = uuid.uuid4().hex
        self._packed = _packed(source)
        about = self._ask(described)
        self.name, self.inputs, self.layers = about.name, about.inputs, about.layers
        self.identity, self.circumstance = about.identity, about.circumstance
        self.file, self.stride_assumed = about.file, about.stride_assumed
        for text in about.notes:
            note(text)

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return the units of some views, which a worker runs."""
        units: Mapping[str, NDArray[Any]] = self._ask(views_run, feeds)
        return units

    def batch_size(self, batch: BatchSize, most: int) -> int:
        """Return how many views at once are meant by an argument `batch` where the model runs."""
        return int(self._ask(batch_here, batch, most))

    def measuring(self, work: Measurement) -> Measuring:
        """Return a function that lets a worker measure a slice."""
        how = (work.seed, work.batch, work.styles, work.identity, work.keep, work.also)
        packed = _packed(Job(self.source, *how, deciding(self)))
        # With Dask it is sent to each worker once, and sent again where a worker was lost.
        sent = packed if self._client is None else self._client.submit(_same, packed, pure=False)
        numbers = count()
        return lambda piece: self.executor.submit(measured, self._run, sent, piece, next(numbers))

    def wait(self, *futures: Future[Any]) -> None:
        """Wait for the tasks of a cluster; Dask itself waits without end where no worker is left.

        Raises
        ------
        InputError
            If a cluster of this machine was without workers at `PATIENCE` looks. To others new ones may come at any
            time, so that there is only a note.
        """
        looks = 0
        while self._client is not None and wait(futures, timeout=LOOK).not_done:
            looks = 0 if self._client.nthreads() else looks + 1
            if looks != PATIENCE:
                continue
            lasted = f"the cluster has had no workers for {LOOK * PATIENCE:.0f} s"
            if isinstance(self._client.cluster, require("distributed", extra="dask").LocalCluster):
                raise InputError(
                    f"{lasted}: they ended, and none could be started again. Finished shards are kept: run the same "
                    "again to resume, with fewer workers if memory is short"
                )
            note(f"{lasted}; the run continues with the first")

    def _ask(self, question: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  what it returns
        """Return what a worker answers."""
        future = self.executor.submit(question, self._run, self._packed, *arguments)
        self.wait(future)
        return _answer(future)


def spread(
    work: Measurement, pieces: Sequence[Slice], folder: Path | None, *, progress: bool = True
) -> Generator[tuple[Slice, Shard], None, None]:
    """Yield every shard in order, as `resumed` does; the workers of the executor measure those that are missing.

    `work.runner` is a `RemoteModel`. At most `IN_FLIGHT` shards are handed out at once. Where the run ends early, those
    that wait are cancelled, and those that are finished are stored.

    Raises
    ------
    InputError
        What a worker raises; if a worker ended, unless Dask can start another.
    """
    assert isinstance(work.runner, RemoteModel)
    measure = work.runner.measuring(work)
    paths = [folder / piece.file_name if folder else None for piece in pieces]
    stored = [path is not None and path.exists() for path in paths]
    done = sum(len(piece.clips) for piece, is_stored in zip(pieces, stored, strict=True) if is_stored)
    waiting: Waiting = deque()
    todo = (piece for piece, is_stored in zip(pieces, stored, strict=True) if not is_stored)
    most = min(IN_FLIGHT, KEPT_IN_FLIGHT) if work.keep else IN_FLIGHT
    remote = work.runner
    missing = _in_order(remote, measure, waiting, todo, most)
    try:
        with progress_bar("clips", sum(len(piece.clips) for piece in pieces), done, progress) as advance:
            for piece, path, is_stored in zip(pieces, paths, stored, strict=True):
                shard = work.load(path, piece) if path is not None and is_stored else None
                if shard is None:
                    stop_if_asked(paths)
                    if is_stored:
                        advance(-len(piece.clips))
                        shard = next(_in_order(remote, measure, deque(), iter([piece]), most))
                    else:
                        shard = next(missing)
                    if path is not None:
                        work.save(shard, path)
                    advance(len(piece.clips))
                yield piece, shard
    except Exception:
        _keep(work, waiting, folder)
        raise
    finally:
        for _, future in waiting:
            future.cancel()


def _in_order(
    remote: RemoteModel, measure: Measuring, waiting: Waiting, pieces: Iterator[Slice], most: int
) -> Iterator[Shard]:
    """Yield the shards of slices in order; `waiting` holds those that are handed out, at most `most`.

    Of a round the largest are handed out first, so that no worker begins one while the others have finished.
    """
    for _, of_round in groupby(pieces, lambda piece: piece.index):
        while next_pieces := list(islice(of_round, most)):
            while len(waiting) + len(next_pieces) > most:
                yield _next(remote, measure, waiting)
            futures = {id(piece): measure(piece) for piece in sorted(next_pieces, key=_clips, reverse=True)}
            waiting.extend((piece, futures[id(piece)]) for piece in next_pieces)
    while waiting:
        yield _next(remote, measure, waiting)


def _clips(piece: Slice) -> int:
    """Return the number of clips of a slice."""
    return len(piece.clips)


def _next(remote: RemoteModel, measure: Measuring, waiting: Waiting) -> Shard:
    """Return the next shard. If its workers died, find the clips that are the cause, and measure it without them."""
    piece, future = waiting.popleft()
    if not _deaths(remote, future):
        shard: Shard = _answer(future)
        return shard
    # Whoever runs beside a clip that kills workers is suspected, too: each is tried with nothing beside it.
    remote.wait(*(other for _, other in waiting))
    fatal: dict[str, int] = {}
    for clip in piece.clips:
        if died := _deaths(remote, measure(replace(piece, clips=(clip,)))):
            fatal[clip.id] = died
    rest = measure(replace(piece, clips=tuple(clip for clip in piece.clips if clip.id not in fatal)))
    if _deaths(remote, rest):
        raise InputError(
            f"clips from {piece.clips[0].id!r} on crash their worker together, though none does alone; use "
            "workers with more memory, or a smaller batch. Finished shards are kept: run the same again"
        )
    shard = _answer(rest)
    rows = {row["id"]: row for row in shard.skipped}
    rows |= {name: {"id": name, "reason": f"{CRASHED} {died} times"} for name, died in fatal.items()}
    shard.skipped = [rows[clip.id] for clip in piece.clips if clip.id in rows]
    return shard


def _deaths(remote: RemoteModel, future: Future[Shard]) -> int:
    """Return how many workers died over a task, if Dask gave it up for that."""
    remote.wait(future)
    error = future.exception()
    return 1 + int(getattr(error, "allowed_failures", 0)) if type(error).__name__ == "KilledWorker" else 0


def _answer(future: Future[Any]) -> Any:  # noqa: ANN401  whatever was asked for
    """Return what a worker answers, or raise in one line what went wrong."""
    try:
        return future.result()
    except BrokenExecutor as error:
        raise InputError(
            f"a worker ended while it computed ({one_line(error)}): it was killed, memory was short, or a clip crashed "
            "it. Finished shards are kept: make a new executor and run the same again to resume. With Dask (--dask) "
            "the others continue, and the clip is named"
        ) from None
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        raise InputError(
            f"a clip cannot be sent to another process ({one_line(error)}); let its load be a function of a module, or "
            "an object of a class of one"
        ) from None


def _keep(work: Measurement, waiting: Waiting, folder: Path | None) -> None:
    """Store the shards that are finished and not yet added."""
    for piece, future in waiting if folder else ():
        if future.done() and not future.cancelled() and not future.exception():
            assert folder is not None
            work.save(future.result(), folder / piece.file_name)


def _packed(value: object) -> bytes:
    """Return a value as bytes. Functions of a notebook are sent where cloudpickle is, which Dask and loky bring."""
    try:
        from cloudpickle import dumps
    except ImportError:
        dumps = pickle.dumps
    try:
        packed: bytes = dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"the model or a style cannot be sent to another process ({one_line(error)}); define it in a module"
        ) from None
    return packed


def _same(packed: bytes) -> bytes:
    """Return what was sent; Dask keeps it where it is needed."""
    return packed
