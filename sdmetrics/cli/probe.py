"""`probe`: a probe from any ONNX file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.input_option import parse_inputs, parse_layers
from sdmetrics.cli.options import (
    COLOURS,
    FPS,
    FRAMES,
    HALF,
    INPUT,
    LAYER,
    LAYOUT,
    MEAN,
    MODEL,
    RESIZE,
    SAMPLING,
    SIZE,
    STD,
    STRIDE,
    NumbersCommand,
    given_options,
    parse_numbers,
)
from sdmetrics.errors import InputError, note


@app.command(cls=NumbersCommand)
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
    size: Annotated[str | None, SIZE] = None,
    mean: Annotated[str | None, MEAN] = None,
    std: Annotated[str | None, STD] = None,
    resize: Annotated[str | None, RESIZE] = None,
    sampling: Annotated[str | None, SAMPLING] = None,
    fps: Annotated[float | None, FPS] = None,
    colours: Annotated[str | None, COLOURS] = None,
    described: Annotated[list[str] | None, INPUT] = None,
) -> None:
    """Convert a model to a probe: an ONNX file with video frames in and pooled units out.

    Files exported by sdmetrics carry their own input description. For any other ONNX file, name the layers (see
    sdmetrics layers MODEL) and specify whatever the input shape does not determine: layout, frames, stride, size, mean,
    std. Use --input once per input if there are several.
    """
    from sdmetrics.exporters.layers import fed_line
    from sdmetrics.exporters.probe import build_probe, describe_feeding
    from sdmetrics.loading.user_code import is_code
    from sdmetrics.probes.inputs import ModelInput, reads_flow
    from sdmetrics.probes.model_file import read_model_file

    if is_code(model):
        raise InputError(f"{model} is code, and probes are made of ONNX files; sdmetrics analyze runs code as it is")
    fields = given_options(layout=layout, frames=frames, stride=stride, colours=colours, sampling=sampling, fps=fps)
    fields |= parse_numbers(size=size, mean=mean, std=std, resize=resize)
    file = read_model_file(model)
    by_input = parse_inputs(described or [])
    inputs = describe_feeding(file, by_input, **fields)
    path = build_probe(file, out, layers=parse_layers(layer), inputs=inputs, masks=masks, half=half)
    video = [item for item in inputs if isinstance(item, ModelInput)]
    for item in video:
        console.print(fed_line(item), soft_wrap=True)
        apart = item.frames > 1 and item.sampling == "window"
        if file.metadata is None and apart and "stride" not in {**fields, **by_input.get(item.name, {})}:
            note(f"no stride is specified for {item.name!r}, so frames {item.stride} apart are read; pass --stride")
    console.print(f"probe: {path}", soft_wrap=True)
    flow = reads_flow(video)
    if flow or any(item.frames > 1 for item in video):
        clips = "camouflage:40" if flow else "world:40"
        console.print(f"next: sdmetrics analyze {shlex.quote(str(path))} {clips}", soft_wrap=True)
    else:
        console.print(
            "it reads a single frame, which shows no motion, so its biases cannot be measured; evaluate can use it",
            soft_wrap=True,
        )
