"""The scores of a segmenter, from the overlaps of its maps with the annotation in every frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError
from sdmetrics.evaluation.kept import ratio
from sdmetrics.evaluation.overlap import SUCCESS_THRESHOLDS, successes
from sdmetrics.metrics.arrays import Floats
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import mean_replicates, with_interval
from sdmetrics.probes.inputs import ModelInput


def check_masks_follow(names: Sequence[str], inputs: Sequence[ModelInput]) -> str:
    """Return the name of the input whose order of frames the masks follow, the one that reads most.

    Raises
    ------
    InputError
        If several inputs would be shuffled, each in an order of its own.

    Examples
    --------
    >>> check_masks_follow(["shuffle"], [ModelInput("slow", frames=2), ModelInput("fast", frames=8)])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: manipulation 'shuffle' shows the inputs 'slow', 'fast' frames in different orders, \
and masks can follow only one; leave it out
    """
    several = [item.name for item in inputs if item.frames > 1]
    if "shuffle" in names and len(several) > 1:
        called = ", ".join(map(repr, several))
        raise InputError(
            f"manipulation 'shuffle' shows the inputs {called} frames in different orders, and masks can follow only "
            "one; leave it out"
        )
    return max(inputs, key=lambda item: item.frames).name


def or_none(overlaps: Floats) -> list[float | None]:
    """Return the overlaps of a clip's frames as JSON."""
    return [None if np.isnan(overlap) else overlap for overlap in overlaps.tolist()]


def ends_of(clips: Sequence[Clip], annotated: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Return where the first and the last annotated frame of every video are, by the ids of clips.

    Where the clips do not tell, they are looked for from either end of the video's clips, up to one that could not be
    used and may hold it. `annotated` has the annotated places of the used clips.
    """
    ends = {clip.id: list(clip.mask_ends) for clip in clips if clip.mask_ends is not None}
    unsure = [clip for clip in clips if clip.mask_ends is None]
    for ordered, end in ((unsure, 0), (unsure[::-1], -1)):
        found: set[str] = set()
        for clip in ordered:
            places = annotated.get(clip.id)
            if clip.video not in found and places != []:
                found.add(clip.video)
                ends.setdefault(clip.id, []).extend(places[end:][:1] if places else [])
    return ends


def mask_scores(used: Sequence[Clip], overlaps: Sequence[Floats], with_success: bool) -> dict[str, dict[str, Any]]:
    """Return the means over videos and, on request, the success rates over frames, with their intervals."""
    scored = ~np.isnan(np.concatenate(overlaps))
    if not scored.any():
        raise InputError(
            f"no frame of {len(used)} clip(s) is scored: no object is annotated in any, or all are the ends of their "
            "videos; use other clips"
        )
    frames = np.concatenate(overlaps)[scored]
    counts = list(map(len, overlaps))
    by_frame = np.repeat([clip.video for clip in used], counts)[scored]
    _, first, video_of = np.unique(by_frame, return_index=True, return_inverse=True)
    groups = np.repeat([group_of(clip.content) for clip in used], counts)[scored][first]
    means = np.bincount(video_of, frames) / np.bincount(video_of)
    scores = {"miou": with_interval(mean_replicates(means, groups), most=1)}
    if with_success:
        rates = mean_replicates(successes(frames), groups[video_of])
        for column, threshold in enumerate(SUCCESS_THRESHOLDS):
            scores[f"success_{threshold}"] = with_interval(rates[:, column], most=1)
        scores["success_mean"] = with_interval(rates.mean(axis=1), most=1)
    return scores


def kept_scores(
    used: Sequence[Clip], overlaps: Sequence[Floats], manipulated: Sequence[Floats], with_success: bool
) -> dict[str, dict[str, Any]]:
    """Return the scores under a manipulation, and `miou_ratio`, that of the mean over the videos that both score."""
    undefined: dict[str, Any] = {"value": None, "ci95": [None, None]}
    if np.isnan(np.concatenate(manipulated)).all():
        return {"miou": undefined, "miou_ratio": undefined}
    scores = mask_scores(used, manipulated, with_success)
    means, groups = _video_means(used, [np.stack(both) for both in zip(overlaps, manipulated, strict=True)])
    both = ~np.isnan(means).any(axis=1)
    replicates = mean_replicates(means[both], groups[both])
    return {**scores, "miou_ratio": ratio(replicates[:, 0], replicates[:, 1])}


def _video_means(used: Sequence[Clip], overlaps: Sequence[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the means over every video's scored frames, `(videos, kinds)`, of `(kinds, frames)`, and its group."""
    by_video: dict[str, list[Floats]] = {}
    group: dict[str, int] = {}
    for clip, of_clip in zip(used, overlaps, strict=True):
        by_video.setdefault(clip.video, []).append(of_clip)
        group[clip.video] = group_of(clip.content)
    frames = [np.concatenate(of_video, axis=1) for of_video in by_video.values()]
    counts = np.array([(~np.isnan(of_video)).sum(axis=1) for of_video in frames])
    sums = np.array([np.nansum(of_video, axis=1) for of_video in frames])
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return means, np.array([group[video] for video in by_video])
