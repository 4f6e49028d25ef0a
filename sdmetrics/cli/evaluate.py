"""`evaluate`: how often a classifier is right, in order and on shuffled frames; how well a segmenter segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdmetrics.cli.app import app, console, print_skipped
from sdmetrics.cli.conflicts import WITH_MASKS, WITHOUT_MASKS, refuse
from sdmetrics.cli.options import (
    BATCH,
    CLIP_STRIDE,
    CLIPS,
    FLOW,
    HALF,
    LABELS,
    MODEL,
    MODEL_OUTPUT,
    PROVIDER,
    SPLIT,
    TF32,
    THREADS,
    VIDEOS,
)
from sdmetrics.cli.tables import plain_table

if TYPE_CHECKING:
    from sdmetrics.evaluation.classification import Evaluation
    from sdmetrics.evaluation.segmentation import SegmentationEvaluation

ROWS = {"in_order": "in order", "shuffled": "shuffled", "ratio": "shuffled / in order"}
SEGMENTATION_ROWS = {"miou": "mean IoU", "success_mean": "success, mean"}


@app.command()
def evaluate(
    model: Annotated[Path, MODEL],
    clips: Annotated[Path, CLIPS],
    labels: Annotated[Path | None, LABELS] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Also show every clip with its frames shuffled, and give the ratio.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws the shuffles.")] = 0,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Of clips with masks: region, the overlap of what is marked and annotated; or moca, the overlap of "
            "the boxes around both, and success rates. Default: region.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Foreground is what is likelier. Default: 0.5 of regions, 0.2 of boxes.", show_default=False),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average the maps of a clip and of its mirror image.")] = False,
    skip_ends: Annotated[
        bool, typer.Option("--skip-ends", help="Leave out every video's first and last frame, as DAVIS 2016 does.")
    ] = False,
    logits: Annotated[
        bool | None,
        typer.Option(
            "--logits/--probabilities",
            help="Whether the map is before the sigmoid. Default: it is if the first batch lies outside 0 to 1.",
            show_default=False,
        ),
    ] = None,
    clips_per_video: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Clips per video, evenly spread; a single one is cut from the middle. Default: 1, and of clips with "
            "masks all.",
            show_default=False,
        ),
    ] = None,
    stride: Annotated[int | None, CLIP_STRIDE] = None,
    videos: Annotated[Path | None, VIDEOS] = None,
    split: Annotated[str | None, SPLIT] = None,
    flow: Annotated[Path | None, FLOW] = None,
    model_output: Annotated[str | None, MODEL_OUTPUT] = None,
    provider: Annotated[str, PROVIDER] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    half: Annotated[bool, HALF] = False,
    tf32: Annotated[bool, TF32] = False,
    batch: Annotated[int, BATCH] = 6,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A JSON file for the numbers and every clip's outcome.", show_default=False),
    ] = None,
) -> None:
    """Count how often a classifier is right on labelled clips and, with --shuffle, how much of that needs motion.

    Frames in another order show the same and move otherwise: what is still right was told from single frames, or from
    all of them in any order. Clips that come with masks are for models that segment, which are then scored by how well
    what they mark fits the masks.
    """
    from sdmetrics.evaluation.classification import evaluate as run_evaluation
    from sdmetrics.evaluation.labels import read_classes
    from sdmetrics.evaluation.segmentation import evaluate_segmentation
    from sdmetrics.loading.open import open_clips, open_model

    classes = read_classes(labels) if labels else None
    runner = open_model(model, layers=(), provider=provider, threads=threads, half=half, allow_tf32=tf32)

    listed = open_clips(
        clips, runner, clips_per_video=clips_per_video, stride=stride, videos=videos, split=split, flow=flow
    )
    segments = any(clip.load_masks for clip in listed)
    refuse(segments, {"--labels": labels, "--shuffle": shuffle}, WITH_MASKS)
    refuse(
        not segments,
        {
            "--protocol": protocol,
            "--threshold": threshold,
            "--flip": flip,
            "--skip-ends": skip_ends,
            "--logits/--probabilities": None if logits is None else True,
        },
        WITHOUT_MASKS,
    )
    refuse(clips_per_video is not None, {"--skip-ends": skip_ends}, "are not all of their videos")
    evaluation: Evaluation | SegmentationEvaluation
    if segments:
        evaluation = evaluate_segmentation(
            runner,
            listed,
            protocol=protocol or "region",
            threshold=threshold,
            flip=flip,
            skip_ends=skip_ends,
            output=model_output,
            logits=logits,
            batch=batch,
        )
        rows = [(_segmentation_row(name), _percent(score)) for name, score in evaluation.scores.items()]
        _print(model, evaluation, ("score", "%"), rows)
    else:
        evaluation = run_evaluation(
            runner, listed, classes, shuffle=shuffle, seed=seed, batch=batch, output=model_output
        )
        by_order = [(ROWS[name], *map(_percent, scores.values())) for name, scores in evaluation.scores.items()]
        _print(model, evaluation, ("frames", "top-1 %", "top-5 %"), by_order)
    if out:
        console.print(f"evaluation: {evaluation.save(out)}", soft_wrap=True)


def _print(
    model: Path,
    evaluation: Evaluation | SegmentationEvaluation,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> None:
    """Print the scores and the clips that were skipped."""
    title = f"{model.stem}: {len(evaluation.clips)} clips used, {len(evaluation.skipped)} skipped"
    table = plain_table(title, columns, rows)
    table.min_width = min(len(title), console.width)
    console.print(table)
    print_skipped(evaluation.skipped)


def _segmentation_row(name: str) -> str:
    """Name a score of a segmentation."""
    return SEGMENTATION_ROWS.get(name, f"success, IoU > {name.removeprefix('success_')}")


def _percent(score: Mapping[str, Any]) -> str:
    """Write a share in percent, with its 95 % interval."""
    low, high = score["ci95"]
    if score["value"] is None:
        return "–"
    return f"{100 * score['value']:.1f}" + (f" ({100 * low:.1f}–{100 * high:.1f})" if low is not None else "")
