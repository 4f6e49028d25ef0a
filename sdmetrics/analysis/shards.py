"""Shards: fixed slices of the clip list, the unit of work, of resume and of distribution.

Clips are divided by the hash of their *video*, one name for those of one content, into 20 groups (what the jackknife
leaves out), and a group's clips, in the order of their own hashes, into slices. A shard's file holds the moments of its
pairs, the ids of its clips, the identity of its run and where it was computed, so the parts of a run add up to the
whole.

The first slices are small and the later ones grow. The slices of one index are a *round*, which has clips of every
group, so that a run may stop after any round with clips that the names of files did not choose.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise, product
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sdmetrics._files import load_header, load_npz, save_npz
from sdmetrics._text import printable
from sdmetrics.analysis.circumstance import Circumstance
from sdmetrics.analysis.shape import ANYTHING, COUNT, SKIPPED, check_shape
from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.metrics.groups import GROUPS, group_of
from sdmetrics.metrics.moments import PairMoments

CLIPS_PER_SHARD = 16
"""The most clips of a shard."""

LEAST_CLIPS = 2
"""The clips of the first shards: their six views are a batch on the CPU, where smaller ones take longer."""

GROWTH = 4
"""A shard has this part of the clips that its group has before it: a round adds a quarter of what there is."""

FILE_NAME = re.compile(r"(\d{2})-(\d{5})\.npz")

SHARD = {"names": [[str]], "model": str, "ids": [str], "looped": COUNT, "skipped": SKIPPED, "ran_on": {str: ANYTHING}}
"""The shape of what a shard's header says besides its run and its file."""

STORED = ("model", "ids", "looped", "skipped", "ran_on")

LayerMoments = dict[str, dict[str, PairMoments]]
"""For each layer and factor the moments of the pairs."""


@dataclass
class Shard:
    """The result of one slice of the clips.

    Parameters
    ----------
    moments
        By layer and factor.
    ids, skipped
        The clips that were used, and the others: `{"id", "reason"}` each.
    looped
        How many of those used repeat frames, since their video is too short.
    ran_on
        Where and how it was computed.
    passing
        The skipped clips that may be readable another time; a shard with any is not stored.
    model
        The name of the model, which its identity leaves out.
    responses
        For each layer `(clips, views, units)`, where they are to be kept; they are stored in a file of their own.
    """

    moments: LayerMoments = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ran_on: Circumstance = field(default_factory=dict)
    passing: list[dict[str, str]] = field(default_factory=list)
    looped: int = 0
    model: str = ""
    responses: dict[str, NDArray[Any]] = field(default_factory=dict, compare=False)

    @property
    def used(self) -> int:
        """The number of clips that were used."""
        return len(self.ids)


@dataclass(frozen=True)
class Slice:
    """A fixed slice of one group of clips: the work of one shard."""

    group: int
    index: int
    clips: tuple[Clip, ...]

    @property
    def file_name(self) -> str:
        """The name of the file that the shard is stored in."""
        return shard_name(self.group, self.index)


def slices(clips: Sequence[Clip]) -> list[Slice]:
    """Return the fixed slices of the clips, round by round; the order of `clips` does not matter.

    Raises
    ------
    InputError
        If two clips have the same id.
    """
    by_id(clips)
    groups: list[list[Clip]] = [[] for _ in range(GROUPS)]
    for clip in sorted(clips, key=_hash):
        groups[group_of(clip.content)].append(clip)
    cut: list[Slice] = []
    for number, group in enumerate(groups):
        ends = [0, *accumulate(shard_sizes(len(group)))]
        cut += [Slice(number, i, tuple(group[start:end])) for i, (start, end) in enumerate(pairwise(ends))]
    return sorted(cut, key=lambda piece: (piece.index, piece.group))


def by_id(clips: Iterable[Clip]) -> list[Clip]:
    """Return clips in the order of their ids.

    Raises
    ------
    InputError
        If two clips have the same id.
    """
    ordered = sorted(clips, key=lambda clip: clip.id)
    for clip, following in pairwise(ordered):
        if clip.id == following.id:
            raise InputError(f"two clips have the id {clip.id!r}; every clip needs a unique id")
    return ordered


def shard_sizes(clips: int) -> list[int]:
    """Return how many clips the shards of a group of `clips` clips have, in order.

    Examples
    --------
    >>> shard_sizes(20)
    [2, 2, 2, 2, 2, 2, 3, 3, 2]
    """
    sizes: list[int] = []
    done = 0
    while done < clips:
        sizes.append(min(max(LEAST_CLIPS, done // GROWTH), CLIPS_PER_SHARD, clips - done))
        done += sizes[-1]
    return sizes


def shard_name(group: int, index: int) -> str:
    """Return the name of a shard's file."""
    return f"{group:02d}-{index:05d}.npz"


def group_sizes(clips: Iterable[Clip]) -> list[int]:
    """Return the number of clips of every group, which tells the files of all shards, see `shard_sizes`."""
    counts = Counter(group_of(clip.content) for clip in clips)
    return [counts[group] for group in range(GROUPS)]


def _hash(clip: Clip) -> bytes:
    """Return what decides the place of a clip in its group."""
    return hashlib.sha256(clip.id.encode(errors="surrogatepass")).digest()


def shard_files(folder: Path) -> list[tuple[int, Path]]:
    """Return the group and the path of every shard in a folder, in order; temporary files are left out.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("00-00001.npz", ".00-00000-1f2e3d4c.npz"):
    ...         Path(folder, name).touch()
    ...     [(group, path.name) for group, path in shard_files(Path(folder))]
    [(0, '00-00001.npz')]
    """
    matches = ((FILE_NAME.fullmatch(path.name), path) for path in sorted(folder.glob("*.npz")))
    return [(int(match[1]), path) for match, path in matches if match]


def save_shard(shard: Shard, path: Path, identity: str) -> None:
    """Write a shard of the run with this identity to one `.npz` file."""
    names = [(layer, factor) for layer, factors in shard.moments.items() for factor in factors]
    arrays: dict[str, NDArray[Any]] = {
        f"{number}/{key}": array
        for number, (layer, factor) in enumerate(names)
        for key, array in shard.moments[layer][factor].to_arrays().items()
    }
    header = {"names": names, **{name: getattr(shard, name) for name in STORED}}
    save_part(path, identity, header, arrays)


def load_shard(path: Path, identity: str, layers: Sequence[str], factors: Sequence[str] = FACTORS) -> Shard | None:
    """Read a shard, or return `None` if the file is missing or damaged, so that it is computed again.

    Parameters
    ----------
    path, identity
        The file, and the identity of the run.
    layers, factors
        The layers and factors of the run: each must have the moments of every used clip, and no other may.

    Raises
    ------
    InputError
        If it is a shard of another run: it must not be merged.
    """
    stored = load_part(path, identity)
    if stored is None:
        return None
    header, arrays = stored
    try:
        check_shape({name: header[name] for name in SHARD}, SHARD, "header")
        shard = Shard(**{name: header[name] for name in STORED})
        if shard.looped > shard.used:
            return None
        names = list(product(layers, factors)) if shard.used else []
        if [tuple(name) for name in header["names"]] != names:
            return None
        for number, (layer, factor) in enumerate(names):
            state = {key: arrays[f"{number}/{key}"] for key in ("n", "eps", "moments")}
            moments = PairMoments.from_state(state)
            if moments.n != shard.used:
                return None
            shard.moments.setdefault(layer, {})[factor] = moments
    except Exception:  # whatever is wrong with the file, the remedy is the same
        return None
    return shard


def adds_up(clips: Iterable[Clip], used: int, skipped: Sequence[Mapping[str, str]]) -> bool:
    """Return whether each of the clips of a part was either used or skipped.

    Examples
    --------
    >>> adds_up([], 0, [{"id": "a clip of another part", "reason": "damaged"}])
    False
    """
    ids = {clip.id for clip in clips}
    out = {row["id"] for row in skipped}
    return out <= ids and len(out) == len(skipped) and used + len(out) == len(ids)


def save_part(path: Path, identity: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store a part of the run with this identity. The part knows its own file, so that a copy is noticed."""
    save_npz(path, {"identity": identity, "file": path.name, **header}, arrays)


def load_part(path: Path, identity: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Return header and arrays of a part of the run with this identity, or `None` if the file is missing or damaged.

    Raises
    ------
    InputError
        If it is a part of another run, or a copy of another part of this one.
    """
    stored = load_npz(path)
    return stored if stored is not None and _is_own(path, stored[0], identity) else None


def check_parts(folder: Path, identity: str) -> None:
    """Check that a folder holds no part of another run, before anything is computed.

    Raises
    ------
    InputError
        See `load_part`.
    """
    for _, path in shard_files(folder):
        part_header(path, identity)


def part_header(path: Path, identity: str) -> dict[str, Any] | None:
    """Return the header of a part of the run with this identity, or `None` if the file is missing or damaged.

    Raises
    ------
    InputError
        See `load_part`.
    """
    header = load_header(path)
    return header if header is not None and _is_own(path, header, identity) else None


def _is_own(path: Path, header: Mapping[str, Any], identity: str) -> bool:
    """Return whether a header is a part's; raise an `InputError` if the part is not this run's, or not this file's."""
    theirs, file = header.get("identity"), header.get("file")
    if not isinstance(theirs, str) or not isinstance(file, str):
        return False
    if theirs != identity:
        raise InputError(
            f"{printable(path)} belongs to another run (identity {printable(theirs[:12])}…, expected "
            f"{identity[:12]}…), so its numbers cannot be merged; remove it, or use another output folder"
        )
    if file != path.name:
        raise InputError(
            f"{printable(path)} is a copy of {printable(file)}, so its clips would count twice; remove it to compute "
            "it again"
        )
    return True
