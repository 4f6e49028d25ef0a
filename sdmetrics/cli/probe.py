"""`probe`: a probe from any ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.input_option import parse_inputs
from sdmetrics.cli.options import (
    FRAMES,
    HALF,
    INPUT,
    LAYER,
    LAYOUT,
    MEAN,
    MODEL,
    SIZE,
    STD,
    STRIDE,
    Channels,
    given_options,
)


@app.command()
def probe(
    model: Annotated[Path, MODEL],
    out: Annotated[Path, typer.Option("--out", "-o", help="Probe to write.")],
    layer: Annotated[list[str] | None, LAYER] = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Add an input mask/LAYER per layer that removes units.")
    ] = False,
    half: Annotated[bool, HALF] = False,
    layout: Annotated[str | None, LAYOUT] = None,
    frames: Annotated[int | None, FRAMES] = None,
    stride: Annotated[int | None, STRIDE] = None,
    size: Annotated[tuple[int, int] | None, SIZE] = None,
    mean: Annotated[Channels | None, MEAN] = None,
    std: Annotated[Channels | None, STD] = None,
    described: Annotated[list[str] | None, INPUT] = None,
) -> None:
    """Convert a model to a probe: an ONNX file with video frames in and pooled units out.

    Files exported by sdmetrics carry their own input description. For any other ONNX file, name the layers (see
    sdmetrics layers MODEL) and specify whatever the input shape does not determine: layout, frames, stride, size, mean,
    std. Use --input once per input if there are several.
    """
    from sdmetrics.exporters.probe import build_probe, describe_feeding
    from sdmetrics.probes.model_file import read_model_file

    fields = given_options(layout=layout, frames=frames, stride=stride, size=size, mean=mean, std=std)
    file = read_model_file(model)
    inputs = describe_feeding(file, parse_inputs(described or []), **fields)
    path = build_probe(file, out, layers=layer, inputs=inputs, masks=masks, half=half)
    console.print(f"probe: {path}", soft_wrap=True)
