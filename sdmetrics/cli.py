"""The command line: each command is a few calls of the library and what it prints."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sdmetrics.errors import InputError
from sdmetrics.results import Results
from sdmetrics.tables import plain_table, results_table
from sdmetrics.views import ModelInput

Channels = tuple[float, float, float]

app = typer.Typer(
    help="Does a video model look at motion, or only at single frames?\n\n"
    "Measures, layer by layer and unit by unit, how much of what a model carries is in a single frame (static), and "
    "how much needs several frames (dynamic). Start with: sdmetrics demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()

MODEL = typer.Argument(help="An ONNX file: exported by this package, a probe, or made by anyone.", show_default=False)
CLIPS = typer.Argument(
    help="A video; a folder of videos, of frame folders or of style folders; a CSV file with the header "
    "path,label,start,end; or the published annotations of ActivityNet, Kinetics, Something-Something, SomethingElse "
    "or Diving48.",
    show_default=False,
)
LAYER = typer.Option("--layer", "-l", help="A layer to measure; may be repeated. Default: those the file declares.")
HALF = typer.Option(
    "--half", help="Run the model's body in float16; scaling, pooling and moments keep their precision."
)
LAYOUT = typer.Option(help="The input's axes, such as NCTHW, NTCHW or NTHWC.")
FRAMES = typer.Option(min=1, help="Frames the model reads.")
STRIDE = typer.Option(min=1, help="Distance between them in the video.")
SIZE = typer.Option(help="Height and width in pixels.")
MEAN = typer.Option(help="Per RGB channel, of values from 0 to 1.")
STD = typer.Option(help="Per RGB channel.")
SEED = typer.Option(min=0, help="Draws styles and shuffles.")
STYLES = typer.Option(
    "--styles",
    help="A style, to be repeated: an image-to-image ONNX network, or the name of a built-in one. Default: the styles "
    "that the clips come in, else the four built-in ones.",
)
PER_VIDEO = typer.Option(min=1, help="Clips per video, evenly spread; a single one is cut from the middle.")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the two runs and their report.")] = Path("demo"),
    clips: Annotated[int, typer.Option(min=2, help="Generated clips to analyse.")] = 320,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Analyse two small models whose answer is known: one tells motions, the other tells appearances."""
    from sdmetrics.demo import run_demo
    from sdmetrics.report import write_report

    with _resumable():
        runs = run_demo(out, clips=clips, seed=seed)
    for name, results in runs.items():
        console.print(results_table(results, f"trained to tell {name}s"))
    console.print(f"report: {write_report(runs, out / 'report.html')}", soft_wrap=True)


@app.command()
def layers(model: Annotated[Path, MODEL]) -> None:
    """List the layers of a model that can be measured."""
    from sdmetrics.exporters.layers import list_layers, understood_inputs

    found = list_layers(model)
    rows = [
        (
            layer.name,
            " × ".join(map(str, layer.shape)),
            *("–" if value is None else value for value in (layer.channel_axis, layer.units, layer.module)),
        )
        for layer in found
    ]
    console.print(plain_table(str(model), ("layer", "shape", "channel axis", "units", "module"), rows))
    for line in understood_inputs(model):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    if found:
        example = f"sdmetrics probe {model} -l {shlex.quote(found[-1].name)} -o probe.onnx"
        console.print(f"next: {example}", soft_wrap=True, markup=False, highlight=False)
    else:
        console.print(
            "no layer with a certain channel axis was found; name a tensor and its axis in Python: "
            "build_probe(MODEL, PROBE, layers={TENSOR: AXIS})",
            soft_wrap=True,
            markup=False,
        )


@app.command()
def probe(
    model: Annotated[Path, MODEL],
    out: Annotated[Path, typer.Option("--out", "-o", help="The probe to write.")],
    layer: Annotated[list[str] | None, LAYER] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Give every layer an input mask/LAYER that removes units.")
    ] = False,
    half: Annotated[bool, HALF] = False,
    layout: Annotated[str | None, LAYOUT] = None,
    frames: Annotated[int | None, FRAMES] = None,
    stride: Annotated[int | None, STRIDE] = None,
    size: Annotated[tuple[int, int] | None, SIZE] = None,
    mean: Annotated[Channels | None, MEAN] = None,
    std: Annotated[Channels | None, STD] = None,
) -> None:
    """Turn a model into a probe: bytes in, pooled units out.

    A file that this package exported says itself how it is fed. For any other, name the layers (sdmetrics layers MODEL
    lists them) and say how it is fed, as far as its input's shape doesn't: layout, frames, stride, size, mean and std.
    """
    from sdmetrics.exporters.feeds import infer_inputs
    from sdmetrics.exporters.graph import load_model
    from sdmetrics.exporters.metadata import read_metadata
    from sdmetrics.exporters.probe import build_probe

    given = _given(layout=layout, frames=frames, stride=stride, size=size, mean=mean, std=std)
    declared = read_metadata(model)
    if declared:
        inputs = tuple(replace(model_input, **given) for model_input in declared.inputs)
    else:
        inputs = infer_inputs(load_model(model), **given)
    path = build_probe(model, out, layers=layer, inputs=inputs, masks=masks, half=half)
    console.print(f"probe: {path}", soft_wrap=True)


@app.command()
def export(
    name: Annotated[
        str | None,
        typer.Argument(
            help="An architecture of the catalogue, such as slowfast_r50_8x8; or a Keras file (.keras, .h5) or the "
            "folder of a SavedModel.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The model to write. Default: NAME.onnx.", show_default=False)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Weights as their owners publish them: SlowFast's, PyTorchVideo's and torchvision's files, "
            "safetensors, folders of Transformers. They may have other classes than the catalogue says.",
            show_default=False,
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download the published weights that --list names.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List the architectures: how they are fed, layers, labels, weights.")
    ] = False,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Of a Keras file or SavedModel: a layer to measure; may be repeated."),
    ] = None,
    layout: Annotated[str | None, LAYOUT] = None,
    frames: Annotated[int | None, FRAMES] = None,
    stride: Annotated[int | None, STRIDE] = None,
    size: Annotated[tuple[int, int] | None, SIZE] = None,
    mean: Annotated[Channels | None, MEAN] = None,
    std: Annotated[Channels | None, STD] = None,
) -> None:
    """Export a named architecture or a saved Keras model to an ONNX model that knows its layers and how it is fed.

    sdmetrics export --list shows which there are. The layers are those where the paper measures: both pathways of
    SlowFast before they are joined, the stem and the stages of a ResNet, every block of a transformer. The export is
    compared with the original, then: sdmetrics analyze NAME.onnx CLIPS --out RUN.

    Of a Keras file or a SavedModel, name the layers and say how it is fed, as far as its inputs' shapes don't: layout,
    frames, stride, size, mean and std.
    """
    from sdmetrics.exporters import catalogue
    from sdmetrics.exporters.tensorflow_files import export_saved, is_saved

    if listed:
        columns = ("name", "frames × stride, pixels", "layers", "labels", "weights")
        rows = [catalogue.in_words(row) for row in catalogue.ARCHITECTURES.values()]
        console.print(plain_table("sdmetrics export NAME", columns, rows))
        console.print(
            "weights: a file of PyTorchVideo's model zoo, torchvision's, or a repository of the Hugging Face hub; "
            "--pretrained downloads them"
        )
        return
    if name is None:
        raise InputError("no architecture is named; sdmetrics export --list shows which there are")
    given = _given(layout=layout, frames=frames, stride=stride, size=size, mean=mean, std=std)
    saved = name not in catalogue.ARCHITECTURES and is_saved(Path(name))
    if saved and (checkpoint or pretrained):
        raise InputError(f"{name} holds its own weights; leave out --checkpoint and --pretrained")
    if saved:
        with console.status(f"exporting {name}"):
            path = export_saved(Path(name), out or Path(f"{Path(name).stem}.onnx"), layer or [], **given)
        console.print(f"model: {path}", soft_wrap=True)
        return
    if layer or given:
        options = ", ".join(f"--{option}" for option in [*(["layer"] if layer else []), *given])
        raise InputError(f"{name} is no Keras file or SavedModel, which {options} would describe; leave that out")
    if checkpoint is None and not pretrained:
        catalogue.find_architecture(name)
        console.print(
            f"the weights of {name} are random: its numbers say nothing of a trained model. Give --checkpoint FILE or "
            "--pretrained",
            style="yellow",
            soft_wrap=True,
        )
    with console.status(f"exporting {name}"):
        path = catalogue.export(name, out or Path(f"{name}.onnx"), checkpoint=checkpoint, pretrained=pretrained)
    console.print(f"model: {path}", soft_wrap=True)


@app.command()
def sample(
    clips: Annotated[Path, CLIPS],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write.")] = Path("pairs.png"),
    count: Annotated[int, typer.Option(min=1, help="Clips to show, evenly spread over all.")] = 4,
    frames: Annotated[int, typer.Option(min=2, help="Frames of a clip.")] = 8,
    stride: Annotated[int, typer.Option(min=1, help="Distance between them in the video.")] = 8,
    size: Annotated[int, typer.Option(min=8, help="Height and width in pixels.")] = 224,
    styles: Annotated[list[str] | None, STYLES] = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the pairs of some clips, to see what is being compared."""
    from sdmetrics.clips.datasets import open_clips
    from sdmetrics.clips.networks import open_styles
    from sdmetrics.clips.render import check_styles, render
    from sdmetrics.report.sheet import SheetRow, contact_sheet

    found = open_clips(clips, frames=frames, stride=stride, size=(size, size))
    model_input = ModelInput("video", frames=frames, stride=stride, size=(size, size))
    opened = open_styles(styles) if styles else None
    if opened is not None:
        check_styles(opened, found, [model_input])
    rows = []
    for clip in found[:: max(1, len(found) // count)][:count]:
        views, rendered = render(clip, seed, [model_input], opened)
        strips = [(view.style, shown[view.orders["video"]]) for view, shown in zip(views, rendered, strict=True)]
        rows.append(SheetRow(clip.id, strips))
    console.print(f"picture: {contact_sheet(rows, out)}", soft_wrap=True)


@app.command()
def analyze(
    model: Annotated[Path, MODEL],
    clips: Annotated[Path, CLIPS],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the run; an interrupted run in it is resumed. Default: runs/ and the model's name.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[list[str] | None, LAYER] = None,
    styles: Annotated[list[str] | None, STYLES] = None,
    seed: Annotated[int, SEED] = 0,
    clips_per_video: Annotated[int, PER_VIDEO] = 1,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Distance between a clip's frames in the video. Default: the model's."),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="With published annotations: the folder of their videos. Default: beside them.")
    ] = None,
    provider: Annotated[str, typer.Option(help="auto, cpu or cuda; asked for cuda, it is CUDA or an error.")] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads of the model. Default: the cores this process may use."),
    ] = None,
    half: Annotated[bool, HALF] = False,
    tf32: Annotated[
        bool, typer.Option("--tf32", help="Let CUDA multiply in TF32: faster, and further from the CPU's numbers.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Views per run of the model.")] = 6,
    estimator: Annotated[
        str, typer.Option(help="pearson (the paper), icc or reference (the authors' code).")
    ] = "pearson",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Scores above it encode a factor (λ of Eq. 3).")] = 0.5,
) -> None:
    """Measure the biases of a model on videos, and write its report."""
    from sdmetrics.analysis import analyze as run_analysis
    from sdmetrics.clips.networks import open_styles
    from sdmetrics.opening import open_clips, open_model
    from sdmetrics.report import write_report

    out = out or Path("runs") / model.stem
    runner = open_model(model, layers=layer, provider=provider, threads=threads, half=half, allow_tf32=tf32)
    console.print(
        "runs on {provider} in {precision}, {threads} threads, {runtime}".format(**runner.identity), highlight=False
    )
    found = open_clips(clips, runner, clips_per_video=clips_per_video, stride=stride, videos=videos)
    opened = open_styles(styles, threads=threads) if styles else None
    with _resumable():
        results = run_analysis(
            runner,
            found,
            seed=seed,
            out=out,
            estimator=estimator,
            threshold=threshold,
            batch=batch,
            styles=opened,
        )
    console.print(results_table(results, model.stem))
    for skipped in results.clips["skipped"]:
        console.print(f"skipped {skipped['id']}: {skipped['reason']}", style="yellow", soft_wrap=True, markup=False)
    console.print(f"report: {write_report({model.stem: results}, out / 'report.html')}", soft_wrap=True)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, shown side by side.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The page to write. Default: report.html in the first run."),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also write the figures as PNG and SVG into this folder.")
    ] = None,
) -> None:
    """Write the report of one or more runs as one offline page."""
    from sdmetrics.report import write_figures, write_report

    loaded = {run.resolve().name: Results.load(run) for run in runs}
    if len(loaded) < len(runs):
        raise InputError(f"two runs have the same folder name ({', '.join(map(str, runs))}); rename one")
    console.print(f"report: {write_report(loaded, out or runs[0] / 'report.html')}", soft_wrap=True)
    for path in write_figures(loaded, figures) if figures else []:
        console.print(f"figure: {path}", soft_wrap=True)


@app.command()
def check(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    require: Annotated[
        list[str],
        typer.Option(
            help="May be repeated. 'LAYER.dynamic >= 30': percent of Eq. 1 (dynamic, static, identical). "
            "'LAYER.units.dynamic >= 30': percent of units of Eq. 3 (dynamic, static, joint, residual, dead).",
            show_default=False,
        ),
    ],
    bound: Annotated[
        bool, typer.Option("--bound", help="Judge by the end of the 95 % interval that is hardest to meet.")
    ] = False,
) -> None:
    """Gate a release: exit with 1 if a requirement on a run does not hold."""
    results = Results.load(run)
    verdicts = [(text, *results.check(text, bound)) for text in require]
    for text, holds, value in verdicts:
        style, word = ("green", "holds") if holds else ("red", "breach")
        kind = "bound" if bound else "measured"
        console.print(
            f"{word}: {text} ({kind}: {value:.1f})",
            style=style,
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
    if not all(holds for _, holds, _ in verdicts):
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Say what is installed, what of it really loads, and what to mend; exit with 1 if something is wrong."""
    from sdmetrics.doctor import diagnose

    findings = diagnose()
    console.print(plain_table("sdmetrics doctor", ("what", "found"), [(f.what, f.found) for f in findings]))
    problems = [f for f in findings if f.remedy]
    for finding in problems:
        console.print(f"{finding.what}: {finding.remedy}", style="red", soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Print the version where it is asked for."""
    from sdmetrics._version import __version__

    if show:
        console.print(__version__)
        raise typer.Exit


def _given(**options: object) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


@contextmanager
def _resumable() -> Iterator[None]:
    """Say, where a run is interrupted, that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the finished shards")
        raise typer.Exit(130) from None
