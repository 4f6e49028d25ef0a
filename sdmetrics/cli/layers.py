"""`layers`: a list of the layers of an ONNX file that can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from sdmetrics.cli.app import app, console
from sdmetrics.cli.options import MODEL
from sdmetrics.cli.tables import plain_table


@app.command()
def layers(model: Annotated[Path, MODEL]) -> None:
    """List the layers of a model that can be measured."""
    from sdmetrics.exporters.layers import layers_of, presume, probe_command, understood_inputs
    from sdmetrics.probes.model_file import read_model_file

    file = read_model_file(model)
    presumed = presume(file)
    listed = layers_of(file, presumed)
    rows = [
        (
            layer.name,
            " × ".join(map(str, layer.shape)),
            *("–" if value is None else value for value in (layer.channel_axis, layer.units, layer.module)),
        )
        for layer in listed
    ]
    console.print(plain_table(str(model), ("layer", "shape", "channel axis", "units", "module"), rows))
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
