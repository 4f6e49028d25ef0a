"""Weights in files of their own: read from ordinary files inside the model's folder, and from nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._reading import regular_file
from sdmetrics._text import printable
from sdmetrics.errors import InputError, require
from sdmetrics.probes.graph_walk import stored_tensors

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto


def weight_files(model: ModelProto, path: Path) -> dict[str, Path]:
    """Return the files that hold the weights of the model at `path`, by their names in it, in alphabetical order.

    Raises
    ------
    InputError
        If one is missing, outside the model's folder (links are followed first), not an ordinary file, a hard link, or
        ends before the weights do.
    """
    root = path.parent.resolve()
    files: dict[str, Path] = {}
    for tensor in external_tensors(model):
        entries = entries_of(tensor)
        location = entries.get("location", "")
        if location not in files:
            files[location] = _inside(root, location, path)
        _check_extent(entries, files[location], tensor.name, path)
    return {location: files[location] for location in sorted(files)}


def add_weights(digest: hashlib._Hash, model: ModelProto, path: Path) -> None:
    """Add the content of the files that hold the weights of the model at `path` to a digest.

    Raises
    ------
    InputError
        See `weight_files`; or the model states a digest of a file that is not the file's.
    """
    stated = {
        entries.get("location", ""): entries.get("checksum", "") for entries in map(entries_of, external_tensors(model))
    }
    for location, file in weight_files(model, path).items():
        own = hashlib.sha1(usedforsecurity=False)  # what ONNX states
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                own.update(block)
        if len(stated[location]) == 2 * own.digest_size and stated[location].lower() != own.hexdigest():
            raise InputError(
                f"model {path} was written with other weights than those in {printable(file.name)}; copy both files "
                "again, or export the model again"
            )


def external_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield the tensors whose values are in other files."""
    external = require("onnx", extra="cpu").TensorProto.EXTERNAL
    return (tensor for tensor in stored_tensors(model) if tensor.data_location == external)


def entries_of(tensor: TensorProto) -> dict[str, str]:
    """Return what a tensor states about where its values are."""
    return {entry.key: entry.value for entry in tensor.external_data}


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
    if regular_file(found).stat().st_nlink > 1:
        raise InputError(
            f"model {path} keeps weights in {printable(found.name)}, a hard link: the file has another name, perhaps "
            "outside the model's folder, and is not read; put a copy in its place"
        )
    return found


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
