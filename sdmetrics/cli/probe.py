"""`probe`: a probe from any ONNX file."""

from __future__ import annotations

from dataclasses import replace
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
    described: Annotated[list[str] | None, INPUT] = None,
) -> None:
    """Turn a model into a probe: bytes in, pooled units out.

    A file that this package exported says itself how it is fed. For any other, name the layers (sdmetrics layers MODEL
    lists them) and say how it is fed, as far as its input's shape doesn't: layout, frames, stride, size, mean and std;
    of a model with several inputs, --input says it for each.
    """
    from sdmetrics.exporters._graph.describe_inputs import check_known, infer_inputs
    from sdmetrics.exporters.probe import build_probe
    from sdmetrics.probes.metadata import read_metadata
    from sdmetrics.probes.onnx_file import load_model

    given = given_options(layout=layout, frames=frames, stride=stride, size=size, mean=mean, std=std)
    by_input = parse_inputs(described or [])
    declared = read_metadata(model)
    if declared:
        check_known(by_input, [item.name for item in declared.inputs])
        inputs = tuple(replace(item, **{**given, **by_input.get(item.name, {})}) for item in declared.inputs)
    else:
        inputs = infer_inputs(load_model(model), by_input, **given)
    path = build_probe(model, out, layers=layer, inputs=inputs, masks=masks, half=half)
    console.print(f"probe: {path}", soft_wrap=True)
