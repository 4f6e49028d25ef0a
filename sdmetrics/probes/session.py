"""ONNX Runtime sessions, opened and run in the same way everywhere."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, require
from sdmetrics.probes.feeds import Arrays
from sdmetrics.probes.kept_weights import kept_arrays
from sdmetrics.probes.quiet import logs_shown, silent_stderr
from sdmetrics.probes.runtime_errors import reason_of

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession, RunOptions

WARNINGS, NOTHING = 2, 4
"""Severities from which the runtime logs. What fails is an exception as well."""

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds of computing in each of so many microseconds; `max` where there is no quota."""

_opening = threading.Lock()


def available_threads() -> int:
    """Return the number of processors that this process may use: its affinity and its container's quota, if any."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, _quota())


def _quota() -> int:
    """Return how many processors' time Linux grants the container, rounded up; a huge number without a quota."""
    try:
        granted, period = map(float, QUOTA.read_text().split())
        return max(math.ceil(granted / period), 1)
    except (OSError, ValueError):
        return sys.maxsize


def runtime() -> ModuleType:
    """Return ONNX Runtime, which logs as it is imported only if logs are shown, and reports nothing to its makers.

    It reads whether it may report when it is first imported; a setting of the user's own is kept.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if "onnxruntime" in sys.modules:
        return require("onnxruntime", extra="cpu")
    with silent_stderr():
        return require("onnxruntime", extra="cpu")


@contextmanager
def default_logger(ort: ModuleType) -> Iterator[None]:
    """While the block runs, let the runtime's default logger log only if logs are shown.

    The process has one, which other sessions of the user log to as well.
    """
    ort.set_default_logger_severity(_severity())
    try:
        yield
    finally:
        ort.set_default_logger_severity(WARNINGS)


def run_options() -> RunOptions:
    """Return the options of a run that logs only if logs are shown."""
    options = runtime().RunOptions()
    options.log_severity_level = _severity()
    return options


def _severity() -> int:
    """Return the severity from which the runtime logs."""
    return WARNINGS if logs_shown() else NOTHING


def open_session(
    model: ModelProto | bytes,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = ("CPUExecutionProvider",),
    threads: int | None = None,
    optimise: bool = True,
    without: Sequence[str] = (),
    memory: int | None = None,
    written: Path | None = None,
) -> InferenceSession:
    """Return a session that uses no more processors than it may, and logs only if logs are shown.

    The session maps the weights that a model in memory keeps in files, and does not copy them.
    `without` names optimisers of the runtime to disable; `memory` is how many bytes the session may take on the CPU;
    the model as the runtime optimises it is stored at `written`.

    Raises
    ------
    InputError
        If the runtime cannot load the model.
    """
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or available_threads()
    options.log_severity_level = _severity()
    # Otherwise CUDA adds up a mean in whatever order its threads finish.
    options.use_deterministic_compute = True
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        # A tensor's shape is taken as soon as the tensor exists, so that it need not stay in memory until then.
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    if written is not None:
        options.optimized_model_filepath = str(written)
    weights = {} if isinstance(model, bytes) else kept_arrays(model)
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
    if weights:
        options.add_external_initializers(list(weights), values)
    data = model if isinstance(model, bytes) else model.SerializeToString()
    if memory is not None:
        options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        with _limit(ort, memory), default_logger(ort):
            session: InferenceSession = ort.InferenceSession(
                data, options, providers=list(providers), disabled_optimizers=set(without)
            )
    except Exception as error:
        raise InputError(
            f"ONNX Runtime {ort.__version__} cannot load the model: {reason_of(error)}. Export it again"
        ) from None
    # The runtime reads them where they are, and does not keep them alive.
    vars(session)["weights"] = values
    return session


@contextmanager
def _limit(ort: ModuleType, memory: int | None) -> Iterator[None]:
    """While the block runs, let the allocator that the process's sessions share be a new one with a limit.

    A session keeps the one that it opened with. What is registered keeps its memory until the process ends, so that an
    empty one is left.
    """
    if memory is None:
        yield
        return
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    with _opening:
        ort.create_and_register_allocator(place, ort.OrtArenaCfg({"max_mem": memory}))
        try:
            yield
        finally:
            ort.create_and_register_allocator(place, ort.OrtArenaCfg({}))


def fixed_batch(model: ModelProto) -> int | None:
    """Return the number of clips that a model's or a probe's inputs are fixed to, or None."""
    weights = {tensor.name for tensor in model.graph.initializer}
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input if value.name not in weights]
    return next((shape[0].dim_value for shape in shapes if len(shape) > 1 and shape[0].dim_value), None)


def session_batch(session: InferenceSession) -> int | None:
    """Return the number of clips that an opened model or probe is fixed to, or None. Masks have one axis."""
    shapes = [value.shape for value in session.get_inputs() if len(value.shape) > 1]
    return next((shape[0] for shape in shapes if isinstance(shape[0], int)), None)


def in_batches(call: Callable[[Arrays], Arrays], feeds: Arrays, batch: int) -> dict[str, NDArray[Any]]:
    """Call a model on `batch` clips at a time and return its outputs for all clips.

    The last batch is filled up by repeating its last clip.

    Examples
    --------
    >>> doubled = in_batches(lambda fed: {"y": 2 * fed["x"]}, {"x": np.arange(6).reshape(3, 2)}, batch=2)
    >>> doubled["y"].tolist()
    [[0, 2], [4, 6], [8, 10]]
    """
    return joined(((call(part), used) for part, used in batches(feeds, batch)), batch)


def batches(feeds: Arrays, batch: int) -> Iterator[tuple[Arrays, int]]:
    """Yield feeds of `batch` clips at a time, and how many of these clips do not merely fill up the last batch."""
    fed = {name: array for name, array in feeds.items() if array.ndim > 1}
    other = {name: array for name, array in feeds.items() if array.ndim == 1}
    clips = len(next(iter(fed.values())))
    for start in range(0, clips, batch):
        chosen = np.minimum(np.arange(start, start + batch), clips - 1)
        yield {**other, **{name: array[chosen] for name, array in fed.items()}}, min(batch, clips - start)


def joined(parts: Iterable[tuple[Arrays, int]], batch: int) -> dict[str, NDArray[Any]]:
    """Return the outputs for all clips, given those for each of the `batches` and how many of its clips count."""
    rows: dict[str, list[NDArray[Any]]] = {}
    for part, used in parts:
        for name, value in part.items():
            rows.setdefault(name, []).append(_of_clips(value, used, batch))
    return {name: np.concatenate(values) for name, values in rows.items()}


def _of_clips(value: NDArray[Any], used: int, batch: int) -> NDArray[Any]:
    """Return the rows of an output for the first `used` clips of a batch; an output without rows is one entry."""
    if value.ndim == 0 or len(value) % batch or (batch == 1 and len(value) != 1):
        return value[None]
    return value[: used * (len(value) // batch)]
