"""Read files that torch wrote, without running any code that they may contain."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from sdmetrics._text import printable
from sdmetrics.errors import InputError, note, require

SUFFIXES = ".pyth, .pth, .pt or .safetensors"
CLAIMED = 16
"""How many times its own size a file may claim in tensors: it may store one that several names share."""

SHOWN = 3
ONE_AT_A_TIME = Lock()
"""What torch may open is set for the whole process."""


class Unopened:
    """Stands for an object in a file that is not opened: takes what the file has for it, and stores nothing."""

    __slots__ = ()

    def __new__(cls, *_arguments: object) -> Unopened:
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        pass


def read_torch(path: Path) -> object:
    """Return what a file contains that `torch.save` wrote. Objects of unknown classes in it are not opened.

    Raises
    ------
    InputError
        If torch did not write it, it is a program, or it cannot be read without opening such objects.

    Warns
    -----
    UserWarning
        If there are objects of unknown classes.

    Examples
    --------
    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"fc.bias": torch.zeros(2), "epoch": 3}, Path(folder) / "my.pth")
    ...     read_torch(Path(folder) / "my.pth")
    {'fc.bias': tensor([0., 0.]), 'epoch': 3}
    """
    torch = require("torch", extra="torch")
    unknown: Sequence[str] = ()
    try:
        _check_archive(path)
        # torchvision's training script stores its command line beside the weights, as a Namespace, which has no code.
        plain = {argparse.Namespace}.difference(torch.serialization.get_safe_globals())
        with ONE_AT_A_TIME, torch.serialization.safe_globals([*plain]):
            if zipfile.is_zipfile(path):
                unknown = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
            with torch.serialization.safe_globals([(Unopened, name) for name in unknown]):
                content: object = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    # A file that torch did not write can fail anywhere in torch's reader, or in that of its archive.
    except Exception as error:
        raise InputError(_why_not(path, error, unknown)) from None
    if isinstance(content, Unopened):
        raise InputError(_unsafe(path, unknown[0]))
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        note(f"{path}: objects of {printable(', '.join(unknown[:SHOWN]))}{more} beside the weights were not opened")
    return content


def _check_archive(path: Path) -> None:
    """Raise an `InputError` for what torch's reader would mistake for weights: a program, or an archive that swells."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > CLAIMED * path.stat().st_size:
                raise InputError(
                    f"{path} is compressed, which torch does not do to checkpoints; unpack it, or copy it again"
                )
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise InputError(
                    f"{path} is a TorchScript archive, a program with its weights inside. Save only the weights: "
                    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
                )


def _why_not(path: Path, error: Exception, unknown: Sequence[str]) -> str:
    """Explain in one line why torch did not open a file, and what to do."""
    if path.suffix in (".pkl", ".pickle"):
        return (
            f"{path} is a pickle, the format of Caffe2's models, and is not opened, as a pickle can run any code. Use "
            "the .pyth of the same model (SlowFast's are in PyTorchVideo's model zoo), or --pretrained if the "
            "catalogue has weights"
        )
    named = re.search(r"GLOBAL (\S+)", str(error))
    if unknown or named:
        return _unsafe(path, named[1] if named else unknown[0])
    return f"{path} is not a checkpoint that torch wrote, or is truncated; pass a {SUFFIXES} file"


def _unsafe(path: Path, name: str) -> str:
    return (
        f"{path} contains an object of {printable(name)}, and opening it can run code. If you trust the file, save "
        "only its weights: torch.save(model.state_dict(), 'weights.pth')"
    )
