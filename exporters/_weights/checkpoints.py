"""Read checkpoints in their published formats, without running any code that a file may contain."""

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

# The keys under which training code stores the weights beside its optimizer: SlowFast and PyTorchVideo; Lightning and
# timm; PyTorch's tutorials; torchvision. Files without such a key contain only weights.
HOLDERS = ("model_state", "state_dict", "model_state_dict", "model")
# Prefixes that wrappers add to every name: DataParallel; SlowFast around PyTorchVideo, and Lightning; torch.compile.
WRAPPERS = ("module.", "model.", "_orig_mod.")
HALVES = ("encoder", "decoder")


def open_checkpoint(architecture: Architecture, path: Path | str) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Build an architecture with the weights of a file, or of a folder that Transformers wrote.

    A folder may also hold the two files in which MATNet saves its encoder and its decoder, `encoder_0.pt` and
    `decoder_0.pt` of an epoch. Returns the module, with the number of classes of the weights, and how it is fed.

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
    halves = [sorted(Path(path).glob(f"{half}_*.pt")) for half in HALVES]
    if any(halves):
        weights = _read_halves(halves, str(path))
    elif Path(path).is_dir():
        return open_folder(architecture, path)
    else:
        weights = read_checkpoint(path)
    return build_fitted(architecture, weights, str(path)), architecture.inputs


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


def read_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """Return by name the weights in a file that torch or safetensors wrote.

    Raises
    ------
    InputError
        If the file is missing or empty, has no weights, or contains objects that cannot be opened safely.

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
        raise InputError(f"{path} does not exist; pass a checkpoint: .pyth, .pth, .pt or .safetensors")
    if path.is_dir():
        raise InputError(f"{path} is a folder; pass a single file: .pyth, .pth, .pt or .safetensors")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty; download or copy it again")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return find_weights(content, str(path))


def find_weights(content: object, source: str) -> dict[str, Tensor]:
    """Return the weights in the content of a file, without the prefixes of wrappers.

    Raises
    ------
    InputError
        If there are no weights.

    Examples
    --------
    >>> find_weights({"epoch": 3}, "my.pth")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: my.pth is not a checkpoint: expected a mapping of tensors, found epoch (int). Save \
the weights with torch.save(model.state_dict(), ...)
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
        f"{source} is not a checkpoint: expected a mapping of tensors, found {found}. Save the weights with "
        "torch.save(model.state_dict(), ...)"
    )


def _read_safetensors(path: Path) -> object:
    safetensors = require("safetensors", extra="catalogue")
    load_file = require("safetensors.torch", extra="catalogue").load_file
    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is not a safetensors file ({error}); download or copy it again") from None


def _read_torch(path: Path) -> object:
    torch = require("torch", extra="torch")
    _check_not_a_program(path)
    try:
        # torchvision's training script stores its command line beside the weights, as a Namespace, which has no code.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    # A file that torch did not write can fail anywhere in torch's reader.
    except Exception as error:
        raise InputError(_why_not(path, error)) from None


def _check_not_a_program(path: Path) -> None:
    """Raise an `InputError` for a TorchScript archive, which torch's reader at first mistakes for weights."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise InputError(
                    f"{path} is a TorchScript archive, a program with its weights inside. Save only the weights: "
                    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
                )


def _why_not(path: Path, error: Exception) -> str:
    """Explain in one line why torch did not open a file, and what to do."""
    if path.suffix in (".pkl", ".pickle"):
        return (
            f"{path} is a pickle, the format of Caffe2's models, and is not opened, as a pickle can run any code. Use "
            "the .pyth of the same model (SlowFast's are in PyTorchVideo's model zoo), or --pretrained if the "
            "catalogue has weights"
        )
    unsafe = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and unsafe:
        return (
            f"{path} contains an object of {unsafe[1]} beside its weights, and opening it can run code. If you trust "
            "the file, save only its weights: torch.save(model.state_dict(), 'weights.pth')"
        )
    return f"{path} is not a checkpoint that torch wrote, or is truncated; pass a .pyth, .pth, .pt or .safetensors file"
