"""Clips by keyword, as tests ask for them: a request and a shape in one call."""

from pathlib import Path

from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.clips.segmentation import datasets


def open_clips(path, *, frames, stride, size, shape=None, cache=None, reads_flow=False, **request):
    """Return the clips of whatever `path` is; `shape` holds more fields of a `ClipShape`."""
    kept = None if cache is None else Path(cache)
    read = ClipShape(frames, stride, size, **(shape or {}))
    return list_clips(ClipRequest(path, **request), read, kept, reads_flow=reads_flow)


def open_segmentation(path, *, frames, stride, size, shape=None, cache=None, **request):
    """Return the clips of a data set with masks, or None."""
    kept = None if cache is None else Path(cache)
    read = ClipShape(frames, stride, size, **(shape or {}))
    return datasets.open_segmentation(ClipRequest(path, **request), read, kept)
