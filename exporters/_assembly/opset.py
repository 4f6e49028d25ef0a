"""Bring models of an old opset to one that probes can be built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, note, one_line, require

if TYPE_CHECKING:
    from onnx import ModelProto

OLDEST_OPSET = 11
WEIGHTS_ARE_NO_INPUTS = 4
"""The first version of the file format in which weights need not be inputs as well, which the converter expects."""


def opset_of(model: ModelProto) -> int:
    """Return the version of ONNX's own operators that a model uses."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def with_newer_opset(model: ModelProto) -> ModelProto:
    """Return the model; if its opset is too old, as ONNX converts it. The probe is compared with the original.

    Raises
    ------
    InputError
        If ONNX cannot convert it.
    """
    opset = opset_of(model)
    if opset >= OLDEST_OPSET:
        return model
    require("onnx", extra="cpu")
    from onnx import version_converter

    old: ModelProto = type(model)()
    old.CopyFrom(model)
    old.ir_version = max(old.ir_version, WEIGHTS_ARE_NO_INPUTS)
    try:
        newer: ModelProto = version_converter.convert_version(old, OLDEST_OPSET)
    except Exception as error:
        raise InputError(
            f"the model uses ONNX opset {opset}, which cannot be converted to {OLDEST_OPSET} ({one_line(error)}). "
            "Export it again with a newer opset"
        ) from None
    note(f"the model uses ONNX opset {opset} and is converted to {OLDEST_OPSET}")
    return newer
