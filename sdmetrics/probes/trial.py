"""Trials: runs that find out about a model, each within a budget of memory and time that grows with the model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError
from sdmetrics.probes.feeds import Arrays, Feeds, OverBudget, machine_memory
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.kept_weights import kept_size
from sdmetrics.probes.runtime_errors import is_short_of_memory, reason_of
from sdmetrics.probes.session import in_batches, open_session, run_options, session_batch

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

CLIPS = 3
"""Clips that a trial is expected to run at once, unless the file is fixed to more."""

MEMORY, MEMORY_PER_BYTE = 2**30, 64
"""Bytes that a trial may take: a fixed part, and a part for every byte of weights and inputs. Attention among all
places of all frames takes the most: 25 bytes for each."""

SHARE = 0.75
"""Part of the machine's memory that no trial exceeds."""

SECONDS, SECONDS_PER_BYTE = 20.0, 2e-6
"""Time that a run may take: a fixed part, and a part for every byte of weights and inputs."""

FLOAT_TYPES = {"tensor(float16)": np.float16, "tensor(double)": np.float64}


@dataclass(frozen=True)
class Trial:
    """A session on the CPU with its budget: `size` is that of the model in bytes, `memory` what it may take."""

    session: InferenceSession
    size: int
    memory: int


def values_in_clip(inputs: Sequence[ModelInput]) -> int:
    """Return the number of values that a model reads for one clip.

    Examples
    --------
    >>> values_in_clip([ModelInput("video", frames=8, size=(4, 4))])
    384
    """
    return sum(item.frames * item.channels * prod(item.size) for item in inputs)


def open_trial(
    model: ModelProto | bytes,
    values: int,
    optimise: bool = True,
    fold: bool = True,
    batch: int | None = None,
    returned: int = 0,
) -> Trial:
    """Return a trial of a model that reads so many values for one clip.

    `batch` is the number of clips that the model is fixed to, `returned` the values that it returns for one clip beside
    its own outputs; both add to the memory that it may take.

    Without `fold`, the runtime does not compute constants as it loads the model: it does that outside the budget, so
    the first trial of a file has to be without.

    Raises
    ------
    InputError
        If the runtime cannot load the model.
    """
    clips = max(CLIPS, batch or 0)
    size = len(model) if isinstance(model, bytes) else model.ByteSize() + kept_size(model)
    explained = MEMORY + MEMORY_PER_BYTE * (size + 4 * clips * values) + 4 * clips * returned
    memory = int(min(explained, SHARE * machine_memory()))
    without = () if fold else ("ConstantFolding",)
    return Trial(open_session(model, optimise=optimise, without=without, memory=memory), size, memory)


def run(trial: Trial, feeds: Feeds, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Run a trial, in batches of its model's fixed size if it has one.

    Raises
    ------
    InputError
        See `run_once`.
    """
    batch = session_batch(trial.session)
    if batch is None:
        return run_once(trial, feeds, outputs)
    return in_batches(lambda fed: run_once(trial, fed, outputs), feeds, batch)


def run_once(trial: Trial, feeds: Feeds, outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Run a trial once.

    Raises
    ------
    InputError
        If the model fails; the message names the number of clips.
    OverBudget
        If it takes more than its budget.
    """
    if not outputs:  # the runtime returns all outputs if none is named
        return {}
    types = {value.name: FLOAT_TYPES.get(value.type) for value in trial.session.get_inputs()}
    fed = {name: array.astype(types.get(name) or array.dtype, copy=False) for name, array in feeds.items()}
    clips = len(next(iter(feeds.values())))
    seconds = SECONDS + SECONDS_PER_BYTE * (trial.size + sum(array.nbytes for array in fed.values()))
    options = run_options()
    stop = threading.Timer(seconds, setattr, (options, "terminate", True))
    stop.daemon = True
    stop.start()
    try:
        return dict(zip(outputs, trial.session.run(list(outputs), fed, options), strict=True))
    except Exception as error:
        if options.terminate:
            raise OverBudget(
                f"the model was stopped after {seconds:.0f} s on a batch of {clips} clip(s), more than a model of its "
                "size needs: it may loop without end. Export it with loops of a fixed length, or with fewer frames"
            ) from None
        if is_short_of_memory(error):
            raise OverBudget(
                f"the model takes more than {trial.memory / 2**30:.1f} GiB on a batch of {clips} clip(s) "
                f"({reason_of(error)}): more than a model of its size needs, or than this machine has. Export it for "
                "fewer frames or smaller ones"
            ) from None
        raise InputError(
            f"the model fails on a batch of {clips} clip(s): {reason_of(error)}. Export it with a dynamic batch; if "
            "you described its inputs, check their frames and size"
        ) from None
    finally:
        stop.cancel()


def floats(arrays: Arrays) -> Arrays:
    """Return the floating-point arrays; class indices, for example, cannot be compared by tolerance."""
    return {name: array for name, array in arrays.items() if np.issubdtype(array.dtype, np.floating)}
