"""Export named architectures with one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require, suggest
from sdmetrics.exporters.architectures import pytorchvideo, torchvision, transformers, two_stream, vistr
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.probes.inputs import FLOWS, ModelInput

if TYPE_CHECKING:
    from torch import nn

ROWS = (*pytorchvideo.ROWS, *torchvision.ROWS, *transformers.ROWS, *vistr.ROWS, *two_stream.ROWS)
ARCHITECTURES = {row.name: row for row in ROWS}


def find_architecture(name: str) -> Architecture:
    """Return the architecture of a name.

    Raises
    ------
    InputError
        If the catalogue has no architecture of that name, with the nearest names.

    Examples
    --------
    >>> find_architecture("slowfast_r50_8x8").family
    'SlowFast'
    """
    if name not in ARCHITECTURES:
        raise InputError(f"the catalogue has no architecture {name!r}. {suggest(name, ARCHITECTURES)}")
    return ARCHITECTURES[name]


def export(
    name: str, path: Path, *, checkpoint: Path | None = None, holder: str | None = None, pretrained: bool = False
) -> Path:
    """Export an architecture of the catalogue to an ONNX model that declares its layers and how it is fed.

    Parameters
    ----------
    name
        Name of the architecture, a key of `ARCHITECTURES`.
    path
        Where the ONNX file is written.
    checkpoint
        A checkpoint in its published format, or a folder that Transformers saved. The number of classes may differ
        from the catalogue.
    holder
        The entry of the checkpoint that holds the weights, or the prefix of their names, if there are several: a
        model's and those of its moving average.
    pretrained
        Whether to download the published weights. Without `checkpoint` and `pretrained` the weights are random, but the
        same each time.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If there is no such architecture, or the weights cannot be obtained or do not fit; see also
        `sdmetrics.exporters.torch.export`.

    Examples
    --------
    >>> export("slowfast", Path("model.onnx"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: the catalogue has no architecture 'slowfast'. The nearest names: slowfast_r50_8x8, \
slowfast_r18_8x8, slowfast_r50_4x16, slowfast_r50_16x8, slowfast_r18_4x16
    """
    from sdmetrics.exporters._weights.checkpoints import open_checkpoint
    from sdmetrics.exporters._weights.pretrained import open_pretrained

    architecture = find_architecture(name)
    if checkpoint is not None and pretrained:
        raise InputError(
            f"got both --checkpoint {checkpoint} and --pretrained; expected at most one source of weights. Drop one of "
            "them"
        )
    if holder is not None and checkpoint is None:
        raise InputError(f"--holder {holder} names an entry of a checkpoint; pass one with --checkpoint, or drop it")
    if pretrained:
        module, inputs = open_pretrained(architecture)
    elif checkpoint is not None:
        module, inputs = open_checkpoint(architecture, checkpoint, holder)
    else:
        module, inputs = build_random(architecture), architecture.inputs
    return export_module(module, architecture, inputs, path)


def in_words(architecture: Architecture) -> tuple[str, ...]:
    """Describe an architecture in words: name, inputs, layers, labels, weights.

    Examples
    --------
    >>> in_words(find_architecture("slowfast_r50_8x8"))[1:]
    ('8×8 + 32×2, 256²', '10: slow.stem … fast.res5', 'Kinetics-400', 'SLOWFAST_8x8_R50.pyth')
    >>> in_words(find_architecture("rtnet"))[1]
    'frame + flow, 384×672'
    """
    height, width = architecture.inputs[0].size
    fed = " + ".join(
        f"{item.frames}×{item.stride}" if "T" in item.layout else "flow" if item.source in FLOWS else "frame"
        for item in architecture.inputs
    )
    first, *_, last = architecture.layers
    return (
        architecture.name,
        f"{fed}, {height}²" if height == width else f"{fed}, {height}×{width}",
        f"{len(architecture.layers)}: {first} … {last}",
        architecture.labels or "–",
        _weights_in_words(architecture.weights),
    )


def _weights_in_words(weights: str) -> str:
    """Return the name of a file in PyTorchVideo's zoo, of torchvision's weights or of a repository."""
    if "://" in weights:
        return weights.rpartition("/")[2]
    return f"torchvision's {weights.partition('_Weights')[0]}" if "_Weights" in weights else weights or "–"


def build_random(architecture: Architecture) -> nn.Module:
    """Return the architecture's module in evaluation mode with random weights, which are the same each time."""
    torch = require("torch", extra="catalogue")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return architecture.build(architecture.inputs, architecture.classes).eval()


def export_module(module: nn.Module, architecture: Architecture, inputs: Sequence[ModelInput], path: Path) -> Path:
    """Export a module that an architecture built for `inputs`, with the architecture's layers and their names."""
    from sdmetrics.exporters import torch

    names = {module_path: name for name, module_path in architecture.layers.items()}
    return torch.export(module, inputs, list(names), path, names=names)
