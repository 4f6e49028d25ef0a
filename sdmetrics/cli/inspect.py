"""`inspect`: what single units of a run respond to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import CLIPS_HELP, CODE_HELP, DEVICE, PROVIDER, RUN, STYLES, THREADS


@app.command()
def inspect(
    run: Annotated[Path, RUN],
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Layer; repeat for several. Default: the run's last layer."),
    ] = None,
    unit: Annotated[
        list[int] | None,
        typer.Option(
            "--unit", "-u", min=0, help="Number of a unit; repeat for several. Default: the most typical of each class."
        ),
    ] = None,
    typical: Annotated[int, typer.Option(min=1, help="Number of typical units of each class.")] = 2,
    exemplars: Annotated[
        int, typer.Option(min=1, help="Number of clips with the highest, and with the lowest response.")
    ] = 3,
    model: Annotated[
        Path | None,
        typer.Option(help=f"ONNX file, or {CODE_HELP} Default: the run's model, if it is a file.", show_default=False),
    ] = None,
    clips: Annotated[
        str | None, typer.Option(help=f"{CLIPS_HELP} Default: the run's clips.", show_default=False)
    ] = None,
    styles: Annotated[list[str] | None, STYLES] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML page to write. Default: inspection.html in RUN.")
    ] = None,
    max_mb: Annotated[float, typer.Option(help="Largest size of the page, in millions of bytes.")] = 5.0,
    provider: Annotated[str, PROVIDER] = "auto",
    device: Annotated[str | None, DEVICE] = None,
    threads: Annotated[int | None, THREADS] = None,
) -> None:
    """Show what single units respond to: an HTML page that works offline.

    For each unit: its responses to both pairs, the clips with the highest and the lowest response, and where in the
    frames it responds. The run was made by analyze with --keep-responses. Its report links to the page.
    """
    from sdmetrics.clips.styles.networks import open_styles
    from sdmetrics.inspect_run import inspect as inspect_run
    from sdmetrics.report.inspection import FILE_NAME

    seen = inspect_run(
        run,
        layers=layer,
        units=unit,
        typical=typical,
        exemplars=exemplars,
        model=model,
        clips=clips,
        styles=open_styles(styles) if styles else None,
        out=out,
        max_mb=max_mb,
        provider=provider,
        threads=threads,
        device=device,
    )
    for each in seen.units:
        console.print(f"{each.layer}, unit {each.unit}: {each.label}; highest response: {each.highest[0].clip}")
    console.print(f"page: {out or run / FILE_NAME}", soft_wrap=True)
