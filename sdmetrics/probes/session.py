"""An ONNX Runtime session, made the same way everywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, require

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ERRORS_ONLY = 3


def available_threads() -> int:
    """Return how many processors this process may use: its affinity, where the system knows one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(
    model: bytes,
    providers: Sequence[str | tuple[str, dict[str, Any]]] = ("CPUExecutionProvider",),
    threads: int | None = None,
    optimise: bool = True,
    without: Sequence[str] = (),
) -> InferenceSession:
    """Return a session that logs errors only and uses no more processors than it may.

    `without` names optimisations of the runtime that are left out.

    Raises
    ------
    InputError
        If the runtime refuses the model.
    """
    ort = require("onnxruntime", extra="cpu")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or available_threads()
    options.log_severity_level = ERRORS_ONLY
    # Else CUDA adds up a mean in whatever order its threads finish.
    options.use_deterministic_compute = True
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        # A tensor's shape is taken as soon as it is there, so that the tensor need not wait for it in memory.
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    try:
        return ort.InferenceSession(model, options, providers=list(providers), disabled_optimizers=set(without))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"ONNX Runtime {ort.__version__} cannot load the model: {reason}") from None
