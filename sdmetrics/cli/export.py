"""`layers`, `probe` and `export`: from a model to a file that can be measured."""

from __future__ import annotations

import shlex
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
from sdmetrics.cli.tables import plain_table
from sdmetrics.errors import InputError


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
    from sdmetrics.exporters.saved_models import export_saved, is_saved

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
    given = given_options(layout=layout, frames=frames, stride=stride, size=size, mean=mean, std=std)
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
