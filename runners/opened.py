"""Check that a runner is one: a path or a module in its place is the first thing that people try."""

from __future__ import annotations

from pathlib import Path

from sdmetrics.errors import InputError


def check_runner(runner: object) -> None:
    """Check that something runs a model.

    Raises
    ------
    InputError
        If it is a path, a module or anything else without inputs.

    Examples
    --------
    >>> check_runner("model.onnx")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: runner is the path 'model.onnx'; open it first: open_model('model.onnx')
    """
    if isinstance(runner, str | Path):
        path = str(runner)
        raise InputError(f"runner is the path {path!r}; open it first: open_model({path!r})")
    if not hasattr(runner, "inputs") or not hasattr(runner, "identity"):
        raise InputError(
            f"runner is a {type(runner).__name__}, which is not a runner; use open_model for an ONNX file, "
            "TorchRunner for a PyTorch module"
        )
