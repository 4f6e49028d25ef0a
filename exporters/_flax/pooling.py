"""Support all arguments of Flax's pooling functions, of which jax2onnx knows only some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax

EMPTY = {"max_pool": float("-inf"), "avg_pool": 0.0}
"""The value that a pooling function reads beyond the edges."""


@contextmanager
def any_pooling() -> Iterator[None]:
    """While the block runs, let jax2onnx's replacements of Flax's pooling functions take all arguments of Flax's own.

    The replacements accept the window only by name and support only the paddings SAME and VALID; other paddings result
    in wrong shapes.
    """
    from flax import linen, nnx
    from flax.linen import pooling

    known = [(place, name, getattr(place, name)) for place in (linen, pooling, nnx) for name in EMPTY]
    for place, name, pool in known:
        setattr(place, name, _padding(pool, EMPTY[name]))
    try:
        yield
    finally:
        for place, name, pool in known:
            setattr(place, name, pool)


def _padding(pool: Callable[..., jax.Array], empty: float) -> Callable[..., jax.Array]:
    """Return `pool` with Flax's own arguments, which pads before it pools."""
    from jax import numpy as jnp

    def padded(
        inputs: jax.Array,
        window_shape: Sequence[int],
        strides: Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
        **more: Any,  # noqa: ANN401 (as Flax's)
    ) -> jax.Array:
        if not isinstance(padding, str):
            around = [(0, 0)] * (inputs.ndim - len(padding) - 1)
            inputs = jnp.pad(inputs, [*around, *padding, (0, 0)], constant_values=empty)
            padding = "VALID"
        return pool(inputs, window_shape=window_shape, strides=strides, padding=padding, **more)

    return padded
