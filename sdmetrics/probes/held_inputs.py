"""HeldInput: a model input that is not video and has the same values for every clip, e.g. a text or a state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError


@dataclass(frozen=True)
class HeldValue:
    """What a probe holds an input at. It decides the numbers, so it is part of a run's identity.

    `value` is the number that fills the input, or None for an array; `shape` has `"N"` for the axis of the clips, if
    there is one; `sha256` is that of the values of one clip.
    """

    name: str
    value: float | None
    dtype: str
    shape: tuple[int | str, ...]
    sha256: str

    def __str__(self) -> str:
        size = " × ".join(map(str, self.shape)) or "a single number"
        held = "an array" if self.value is None else f"{self.value:g}"
        return f"{self.name}: held at {held}, {self.dtype}, {size}"


@dataclass(frozen=True, eq=False)
class HeldInput:
    """A model input that is held still.

    Parameters
    ----------
    name
        The input's name in the model.
    value
        The number that fills it, or an array: of the model's shape, or of that for one clip.
    shape
        Its shape, with `"N"` for an axis of the clips. Default: the model's, with 1 for sizes that the model leaves
        open, unless an array determines them.

    Examples
    --------
    >>> HeldInput("input_ids", 7).values(np.dtype(np.int64), ("N", 3)).tolist()
    [[7, 7, 7]]
    """

    name: str
    value: float | NDArray[Any]
    shape: tuple[int | str, ...] | None = None

    def values(self, dtype: np.dtype[Any], shape: tuple[int | str, ...]) -> NDArray[Any]:
        """Return the values for one clip.

        Raises
        ------
        InputError
            If they do not have this shape, or this type cannot hold them.
        """
        size = tuple(1 if entry == "N" else int(entry) for entry in shape)
        given = np.asarray(self.value)
        if given.ndim and given.shape not in (size, size[1:]):
            raise InputError(
                f"input {self.name!r} is held at an array of shape {given.shape}; the model reads {shape} (N: the "
                "clips). Pass an array of that shape for one clip"
            )
        with np.errstate(all="ignore"):
            cast = given.astype(dtype) if given.dtype.kind in "biuf" else None
            exact = cast is not None and (
                np.array_equal(cast, given) if dtype.kind in "biu" else bool(np.isfinite(cast).all())
            )
        if cast is None or not exact:
            what = f"at {self.value}" if given.ndim == 0 else f"at an array of {given.dtype}"
            raise InputError(f"input {self.name!r} is held {what}, which {dtype} cannot hold; pass other values")
        return np.broadcast_to(cast.reshape(size) if cast.ndim else cast, size).copy()

    def described(self, dtype: np.dtype[Any], shape: tuple[int | str, ...]) -> HeldValue:
        """Return the record of these values."""
        values = self.values(dtype, shape)
        number = float(self.value) if np.ndim(self.value) == 0 else None
        digest = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode() + values.tobytes()).hexdigest()
        return HeldValue(self.name, number, str(dtype), shape, digest)
