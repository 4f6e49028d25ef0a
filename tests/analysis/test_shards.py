"""How the clips of a run are cut into shards and rounds."""

from itertools import accumulate, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.analysis.shards import CLIPS_PER_SHARD, GROWTH, LEAST_CLIPS, group_sizes, shard_name, shard_sizes, slices
from sdmetrics.clips.clip import Clip
from sdmetrics.metrics.groups import GROUPS, group_of


def clips(count, per_video=1):
    return [Clip(f"{i:05d}.mp4", lambda: None, video=f"{i // per_video:05d}") for i in range(count)]


@given(st.integers(0, 5000))
def test_sizes_add_up_and_grow_by_a_quarter(count):
    sizes = shard_sizes(count)
    assert sum(sizes) == count
    before = [0, *accumulate(sizes)]
    for size, done in zip(sizes[:-1], before, strict=False):
        assert size == max(LEAST_CLIPS, min(done // GROWTH, CLIPS_PER_SHARD))
    assert all(0 < size <= CLIPS_PER_SHARD for size in sizes)


@given(st.integers(1, 400), st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_clip_is_in_one_shard_of_its_group_whatever_the_order_of_the_list(count, per_video, random):
    listed = clips(count, per_video)
    cut = slices(listed)
    assert sorted(clip.id for piece in cut for clip in piece.clips) == [clip.id for clip in listed]
    assert all(group_of(clip.content) == piece.group for piece in cut for clip in piece.clips)
    random.shuffle(listed)
    assert slices(listed) == cut


def test_a_round_has_one_shard_of_every_group_that_is_not_used_up():
    cut = slices(clips(2000))
    rounds = [[piece.group for piece in cut if piece.index == index] for index in range(max(p.index for p in cut) + 1)]
    assert [(piece.index, piece.group) for piece in cut] == sorted((piece.index, piece.group) for piece in cut)
    assert rounds[0] == list(range(GROUPS))
    assert all(set(later) <= set(earlier) for earlier, later in pairwise(rounds))


def test_a_round_is_a_random_sample_of_the_names():
    """Clips in the order of their names would begin with the first classes of a data set."""
    listed = clips(2000)
    early = [int(clip.id[:5]) for piece in slices(listed) if piece.index < 5 for clip in piece.clips]
    assert abs(np.mean(early) - 999.5) < 4 * 577 / np.sqrt(len(early))


@given(st.integers(1, 400), st.integers(1, 9))
def test_the_sizes_of_groups_tell_all_files_of_a_run(count, per_video):
    listed = clips(count, per_video)
    told = {
        shard_name(group, index): size
        for group, clips_in_group in enumerate(group_sizes(listed))
        for index, size in enumerate(shard_sizes(clips_in_group))
    }
    assert told == {piece.file_name: len(piece.clips) for piece in slices(listed)}
