"""Training and evaluating on shuffled frames: what a model can do with single frames alone (paper, Sec. 4.2.1)."""

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


class ShuffledFrames(Dataset[Any]):
    """A dataset whose videos have their frames in random order; all else of its items is as it was.

    The order depends on the seed, the epoch and the item's index alone, so workers and samplers do not matter, and
    is never the order of before. Train with a new order in every epoch (`set_epoch`), evaluate without.

    Parameters
    ----------
    dataset
        A map-style dataset. Its items are tuples or lists, the first entry being the video, or dicts.
    axis
        Where time is in a video: the number of the axis, or all axes by letter, as in `"CTHW"`.
    keys
        Of items that are dicts: what the video, or each of several, is called.
    seed
        Draws the orders.

    Notes
    -----
    A video is a tensor or an array, or a list or tuple of several, the pathways of a network that reads a clip at
    two rates; each of them gets an order of its own.

    Raises
    ------
    InputError
        If the dataset has no indices, or an item does not have a video where it should, or one of a single frame.

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
                f"{type(dataset).__name__} has no indices, on which the order of an item's frames depends; give a "
                "map-style dataset"
            )
        if isinstance(axis, str) and axis.count("T") != 1:
            raise InputError(f"axis is {axis!r}, in which time is not told; write all axes with one T, as in 'CTHW'")
        if seed < 0:
            raise InputError(f"seed is {seed}; allowed: 0 and above")
        if isinstance(keys, str) or not keys:
            raise InputError(f"keys is {keys!r}; give a list of names, such as ['video']")
        self.dataset = dataset
        self.axis = axis
        self.keys = tuple(keys)
        self.seed = seed
        # Shared, so that it reaches workers that are kept from epoch to epoch.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Draw new orders; call it before every epoch of training, with its number."""
        if epoch < 0:
            raise InputError(f"epoch is {epoch}; allowed: 0 and above")
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # torch's Dataset declares no length

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401  whatever the dataset holds
        index = operator.index(index)
        item = self.dataset[index]
        place = index if index >= 0 else len(self) + index
        if isinstance(item, dict):
            missing = [key for key in self.keys if key not in item]
            if missing:
                raise InputError(f"item {index} has no {missing[0]!r}; it has: {', '.join(map(str, item))}. Give keys=")
            changed = copy.copy(item)
            for number, key in enumerate(self.keys):
                changed[key] = self._video(item[key], place, number)
            return changed
        if isinstance(item, tuple | list) and item:
            return _like(item, [self._video(item[0], place, 0), *item[1:]])
        raise InputError(
            f"item {index} is {type(item).__name__}; needed: a tuple or list whose first entry is the video, or a dict"
        )

    def _video(self, video: object, index: int, number: int) -> object:
        """Return a video, or each of several pathways, in another order."""
        if isinstance(video, tuple | list) and video:
            return _like(video, [self._shuffled(pathway, index, number, i) for i, pathway in enumerate(video)])
        return self._shuffled(video, index, number, 0)

    def _shuffled(self, video: object, index: int, number: int, pathway: int) -> Tensor | NDArray[Any]:
        """Return the frames of one tensor or array in another order."""
        if not isinstance(video, Tensor | np.ndarray):
            raise InputError(
                f"item {index} has {type(video).__name__} for a video; needed: a tensor, an array, or a list of those"
            )
        if isinstance(self.axis, str):
            axis, axes = self.axis.index("T"), len(self.axis)
        else:
            axis, axes = self.axis, video.ndim
        if axes != video.ndim or not -axes <= axis < axes:
            raise InputError(
                f"item {index} has a video of {video.ndim} axes, shape {tuple(video.shape)}, and axis is "
                f"{self.axis!r}; say where time is in that shape"
            )
        frames = video.shape[axis]
        if frames < 2:
            raise InputError(
                f"item {index} has a video of shape {tuple(video.shape)}, in which axis {axis} holds {frames} "
                "frame(s): there is no other order. Name the axis of time"
            )
        rng = np.random.default_rng([self.seed, int(self._epoch), index, number, pathway])
        order = np.arange(frames)
        while (order == np.arange(frames)).all():
            order = rng.permutation(frames)
        if isinstance(video, Tensor):
            return video.index_select(axis, torch.from_numpy(order).to(video.device))
        return np.take(video, order, axis)


def _like(sequence: tuple[Any, ...] | list[Any], entries: list[Any]) -> Any:  # noqa: ANN401
    """Return the entries in a tuple, named tuple or list as the one given."""
    return type(sequence)(*entries) if hasattr(sequence, "_fields") else type(sequence)(entries)
