"""ShuffledFrames: which orders, of what, and the same in every worker."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, IterableDataset

from sdmetrics.errors import InputError
from sdmetrics.torch import ShuffledFrames

FRAMES = 6


class Numbered(Dataset):
    """Item k is a video `(C, T, H, W)` whose frame t is 100 k + t all over, and its label."""

    def __init__(self, count=8, frames=FRAMES):
        self.count, self.frames = count, frames

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not -self.count <= index < self.count:
            raise IndexError(index)
        index %= self.count
        return (100 * index + torch.arange(self.frames)).reshape(1, -1, 1, 1).expand(3, -1, 2, 2), index


def orders(dataset, indices=range(8)):
    return {index: (dataset[index][0][0, :, 0, 0] % 100).tolist() for index in indices}


def test_only_the_order_of_frames_changes():
    shuffled = ShuffledFrames(Numbered(), axis="CTHW")
    assert len(shuffled) == 8
    for index in range(8):
        video, label = shuffled[index]
        assert label == index
        assert video.shape == (3, FRAMES, 2, 2)
        assert (video == video[:1, :, :1, :1]).all()  # frames stay whole
        seen = video[0, :, 0, 0].tolist()
        assert sorted(seen) == [100 * index + t for t in range(FRAMES)] != seen


def test_an_order_is_a_function_of_seed_epoch_and_index():
    shuffled = ShuffledFrames(Numbered(), axis=1)
    first = orders(shuffled)
    assert orders(shuffled, reversed(range(8))) == first  # whatever was read before
    assert orders(ShuffledFrames(Numbered(), axis="CTHW")) == first
    assert len({tuple(order) for order in first.values()}) > 4
    assert shuffled[-1][0].equal(shuffled[7][0])
    shuffled.set_epoch(1)
    second = orders(shuffled)
    assert sum(second[k] != first[k] for k in range(8)) >= 6
    shuffled.set_epoch(0)
    assert orders(shuffled) == first
    assert orders(ShuffledFrames(Numbered(), axis=1, seed=1)) != first


@given(st.integers(2, 9), st.integers(0, 2**31), st.integers(0, 10**6))
def test_never_the_order_of_before(frames, seed, epoch):
    shuffled = ShuffledFrames(Numbered(3, frames), axis=1, seed=seed)
    shuffled.set_epoch(epoch)
    for order in orders(shuffled, range(3)).values():
        assert sorted(order) == list(range(frames)) != order


def test_all_orders_but_one_are_as_likely():
    shuffled = ShuffledFrames(Numbered(1, 3), axis=1)
    counts = {}
    for epoch in range(2000):
        shuffled.set_epoch(epoch)
        order = tuple(orders(shuffled, [0])[0])
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 5
    assert max(abs(count - 400) for count in counts.values()) < 5 * np.sqrt(2000 * 0.2 * 0.8)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on a single core
@pytest.mark.parametrize("persistent", [False, True])
def test_workers_see_the_orders_of_the_epoch(persistent):
    shuffled = ShuffledFrames(Numbered(), axis="CTHW")
    loader = DataLoader(shuffled, batch_size=2, num_workers=2, persistent_workers=persistent)
    seen = []
    for epoch in range(3):
        shuffled.set_epoch(epoch)
        read = {
            int(k): (v[0, :, 0, 0] % 100).tolist()
            for videos, labels in loader
            for v, k in zip(videos, labels, strict=True)
        }
        assert read == orders(shuffled)
        seen.append(read)
    assert seen[0] != seen[1] != seen[2] != seen[0]


def test_pathways_have_orders_of_their_own_and_their_own_frames():
    fast = torch.arange(16)[None]
    items = [([fast[:, ::4], fast, fast], k) for k in range(4)]
    shuffled = ShuffledFrames(items, axis="CT")
    for index in range(4):
        (slow, one, other), label = shuffled[index]
        assert label == index
        assert sorted(slow[0].tolist()) == [0, 4, 8, 12] != slow[0].tolist()
        assert sorted(one[0].tolist()) == sorted(other[0].tolist()) == list(range(16))
        assert not one.equal(other)


def test_dicts_named_tuples_lists_and_arrays_stay_what_they_are():
    video = np.arange(12).reshape(6, 2)
    Item = namedtuple("Item", "clip label")
    assert isinstance(ShuffledFrames([[video, 1]], axis="TC")[0], list)
    item = ShuffledFrames([Item(video, 1)], axis="TC")[0]
    assert type(item) is Item
    assert isinstance(item.clip, np.ndarray)
    assert (item.clip[:, 1] - item.clip[:, 0] == 1).all()
    source = {"slow": video, "fast": video, "label": 3, "id": "a"}
    found = ShuffledFrames([source], axis=0, keys=["slow", "fast"])[0]
    assert {key: found[key] for key in ("label", "id")} == {"label": 3, "id": "a"}
    assert source["slow"] is video
    for key in ("slow", "fast"):
        assert sorted(found[key][:, 0].tolist()) == [0, 2, 4, 6, 8, 10] != found[key][:, 0].tolist()
    assert not (found["slow"] == found["fast"]).all()


def test_iterating_ends():
    assert len(list(ShuffledFrames(Numbered(3), axis=1))) == 3


class TestHostileInput:
    class Stream(IterableDataset):
        def __iter__(self):
            yield torch.zeros(3, 4), 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"dataset": Stream(), "axis": 1}, "Stream has no indices.*map-style"),
            ({"dataset": 5, "axis": 1}, "int has no indices"),
            ({"axis": "CHW"}, "axis is 'CHW', which has no unique T"),
            ({"axis": "TCT"}, "axis is 'TCT'"),
            ({"axis": 1, "seed": -1}, "seed is -1; expected at least 0"),
            ({"axis": 1, "keys": "video"}, r"keys is 'video'; expected: a list of names"),
            ({"axis": 1, "keys": []}, "expected: a list of names"),
        ],
    )
    def test_at_once(self, arguments, message):
        with pytest.raises(InputError, match=message):
            ShuffledFrames(**{"dataset": Numbered(), **arguments})

    @pytest.mark.parametrize(
        ("item", "axis", "message"),
        [
            ((torch.zeros(3, 4), 0), "CTHW", r"video of 2 axes, shape \(3, 4\), but axis is 'CTHW'"),
            ((torch.zeros(3, 4), 0), 2, "but axis is 2; specify the time axis"),
            ((torch.zeros(3, 1, 8), 0), 1, r"with 1 frame\(s\) on axis 1; expected at least 2"),
            ((torch.zeros(3, 0, 8), 0), 1, r"with 0 frame\(s\) on axis 1"),
            (("clip.mp4", 0), 1, "item 0 has str for a video"),
            (([], 0), 1, "item 0 has list for a video"),
            ((), 1, "item 0 is tuple; expected: a tuple or list that begins"),
            (torch.zeros(3, 4, 8), 1, "item 0 is Tensor; expected: a tuple or list"),
            ({"clip": torch.zeros(3, 4)}, 1, "item 0 has no 'video'; it has: clip. Pass keys="),
        ],
    )
    def test_items(self, item, axis, message):
        with pytest.raises(InputError, match=message):
            ShuffledFrames([item], axis=axis)[0]

    def test_epochs_are_counted_from_0(self):
        with pytest.raises(InputError, match="epoch is -1"):
            ShuffledFrames(Numbered(), axis=1).set_epoch(-1)
