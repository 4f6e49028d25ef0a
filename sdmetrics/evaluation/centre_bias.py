"""The centre bias of an annotated data set: where its objects are (paper, Sec. 4.2.2, Fig. 8 right)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import write_json
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.shape import COUNT
from sdmetrics.clips.clip import VOID, Clip, Masks, listed_clips
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.errors import InputError, require
from sdmetrics.evaluation.overlap import foreground
from sdmetrics.evaluation.slicewise import Arrays, Evaluating, Outcomes, check_out, claimed, evaluated, identity_of
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.groups import GROUPS, group_of
from sdmetrics.metrics.intervals import with_interval
from sdmetrics.probes.session import available_threads

SCHEMA = 1
SIZE = (54, 96)
"""Height and width of the map: 16 to 9, the usual shape of a frame."""

NO_MODEL: Any = SimpleNamespace(inputs=(), identity={})


@dataclass
class CentreBias:
    """Where the objects of a data set are.

    Parameters
    ----------
    map
        float64 `(height, width)`: how often a pixel shows an annotated object, relative to the pixel that does so most
        often, 0 to 1. NaN where a pixel is annotated in no frame.
    number
        The object density in the central box (half the height and width) divided by the density over the whole frame: 1
        for uniformly placed objects, 4 if all are inside the box, 0 if all are outside. `None` if there is no object,
        or nothing in the box is annotated.
    ci95
        The number's interval.
    clips
        The number of clips that were used.
    frames
        The number of their frames with an annotated pixel, which may be background.
    skipped
        The other clips: `{"id", "reason"}` each.
    """

    map: Floats
    number: float | None
    ci95: list[float | None]
    clips: int
    frames: int
    skipped: list[dict[str, str]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Return everything as a JSON document."""
        rows = [[None if np.isnan(value) else round(value, 6) for value in line] for line in self.map.tolist()]
        return {**vars(self), "map": rows}


def save_centre_biases(biases: dict[str, CentreBias], path: str | Path) -> Path:
    """Write the centre bias of every data set, by name, to one JSON file; return its path."""
    document = {"schema": SCHEMA, "datasets": {name: bias.row() for name, bias in biases.items()}}
    return write_json(path, document, indent=None)


def centre_bias(
    clips: Iterable[Clip],
    size: tuple[int, int] = SIZE,
    *,
    out: str | Path | None = None,
    part: str | Part | None = None,
    progress: bool = True,
) -> CentreBias:
    """Average the segmentation masks of a data set: how often each part of the frame shows an object.

    Every frame has the same weight, and its mask is stretched to one size. Pixels that are not annotated (255) are left
    out.

    Parameters
    ----------
    clips
        Clips with segmentation masks, whose frames are not decoded. A clip without masks, or with masks that cannot be
        read, is skipped, and listed with the reason.
    size
        Height and width of the map.
    out
        A folder. Finished slices of the clips are stored in its folder `parts/`, which may be deleted afterwards;
        calling again with the same arguments resumes. `save_centre_biases` writes the numbers.
    part
        `"3/8"` or `"auto"`, see `sdmetrics.analyze_part`: only this part of the clips is read and stored, and what is
        returned has its clips and frames, and no map and number.
    progress
        Show a progress bar if standard error is a terminal.

    Returns
    -------
    CentreBias
        The interval is a 95 % delete-one-group jackknife interval over videos; undefined below five groups.

    Raises
    ------
    InputError
        If no clip can be used, or none has an annotated pixel.

    Examples
    --------
    >>> masks = np.zeros((1, 8, 8), np.uint8)
    >>> masks[0, 2:6, 2:6] = 1
    >>> bias = centre_bias([Clip("bear", lambda: np.zeros((1, 8, 8, 3), np.uint8), load_masks=lambda: masks)], (4, 4))
    >>> bias.number, bias.map[0].tolist(), bias.map[1].tolist()
    (4.0, [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0])
    """
    clips = listed_clips(clips)
    if not clips:
        raise InputError("there are no clips; pass at least one with segmentation masks")
    if min(size) < 2:
        raise InputError(f"size is {size}; expected a height and width of at least 2 pixels")
    share = check_out(out, part)

    def add_up(clip: Clip) -> tuple[Floats, int]:
        masks = clip.masks
        return _seen(masks, size), int((masks != VOID).any(axis=(1, 2)).sum())

    def score(usable: Iterator[tuple[Clip, tuple[Floats, int]]]) -> tuple[list[dict[str, Any]], Arrays]:
        rows = []
        by_group: dict[str, Floats] = {}
        for clip, (of_clip, annotated) in usable:
            group = str(group_of(clip.content))
            rows.append({"id": clip.id, "frames": annotated})
            by_group[group] = by_group[group] + of_clip if group in by_group else of_clip
        return rows, by_group

    groups = {clip.id: group_of(clip.content) for clip in clips}

    def accepts(found: Outcomes) -> bool:
        sums = found.arrays
        return sums.keys() == {str(groups[row["id"]]) for row in found.rows} and all(
            array.shape == (2, *size) and array.dtype == np.float64 and bool(((array >= 0) & (array < np.inf)).all())
            for array in sums.values()
        )

    decides = {"evaluation": "centre bias", "size": list(size)}
    truth = [clip.mask_stamp for clip in clips]
    beside = None if out is None else Path(out) / "parts"
    folder, digest = claimed(beside, lambda: identity_of(NO_MODEL, clips, truth, decides))
    shape: dict[str, Any] = {"row": {"id": str, "frames": COUNT}, "read": {}}
    work = Evaluating(NO_MODEL, {}, add_up, score, shape, dict, accepts, digest)
    done = evaluated(work, clips, folder, share, threads=available_threads(), progress=progress)
    used, frames = len(done.rows), sum(row["frames"] for row in done.rows)
    if share is not None:
        return CentreBias(np.full(size, np.nan), None, [None, None], used, frames, done.skipped)
    check_any_usable(used, len(clips), done.skipped)
    if not frames:
        raise InputError(f"no pixel of {used} clip(s) is annotated; use other clips")
    inhabited = {groups[row["id"]] for row in done.rows if row["frames"]}
    sums = np.zeros((GROUPS, 2, *size))
    for outcomes in done.parts:
        for group, array in outcomes.arrays.items():
            sums[int(group)] += array
    shares = [_share(sums.sum(axis=0)), *(_share(np.delete(sums, group, 0).sum(axis=0)) for group in sorted(inhabited))]
    number = with_interval(np.array([_concentration(share) for share in shares]))
    top = np.nanmax(shares[0])
    return CentreBias(
        map=shares[0] / top if top else shares[0],
        number=number["value"],
        ci95=number["ci95"],
        clips=used,
        frames=frames,
        skipped=done.skipped,
    )


def _seen(masks: Masks, size: tuple[int, int]) -> Floats:
    """Return how often each pixel of the map shows an object, and is annotated, `(2, height, width)`."""
    cv2 = require("cv2", extra="cpu")
    total = np.zeros((2, *size))
    for mask in masks:
        for kind, where in enumerate((foreground(mask), mask != VOID)):
            total[kind] += cv2.resize(where.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return total


def _share(sums: Floats) -> Floats:
    """Return the share of frames in which an annotated pixel shows an object; NaN where it is never annotated."""
    objects, known = sums
    return np.asarray(np.divide(objects, known, out=np.full_like(known, np.nan), where=known > 0))


def _concentration(share: Floats) -> float:
    """Return the mean in the central box over the mean of all; NaN where that is undefined."""
    known = ~np.isnan(share)
    central = np.outer(*map(_central, share.shape)) * known
    if not central.any() or not np.nansum(share):
        return np.nan
    return float(np.average(np.nan_to_num(share), weights=central) / share[known].mean())


def _central(length: int) -> NDArray[np.float64]:
    """Return how much of each pixel is in the middle half of a line, `(length,)`."""
    edges = np.clip(np.arange(length + 1), length / 4, 3 * length / 4)
    return np.diff(edges)
