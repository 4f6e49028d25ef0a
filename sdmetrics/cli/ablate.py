"""`ablate`: the effect of removing the units that encode a factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdmetrics.analysis.identity import clips_digest
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.results import Results
from sdmetrics.cli.app import app, console, print_part, print_skipped, resumable
from sdmetrics.cli.console.tables import Estimate, clips_in_words
from sdmetrics.cli.options import (
    BATCH,
    CLIPS_HELP,
    CODE_HELP,
    DEVICE,
    LABELS,
    LOGITS,
    MODEL_OUTPUT,
    PART,
    PROTOCOL,
    PROVIDER,
    RUN,
    THREADS,
    check_conflicts,
)
from sdmetrics.errors import note
from sdmetrics.run import FLOW_FOLDER

if TYPE_CHECKING:
    from rich.table import Table

    from sdmetrics.ablation.result import Ablation
    from sdmetrics.clips.clip import Clip
    from sdmetrics.loading.run_source import RunSource


@app.command()
def ablate(
    run: Annotated[Path, RUN],
    labels: Annotated[Path | None, LABELS] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help=f"ONNX file, or a probe with masks; or {CODE_HELP} Default: the run's model, if it is a file.",
            show_default=False,
        ),
    ] = None,
    clips: Annotated[
        str | None, typer.Option(help=f"{CLIPS_HELP} Default: the run's clips.", show_default=False)
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Layer to ablate; repeat for several. Default: the run's last layer."),
    ] = None,
    fraction: Annotated[
        list[float] | None,
        typer.Option(
            help="Fraction of the layer's units to remove; repeat for several. Default: 0.1, 0.2, … 0.9.",
            show_default=False,
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Number of random draws.")] = 5,
    by: Annotated[
        str,
        typer.Option(
            help="Ranking of the units: softmax (over a unit's factors, as in the authors' code) or score (the "
            "factor's score)."
        ),
    ] = "softmax",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first draw.")] = 0,
    model_output: Annotated[str | None, MODEL_OUTPUT] = None,
    protocol: Annotated[str | None, PROTOCOL] = None,
    logits: Annotated[bool | None, LOGITS] = None,
    provider: Annotated[str, PROVIDER] = "auto",
    device: Annotated[str | None, DEVICE] = None,
    threads: Annotated[int | None, THREADS] = None,
    batch: Annotated[Any, BATCH] = "auto",  # noqa: ANN401 (a number or auto)
    part: Annotated[str | None, PART] = None,
) -> None:
    """Remove the most dynamic, the most static and random units, and measure how far the score drops.

    Clips need class labels (scored by top-1 and top-5 accuracy) or segmentation masks (scored by IoU). Writes
    ablation.csv and ablation.json to RUN, and adds the curves to its report. To resume an interrupted run, repeat the
    command.
    """
    from sdmetrics.ablation.ablate import FRACTIONS
    from sdmetrics.ablation.ablate import ablate as run_ablation
    from sdmetrics.ablation.segmentation_scores import mask_score
    from sdmetrics.evaluation.class_files import read_classes
    from sdmetrics.loading.open import open_model
    from sdmetrics.loading.run_source import RunSource
    from sdmetrics.loading.user_code import is_code
    from sdmetrics.report import write_report

    share = None if part is None else Part.parse(part)
    results = Results.load(run)
    chosen = [row["name"] for row in (map(results.layer, layer) if layer else results.layers[-1:])]
    classes = read_classes(labels) if labels else None
    source = RunSource.load(run, model=model, clips=clips)
    # With all layers of the run, the answers of a live module tell whether its code is the run's.
    opened = [row["name"] for row in results.layers] if is_code(str(source.model)) else chosen
    axes = {name: _measured_axis(results, name) for name in opened}
    runner = open_model(str(source.model), layers=axes, provider=provider, threads=threads, masks=True, device=device)
    listed = source.open_clips(runner, cache=run / FLOW_FOLDER)
    for text in _notes(source, results, runner.identity, listed if clips is None else None):
        note(text)
    segments = any(clip.load_masks for clip in listed)
    masked = {"--protocol": protocol, "--logits/--probabilities": None if logits is None else True}
    check_conflicts(segments, for_masks=masked, for_labels={"--labels": labels})
    with resumable():
        ablation = run_ablation(
            runner,
            listed,
            results,
            classes=classes,
            output=None if segments else model_output,
            score=mask_score(protocol or "region", model_output, logits) if segments else None,
            layers=chosen,
            fractions=fraction or FRACTIONS,
            repeats=repeats,
            by=by,
            seed=seed,
            batch=batch,
            out=run,
            part=share,
        )
    if share is not None:
        print_part(share, ablation.clips["used"], ablation.clips["skipped"], "repeat the command without --part")
        return
    name = run.resolve().name
    page = write_report({name: results}, run / "report.html", ablations={name: ablation})
    _print(ablation)
    console.print(f"report: {page}", soft_wrap=True)


def _measured_axis(results: Results, layer: str) -> int | None:
    """Return the channel axis with which a run measured a layer, if it is stored."""
    layers = results.model.get("layers")
    axes = layers.get(layer) if isinstance(layers, dict) else None
    axis = axes.get("channel_axis") if isinstance(axes, dict) else None
    return axis if isinstance(axis, int) else None


def _notes(
    source: RunSource, results: Results, identity: Mapping[str, Any], clips: Sequence[Clip] | None
) -> Iterator[str]:
    """Yield in what the ablation differs from the run; `clips` are those that should be the run's."""
    if not results.settings:
        yield "shards/settings.json is missing, so nothing tells whether clips and inputs are those of the run"
    elif clips is not None and clips_digest(clips) != results.settings.get("clips", {}).get("sha256"):
        yield "the clips are not those that the run measured: files were changed, or source.json is another run's"
    if source.dropped:
        yield f"--clips replaces the run's clips; its {', '.join(source.dropped)} does not apply"
    changed = [name for name in ("model_sha256", "answers") if results.model.get(name) != identity.get(name)]
    if changed == ["answers"]:
        yield "the model answers differently than in the run, with the same weights; was its code changed?"
    for name in ("precision", "tf32"):
        measured, now = results.model.get(name), identity.get(name)
        if measured is not None and measured != now:
            yield f"the run measured units with {name} {measured}; the scores are computed with {name} {now}"


def _print(ablation: Ablation) -> None:
    """Print a table and a verdict per layer and score, and the skipped clips."""
    from sdmetrics.report import words

    for layer in ablation.layers:
        for score in ablation.scores:
            console.print(_table(ablation, layer["name"], score))
            verdict = words.removal_verdict(ablation, layer["name"], score)
            console.print(f"{layer['name']}, {words.score_name(score)}: {verdict}", soft_wrap=True)
            console.print()
    print_skipped(ablation.clips["skipped"])


def _table(ablation: Ablation, layer: str, score: str) -> Table:
    """Return a table of the scores per fraction and ranking, and of the differences to random removal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sdmetrics.report import words

    rows = words.removal_table(ablation, layer, score)
    clips = clips_in_words(ablation.clips["used"], len(ablation.clips["skipped"]), ablation.clips["looped"])
    table = Table(
        title=f"{layer}, {words.score_name(score)}: {clips}",
        caption="mean score without the units; brackets: 95 % interval over clips",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    factors = list(rows[-1]["differences"])
    table.add_column(Text("units\nremoved"), justify="right", no_wrap=True)
    for ranking in rows[-1]["curves"]:
        table.add_column(ranking, justify="right", no_wrap=True)
    for factor in factors:
        table.add_column(Text(f"{factor}\nminus random"), justify="right")
    for row in rows:
        means = [words.number(point["mean"]) for point in row["curves"].values()]
        against = [row["differences"][factor]["random"] for factor in factors if row["differences"]]
        table.add_row(
            f"{100 * row['fraction']:.3g} %",
            *means,
            *(Estimate(words.estimate(change["difference"], words.known(change["ci95"]))) for change in against),
        )
    return table
