"""`layers`: a list of the layers of a model that can be measured."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from sdmetrics.cli.app import app, console
from sdmetrics.cli.console.tables import plain_table
from sdmetrics.cli.options import ANY_MODEL

if TYPE_CHECKING:
    from sdmetrics.probes.metadata import Layer


@app.command()
def layers(model: Annotated[Path, ANY_MODEL]) -> None:
    """List the layers of a model that can be measured."""
    from sdmetrics.exporters.layers import layers_of, presume, probe_command, understood_inputs
    from sdmetrics.loading.user_code import is_code
    from sdmetrics.probes.model_file import read_model_file

    if is_code(model):
        _print_modules(model)
        return
    file = read_model_file(model)
    presumed = presume(file)
    listed = layers_of(file, presumed)
    _print_table(model, listed)
    for line in understood_inputs(file, presumed):
        console.print(line, soft_wrap=True)
    if listed:
        console.print(f"next: {probe_command(file, presumed, listed[-1].name)}", soft_wrap=True)
    else:
        console.print(
            "found no layer whose channel axis is certain; name a tensor and its axis: sdmetrics probe MODEL "
            "-l 'TENSOR axis=1' -o probe.onnx",
            soft_wrap=True,
        )


def _print_modules(model: Path) -> None:
    """Print the layers of a model in the user's own code."""
    from sdmetrics.exporters.layers import fed_line
    from sdmetrics.loading.user_code import build_model
    from sdmetrics.probes.torch_hooks import layer_names
    from sdmetrics.runners.torch_layers import list_modules

    built = build_model(model)
    own = layer_names(built.module, built.layers)
    _print_table(model, list_modules(built.module, built.inputs))
    for item in built.inputs:
        console.print(fed_line(item), soft_wrap=True)
    console.print(f"measured unless --layer names others: {', '.join(own)}", soft_wrap=True)
    console.print(f"next: sdmetrics analyze {shlex.quote(str(model))} world:40", soft_wrap=True)


def _print_table(model: Path, listed: Sequence[Layer]) -> None:
    """Print layers as a table."""
    rows = [
        (
            layer.name,
            " × ".join(map(str, layer.shape)),
            *("–" if value is None else value for value in (layer.channel_axis, layer.units, layer.module)),
        )
        for layer in listed
    ]
    console.print(plain_table(str(model), ("layer", "shape", "channel axis", "units", "module"), rows))
