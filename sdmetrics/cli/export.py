"""`export`: from a named architecture or a saved model to an ONNX file that knows its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import (
    FRAMES,
    LAYOUT,
    MEAN,
    SIZE,
    STD,
    STRIDE,
    Channels,
    given_options,
)
from sdmetrics.cli.tables import plain_table
from sdmetrics.errors import InputError


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
