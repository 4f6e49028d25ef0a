"""What runs in the workers of an executor: each opens the model of a run once, and measures shards of it."""

from __future__ import annotations

import json
import pickle
import platform
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sdmetrics.analysis.identity import METHOD, Document, json_differences
from sdmetrics.analysis.measurement import Measurement
from sdmetrics.analysis.shards import Shard, Slice
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.prefetch import decoding_threads, rendered_ahead
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.errors import InputError, Note
from sdmetrics.probes.inputs import ModelInput, reads_flow
from sdmetrics.runners.batch_size import BatchSize, batch_size
from sdmetrics.runners.protocols import Runner, circumstance_of, model_description


class Source(Protocol):
    """Describes a model, so that another process can open it; see `sdmetrics.ModelSource`."""

    def open(self) -> Runner:
        """Return the runner of the model."""


@dataclass(frozen=True)
class Description:
    """What a worker says about the model that it opened."""

    name: str
    inputs: tuple[ModelInput, ...]
    layers: tuple[str, ...]
    identity: Document
    circumstance: Document
    file: object
    stride_assumed: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """All that the shards of a run have in common.

    Parameters
    ----------
    source
        The model.
    seed, batch, styles, identity, keep, also
        See `Measurement`.
    decided
        What the model must be, see `deciding`.
    """

    source: Source
    seed: int
    batch: int
    styles: Mapping[str, Style] | None
    identity: str
    keep: bool
    also: tuple[str, ...]
    decided: Document


@dataclass
class _Held:
    """What this process has open: of one run, so that a worker of many runs does not fill its memory."""

    run: str = ""
    runner: Runner | None = None
    job: Job | None = None
    notes: tuple[str, ...] = ()


_held = _Held()
_one_at_a_time = threading.RLock()


def described(run: str, source: bytes) -> Description:
    """Open the model of a run, and describe it."""
    with _one_at_a_time:
        runner = _opened(run, lambda: _unpacked(source))
        return Description(
            name=model_description(runner)["name"],
            inputs=tuple(runner.inputs),
            layers=tuple(runner.layers),
            identity=dict(runner.identity),
            circumstance=circumstance_of(runner),
            file=getattr(runner, "file", None),
            stride_assumed=bool(getattr(runner, "stride_assumed", False)),
            notes=_held.notes,
        )


def batch_here(run: str, source: bytes, batch: BatchSize, most: int) -> int:
    """Return how many views at once are meant by an argument `batch` where the model runs."""
    with _one_at_a_time:
        runner = _opened(run, lambda: _unpacked(source))
        return batch_size(batch, runner, runner, most=most)


def views_run(run: str, source: bytes, feeds: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the units of some views."""
    with _one_at_a_time:
        return _opened(run, lambda: _unpacked(source))(feeds)


def measured(run: str, packed: bytes, piece: Slice, _number: int) -> Shard:
    """Measure one shard, as a run in one process does.

    The number of the task tells a shard that is tried again from the first try, whose answer Dask would give again.

    Raises
    ------
    InputError
        If the model is not the one that the run began with, or the measurement fails.
    """
    with _one_at_a_time:
        job: Job = _unpacked(packed) if _held.run != run or _held.job is None else _held.job
        runner = _opened(run, lambda: job.source)
        if _held.job is None:
            _check_same(job.decided, runner)
            _held.job = job
        work = Measurement(runner, job.seed, job.batch, job.styles, job.identity, job.keep, job.also)
        threads = decoding_threads(circumstance_of(runner))
        with rendered_ahead(work.render, piece.clips, threads) as rendered:
            return work.make(rendered, len(piece.clips), lambda _clips: None)


def deciding(runner: Runner) -> Document:
    """Return what decides the numbers of a worker: the model, how it is fed, and the versions of the method."""
    document: Document = json.loads(
        json.dumps(
            {
                "model": dict(runner.identity),
                "layers": list(runner.layers),
                "inputs": [item.document() for item in runner.inputs],
                "flow": estimator() if reads_flow(runner.inputs) else None,
                "method": METHOD,
            }
        )
    )
    return document


def _check_same(decided: Document, runner: Runner) -> None:
    """Raise an `InputError` if another model was opened than the one that the run began with."""
    changes = json_differences(decided, deciding(runner))
    if changes:
        raise InputError(
            f"the worker on {platform.node()} opened another model than the run began with: {'; '.join(changes)}. Use "
            "the same file, versions and options for all workers; finished shards are kept"
        )


def _opened(run: str, source: Callable[[], Source]) -> Runner:
    """Return the model of a run, opened once; that of another run is dropped first."""
    if _held.run != run or _held.runner is None:
        _held.run, _held.runner, _held.job = run, None, None
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always", Note)
            _held.runner = source().open()
        # The caller tells the user once what every worker notes.
        _held.notes = tuple(str(item.message) for item in raised if issubclass(item.category, Note))
    return _held.runner


def _unpacked(packed: bytes) -> Any:  # noqa: ANN401  what was packed
    """Return what the caller packed."""
    try:
        return pickle.loads(packed)  # noqa: S301  the caller's own
    except (AttributeError, ImportError) as error:
        raise InputError(
            f"the worker on {platform.node()} cannot be given the model or the styles ({error}); define them in a "
            "module that the workers can import"
        ) from None
