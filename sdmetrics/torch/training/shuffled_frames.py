"""Train and evaluate on shuffled frames: what a model can do with single frames only (paper, Sec. 4.2.1)."""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole


class ShuffledFrames(Dataset[Any]):
    """A dataset whose videos have their frames in random order; the rest of its items is unchanged.

    The order depends only on the seed, the epoch and the item's index, whatever the workers and samplers, and is never
    the original one. For training, call `set_epoch` to draw new orders in every epoch; for evaluation, do not.

    Parameters
    ----------
    dataset
        A map-style dataset. Its items are tuples or lists whose first entry is the video, or dicts.
    axis
        Time axis of a video: its number, or all axes by letter, as in `"CTHW"`.
    keys
        For items that are dicts, the keys of the videos.
    seed
        Random seed of the orders.

    Notes
    -----
    A video is a tensor or an array, or a list or tuple of them for networks that read a clip at several rates. Each is
    shuffled independently.

    Raises
    ------
    InputError
        If the dataset has no indices, or an item has no video in the expected place or a video of a single frame.

    Examples
    --------
    >>> videos = [(torch.arange(4).reshape(1, 4, 1, 1), "wave")]
    >>> shuffled = ShuffledFrames(videos, axis="CTHW")
    >>> video, label = shuffled[0]
    >>> video.flatten().tolist(), label
    ([1, 0, 3, 2], 'wave')
    >>> shuffled.set_epoch(1)
    >>> shuffled[0][0].flatten().tolist()
    [2, 0, 1, 3]
    """

    def __init__(
        self, dataset: Dataset[Any] | Sequence[Any], *, axis: int | str, keys: Sequence[str] = ("video",), seed: int = 0
    ) -> None:
        if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
            raise InputError(
                f"{type(dataset).__name__} has no indices, on which the order of an item's frames depends; use a "
                "map-style dataset"
            )
        if isinstance(axis, str) and axis.count("T") != 1:
            raise InputError(f"axis is {axis!r}, which has no unique T; write all axes with one T, as in 'CTHW'")
        if not isinstance(axis, str) and (not hasattr(axis, "__index__") or isinstance(axis, bool)):
            raise InputError(f"axis is {axis!r:.60}; expected: a number, or all axes with one T, as in 'CTHW'")
        seed = whole("seed", seed, least=0)
        if isinstance(keys, str) or not isinstance(keys, Sequence) or not keys:
            raise InputError(f"keys is {keys!r:.60}; expected: a list of names, e.g. ['video']")
        self.dataset = dataset
        self.axis = axis
        self.keys = tuple(keys)
        self.seed = seed
        # In shared memory, so that it reaches persistent workers.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Draw new orders. Call this before every training epoch, with its number."""
        self._epoch.fill_(whole("epoch", epoch, least=0))

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # torch's Dataset declares no length

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401  whatever the dataset holds
        index = operator.index(index)
        item = self.dataset[index]
        place = index if index >= 0 else len(self) + index
        if isinstance(item, dict):
            missing = [key for key in self.keys if key not in item]
            if missing:
                raise InputError(f"item {index} has no {missing[0]!r}; it has: {', '.join(map(str, item))}. Pass keys=")
            changed = copy.copy(item)
            for number, key in enumerate(self.keys):
                changed[key] = self._video(item[key], place, number)
            return changed
        if isinstance(item, tuple | list) and item:
            return _like(item, [self._video(item[0], place, 0), *item[1:]])
        raise InputError(
            f"item {index} is {type(item).__name__}; expected: a tuple or list that begins with the video, or a dict"
        )

    def _video(self, video: object, index: int, number: int) -> object:
        """Return a video with its frames shuffled, each pathway independently."""
        if isinstance(video, tuple | list) and video:
            return _like(video, [self._shuffled(pathway, index, number, i) for i, pathway in enumerate(video)])
        return self._shuffled(video, index, number, 0)

    def _shuffled(self, video: object, index: int, number: int, pathway: int) -> Tensor | NDArray[Any]:
        """Return one tensor or array with its frames shuffled."""
        if not isinstance(video, Tensor | np.ndarray):
            raise InputError(
                f"item {index} has {type(video).__name__} for a video; expected: a tensor, an array, or a list of these"
            )
        if isinstance(self.axis, str):
            axis, axes = self.axis.index("T"), len(self.axis)
        else:
            axis, axes = self.axis, video.ndim
        if axes != video.ndim or not -axes <= axis < axes:
            raise InputError(
                f"item {index} has a video of {video.ndim} axes, shape {tuple(video.shape)}, but axis is "
                f"{self.axis!r}; specify the time axis of that shape"
            )
        frames = video.shape[axis]
        if frames < 2:
            raise InputError(
                f"item {index} has a video of shape {tuple(video.shape)}, with {frames} frame(s) on axis {axis}; "
                "expected at least 2. Check the time axis"
            )
        rng = np.random.default_rng([self.seed, int(self._epoch), index, number, pathway])
        order = np.arange(frames)
        while (order == np.arange(frames)).all():
            order = rng.permutation(frames)
        if isinstance(video, Tensor):
            return video.index_select(axis, torch.from_numpy(order).to(video.device))
        return np.take(video, order, axis)


def _like(sequence: tuple[Any, ...] | list[Any], entries: list[Any]) -> Any:  # noqa: ANN401
    """Return the entries in a sequence of the same type as the given tuple, named tuple or list."""
    return type(sequence)(*entries) if hasattr(sequence, "_fields") else type(sequence)(entries)
