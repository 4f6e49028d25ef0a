"""Read files that torch wrote, without running any code that they may contain."""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from sdmetrics._text import printable
from sdmetrics.errors import InputError, note, require
from sdmetrics.probes.quiet import quiet

SUFFIXES = ".pyth, .pth, .pt or .safetensors"
CLAIMED = 16
"""How many times its own size a file may claim in tensors: it may store one that several names share."""

READ_PROTOCOL = 3
"""The newest pickle protocol that torch reads without running code."""

LISTS = 8
"""How many kinds of lists a file may have beside the weights, each of which makes torch read it again."""

SHOWN = 3
ONE_AT_A_TIME = Lock()
"""What torch may open is set for the whole process."""


TORCH_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
"""Near the start of every file that torch wrote before its version 1.6."""


class _FilledLikeDict(type):
    """The type of classes that are equal to `dict`: torch compares before it fills a mapping from a file."""

    def __eq__(cls, other: object) -> bool:
        return other is dict or other is cls

    __hash__ = type.__hash__


class Unopened(metaclass=_FilledLikeDict):
    """Stands for an object in a file that is not opened: takes what the file has for it, and stores nothing."""

    __slots__ = ()

    def __new__(cls, *_arguments: object) -> Unopened:
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        pass

    def __setitem__(self, _key: object, _value: object) -> None:
        pass


class UnopenedList:
    """Stands for an object that a file fills as a list, for which torch accepts only a list, and a list it stays."""

    def __new__(cls, *_arguments: object) -> list[object]:  # type: ignore[misc]
        return []


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
            content = _load(path, unknown)
    except InputError:
        raise
    # A file that torch did not write can fail anywhere in torch's reader, or in that of its archive.
    except Exception as error:
        raise InputError(_why_not(path, error, unknown)) from None
    if isinstance(content, Unopened):
        raise InputError(_unsafe(path, type(content).__name__))
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        note(f"{path}: objects of {printable(', '.join(unknown[:SHOWN]))}{more} beside the weights were not opened")
    return content


def _load(path: Path, unknown: Sequence[str]) -> object:
    """Return the content of a file, with stand-ins for objects of unknown classes."""
    torch = require("torch", extra="torch")
    stand_ins: dict[str, type] = {name: _FilledLikeDict(name, (Unopened,), {"__slots__": ()}) for name in unknown}
    while True:
        try:
            allowed = torch.serialization.safe_globals([(stand_in, name) for name, stand_in in stand_ins.items()])
            # torch warns about protocol 3, whose weights it reads.
            with allowed, quiet("torch"):
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            # Only as it is filled does an object show that it is a list; torch then names its stand-in.
            refused = re.search(rf"lists, but got <class '{__name__}\.(.+)'>", str(error))
            lists = [*stand_ins.values()].count(UnopenedList)
            if not refused or lists == LISTS or stand_ins.get(refused[1], UnopenedList) is UnopenedList:
                raise
            stand_ins[refused[1]] = UnopenedList


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
    if (protocol := _protocol(path)) > READ_PROTOCOL:
        return (
            f"{path} was saved with pickle protocol {protocol}, of which torch opens nothing without running what the "
            "file may contain. If you trust the file, save it again with protocol 2, torch's own: "
            "torch.save(torch.load(FILE, weights_only=False), 'weights.pth')"
        )
    return f"{path} is not a checkpoint that torch wrote, or is truncated; pass a {SUFFIXES} file"


def _protocol(path: Path) -> int:
    """Return the pickle protocol of a file that torch wrote, 0 if another did or it cannot be told."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), "")
                start = archive.open(name).read(2) if name else b""
        else:
            with path.open("rb") as file:
                start = file.read(32)
            start = start if TORCH_MAGIC in start else b""
    except Exception:  # a damaged archive can fail anywhere in its reader
        return 0
    return start[1] if start[:1] == pickle.PROTO else 0


def _unsafe(path: Path, name: str) -> str:
    return (
        f"{path} contains an object of {printable(name)}, and opening it can run code. If you trust the file, save "
        "only its weights: torch.save(model.state_dict(), 'weights.pth')"
    )
