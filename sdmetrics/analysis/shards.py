"""Shards: fixed slices of the clip list, the unit of work, of resume and of distribution.

Clips go by the hash of their *video* into 20 groups (what the jackknife leaves out), and a group's clips into slices.
A shard's file holds the moments of its pairs and nothing else, so the parts of a run add up to the whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sdmetrics._files import replacing
from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError
from sdmetrics.metrics.groups import GROUPS, group_of
from sdmetrics.metrics.moments import PairMoments

CLIPS_PER_SHARD = 16

LayerMoments = dict[str, dict[str, PairMoments]]
"""For each layer and factor the moments of the pairs."""


@dataclass
class Shard:
    """What one slice of the clips came to."""

    moments: LayerMoments = field(default_factory=dict)
    used: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Slice:
    """A fixed slice of one group of clips: the work of one shard."""

    group: int
    index: int
    clips: tuple[Clip, ...]

    @property
    def file_name(self) -> str:
        """The name of the file that the shard is stored in."""
        return f"{self.group:02d}-{self.index:05d}.npz"


def slices(clips: Sequence[Clip]) -> list[Slice]:
    """Return the fixed slices of the clips; the order of `clips` does not matter.

    Raises
    ------
    InputError
        If two clips have the same id.
    """
    groups: list[list[Clip]] = [[] for _ in range(GROUPS)]
    ordered = sorted(clips, key=lambda clip: clip.id)
    for clip, following in pairwise(ordered):
        if clip.id == following.id:
            raise InputError(f"two clips have the id {clip.id!r}; give every clip an id of its own")
    for clip in ordered:
        groups[group_of(clip.video)].append(clip)
    return [
        Slice(number, start // CLIPS_PER_SHARD, tuple(group[start : start + CLIPS_PER_SHARD]))
        for number, group in enumerate(groups)
        for start in range(0, len(group), CLIPS_PER_SHARD)
    ]


def save_shard(shard: Shard, path: Path) -> None:
    """Write a shard to one `.npz` file; a reader meets the whole file or none."""
    arrays: dict[str, Any] = {}
    names = [(layer, factor) for layer, factors in shard.moments.items() for factor in factors]
    for number, (layer, factor) in enumerate(names):
        for key, array in shard.moments[layer][factor].to_arrays().items():
            arrays[f"{number}/{key}"] = array
    header = json.dumps({"names": names, "used": shard.used, "skipped": shard.skipped})
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, header=np.frombuffer(header.encode(), np.uint8), **arrays)


def load_shard(path: Path) -> Shard | None:
    """Read a shard; `None` where there is no whole one, so that it is made anew."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            shard = Shard(used=header["used"], skipped=header["skipped"])
            for number, (layer, factor) in enumerate(header["names"]):
                prefix = f"{number}/"
                state = {key.removeprefix(prefix): file[key] for key in file.files if key.startswith(prefix)}
                shard.moments.setdefault(layer, {})[factor] = PairMoments.from_state(state)
            return shard
    except Exception:  # whatever is wrong with the file, the remedy is the same
        return None
