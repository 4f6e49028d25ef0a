"""Choosing one of a model's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError


def only_output(
    outputs: Mapping[str, NDArray[Any]], name: str | None, fits: Callable[[tuple[int, ...]], bool], what: str
) -> NDArray[Any]:
    """Return the named output, or the only one whose shape fits.

    Parameters
    ----------
    outputs
        All outputs, by name.
    name
        Name of the output. Default: the only one that fits.
    fits
        Returns whether an output of a shape fits.
    what
        Description of the output with its shape, for errors.

    Raises
    ------
    InputError
        If no output fits, or several do and none is named.

    Examples
    --------
    >>> outputs = {"features": np.zeros((2, 8, 7, 7)), "logits": np.zeros((2, 5))}
    >>> only_output(outputs, None, lambda shape: len(shape) == 2, "class scores (clips, classes)").shape
    (2, 5)
    """
    shapes = ", ".join(f"{key} {np.shape(value)}" for key, value in outputs.items())
    if name is not None and name not in outputs:
        raise InputError(f"the model has no output {name!r}; allowed: {shapes}")
    fitting = [np.asarray(value) for key, value in outputs.items() if name in (None, key) and fits(np.shape(value))]
    if len(fitting) == 1:
        return fitting[0]
    if name is not None:
        raise InputError(f"output {name!r} does not have the shape of {what}; the model's outputs are {shapes}")
    if fitting:
        raise InputError(
            f"several outputs have the shape of {what}: {shapes}; name one of them, on the command line with "
            "--model-output"
        )
    raise InputError(f"no output has the shape of {what}; the model's outputs are {shapes}")
