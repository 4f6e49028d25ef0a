"""What the tests of all exporters share: files that are made once, and checks of an exported file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from sdmetrics.exporters.probe import build_probe
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.metadata import Metadata, metadata_of
from tests.helpers.made import made

Files = Callable[[str], bytes]
"""Returns the content of the file of a case."""


def made_once(export: Callable[[str, Path], Path]) -> tuple[Files, Files]:
    """Return functions from a case to its exported file and to its probe with masks, each made once for all tests."""

    @functools.cache
    def exported(case: str) -> bytes:
        return made(f"{export.__module__}/{case}.onnx", lambda path: export(case, path))

    @functools.cache
    def probed(case: str) -> bytes:
        def make(path: Path) -> Path:
            model = path.with_name(f"{case}.onnx")
            model.write_bytes(exported(case))
            return build_probe(model, path, masks=True)

        return made(f"{export.__module__}/{case}-probe.onnx", make)

    return exported, probed


def open_file(data: bytes) -> onnxruntime.InferenceSession:
    """Return a session of a file on the CPU."""
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def described(data: bytes) -> Metadata:
    """Return the metadata of a file."""
    metadata = metadata_of(onnx.load_from_string(data), "file")
    assert metadata is not None
    return metadata


def assert_close(values: NDArray[Any], expected: NDArray[Any], message: str = "") -> None:
    """Compare arrays up to 1e-5 of the expected scale."""
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5 * scale, err_msg=message)


def check_outputs(
    data: bytes,
    arrays: Mapping[str, NDArray[Any]],
    own: Mapping[str, NDArray[Any]],
    layers: Mapping[str, NDArray[Any]],
) -> None:
    """Compare all outputs of a file with the model's own outputs and its layers' arrays."""
    session = open_file(data)
    values = dict(zip([output.name for output in session.get_outputs()], session.run(None, dict(arrays)), strict=True))
    expected = {**own, **{f"layer/{name}": array for name, array in layers.items()}}
    assert set(values) == set(expected)
    for name, array in expected.items():
        assert_close(values[name], array, name)


def check_file(data: bytes, inputs: Sequence[ModelInput]) -> onnx.ModelProto:
    """Check that a file is valid ONNX with a dynamic batch and contains nothing about the machine; return its model."""
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == [item.name for item in inputs]
    assert all(value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input)
    for text in (b"site-packages", b".py", b"exporters/"):
        assert text not in data
    return model


def check_metadata(data: bytes, name: str, inputs: Sequence[ModelInput], framework: str) -> Metadata:
    """Check the metadata that every export has; return it."""
    metadata = described(data)
    assert (metadata.kind, metadata.name, metadata.inputs) == ("model", name, tuple(inputs))
    assert metadata.framework == framework
    assert metadata.export_error is not None
    assert 0 <= metadata.export_error < 1e-5
    assert len(metadata.sha256) == 64
    return metadata


def check_axes(data: bytes, name: str, channel_axis: int, units: int, time_axis: int | None, fold: str | None) -> None:
    """Check the axes that a file declares for a layer, whose module has the same name."""
    layer = {item.name: item for item in described(data).layers}[name]
    assert (layer.channel_axis, layer.units, layer.time_axis, layer.fold) == (channel_axis, units, time_axis, fold)
    assert (layer.batch_axis, layer.module, layer.tensor) == (0, name, f"layer/{name}")
