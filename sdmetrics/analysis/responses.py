"""Responses: the pooled units of every view of a run's clips, kept on request, one file beside every shard's.

They are read back one shard at a time. No result is computed from them: what is kept of a run besides them is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import load_npz
from sdmetrics._text import printable
from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.shape import Number, Shape, ShapeError, check_shape
from sdmetrics.analysis.shards import load_part, part_header, save_part, shard_files
from sdmetrics.analysis.stored import DamagedError
from sdmetrics.clips.manipulations.further import further_of, pairs_with
from sdmetrics.clips.views import VIEWS, VIEWS_PER_CLIP
from sdmetrics.errors import InputError
from sdmetrics.metrics.moments import PairMoments

FOLDER = "responses"
"""Subfolder of a run, beside `shards`."""

AGAIN = (
    "repeat the command `sdmetrics analyze` that wrote the run with --keep-responses (in Python, keep_responses=True), "
    "which measures only what is missing"
)

HEADER: dict[str, Shape] = {"ids": [str], "layers": [str], "eps": Number(0, 0.5)}
"""The shape of what a file's header says besides its run and its name."""

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Kept:
    """The responses of one shard.

    Parameters
    ----------
    ids
        The clips, in the order of the rows.
    layers
        For each layer `(clips, views, units)`, as the model returned them.
    eps
        Machine epsilon of the precision that the model computed in, see `PairMoments.update`.
    """

    ids: Sequence[str]
    layers: Mapping[str, Array]
    eps: float = 0.0

    def save(self, path: Path, identity: str) -> None:
        """Write them to one `.npz` file of the run with this identity."""
        header = {"ids": list(self.ids), "layers": list(self.layers), "eps": self.eps}
        save_part(path, identity, header, {str(number): array for number, array in enumerate(self.layers.values())})

    @classmethod
    def load(
        cls, path: Path, identity: str, layers: Sequence[str], ids: Sequence[str], also: Sequence[str] = ()
    ) -> Kept | None:
        """Read the responses of the clips `ids`, or return `None` if the file is missing, damaged or of other clips.

        Raises
        ------
        InputError
            If it is a file of another run.
        """
        stored = load_part(path, identity)
        if stored is None:
            return None
        header, arrays = stored
        try:
            check_shape({name: header[name] for name in HEADER}, HEADER, "header")
            if header["ids"] != list(ids) or header["layers"] != (list(layers) if ids else []):
                return None
            by_layer = {layer: arrays[str(number)] for number, layer in enumerate(header["layers"])}
        except Exception:  # whatever is wrong with the file, the remedy is the same
            return None
        views = VIEWS_PER_CLIP + len(also)
        whole = all(_is_whole(array, len(ids), views) for array in by_layer.values())
        return cls(ids, by_layer, header["eps"]) if whole else None


@dataclass(frozen=True, eq=False)
class Responses:
    """The responses of one layer to the views of every clip of a run. `sdmetrics.Results.responses` opens them.

    Iterating yields one shard at a time: the ids of its clips and the responses, `(clips, views, units)`; nothing else
    is in memory.

    Attributes
    ----------
    layer
        The name of the layer.
    clips
        The ids of the clips, in the order of the rows.
    groups
        The group of each clip, `(clips,)`: what the jackknife leaves out, see `sdmetrics.unit_bias`.
    views
        The names of the views, in the order of the second axis: `"first"`; `"other style"`, with the same motion; and
        `"other motion"`, in the same style. The first two are a dynamic pair, the first and the third a static one.
        Then the manipulations of the first, if the run has further factors (`also`).
    units
        The number of units.

    Raises
    ------
    DamagedError
        When a file is read that is not as it was written.

    Examples
    --------
    >>> import tempfile
    >>> import sdmetrics as sd
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("appearance") as path, tempfile.TemporaryDirectory() as run:
    ...     results = sd.analyze(path, "world:40", out=run, keep_responses=True)
    ...     responses = results.responses("stage4")
    ...     print(responses.views, responses.array().shape)
    ...     print(responses.moments()["static"][0].n)
    ('first', 'other style', 'other motion') (40, 3, 48)
    4
    """

    layer: str
    clips: tuple[str, ...]
    groups: NDArray[np.int64]
    views: tuple[str, ...]
    units: int
    _parts: Sequence[_Part]

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the whole array: clips, views, units."""
        return len(self.clips), len(self.views), self.units

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], Array]]:
        for part in self._parts:
            yield part.ids, self._read(part)

    def array(self) -> Array:
        """Return the responses to all clips, float32 `(clips, views, units)`."""
        return np.concatenate([values for _, values in self])

    def moments(self) -> dict[str, list[PairMoments]]:
        """Return the moments of the pairs of every factor, one per group: bit for bit those of the run.

        They are what `sdmetrics.layer_bias` and `sdmetrics.unit_bias` take.
        """
        pairs = pairs_with(self.views[VIEWS_PER_CLIP:])
        sums: dict[str, dict[int, PairMoments]] = {factor: {} for factor in pairs}
        for part in self._parts:
            values = self._read(part)
            for factor, (i, j) in pairs.items():
                moments = PairMoments.from_arrays(values[:, i], values[:, j], part.eps)
                before = sums[factor].get(part.group)
                sums[factor][part.group] = before.merge(moments) if before else moments
        return {factor: [groups[group] for group in sorted(groups)] for factor, groups in sums.items()}

    def _read(self, part: _Part) -> Array:
        """Return the responses of one shard."""
        key = str(part.number)
        stored = load_npz(part.path, [key])
        values = None if stored is None else stored[1][key]
        if values is None or not _is_whole(values, len(part.ids), len(self.views)) or values.shape[2] != self.units:
            raise DamagedError(f"{printable(part.path)} is damaged; {AGAIN}")
        return values


@dataclass(frozen=True)
class _Part:
    """The responses of one layer in one file: its `number` among the layers, its clips, and their precision."""

    path: Path
    number: int
    group: int
    ids: tuple[str, ...]
    eps: float


def beside(shard: Path) -> Path:
    """Return the path of the responses that belong to a shard's file.

    Examples
    --------
    >>> print(beside(Path("run/shards/00-00001.npz")).as_posix())
    run/responses/00-00001.npz
    """
    return shard.parent.parent / FOLDER / shard.name


def open_responses(
    run: Path, settings: Mapping[str, Any], layer: str, units: int, used: int, rounds: int | None
) -> Responses:
    """Return the responses of one layer of a run.

    Parameters
    ----------
    run, settings
        The folder of the run, and its settings.
    layer, units
        The layer, and its number of units.
    used
        The number of clips that the run used.
    rounds
        After how many rounds of shards the run stopped; `None` if it used all.

    Raises
    ------
    InputError
        If shards, or the responses of shards, are missing or belong to another run.
    """
    identity, layers = sha256_of(settings), settings["layers"]
    places = [(int(path.stem[3:]), group, path) for group, path in shard_files(run / "shards")]
    parts, missing = [], []
    for index, group, path in sorted(places):
        if rounds is not None and index >= rounds:
            continue
        kept = _header_beside(path, identity, layers)
        if kept is None:
            missing.append(path.name)
        else:
            parts.append(_Part(beside(path), layers.index(layer), group, tuple(kept["ids"]), kept["eps"]))
    if missing:
        raise InputError(
            f"{len(missing)} of {len(missing) + len(parts)} shards of {printable(run)} have no responses, e.g. "
            f"{missing[0]}; {AGAIN}"
        )
    parts = [part for part in parts if part.ids]
    clips = tuple(clip for part in parts for clip in part.ids)
    if len(clips) != used:
        raise InputError(f"{printable(run)} has the shards of {len(clips)} of {used} clips; {AGAIN}")
    groups = np.array([part.group for part in parts for _ in part.ids], np.int64)
    return Responses(layer, clips, groups, (*VIEWS, *further_of(settings)), units, parts)


def _header_beside(shard: Path, identity: str, layers: Sequence[str]) -> dict[str, Any] | None:
    """Return the header of the responses that belong to a shard, or `None` unless they are of its clips."""
    own, kept = part_header(shard, identity), part_header(beside(shard), identity)
    if own is None or kept is None:
        return None
    try:
        check_shape({name: kept[name] for name in HEADER}, HEADER, "header")
        fits = kept["ids"] == own["ids"] and kept["layers"] == (list(layers) if kept["ids"] else [])
    except (KeyError, ShapeError):
        return None
    return kept if fits else None


def _is_whole(values: NDArray[Any], clips: int, views: int) -> bool:
    """Return whether an array has the responses to all views of so many clips."""
    return values.dtype.kind == "f" and values.ndim == 3 and values.shape[:2] == (clips, views)
