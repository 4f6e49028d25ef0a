"""Read checkpoints in their published formats, without running any code that a file may contain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics._reading import regular_file
from sdmetrics._text import printable
from sdmetrics.errors import InputError, require
from sdmetrics.exporters._weights.holders import held_weights
from sdmetrics.exporters._weights.load_state import build_fitted
from sdmetrics.exporters._weights.mmaction2_config import check_backbone, normalisation, note_alike
from sdmetrics.exporters._weights.slowfast_config import fed_as_stated
from sdmetrics.exporters._weights.torch_files import CLAIMED, SUFFIXES, read_torch
from sdmetrics.exporters._weights.transformers_folder import open_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sdmetrics.exporters.architectures.architecture import Architecture
    from sdmetrics.probes.inputs import ModelInput

HALVES = ("encoder", "decoder")


def open_checkpoint(
    architecture: Architecture, path: Path | str, holder: str | None = None
) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Build an architecture with the weights of a file, or of a folder that Transformers wrote.

    A folder may also hold the two files in which MATNet saves its encoder and its decoder, `encoder_0.pt` and
    `decoder_0.pt` of an epoch. `holder` is the entry of a file that holds the weights, see `holders.held_weights`.
    Returns the module, with the number of classes of the weights, and how it is fed.

    Raises
    ------
    InputError
        If the file cannot be read, or its weights do not fit.

    Examples
    --------
    >>> from sdmetrics.exporters.catalogue import find_architecture
    >>> open_checkpoint(find_architecture("x3d_xs"), "X3D_XS.pkl")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: X3D_XS.pkl does not exist; pass a checkpoint: .pyth, .pth, .pt or .safetensors
    """
    if holder is not None and Path(path).is_dir():
        raise InputError(f"--holder {holder} names an entry of a single file, and {path} is a folder; leave it out")
    halves = [sorted(Path(path).glob(f"{half}_*.pt")) for half in HALVES]
    if any(halves):
        weights = _read_halves(halves, str(path))
    elif Path(path).is_dir():
        return open_folder(architecture, path)
    else:
        content = _read(Path(path))
        weights = _weights(content, Path(path), holder)
        check_backbone(content, architecture.name)
        module, inputs = build_fitted(architecture, weights, str(path))
        note_alike(content, architecture.name, str(path))
        scaled: dict[str, Any] = {**normalisation(content)}
        return module, fed_as_stated(content, [replace(each, **scaled) for each in inputs], str(path))
    return build_fitted(architecture, weights, str(path))


def _read_halves(halves: Sequence[Sequence[Path]], source: str) -> dict[str, Tensor]:
    """Return the weights of an encoder and a decoder, with the name of the half as a prefix."""
    if [len(files) for files in halves] != [1, 1]:
        found = ", ".join(file.name for files in halves for file in files)
        raise InputError(f"{source} has {found}; leave one encoder_*.pt and the decoder_*.pt of the same epoch in it")
    return {
        f"{half}.{name}": tensor
        for half, (file,) in zip(HALVES, halves, strict=True)
        for name, tensor in read_checkpoint(file).items()
    }


def read_checkpoint(path: Path | str, holder: str | None = None) -> dict[str, Tensor]:
    """Return by name the weights in a file that torch or safetensors wrote.

    Raises
    ------
    InputError
        If the file is missing, empty, damaged or no ordinary file, has no weights or several sets of them, or contains
        objects that cannot be opened safely.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "my.pth"
    ...     torch.save({"model_state": {"module.fc.bias": torch.zeros(2)}, "epoch": 3}, path)
    ...     read_checkpoint(path)
    {'fc.bias': tensor([0., 0.])}
    """
    return _weights(_read(Path(path)), Path(path), holder)


def _read(path: Path) -> object:
    """Return what a file contains."""
    if not path.exists():
        raise InputError(f"{path} does not exist; pass a checkpoint: {SUFFIXES}")
    if path.is_dir():
        raise InputError(f"{path} is a folder; pass a single file: {SUFFIXES}")
    if not regular_file(path).stat().st_size:
        raise InputError(f"{path} is empty; download or copy it again")
    return _read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)


def _weights(content: object, path: Path, holder: str | None) -> dict[str, Tensor]:
    """Return the weights in the content of a file."""
    weights = held_weights(content, str(path), holder)
    _check_tensors(weights, path, path.stat().st_size)
    return weights


def _check_tensors(weights: Mapping[str, Tensor], path: Path, size: int) -> None:
    """Raise an `InputError` for tensors that are no plain numbers, or that claim more than a file can hold."""
    import torch

    for name, tensor in weights.items():
        plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_complex() or tensor.is_meta)
        if not plain:
            raise InputError(
                f"{path} holds {printable(name)} as {tensor.dtype}, {tensor.layout}; expected plain numbers. Save the "
                "weights of the model before it was quantised or pruned"
            )
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    if claimed > CLAIMED * size + 2**20:
        raise InputError(
            f"{path} has {size:,} bytes and claims {claimed:,} bytes of tensors, so it is damaged. Download or copy it "
            "again"
        )


def _read_safetensors(path: Path) -> object:
    safetensors = require("safetensors", extra="catalogue")
    load_file = require("safetensors.torch", extra="catalogue").load_file
    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}); download or copy it again") from None
