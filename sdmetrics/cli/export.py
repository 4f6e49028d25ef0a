"""`export`: an ONNX file from a named architecture or a saved Keras model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdmetrics.cli.app import app, console, working
from sdmetrics.cli.console.tables import plain_table
from sdmetrics.cli.options import (
    FPS,
    FRAMES,
    LAYOUT,
    MEAN,
    RESIZE,
    SAMPLING,
    SIZE,
    STD,
    STRIDE,
    NumbersCommand,
    given_options,
    parse_numbers,
)
from sdmetrics.errors import InputError


@app.command(cls=NumbersCommand)
def export(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Architecture of the catalogue, e.g. slowfast_r50_8x8; Transformers folder or repository of the "
            "Hugging Face hub, e.g. MCG-NJU/videomae-base; file of VideoMAE or V-JEPA 2; Keras file (.keras, .h5); "
            "SavedModel folder.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="ONNX file to write. Default: NAME.onnx.", show_default=False)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint in its published format: files of SlowFast, PyTorchVideo and torchvision, safetensors, "
            "Transformers folders. The number of classes may differ from the catalogue.",
            show_default=False,
        ),
    ] = None,
    holder: Annotated[
        str | None,
        typer.Option(
            help="Entry of the checkpoint that holds the weights, or prefix of their names, e.g. model_ema. Default: "
            "the only one.",
            show_default=False,
        ),
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Download the published weights that --list shows.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List the architectures with their inputs, layers, labels and weights.")
    ] = False,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", "-l", help="Layer to measure, for a Keras file or SavedModel; repeat for several."),
    ] = None,
    layout: Annotated[str | None, LAYOUT] = None,
    frames: Annotated[int | None, FRAMES] = None,
    stride: Annotated[int | None, STRIDE] = None,
    size: Annotated[str | None, SIZE] = None,
    mean: Annotated[str | None, MEAN] = None,
    std: Annotated[str | None, STD] = None,
    resize: Annotated[str | None, RESIZE] = None,
    sampling: Annotated[str | None, SAMPLING] = None,
    fps: Annotated[float | None, FPS] = None,
) -> None:
    """Export a named architecture or a saved Keras model to an ONNX file that declares its layers and inputs.

    List the architectures with: sdmetrics export --list. Layers are those used in the paper: both pathways of SlowFast
    before they are joined, the stem and the stages of a ResNet, every block of a transformer. The exported model is
    checked against the original. Next: sdmetrics analyze NAME.onnx CLIPS --out RUN.

    For Keras files and SavedModels, name the layers and specify whatever the input shapes do not determine: layout,
    frames, stride, size, mean and std.
    """
    from sdmetrics.exporters import catalogue
    from sdmetrics.exporters.saved_models import export_saved, is_saved
    from sdmetrics.loading.user_code import is_code

    if listed:
        columns = ("name", "fed", "layers", "labels", "weights")
        rows = [catalogue.in_words(row) for row in catalogue.ARCHITECTURES.values()]
        console.print(plain_table("sdmetrics export NAME", columns, rows))
        console.print(
            "fed: frames × stride, counted at the rate where there is one, or frames spread over the whole video; then "
            "what they are scaled to (the shorter side, or height × width) → the centre that is read"
        )
        console.print("weights: who has published some; --pretrained downloads them")
        return
    if name is None:
        raise InputError("expected an architecture or a saved model; see sdmetrics export --list")
    if is_code(name):
        raise InputError(
            f"{name} is code, which sdmetrics analyze runs as it is; to export its module, call "
            "sdmetrics.exporters.torch.export"
        )
    fields = given_options(layout=layout, frames=frames, stride=stride, sampling=sampling, fps=fps)
    fields |= parse_numbers(size=size, mean=mean, std=std, resize=resize)
    weights = catalogue.names_weights(name)
    saved = not weights and name not in catalogue.ARCHITECTURES and is_saved(Path(name))
    if (saved and (checkpoint or pretrained or holder)) or (weights and (checkpoint or pretrained)):
        raise InputError(f"{name} contains its own weights; drop --checkpoint, --holder and --pretrained")
    if saved:
        with working(f"exporting {name}"):
            path = export_saved(Path(name), out or Path(f"{Path(name).stem}.onnx"), layer or [], **fields)
        console.print(f"model: {path}", soft_wrap=True)
        return
    if layer or fields:
        passed = [f"--{option}" for option in [*(["layer"] if layer else []), *fields]]
        verb, them = ("requires", "it") if len(passed) == 1 else ("require", "them")
        raise InputError(f"{', '.join(passed)} {verb} a Keras file or SavedModel, got {name}; drop {them}")
    if checkpoint is None and not pretrained and not weights:
        catalogue.find_architecture(name)
        console.print(
            f"the weights of {name} are random, so its results are not meaningful; pass --checkpoint FILE or "
            "--pretrained",
            style="yellow",
            soft_wrap=True,
        )
    with working(f"exporting {name}"):
        path = catalogue.export(
            name, out or _usual_name(name), checkpoint=checkpoint, holder=holder, pretrained=pretrained
        )
    console.print(f"model: {path}", soft_wrap=True)


def _usual_name(name: str) -> Path:
    """Return the ONNX file of an architecture, a folder, a file or a repository."""
    path = Path(name)
    return Path(f"{path.stem if path.is_file() else path.resolve().name}.onnx")
