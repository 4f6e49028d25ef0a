"""Export named architectures with one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require, suggest
from sdmetrics.exporters.architectures import mmaction2, pytorchvideo, torchvision, transformers, two_stream, vistr
from sdmetrics.exporters.architectures.architecture import Architecture
from sdmetrics.probes.inputs import FLOWS, ModelInput

if TYPE_CHECKING:
    from torch import nn

ROWS = (*pytorchvideo.ROWS, *mmaction2.ROWS, *torchvision.ROWS, *transformers.ROWS, *vistr.ROWS, *two_stream.ROWS)
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
        Name of the architecture, a key of `ARCHITECTURES`; or weights that tell it: a folder that Transformers saved,
        the name of a repository on the Hugging Face hub, or a file of VideoMAE or V-JEPA 2.
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
    from sdmetrics.exporters._weights.recognise import recognise

    if checkpoint is None and not pretrained and names_weights(name):
        published = {row.weights: row.name for row in transformers.ROWS}
        if name in published and not Path(name).exists():
            name, pretrained = published[name], True
        else:
            name, checkpoint = recognise(name, holder)
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


def names_weights(name: str) -> bool:
    """Return whether this names weights instead of an architecture: a file or folder, or a repository of the hub.

    Examples
    --------
    >>> names_weights("facebook/vjepa2-vitl-fpc64-256"), names_weights("vjepa2_vitl")
    (True, False)
    """
    from sdmetrics.exporters._weights import recognise

    return name not in ARCHITECTURES and recognise.names_weights(name)


def in_words(architecture: Architecture) -> tuple[str, ...]:
    """Describe an architecture in words: name, how it is fed, layers, labels, who has weights.

    Examples
    --------
    >>> in_words(find_architecture("slowfast_r50_8x8"))[1:]
    ('8×8 + 32×2 at 30 fps, 256²', '10: slow.stem … fast.res5', 'Kinetics-400', 'PyTorchVideo')
    """
    first, *_, last = architecture.layers
    return (
        architecture.name,
        fed_in_words(architecture.inputs),
        f"{len(architecture.layers)}: {first} … {last}",
        architecture.labels or "–",
        _holder_of_weights(architecture.weights),
    )


def fed_in_words(inputs: Sequence[ModelInput]) -> str:
    """Describe how inputs are fed: frames × stride at a rate, or frames spread over the video, and pixels.

    Examples
    --------
    >>> for name in ("x3d_m", "r2plus1d_18", "slowfast_r50_16x8", "videomae_b_16x4", "rtnet"):
    ...     fed_in_words(find_architecture(name).inputs)
    '16×5 at 30 fps, 256→224²'
    '16×1 at 15 fps, 128×171→112²'
    '16 + 64 spread, 256²'
    '16×4, 224²'
    'frame + flow, 384×672 stretched'
    """
    first = inputs[0]
    spread = first.sampling == "spread"
    read = " + ".join(_frames(item) for item in inputs)
    chosen = " spread" if spread else "" if first.fps is None else f" at {first.fps:g} fps"
    return f"{read}{chosen}, {_pixels(first)}"


def _frames(item: ModelInput) -> str:
    """Describe how many frames an input reads, and how far apart."""
    if "T" not in item.layout:
        return "flow" if item.source in FLOWS else "frame"
    return str(item.frames) if item.sampling == "spread" else f"{item.frames}×{item.stride}"


def _pixels(item: ModelInput) -> str:
    """Describe what frames are scaled to and cropped to."""
    cropped, scaled = _sides(item.size), item.resize
    if scaled is None or scaled == min(item.size):
        return cropped
    if scaled == item.size:
        return f"{cropped} stretched"
    return f"{_sides(scaled) if isinstance(scaled, tuple) else scaled}→{cropped}"


def _sides(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}²" if height == width else f"{height}×{width}"


def _holder_of_weights(weights: str) -> str:
    """Return who has published weights, from the name by which they are found."""
    if "://" in weights:
        return "PyTorchVideo"
    return "torchvision" if "_Weights" in weights else "Hugging Face" if weights else "–"


def build_random(architecture: Architecture) -> nn.Module:
    """Return the architecture's module in evaluation mode with random weights, which are the same each time."""
    torch = require("torch", extra="catalogue")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return architecture.build(architecture.inputs, architecture.classes).eval()


def export_module(module: nn.Module, architecture: Architecture, inputs: Sequence[ModelInput], path: Path) -> Path:
    """Export a module that an architecture built for `inputs`, with the architecture's layers and their names."""
    from sdmetrics.exporters import torch

    names = {module_path: name for name, module_path in transformers.layers_of(architecture, module).items()}
    return torch.export(module, inputs, list(names), path, names=names)
