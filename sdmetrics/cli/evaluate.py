"""`evaluate`: the accuracy of a classifier or the IoU of a segmenter, on clips as they are and manipulated."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdmetrics._files import check_is_file
from sdmetrics.cli.app import app, console, print_part, resumable
from sdmetrics.cli.options import (
    ANY_MODEL,
    BATCH,
    CLIP_FPS,
    CLIP_SAMPLING,
    CLIP_STRIDE,
    CLIPS,
    CLIPS_PER_VIDEO_HELP,
    DEVICE,
    FIGURES,
    FLOW,
    HALF,
    LABELS,
    MODEL_OUTPUT,
    PART,
    PROTOCOL,
    PROVIDER,
    SCORES,
    SPLIT,
    TF32,
    THREADS,
    VIDEOS,
    check_conflicts,
)
from sdmetrics.cli.scores import print_scores
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from sdmetrics.evaluation.class_results import Evaluation
    from sdmetrics.evaluation.segmentation import SegmentationEvaluation


@app.command()
def evaluate(
    model: Annotated[Path, ANY_MODEL],
    clips: Annotated[Path, CLIPS],
    labels: Annotated[Path | None, LABELS] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Also score every clip with its frames shuffled, and print the ratio.")
    ] = False,
    manipulate: Annotated[
        str | None,
        typer.Option(
            help="Also show every clip manipulated, and print what is kept: any of shuffle, reverse (backwards), "
            "freeze (one frame all the time), loop (the first half twice), appearance-free (noise that moves as the "
            "clip does), separated by commas.",
            metavar="NAME[,NAME]",
            show_default=False,
        ),
    ] = None,
    counterfactual: Annotated[
        float | None,
        typer.Option(
            help="Also score log p(clip) − ALPHA · log p(shuffled clip), the mean over --shuffles orders: what frames "
            "say one by one is subtracted. Begin with 0.5.",
            metavar="ALPHA",
            show_default=False,
        ),
    ] = None,
    shuffles: Annotated[
        int | None,
        typer.Option(min=1, help="Orders of each clip for --counterfactual. Default: 3.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for shuffles and noise.")] = 0,
    protocol: Annotated[str | None, PROTOCOL] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Probability above which a pixel counts as foreground. Default: 0.5 (region), 0.2 (moca).",
            show_default=False,
        ),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average the maps of a clip and of its mirror image.")] = False,
    skip_ends: Annotated[
        bool, typer.Option("--skip-ends", help="Leave out the first and last frame of every video, as DAVIS 2016 does.")
    ] = False,
    logits: Annotated[bool | None, SCORES] = None,
    clips_per_video: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"{CLIPS_PER_VIDEO_HELP} Default: 1; all for clips with segmentation masks.",
            show_default=False,
        ),
    ] = None,
    stride: Annotated[int | None, CLIP_STRIDE] = None,
    sampling: Annotated[str | None, CLIP_SAMPLING] = None,
    fps: Annotated[float | None, CLIP_FPS] = None,
    videos: Annotated[Path | None, VIDEOS] = None,
    split: Annotated[str | None, SPLIT] = None,
    flow: Annotated[Path | None, FLOW] = None,
    model_output: Annotated[str | None, MODEL_OUTPUT] = None,
    provider: Annotated[str, PROVIDER] = "auto",
    device: Annotated[str | None, DEVICE] = None,
    threads: Annotated[int | None, THREADS] = None,
    half: Annotated[bool, HALF] = False,
    tf32: Annotated[bool, TF32] = False,
    batch: Annotated[Any, BATCH] = "auto",  # noqa: ANN401 (a number or auto)
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="JSON file for the scores and every clip's outcome. Finished slices are kept in FILE.parts/, so that "
            "the same command resumes. Default: none is written.",
            show_default=False,
        ),
    ] = None,
    figures: Annotated[Path | None, FIGURES] = None,
    part: Annotated[str | None, PART] = None,
) -> None:
    """Measure the accuracy of a classifier on labelled clips and, with --shuffle, how much of it needs frame order.

    Shuffling keeps the content of every frame but destroys the motion, so accuracy that survives it does not depend on
    frame order. --manipulate compares clips as they are with manipulated ones; without labels it compares predictions
    and scores. If the clips have segmentation masks, the model is scored as a segmenter instead (IoU with the masks).
    --counterfactual subtracts from a prediction what shuffled frames predict; --figures draws its accuracy over ALPHA.
    """
    from sdmetrics.analysis.parallel.parts import Part
    from sdmetrics.evaluation.class_files import read_classes
    from sdmetrics.evaluation.classification import evaluate as run_evaluation
    from sdmetrics.evaluation.counterfactual import Counterfactual
    from sdmetrics.evaluation.segmentation import SegmentationEvaluation, evaluate_segmentation
    from sdmetrics.loading.open import open_clips, open_model
    from sdmetrics.loading.user_code import model_name
    from sdmetrics.report.counterfactual_chart import write_counterfactual_figure

    if out:
        check_is_file(out)
    if part is not None and out is None:
        raise InputError("--part requires --out, the file beside which the parts are kept; pass --out FILE.json")
    if counterfactual is None and (shuffles is not None or figures is not None):
        raise InputError(
            f"{'--figures' if shuffles is None else '--shuffles'} requires --counterfactual; pass it, e.g. "
            "--counterfactual 0.5"
        )
    how = None if counterfactual is None else Counterfactual(counterfactual, shuffles or 3, logits)
    share = None if part is None else Part.parse(part)
    if share is not None and figures is not None:
        raise InputError("--figures draws the whole evaluation, and --part is a share of it; pass it without --part")
    asked = () if manipulate is None else tuple(name.strip() for name in manipulate.split(","))
    classes = read_classes(labels) if labels else None
    runner = open_model(model, layers=(), provider=provider, threads=threads, half=half, allow_tf32=tf32, device=device)

    listed = open_clips(
        clips,
        runner,
        clips_per_video=clips_per_video,
        stride=stride,
        sampling=sampling,
        fps=fps,
        videos=videos,
        split=split,
        flow=flow,
    )
    segments = any(clip.load_masks for clip in listed)
    check_conflicts(
        segments,
        for_masks={
            "--protocol": protocol,
            "--threshold": threshold,
            "--flip": flip,
            "--skip-ends": skip_ends,
            "--logits/--probabilities": None if logits is None or how else True,
        },
        for_labels={"--labels": labels, "--shuffle": shuffle, "--counterfactual": counterfactual},
    )
    if skip_ends and clips_per_video is not None:
        raise InputError("--skip-ends requires all clips of every video; drop --skip-ends or --clips-per-video")
    evaluation: Evaluation | SegmentationEvaluation
    with resumable() if out else nullcontext():
        if segments:
            evaluation = evaluate_segmentation(
                runner,
                listed,
                protocol=protocol or "region",
                threshold=threshold,
                flip=flip,
                skip_ends=skip_ends,
                manipulate=asked,
                seed=seed,
                output=model_output,
                logits=logits,
                batch=batch,
                out=out,
                part=share,
            )
        else:
            evaluation = run_evaluation(
                runner,
                listed,
                classes,
                shuffle=shuffle,
                manipulate=asked,
                counterfactual=how,
                seed=seed,
                batch=batch,
                output=model_output,
                out=out,
                part=share,
            )
    if share is not None:
        print_part(share, len(evaluation.clips), evaluation.skipped, "repeat the command without --part")
        return
    print_scores(model_name(model), evaluation, out)
    if figures is not None and not isinstance(evaluation, SegmentationEvaluation):
        for path in write_counterfactual_figure(model_name(model), evaluation.counterfactual, figures):
            console.print(f"figure: {path}", soft_wrap=True)
