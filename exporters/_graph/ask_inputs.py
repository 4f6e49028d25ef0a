"""Infer how all inputs of a file are fed; where that is not certain, ask, with a command that is likely to be right."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError
from sdmetrics.exporters._graph.describe_inputs import (
    EXAMPLES,
    FLOATS,
    Fed,
    Fields,
    check_known,
    complete_fields,
    described_input,
    missing_fields,
    raw_inputs,
)
from sdmetrics.exporters._graph.guess_layout import guess_layout
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import SOURCES, ModelInput

if TYPE_CHECKING:
    from onnx import ModelProto

ByInput = Mapping[str, Mapping[str, Any]]

STACKED = 64
"""Largest number of channels that are suggested to be those of several frames."""

LIMIT = 20
"""Pixels at which networks that read stacked flow usually clip it."""

MOTION = ("flow", "motion")
"""Parts of names of inputs that look like images and are likely to be optical flow."""

NOT_VIDEO = ("audio", "mel", "sound", "spec", "wav")
"""Parts of names of inputs that look like images and are likely to be sound."""


def infer_inputs(
    model: ModelProto,
    by_input: ByInput | None = None,
    **given: Any,  # noqa: ANN401 (fields of ModelInput)
) -> tuple[ModelInput | HeldInput, ...]:
    """Describe the inputs of a model that does not declare them, with the usual mean and deviation.

    `given` are fields of `ModelInput` for all video inputs, which take precedence over the shapes. `by_input` are
    fields by the name of an input, which take precedence over both; those with a `constant` are held still.

    Raises
    ------
    InputError
        If it is not certain how an input is fed, or the model has no input of a name in `by_input`.
    """
    fed, by_input = raw_inputs(model), by_input or {}
    check_known(by_input, fed)
    unclear = _unclear(fed, by_input)

    def advice() -> str:
        return options_of(suggested_inputs(model, by_input, **given))

    if unclear and len(fed) > 1:
        shown = ", ".join(f"{name} ({_in_words(fed[name])})" for name in unclear)
        raise InputError(
            f"the model has {len(fed)} inputs, and it is not certain how {shown} should be fed; describe each, with a "
            f"source if it is video and a constant if it is not, e.g. sdmetrics probe MODEL {advice()}, or "
            "in Python inputs=[ModelInput(…), HeldInput(…)]"
        )
    if all("constant" in by_input.get(name, {}) for name in fed):
        raise InputError(f"all inputs of the model are held still: {', '.join(fed)}; one of them has to be video")
    return tuple(
        held_input(name, by_input[name])
        if "constant" in by_input.get(name, {})
        else described_input(name, each, {**given, **by_input.get(name, {})}, model, advice)
        for name, each in fed.items()
    )


def held_input(name: str, fields: Mapping[str, Any]) -> HeldInput:
    """Return an input that is held still, from its fields `constant` and `shape`."""
    return HeldInput(name, fields["constant"], fields.get("shape"))


def suggested_inputs(
    model: ModelProto,
    by_input: ByInput | None = None,
    **given: Any,  # noqa: ANN401 (fields of ModelInput)
) -> dict[str, Fields]:
    """Return fields for every input that make the description of a model complete, and are likely to be right."""
    fed, by_input = raw_inputs(model), by_input or {}
    found: dict[str, Fields] = {}
    size = None
    for name in sorted(fed, key=lambda name: -len(fed[name].shape or range(9))):
        fields = {**given, **by_input.get(name, {})}
        if "constant" in fields:
            found[name] = dict(by_input[name])
            continue
        likely = {**_likely(name, fed[name], alone=len(fed) == 1), **fields}
        complete = complete_fields(fed[name], likely, model)
        complete |= missing_fields(complete)
        sound = any(part in name.lower() for part in NOT_VIDEO) and name not in by_input
        if not likely or (size is not None and (sound or complete["size"] != size)):
            found[name] = {"constant": 1 if "mask" in name.lower() else 0}
            continue
        size = complete["size"]
        certain = complete_fields(fed[name], likely, model)
        told = {field: complete[field] for field in EXAMPLES if complete[field] != certain.get(field)}
        found[name] = {**likely, **told, **by_input.get(name, {})}
    return {name: found[name] for name in fed}


def options_of(by_input: ByInput) -> str:
    """Return the options that describe inputs on the command line; empty if a single input needs none.

    Examples
    --------
    >>> options_of({"video": {"source": "rgb", "frames": 8, "size": (224, 224)}})
    '--frames 8 --size 224 224'
    >>> options_of({"video": {"source": "rgb"}, "ids": {"constant": 0, "shape": ("N", 77)}})
    "--input 'video source=rgb' --input 'ids constant=0 shape=N,77'"
    """
    if len(by_input) == 1:
        ((_, fields),) = by_input.items()
        if fields.get("source", "rgb") == "rgb":
            return " ".join(
                f"--{field} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
                for field, value in fields.items()
                if field != "source"
            )
    return " ".join(
        "--input "
        + shlex.quote(
            " ".join(
                [name, *(f"{f}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for f, v in fields.items())]
            )
        )
        for name, fields in by_input.items()
    )


def _unclear(fed: Mapping[str, Fed], by_input: ByInput) -> list[str]:
    """Return the inputs of a model with several that are neither described nor certain to be video."""
    unnamed = [name for name in fed if name not in by_input]
    described = [name for name in by_input if "constant" not in by_input[name]]
    rgb = [name for name in described if by_input[name].get("source", "rgb") == "rgb"]
    single = len(unnamed) == 1 and not rgb and guess_layout(fed[unnamed[0]].shape or ()) is not None
    return [] if single else unnamed


def _likely(name: str, fed: Fed, alone: bool) -> Fields:
    """Return what an input is likely to be fed from, with a layout that is not usual; nothing if it is not video."""
    shape = fed.shape or ()
    if guess_layout(shape, 3):
        return {"source": "flow" if any(part in name.lower() for part in MOTION) else "rgb"}
    if guess_layout(shape, 2) and fed.kind in FLOATS:
        return {"source": "flow_vectors"}
    stacked = shape[1] if len(shape) == len("NCHW") else None
    if isinstance(stacked, int) and SOURCES["rgb"] < stacked <= STACKED:
        if stacked % SOURCES["rgb"] == 0:
            return {"source": "rgb", "layout": "N,TC,H,W"}
        if stacked % SOURCES["flow_vectors"] == 0:
            return {"source": "flow_vectors", "layout": "N,TC,H,W", "limit": LIMIT}
    return {"source": "rgb"} if alone else {}


def _in_words(fed: Fed) -> str:
    """Return an input's type and shape."""
    return f"{fed.kind.lower()}, {' × '.join(map(str, fed.shape)) if fed.shape is not None else 'no shape'}"
