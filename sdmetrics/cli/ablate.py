"""`ablate`: what a model loses without the units that carry a factor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdmetrics.analysis.results import Results
from sdmetrics.cli.app import app, console, print_skipped, resumable
from sdmetrics.cli.conflicts import WITH_MASKS, WITHOUT_MASKS, refuse
from sdmetrics.cli.options import CLIPS, FLOW_FOLDER, MODEL_OUTPUT

if TYPE_CHECKING:
    from rich.table import Table

    from sdmetrics.ablation.result import Ablation


@app.command()
def ablate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="The model's classes: one name per line in the order of its outputs, or JSON. Default: the clips' "
            "labels are the outputs' indices.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="An ONNX file, or a probe with masks. Default: the run's.", show_default=False)
    ] = None,
    clips: Annotated[str | None, typer.Option(help=f"{CLIPS.help} Default: the run's.", show_default=False)] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="A layer that loses units; may be repeated. Default: the run's last."),
    ] = None,
    fraction: Annotated[
        list[float] | None,
        typer.Option(help="A share of the layer's units to remove; may be repeated. Default: 0.1, 0.2, … 0.9."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Draws of every random removal.")] = 5,
    by: Annotated[
        str, typer.Option(help="Rank units by the softmax over a unit's factors (the authors' code), or by the score.")
    ] = "softmax",
    seed: Annotated[int, typer.Option(min=0, help="Of the first draw.")] = 0,
    model_output: Annotated[str | None, MODEL_OUTPUT] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Of clips with masks: region, the overlap of what is marked and annotated; or moca, that of the boxes "
            "around both. Default: region.",
            show_default=False,
        ),
    ] = None,
    provider: Annotated[str, typer.Option(help="auto, cpu or cuda; asked for cuda, it is CUDA or an error.")] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads of the model. Default: the cores this process may use."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Clips per run of the model, at most.")] = 16,
) -> None:
    """Remove units by factor and at random and watch the score fall; the run's report then shows the curves.

    The clips need labels, of which top-1 and top-5 are counted, or masks, which a segmentation is compared with. RUN
    then holds ablation.csv and ablation.json; interrupted, the same command goes on.
    """
    from sdmetrics.ablation.ablate import FRACTIONS
    from sdmetrics.ablation.ablate import ablate as run_ablation
    from sdmetrics.ablation.segmentation_scores import mask_score
    from sdmetrics.evaluation.labels import read_classes
    from sdmetrics.loading.open import open_model
    from sdmetrics.loading.run_source import RunSource
    from sdmetrics.report import write_report

    results = Results.load(run)
    expected = [row["name"] for row in (map(results.layer, layer) if layer else results.layers[-1:])]
    classes = read_classes(labels) if labels else None
    source = RunSource.load(run, model=model, clips=clips)
    runner = open_model(str(source.model), layers=expected, provider=provider, threads=threads, masks=True)
    listed = source.open_clips(runner, cache=run / FLOW_FOLDER)
    segments = any(clip.load_masks for clip in listed)
    refuse(segments, {"--labels": labels}, WITH_MASKS)
    refuse(not segments, {"--protocol": protocol}, WITHOUT_MASKS)
    with resumable():
        ablation = run_ablation(
            runner,
            listed,
            results,
            classes=classes,
            output=None if segments else model_output,
            score=mask_score(protocol or "region", model_output) if segments else None,
            layers=expected,
            fractions=fraction or FRACTIONS,
            repeats=repeats,
            by=by,
            seed=seed,
            batch=batch,
            out=run,
        )
    _print(ablation)
    name = run.resolve().name
    page = write_report({name: results}, run / "report.html", ablations={name: ablation})
    console.print(f"report: {page}", soft_wrap=True)


def _print(ablation: Ablation) -> None:
    """Print a table and its meaning per layer and score, and the clips that were skipped."""
    from sdmetrics.report import words

    for layer in ablation.layers:
        for score in ablation.scores:
            console.print(_table(ablation, layer["name"], score))
            said = words.removal_verdict(ablation, layer["name"], score)
            console.print(f"{layer['name']}, {score}: {said}\n", soft_wrap=True, markup=False, highlight=False)
    print_skipped(ablation.clips["skipped"])


def _table(ablation: Ablation, layer: str, score: str) -> Table:
    """Return a row per fraction: the score without the units of each ranking, and each factor's against random."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from sdmetrics.report import words

    rows = words.removal_table(ablation, layer, score)
    used, skipped = ablation.clips["used"], len(ablation.clips["skipped"])
    table = Table(
        title=escape(f"{layer}, {score}: {used} clips used, {skipped} skipped"),
        caption="mean without the units; brackets: 95 % interval over clips",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    factors = list(rows[-1]["differences"])
    table.add_column("units\ngone", justify="right", no_wrap=True)
    for ranking in rows[-1]["curves"]:
        table.add_column(ranking, justify="right", no_wrap=True)
    for factor in factors:
        table.add_column(f"{factor}\nminus random", justify="right")
    for row in rows:
        means = [words.number(point["mean"]) for point in row["curves"].values()]
        against = [row["differences"][factor]["random"] for factor in factors if row["differences"]]
        table.add_row(
            f"{100 * row['fraction']:.3g} %",
            *means,
            *(
                escape(f"{words.number(d['difference'])} {words.interval_text(words.known(d['ci95']))}")
                for d in against
            ),
        )
    return table
