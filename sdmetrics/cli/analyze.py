"""`analyze`: the static and dynamic biases of a model."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from sdmetrics.cli.app import app, console, print_caution, print_part, print_skipped, resumable
from sdmetrics.cli.console.tables import results_table
from sdmetrics.cli.input_option import parse_layers
from sdmetrics.cli.options import (
    ANY_MODEL,
    BATCH,
    CLIP_FPS,
    CLIP_SAMPLING,
    CLIP_STRIDE,
    CLIPS,
    DASK,
    DEVICE,
    ESTIMATOR,
    FLOW,
    HALF,
    LABELS,
    LAYER,
    MODEL_OUTPUT,
    PART,
    PER_VIDEO,
    PROVIDER,
    SEED,
    SPLIT,
    STYLES,
    TF32,
    THREADS,
    THRESHOLD,
    VIDEOS,
)
from sdmetrics.cli.scores import print_scores
from sdmetrics.errors import InputError, Note, note


@app.command()
def analyze(
    context: typer.Context,
    model: Annotated[Path, ANY_MODEL],
    clips: Annotated[Path, CLIPS],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the run. An interrupted run in it is resumed. Default: runs/ and the model's name.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[list[str] | None, LAYER] = None,
    styles: Annotated[list[str] | None, STYLES] = None,
    seed: Annotated[int, SEED] = 0,
    clips_per_video: Annotated[int, PER_VIDEO] = 1,
    stride: Annotated[int | None, CLIP_STRIDE] = None,
    sampling: Annotated[str | None, CLIP_SAMPLING] = None,
    fps: Annotated[float | None, CLIP_FPS] = None,
    videos: Annotated[Path | None, VIDEOS] = None,
    split: Annotated[str | None, SPLIT] = None,
    flow: Annotated[Path | None, FLOW] = None,
    provider: Annotated[str, PROVIDER] = "auto",
    device: Annotated[str | None, DEVICE] = None,
    threads: Annotated[int | None, THREADS] = None,
    half: Annotated[bool, HALF] = False,
    tf32: Annotated[bool, TF32] = False,
    dask: Annotated[str | None, DASK] = None,
    batch: Annotated[Any, BATCH] = "auto",  # noqa: ANN401 (a number or auto)
    estimator: Annotated[str, ESTIMATOR] = "pearson",
    threshold: Annotated[float, THRESHOLD] = 0.5,
    part: Annotated[str | None, PART] = None,
    until: Annotated[
        float | None,
        typer.Option(
            help="Stop when the 95 % interval of each percent of each layer is at most ± that many points. Default: "
            "use all clips.",
            metavar="POINTS",
            show_default=False,
        ),
    ] = None,
    until_units: Annotated[
        float | None,
        typer.Option(
            help="With --until: and at most that percent of each layer's units could change class.",
            metavar="PERCENT",
            show_default=False,
        ),
    ] = None,
    also: Annotated[
        str | None,
        typer.Option(
            help="Further factors, separated by commas: shuffle, reverse, freeze, loop, appearance-free. Each compares "
            "a clip with its manipulated twin, which costs one view a clip; percents and classes stay as they are.",
            metavar="NAME,…",
            show_default=False,
        ),
    ] = None,
    keep_responses: Annotated[
        bool,
        typer.Option(
            "--keep-responses",
            help="Also store the pooled responses to all views, for analyses of your own, see docs/responses.md. The "
            "size is printed first. A run without them is completed.",
        ),
    ] = False,
    also_evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Also score the model as a classifier, as sdmetrics evaluate --shuffle does, into the run's "
            "evaluation.json. Each clip is decoded once.",
        ),
    ] = False,
    labels: Annotated[Path | None, LABELS] = None,
    model_output: Annotated[str | None, MODEL_OUTPUT] = None,
) -> None:
    """Measure the static and dynamic biases of a model's layers and units, and write a report.

    Exits with status 3 if clips were skipped since they crashed their workers (--dask).
    """
    from sdmetrics.analysis.keeping import size_in_words
    from sdmetrics.analysis.parallel.executors import CRASHED
    from sdmetrics.analysis.parallel.parts import Part
    from sdmetrics.analysis.responses import FOLDER
    from sdmetrics.analysis.until import Until
    from sdmetrics.clips.generated.names import is_generated
    from sdmetrics.clips.styles.networks import open_styles
    from sdmetrics.evaluation.class_files import read_classes
    from sdmetrics.evaluation.class_results import FILE
    from sdmetrics.evaluation.classification import Evaluator
    from sdmetrics.loading.dask_cluster import opened
    from sdmetrics.loading.model_source import ModelSource
    from sdmetrics.loading.open import open_clips
    from sdmetrics.loading.user_code import model_name
    from sdmetrics.run import FLOW_FOLDER, analyze_part
    from sdmetrics.run import analyze as run_analysis
    from sdmetrics.runners.protocols import circumstance_of

    if part is not None and until is not None:
        raise InputError("--part does not go with --until: a part does not see the others; drop one of them")
    if until_units is not None and until is None:
        raise InputError(f"--until-units {until_units:g} goes with --until; pass --until POINTS, too")
    if not also_evaluate and (useless := "--labels" if labels else "--model-output" if model_output else None):
        raise InputError(f"{useless} goes with --evaluate; pass --evaluate, too")
    if also_evaluate and dask is not None:
        raise InputError("--evaluate does not go with --dask, whose workers decode the clips; use sdmetrics evaluate")
    classes = read_classes(labels) if labels else None
    goal = None if until is None else Until(until, until_units)
    share = None if part is None else Part.parse(part)
    further = [name.strip() for name in also.split(",")] if also else []
    out = out or Path("runs") / model_name(model)
    source = ModelSource(
        model, layers=parse_layers(layer), provider=provider, threads=threads, half=half, allow_tf32=tf32, device=device
    )
    runner = context.with_resource(opened(source, dask))
    if dask is not None:
        # Workers have current folders of their own.
        clips = clips if is_generated(clips) else clips.absolute()
        out, videos, flow = (None if path is None else path.absolute() for path in (out, videos, flow))
        assert out is not None
    described = {**runner.identity, **circumstance_of(runner)}
    console.print("running on {provider} in {precision}, {threads} threads, {runtime}".format(**described))
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
        cache=out / FLOW_FOLDER,
    )
    if keep_responses:
        note(f"responses are kept in {out / FOLDER}: {size_in_words(runner, len(listed), further)}")
    evaluator = None
    if also_evaluate:
        if any(clip.load_masks for clip in listed):
            raise InputError("--evaluate scores classifiers, and the clips have masks; use sdmetrics evaluate")
        with warnings.catch_warnings():  # which were shown when the model was opened for the analysis
            warnings.simplefilter("ignore", Note)
            scored = replace(source, layers=()).open()
        shuffle = all(item.frames > 1 for item in runner.inputs)
        evaluator = Evaluator(
            scored,
            listed,
            classes,
            shuffle=shuffle,
            seed=seed,
            batch=batch,
            output=model_output,
            out=out / FILE,
            part=share,
        )
    with resumable():
        opened_styles = open_styles(styles, threads=threads) if styles else None
        if share is not None:
            total = analyze_part(
                runner,
                listed,
                share,
                out=out,
                seed=seed,
                batch=batch,
                styles=opened_styles,
                also=further,
                keep_responses=keep_responses,
                evaluator=evaluator,
            )
            then = f"write the results with sdmetrics merge {shlex.quote(str(out))}"
            then = "repeat the command without --part" if evaluator else then
            print_part(share, total.used, total.skipped, then)
            return
        results = run_analysis(
            runner,
            listed,
            seed=seed,
            out=out,
            estimator=estimator,
            threshold=threshold,
            batch=batch,
            styles=opened_styles,
            until=goal,
            also=further,
            keep_responses=keep_responses,
            evaluator=evaluator,
        )
        evaluation = evaluator.evaluation() if evaluator else None
    console.print(results_table(results, model_name(model)))
    print_caution(results)
    print_skipped(results.clips["skipped"])
    if evaluation:
        print_scores(model_name(model), evaluation, out / FILE)
    console.print(f"report: {out / 'report.html'}", soft_wrap=True)
    if any(row["reason"].startswith(CRASHED) for row in results.clips["skipped"]):
        raise typer.Exit(3)
