"""`evaluate`: how often a classifier is right, in order and on shuffled frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import (
    BATCH,
    CLIP_STRIDE,
    CLIPS,
    HALF,
    LABELS,
    MODEL,
    OUTPUT,
    PER_VIDEO,
    PROVIDER,
    TF32,
    THREADS,
    VIDEOS,
)
from sdmetrics.tables import plain_table

ROWS = {"in_order": "in order", "shuffled": "shuffled", "ratio": "shuffled / in order"}


@app.command()
def evaluate(
    model: Annotated[Path, MODEL],
    clips: Annotated[Path, CLIPS],
    labels: Annotated[Path | None, LABELS] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Also show every clip with its frames shuffled, and give the ratio.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws the shuffles.")] = 0,
    clips_per_video: Annotated[int, PER_VIDEO] = 1,
    stride: Annotated[int | None, CLIP_STRIDE] = None,
    videos: Annotated[Path | None, VIDEOS] = None,
    output: Annotated[str | None, OUTPUT] = None,
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
    all of them in any order.
    """
    from sdmetrics.evaluation import evaluate as run_evaluation
    from sdmetrics.labels import read_classes
    from sdmetrics.opening import open_clips, open_model

    classes = read_classes(labels) if labels else None
    runner = open_model(model, layers=(), provider=provider, threads=threads, half=half, allow_tf32=tf32)
    found = open_clips(clips, runner, clips_per_video=clips_per_video, stride=stride, videos=videos)
    evaluation = run_evaluation(runner, found, classes, shuffle=shuffle, seed=seed, batch=batch, output=output)
    rows = [(ROWS[name], *map(_percent, scores.values())) for name, scores in evaluation.scores.items()]
    title = f"{model.stem}: {len(evaluation.clips)} clips used, {len(evaluation.skipped)} skipped"
    console.print(plain_table(title, ("frames", "top-1 %", "top-5 %"), rows))
    for skipped in evaluation.skipped:
        console.print(f"skipped {skipped['id']}: {skipped['reason']}", style="yellow", soft_wrap=True, markup=False)
    if out:
        console.print(f"evaluation: {evaluation.save(out)}", soft_wrap=True)


def _percent(score: Mapping[str, Any]) -> str:
    """Write a share in percent, with its 95 % interval."""
    low, high = score["ci95"]
    if score["value"] is None:
        return "–"
    return f"{100 * score['value']:.1f}" + (f" ({100 * low:.1f}–{100 * high:.1f})" if low is not None else "")
