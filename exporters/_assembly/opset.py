"""Bring models of an old opset to one that probes can be built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdmetrics.errors import InputError, note, one_line, require
from sdmetrics.probes.graph_walk import with_inner
from sdmetrics.probes.onnx_file import attribute

if TYPE_CHECKING:
    from onnx import ModelProto

OLDEST_OPSET = 11
WEIGHTS_ARE_NO_INPUTS = 4
"""The first version of the file format in which weights need not be inputs as well, which the converter expects."""


def opset_of(model: ModelProto) -> int:
    """Return the version of ONNX's own operators that a model uses."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def with_newer_opset(model: ModelProto) -> ModelProto:
    """Return the model; if its opset is too old, as ONNX converts it. `verify_conversion` compares the two.

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
    _keep_coordinates(newer)
    note(f"the model uses ONNX opset {opset} and is converted to {OLDEST_OPSET}")
    return newer


def _keep_coordinates(newer: ModelProto) -> None:
    """Let linear resizes of a converted model read where those of the old opsets do, which the converter forgets."""
    helper = require("onnx", extra="cpu").helper
    for node in with_inner(newer.graph.node):
        if node.op_type == "Resize" and attribute(node, "mode", b"nearest") == b"linear":
            node.attribute.append(helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
