"""`sample`: an image of the pairs of views that an analysis compares, or of manipulated clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import CLIPS, FPS, SAMPLING, SEED, STYLES
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput


@app.command()
def sample(
    clips: Annotated[Path, CLIPS],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG image to write.")] = Path("pairs.png"),
    count: Annotated[int, typer.Option(min=1, help="Number of clips to show, evenly spaced over all.")] = 4,
    frames: Annotated[
        int | None, typer.Option(min=2, help="Number of frames per clip. Default: 8.", show_default=False)
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, help="Distance between these frames in the video, in frames. Default: 8.", show_default=False
        ),
    ] = None,
    sampling: Annotated[str | None, SAMPLING] = None,
    fps: Annotated[float | None, FPS] = None,
    size: Annotated[int, typer.Option(min=8, help="Height and width of the frames, in pixels.")] = 224,
    styles: Annotated[list[str] | None, STYLES] = None,
    with_flow: Annotated[
        bool,
        typer.Option(
            "--with-flow", help="Show pairs for models that read one frame and its optical flow: one frame per clip."
        ),
    ] = False,
    manipulate: Annotated[
        str | None,
        typer.Option(
            help="Draw clips as they are and manipulated, instead of pairs: any of shuffle, reverse, freeze, loop and "
            "appearance-free, separated by commas.",
            metavar="NAME[,NAME]",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the pairs of views of a few clips, to show what an analysis compares; or these clips manipulated."""
    from sdmetrics.clips.manipulations.manipulate import check_manipulations, manipulated
    from sdmetrics.clips.open import list_clips
    from sdmetrics.clips.render import check_styles, plain, render
    from sdmetrics.clips.styles.networks import open_styles
    from sdmetrics.report.contact_sheet import SheetRow, contact_sheet, manipulation_sheet

    if manipulate is not None and (with_flow or styles):
        given = "--with-flow" if with_flow else "--styles"
        raise InputError(
            f"--manipulate draws the frames of unstyled clips, and {given} was passed, too; drop one of them"
        )
    if with_flow and frames is not None:
        raise InputError(f"--frames is {frames}, and --with-flow shows one frame per clip; drop one of them")
    request = ClipRequest(clips, stride=stride, sampling=sampling, fps=fps)
    shape = ClipShape(1 if with_flow else frames or 8, stride or 8, (size, size), None, sampling or "window", fps)
    listed = list_clips(request, shape, reads_flow=with_flow)
    inputs = [ModelInput(source, source, **vars(shape)) for source in (("rgb", "flow") if with_flow else ("rgb",))]
    chosen = listed[:: max(1, len(listed) // count)][:count]
    if manipulate is not None:
        names = check_manipulations([name.strip() for name in manipulate.split(",")], inputs)
        drawn = {}
        for clip in chosen:
            views = [("untouched", *plain(clip, inputs))]
            views += [(name, *manipulated(name, clip, seed, inputs)) for name in names]
            drawn[clip.id] = [(name, shown["rgb"][view.orders["rgb"]]) for name, view, shown in views]
        console.print(f"image: {manipulation_sheet(drawn, out)}", soft_wrap=True)
        return
    opened = open_styles(styles) if styles else None
    if opened is not None:
        check_styles(opened, listed, inputs)
    rows = []
    for clip in chosen:
        strips = [
            (view.style, np.concatenate([shown[item.source][view.orders[item.name]] for item in inputs]))
            for view, shown in zip(*render(clip, seed, inputs, opened), strict=True)
        ]
        rows.append(SheetRow(clip.id, strips, motion="flow" if with_flow else "order"))
    console.print(f"image: {contact_sheet(rows, out)}", soft_wrap=True)
