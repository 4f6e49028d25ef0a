"""The quality of a segmentation: region similarity, and the protocol of MoCA (paper, Sec. 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sdmetrics._files import write_json
from sdmetrics.analysis.identity import Document
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.shape import COUNT, Number, OneOf
from sdmetrics.clips.clip import VOID, Clip, Masks, listed_clips
from sdmetrics.clips.manipulations.manipulate import (
    check_manipulations,
    identity_of_manipulations,
    manipulated_view,
)
from sdmetrics.clips.prefetch import check_any_usable
from sdmetrics.clips.render import Feeds, Shown, feeds, plain
from sdmetrics.clips.views import View
from sdmetrics.errors import InputError, note
from sdmetrics.evaluation.foreground_maps import MapReader, Maps
from sdmetrics.evaluation.mask_scores import check_masks_follow, ends_of, kept_scores, mask_scores, or_none
from sdmetrics.evaluation.protocols import PROTOCOLS
from sdmetrics.evaluation.slicewise import (
    Arrays,
    Evaluating,
    Outcomes,
    check_out,
    claimed,
    evaluated,
    identity_of,
    parts_beside,
)
from sdmetrics.metrics._arguments import whole
from sdmetrics.metrics.arrays import Floats
from sdmetrics.runners.batch_size import WORTH, BatchSize, batch_size
from sdmetrics.runners.opened import check_runner
from sdmetrics.runners.protocols import OutputRunner, circumstance_of, model_description

SCHEMA = 1


@dataclass
class SegmentationEvaluation:
    """The quality of a model's segmentation.

    Parameters
    ----------
    model
        The model's name and the runner's identity: SHA-256, layers with their axes, precision.
    settings
        Settings that the numbers depend on: `protocol`, `threshold`, `flip`, `skip_ends`; with manipulations, their
        `seed`.
    scores
        For `"miou"` a `"value"` and its `"ci95"`; by MoCA's protocol also for the success rates, `"success_0.5"` to
        `"success_0.9"`, and their mean, `"success_mean"`. Shares of 1; undefined is `None`.
    clips
        One row per clip that was used: `id`, `video` and `overlaps`, one per frame, `None` where nothing is scored; as
        `manipulated`, those under each manipulation.
    skipped
        The other clips: `{"id", "reason"}` each.
    ran_on
        Where and how the model ran: provider, threads, versions; where parts ran in several ways, a list of these as
        `"several"`.
    looped
        How many of the clips used repeat frames, since their videos are shorter than a clip.
    manipulated
        For each manipulation that was requested, the same scores, and as `"miou_ratio"` how much of the mean is kept.
    """

    model: dict[str, Any]
    settings: dict[str, Any]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    clips: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ran_on: dict[str, Any] = field(default_factory=dict)
    looped: int = 0
    manipulated: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Write everything to one JSON file; return its path."""
        document = asdict(self)
        if not self.manipulated:
            del document["manipulated"]
        return write_json(path, {"schema": SCHEMA, **document})


def evaluate_segmentation(
    runner: OutputRunner,
    clips: Iterable[Clip],
    *,
    protocol: str = "region",
    threshold: float | None = None,
    flip: bool = False,
    skip_ends: bool = False,
    manipulate: Iterable[str] = (),
    seed: int = 0,
    output: str | None = None,
    logits: bool | None = None,
    batch: BatchSize = "auto",
    out: str | Path | None = None,
    part: str | Part | None = None,
    progress: bool = True,
) -> SegmentationEvaluation:
    """Compare the foreground that a model predicts with the annotation, frame by frame.

    Parameters
    ----------
    runner
        Runs the model: `OnnxRunner` or `TorchRunner`.
    clips
        Clips with segmentation masks. A clip that cannot be decoded, or lacks masks or flow, is skipped, and listed
        with the reason.
    protocol
        `"region"`: intersection over union of foreground and all annotated objects, DAVIS's J. `"moca"`: of the boxes
        around the predicted foreground and around the annotation; also success rates over frames (Sec. 5.3).
    threshold
        Probability above which a pixel counts as foreground. Default: 0.5 (region), 0.2 (moca), as the
        authors' code.
    flip
        Whether the model also sees every clip mirrored, and both maps are averaged (Fig. 15, "Flip"). Vectors of flow
        are mirrored too: their horizontal component changes its sign. Colour-coded flow is flipped without remapping
        hue, as in MATNet's code (also in training).
    skip_ends
        Whether the first and the last annotated frame of every video are left out, as in DAVIS 2016. Clips of your own
        that do not tell them (`Clip.mask_ends`) must together be all frames of a video, in order.
    manipulate
        What is also done to every clip, see `sdmetrics.evaluate`. Masks follow their frames: whatever frame is shown is
        compared with its own annotation, for `"freeze"` the same at every place; for `"appearance-free"`, whose noise
        moves as the frames do, they stay. `"shuffle"` requires that the model reads frames in one order only.
    seed
        Random seed of shuffles and noise.
    output
        Name of the model output that is the map, `(N, H, W)`, `(N, 1, H, W)` or, with time, `(N, T, 1, H, W)` or
        `(N, 1, T, H, W)`. Default: the only one of such a shape. Maps are resized to the masks' size, bilinearly.
    logits
        Whether the output is logits. Default: detected from the first batch, by whether a value is outside 0 to 1.
    batch
        Batch size, in clips; `"auto"` as in `sdmetrics.analyze`.
    out, part
        A JSON file for everything, and the part of the clips that is scored, as in `sdmetrics.evaluate`.
    progress
        Show a progress bar if standard error is a terminal.

    Returns
    -------
    SegmentationEvaluation
        `"miou"` is the mean over videos of each video's mean over frames, as both protocols have it. Intervals are 95 %
        delete-one-group jackknife intervals; undefined below five groups of videos.

    Raises
    ------
    InputError
        If no clip can be used or none has an annotated frame, there is no such protocol or output, or the model returns
        NaN.

    Examples
    --------
    >>> from sdmetrics.clips.views import ModelInput
    >>> class Bright:
    ...     identity = {"name": "bright is foreground"}
    ...     inputs = [ModelInput("image", frames=1, size=(4, 4), layout="NCHW")]
    ...
    ...     def run(self, feeds):
    ...         return {"mask": feeds["rgb"].mean(axis=-1) / 255}
    >>> frames = np.zeros((1, 4, 4, 3), np.uint8)
    >>> frames[0, :2] = 255
    >>> clip = Clip("bear", lambda: frames, load_masks=lambda: np.eye(4, dtype=np.uint8)[None])
    >>> evaluate_segmentation(Bright(), [clip]).scores["miou"]
    {'value': 0.2, 'ci95': [None, None]}
    """
    check_runner(runner)
    clips = listed_clips(clips)
    _validate(clips, protocol, threshold)
    batch = batch_size(batch, runner, runner.run, most=len(clips) // WORTH)
    how = PROTOCOLS[protocol]
    above = how.threshold if threshold is None else threshold
    asked = check_manipulations(manipulate, runner.inputs)
    widest = check_masks_follow(asked, runner.inputs)
    seed = whole("seed", seed, 0)
    settings = {"protocol": protocol, "threshold": above, "flip": flip, "skip_ends": skip_ends}
    settings |= {"seed": seed} if asked else {}
    share = check_out(out, part)
    beside = parts_beside(out)
    read = MapReader(output, logits)

    def maps(fed: Feeds, ids: Sequence[str]) -> Maps:
        seen = read(runner.run(fed), ids)
        if not flip:
            return seen
        return (seen + read(runner.run(mirrored(fed)), ids)[..., ::-1]) * np.float32(0.5)

    def render(clip: Clip) -> tuple[list[tuple[View, Shown]], Masks]:
        frames = clip.frames
        decoded = replace(clip, load=lambda: frames)
        view = plain(decoded, runner.inputs)
        changed = [manipulated_view(name, decoded, *view, seed, runner.inputs) for name in asked]
        return [view, *changed], clip.masks

    def score(usable: Iterator[tuple[Clip, tuple[list[tuple[View, Shown]], Masks]]]) -> tuple[list[Document], Arrays]:
        rows: list[Document] = []
        while chunk := list(islice(usable, batch)):
            ids = [clip.id for clip, _ in chunk]
            annotated = [np.flatnonzero((truth != VOID).any(axis=(1, 2))).tolist() for _, (_, truth) in chunk]
            of_chunk: list[dict[str, Any]] = [
                {"id": name, "annotated": places, "manipulated": {}}
                for name, places in zip(ids, annotated, strict=True)
            ]
            for number, name in enumerate(("", *asked)):
                views, shown = zip(*(rendered[number] for _, (rendered, _) in chunk), strict=True)
                seen = zip(of_chunk, maps(feeds(views, shown), ids), views, chunk, strict=True)
                for row, of_clip, view, (clip, (_, truth)) in seen:
                    if not name:
                        row["overlaps"] = or_none(how.overlaps(of_clip, truth, above, clip.id))
                        continue
                    frames = view.orders[widest]
                    found = or_none(how.overlaps(of_clip, truth[frames], above, clip.id))
                    row["manipulated"][name] = {"overlaps": found, "frames": frames.tolist()}
            rows += of_chunk
        return rows, {}

    def accepts(found: Outcomes) -> bool:
        for row in found.rows:
            changed = row["manipulated"].values()
            places = [*row["annotated"], *(place for each in changed for place in each["frames"])]
            if any(place >= len(row["overlaps"]) for place in places):
                return False
            if any(len(each[key]) != len(row["overlaps"]) for each in changed for key in ("overlaps", "frames")):
                return False
        if found.rows and read.logits is None:
            read.logits = found.read["logits"]
        return not found.rows or found.read["logits"] is read.logits

    decides = {"evaluation": "segmentation", **settings, "output": output, "logits": logits}
    decides |= {"manipulate": identity_of_manipulations(asked)} if asked else {}
    truth = [clip.mask_stamp for clip in clips]
    folder, digest = claimed(beside, lambda: identity_of(runner, clips, truth, decides))
    of_frames = [Number(0, 1, undefined=True)]
    changed = {name: {"overlaps": of_frames, "frames": [COUNT]} for name in asked}
    shape: dict[str, Any] = {
        "row": {"id": str, "overlaps": of_frames, "annotated": [COUNT], "manipulated": changed},
        "read": {"logits": OneOf((True, False))},
    }
    ran_on = circumstance_of(runner) | {"batch": batch}
    work = Evaluating(runner, ran_on, render, score, shape, lambda: {"logits": read.logits}, accepts, digest)
    done = evaluated(work, clips, folder, share, progress=progress)
    evaluation = SegmentationEvaluation(model_description(runner), settings, ran_on=done.ran_on, skipped=done.skipped)
    evaluation.looped = done.looped
    by_id = {clip.id: clip for clip in clips}
    used = [by_id[row["id"]] for row in done.rows]
    overlaps = [np.array(row["overlaps"], np.float64) for row in done.rows]
    kept = {name: [np.array(row["manipulated"][name]["overlaps"], np.float64) for row in done.rows] for name in asked}
    if share is None:
        check_any_usable(len(used), len(clips), evaluation.skipped)
        _say_scored(overlaps)
    if skip_ends and share is None:
        ends = ends_of(clips, {row["id"]: row["annotated"] for row in done.rows})
        for number, row in enumerate(done.rows):
            left_out = ends.get(row["id"], [])
            overlaps[number][left_out] = np.nan
            for name in asked:
                kept[name][number][np.isin(row["manipulated"][name]["frames"], left_out)] = np.nan
    for number, clip in enumerate(used):
        evaluation.clips.append({"id": clip.id, "video": clip.video, "overlaps": or_none(overlaps[number])})
        if asked:
            evaluation.clips[-1]["manipulated"] = {name: or_none(kept[name][number]) for name in asked}
    if share is not None:
        return evaluation
    with_success = protocol == "moca"
    evaluation.scores = mask_scores(used, overlaps, with_success)
    evaluation.manipulated = {name: kept_scores(used, overlaps, kept[name], with_success) for name in asked}
    if out is not None:
        evaluation.save(out)
    return evaluation


def _say_scored(overlaps: Sequence[Floats]) -> None:
    """Say how many frames are scored, where not all are."""
    known = ~np.isnan(np.concatenate(overlaps))
    if 0 < known.sum() < known.size:
        note(
            f"{known.sum()} of {known.size} frames are scored; the others are not annotated, show a frame that is "
            "scored in another place, or have nothing to score"
        )


def mirrored(fed: Feeds) -> Feeds:
    """Return feeds with left and right exchanged: frames, colour-coded flow and vectors of flow.

    Examples
    --------
    >>> vectors = np.array([[3.0, 1.0], [5.0, 2.0]], np.float32).reshape(1, 1, 1, 2, 2)
    >>> mirrored({"flow_vectors": vectors, "flow/order": np.zeros((1, 1), np.int64)})["flow_vectors"].tolist()
    [[[[[-5.0, 2.0], [-3.0, 1.0]]]]]
    """
    turned = {name: array if name.endswith("/order") else array[..., ::-1, :].copy() for name, array in fed.items()}
    if "flow_vectors" in turned:
        turned["flow_vectors"][..., 0] *= -1
    return turned


def _validate(clips: Sequence[Clip], protocol: str, threshold: float | None) -> None:
    """Validate the arguments early, before anything is computed."""
    if not clips:
        raise InputError("there are no clips; pass at least one")
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol is {protocol!r}; allowed: {', '.join(PROTOCOLS)}")
    if threshold is not None and not 0 <= threshold < 1:
        raise InputError(f"threshold is {threshold}; expected at least 0 and below 1, which no probability exceeds")
