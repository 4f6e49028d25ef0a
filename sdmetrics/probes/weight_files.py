"""Weights in files of their own: read from ordinary files inside the model's folder, and from nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._reading import regular_file
from sdmetrics._text import printable
from sdmetrics.errors import InputError, require
from sdmetrics.probes.graph_walk import stored_tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


def weight_files(model: ModelProto, path: Path) -> list[Path]:
    """Return the files that hold the weights of the model at `path`.

    Raises
    ------
    InputError
        If one is missing, outside the model's folder (links are followed first), not an ordinary file, or ends before
        the weights do.
    """
    root = path.parent.resolve()
    files: dict[str, Path] = {}
    for tensor in external_tensors(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location not in files:
            files[location] = _inside(root, location, path)
        _check_extent(entries, files[location], tensor.name, path)
    return [files[location] for location in sorted(files)]


def external_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the tensors whose values are in other files."""
    external = require("onnx", extra="cpu").TensorProto.EXTERNAL
    return (tensor for tensor in stored_tensors(model) if tensor.data_location == external)


def _inside(root: Path, location: str, path: Path) -> Path:
    """Return the file at `location`, proven to be an ordinary one inside `root`."""
    outside = InputError(
        f"the model keeps weights at {printable(repr(location))}, outside its own folder, which is not followed; move "
        "them beside the model and save it again"
    )
    try:
        found = (root / location).resolve()
        missing = not found.exists()
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, a circle of links, a name that is too long
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"model {path} keeps weights at {printable(repr(location[:80]))}, which is not a path ({reason}); save it "
            "again"
        ) from None
    if Path(location).is_absolute() or not found.is_relative_to(root):
        raise outside
    if missing:
        raise InputError(
            f"model {path} keeps weights in {printable(found.name)}, which is missing; put it beside the model"
        )
    return regular_file(root / location)


def _check_extent(entries: Mapping[str, str], file: Path, tensor: str, path: Path) -> None:
    """Raise an `InputError` unless a tensor's bytes are inside its file."""
    size = file.stat().st_size
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or 0)
    except ValueError:
        offset = -1
    if offset < 0 or length < 0 or offset + length > size:
        where = ", ".join(f"{key} {entries[key][:20]!r}" for key in ("offset", "length") if key in entries)
        raise InputError(
            f"model {path} has weights that cannot be read: {printable(repr(tensor))} is at {where} of "
            f"{printable(file.name)}, which has {size:,} bytes; copy the file again"
        )
