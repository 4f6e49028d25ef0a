"""Checkpoint files as their owners publish them: weights read without running anything that a file may hold."""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, require
from sdmetrics.exporters._weights.load_state import build_fitted
from sdmetrics.exporters._weights.rename_slowfast import rgb_first
from sdmetrics.exporters._weights.transformers_folder import open_folder

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sdmetrics.exporters.architectures.architecture import Architecture
    from sdmetrics.probes.inputs import ModelInput

# Where training code keeps the weights beside its optimizer: SlowFast and PyTorchVideo; Lightning and timm; PyTorch's
# tutorials; torchvision. Otherwise the file holds nothing else.
HOLDERS = ("model_state", "state_dict", "model_state_dict", "model")
# What wrappers put before every name: DataParallel; SlowFast around PyTorchVideo, and Lightning; torch.compile.
WRAPPERS = ("module.", "model.", "_orig_mod.")
HALVES = ("encoder", "decoder")


def open_checkpoint(architecture: Architecture, path: Path | str) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Build an architecture with the weights of a file, or of a folder that Transformers wrote.

    A folder may also hold the two files in which MATNet keeps its encoder and its decoder, `encoder_0.pt` and
    `decoder_0.pt` of some epoch. Returns the module, with as many classes as the weights have, and how it is fed.

    Raises
    ------
    InputError
        If the file cannot be read, or its weights do not fit.

    Examples
    --------
    >>> from sdmetrics.exporters.catalogue import find_architecture
    >>> open_checkpoint(find_architecture("x3d_xs"), "X3D_XS.pkl")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: there is no file X3D_XS.pkl; give a checkpoint: .pyth, .pth, .pt or .safetensors
    """
    halves = [sorted(Path(path).glob(f"{half}_*.pt")) for half in HALVES]
    if any(halves):
        weights = _read_halves(halves, str(path))
    elif Path(path).is_dir():
        return open_folder(architecture, path)
    else:
        weights = read_checkpoint(path)
    return build_fitted(architecture, weights, str(path)), architecture.inputs


def _read_halves(halves: Sequence[Sequence[Path]], source: str) -> dict[str, Tensor]:
    """Return the weights of an encoder and a decoder, each with the half's name before its own."""
    if [len(files) for files in halves] != [1, 1]:
        found = ", ".join(file.name for files in halves for file in files)
        raise InputError(f"{source} holds {found}; leave one encoder_*.pt and the decoder_*.pt of the same epoch there")
    return {
        f"{half}.{name}": tensor
        for half, (file,) in zip(HALVES, halves, strict=True)
        for name, tensor in read_checkpoint(file).items()
    }


def read_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """Return the weights in a file that torch or safetensors wrote, by name.

    Raises
    ------
    InputError
        If the file is missing or empty, holds no weights, or holds what cannot be opened safely.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "my.pth"
    ...     torch.save({"model_state": {"module.fc.bias": torch.zeros(2)}, "epoch": 3}, path)
    ...     read_checkpoint(path)
    {'fc.bias': tensor([0., 0.])}
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no file {path}; give a checkpoint: .pyth, .pth, .pt or .safetensors")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give one file: .pyth, .pth, .pt or .safetensors")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty; download or copy it again")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return find_weights(content, str(path))


def find_weights(content: object, source: str) -> dict[str, Tensor]:
    """Return the weights in what a file holds, without the names that wrappers put before theirs.

    Raises
    ------
    InputError
        If there are none.

    Examples
    --------
    >>> find_weights({"epoch": 3}, "my.pth")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: my.pth is no checkpoint: it holds epoch (int), not tensors by name. Save the weights \
with torch.save(model.state_dict(), ...)
    """
    from torch import Tensor

    if isinstance(content, Mapping):
        held = next((content[key] for key in HOLDERS if isinstance(content.get(key), Mapping)), content)
        if held and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in held.items()):
            weights = dict(held)
            while wrapper := next((w for w in WRAPPERS if all(name.startswith(w) for name in weights)), None):
                weights = {name.removeprefix(wrapper): tensor for name, tensor in weights.items()}
            return rgb_first(weights, content.get("cfg"))
        others = {str(name): type(value).__name__ for name, value in held.items() if not isinstance(value, Tensor)}
        found = ", ".join(f"{name} ({kind})" for name, kind in list(others.items())[:3]) or "nothing"
    else:
        found = f"a {type(content).__name__}"
    raise InputError(
        f"{source} is no checkpoint: it holds {found}, not tensors by name. Save the weights with "
        "torch.save(model.state_dict(), ...)"
    )


def _read_safetensors(path: Path) -> object:
    safetensors = require("safetensors", extra="catalogue")
    load_file = require("safetensors.torch", extra="catalogue").load_file
    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is no safetensors file ({error}); download or copy it again") from None


def _read_torch(path: Path) -> object:
    torch = require("torch", extra="torch")
    _refuse_programs(path)
    try:
        # torchvision's training script keeps its command line beside the weights: a Namespace holds values, no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    # A file that torch did not write can fail in torch's reader anywhere.
    except Exception as error:
        raise InputError(_why_not(path, error)) from None


def _refuse_programs(path: Path) -> None:
    """Refuse a TorchScript archive, which torch's reader takes for a file of weights at first."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise InputError(
                    f"{path} is a TorchScript archive, a program with its weights inside. Save them alone: "
                    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
                )


def _why_not(path: Path, error: Exception) -> str:
    """Say in one line why torch did not open a file, and what to do."""
    if path.suffix in (".pkl", ".pickle"):
        return (
            f"{path} is a pickle, as Caffe2's models are published: a pickle can run any code when it is opened, so "
            "it stays closed. Take the .pyth of the same model (PyTorchVideo's model zoo has SlowFast's), or "
            "--pretrained where the catalogue has weights"
        )
    unsafe = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and unsafe:
        return (
            f"{path} holds an object of {unsafe[1]} beside its weights, and opening that can run code. Where you trust "
            "it, save its weights alone: torch.save(model.state_dict(), 'weights.pth')"
        )
    return f"{path} is no checkpoint that torch wrote, or is cut short; give a .pyth, .pth, .pt or .safetensors file"
