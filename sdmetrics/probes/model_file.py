"""ModelFile: an ONNX file that is read and parsed once, with all that a command needs to know about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.probes.metadata import Metadata, metadata_of
from sdmetrics.probes.onnx_file import complete_model, hash_files, parse_graph, read_model_bytes
from sdmetrics.probes.weight_files import weight_files

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True)
class ModelFile:
    """What an ONNX file holds.

    Parameters
    ----------
    path
        Where the file is.
    model
        The model as `sdmetrics.probes.onnx_file.load_model` returns it; for a probe, the graph as it is in the file.
    metadata
        What the file says about itself; None if this package did not write it.
    sha256
        The hash of the file and of the files that hold its weights.
    probe
        The bytes of the file if it is a probe, else None.
    """

    path: Path
    model: ModelProto
    metadata: Metadata | None
    sha256: str
    probe: bytes | None = None


def read_model_file(path: str | Path | ModelFile) -> ModelFile:
    """Read and parse an ONNX file once; a `ModelFile` is returned unchanged.

    Raises
    ------
    InputError
        If there is no such file, it is not ONNX, or its metadata or its weights cannot be read.
    """
    if isinstance(path, ModelFile):
        return path
    path = Path(path)
    data = read_model_bytes(path)
    graph = parse_graph(data, path)
    metadata = metadata_of(graph, str(path))
    is_probe = metadata is not None and metadata.kind == "probe"
    # Loading the weights makes the graph forget which files they were in.
    weights = weight_files(graph, path)
    model = graph if is_probe else complete_model(graph, path)
    sha256 = hash_files(weights, hashlib.sha256(data))
    return ModelFile(path, model, metadata, sha256, probe=data if is_probe else None)
