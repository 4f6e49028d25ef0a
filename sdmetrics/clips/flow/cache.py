"""Cache of optical flow on disk, since estimating flow takes longer than reading it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from sdmetrics._files import replacing
from sdmetrics.clips.clip import Flow
from sdmetrics.errors import InputError

DIGEST = 32
"""Bytes of SHA-256, stored after the array in its file to detect damage."""


def cached(load: Callable[[], Flow], folder: Path, *key: str | int) -> Callable[[], Flow]:
    """Return a loader that stores the result of `load` in a file of `folder` and reads that file from then on.

    Vectors are rounded to float16, also at the first call, so that every call returns the same bits. A damaged file is
    replaced.

    Parameters
    ----------
    load
        Returns float32 `(T, H, W, 2)`, or colour-coded uint8 `(T, H, W, 3)`.
    folder
        Folder of the cache, created if it is missing.
    key
        All that the flow depends on: the clip's id and stamp, its window and size, the estimator. Every key has its own
        file.

    Raises
    ------
    InputError
        When the loader is called, if the folder cannot be written to, or a component is not finite or above 65504
        pixels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load = cached(lambda: np.full((1, 2, 2, 2), 0.1, np.float32), Path(folder), "clip", 224)
    ...     first, again = load(), load()
    >>> np.array_equal(first, again), first.dtype.name, first.max().round(6).item()
    (True, 'float32', 0.09997600317001343)
    """
    name = hashlib.sha256(repr(key).encode()).hexdigest()
    return partial(_load, load, folder / f"{name}.npy")


def _load(load: Callable[[], Flow], path: Path) -> Flow:
    """Read the flow from its file, or create the file."""
    flow = _read(path)
    if flow is None:
        flow = _rounded(load())
        file = io.BytesIO()
        np.save(file, flow, allow_pickle=False)
        content = file.getvalue()
        with replacing(path) as temporary:
            temporary.write_bytes(content + hashlib.sha256(content).digest())
    return flow if flow.dtype == np.uint8 else flow.astype(np.float32)


def _read(path: Path) -> Flow | None:
    """Return the flow in a file, or None if the file is missing or damaged."""
    try:
        file = path.read_bytes()
    except OSError:
        return None
    content, digest = file[:-DIGEST], file[-DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))


def _rounded(flow: Flow) -> Flow:
    """Return flow in the type in which it is stored."""
    flow = np.ascontiguousarray(flow)
    if flow.dtype == np.uint8:
        return flow
    largest = float(np.finfo(np.float16).max)
    if not (np.abs(flow) <= largest).all():
        raise InputError(
            f"flow has components that are not finite or above {largest:g} pixels, so it cannot be cached; fix the "
            "flow or leave the clip out"
        )
    return flow.astype(np.float16)
