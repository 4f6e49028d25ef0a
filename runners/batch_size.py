"""How many views run at once: a fixed number on the CPU; on a graphics card, as many as make it faster and fit.

On a CPU a number that a clock decides would give other last bits in every run, and more views at once gain little
(`python -m benchmarks.throughput.batches` measures it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.feeds import random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.runners.protocols import ModelRunner, circumstance_of

BatchSize = int | Literal["auto"]

AUTO = "auto"

VIEWS = 6
"""Of a batch on the CPU: those of two clips."""

MOST_VIEWS = 48
"""Of a batch on a graphics card: those of the largest shard."""

GAIN = 1.05
"""How much faster twice as many views must be to run at once."""

ROUNDS = 3

WORTH = 64
"""Views of a data set for each view of a batch that is tried: trying takes eight."""

Call = Callable[[Mapping[str, NDArray[Any]]], object]


def batch_size(batch: object, runner: ModelRunner, call: Call, *, least: int = VIEWS, most: int = MOST_VIEWS) -> int:
    """Return the number that is meant by an argument `batch`, which may be `"auto"`.

    Parameters
    ----------
    batch
        A number from 1 on, or `"auto"`: `least` on the CPU; on a graphics card `least`, doubled as long as that is
        faster and fits its memory, and not above `most` or 48.
    runner
        Runs the model.
    call
        Runs it with feeds, as the batches will be run.
    least, most
        See above.

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> runner = SimpleNamespace(circumstance={"provider": "cpu"}, identity={}, inputs=[])
    >>> batch_size("auto", runner, print), batch_size(8, runner, print)
    (6, 8)
    """
    if not isinstance(batch, str):
        return whole("batch", batch, 1)
    if batch != AUTO:
        raise InputError(f"batch is {batch!r}; expected a whole number, at least 1, or 'auto'")
    if circumstance_of(runner).get("provider") != "cuda":
        return least
    return grown(call, runner.inputs, least, min(most, MOST_VIEWS))


def grown(call: Call, inputs: Sequence[ModelInput], least: int, most: int) -> int:
    """Return `least`, doubled as long as that is faster by `GAIN`, runs, and is not above `most`."""
    chosen, rate = least, 0.0
    size = least
    while size <= most and 2 * least <= most:
        try:
            faster = _rate(call, inputs, size)
        # Memory is short, as ONNX Runtime, NumPy or PyTorch say it. Anything else fails in the run, too, and is said.
        except (InputError, MemoryError, RuntimeError):
            break
        if faster < GAIN * rate:
            break
        chosen, rate = size, faster
        size *= 2
    return chosen


def _rate(call: Call, inputs: Sequence[ModelInput], views: int) -> float:
    """Return the views a second in batches of `views`: the best of a few rounds, after one that warms up."""
    feeds = random_feeds(inputs, views)
    call(feeds)
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call(feeds)
        seconds.append(time.perf_counter() - started)
    return views / max(min(seconds), 1e-9)
