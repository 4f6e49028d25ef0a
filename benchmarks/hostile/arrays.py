"""Arrays and arguments that the functions of the metric may be given by mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

import sdmetrics as sd


def array_case(rng: Generator) -> Callable[[], object]:
    """Return a call of the metric with strange arrays and arguments."""
    seeds = rng.integers(2**32, size=8)

    def call() -> None:
        drawn = np.random.default_rng(seeds)
        z1, z2 = _array(drawn), _array(drawn)
        moments = {factor: sd.PairMoments.from_arrays(z1, z2) for factor in ("dynamic", "static")}
        if drawn.random() < 0.3:
            moments["static"].update(_array(drawn), _array(drawn))
        if drawn.random() < 0.3:
            moments["static"] = moments["static"].merge(_pick(drawn, (moments["dynamic"], *_STRANGE)))
        if drawn.random() < 0.2:
            moments[str(_pick(drawn, ("static", "identical", "", "x")))] = _pick(drawn, _STRANGE)
        estimator = _mostly(drawn, "pearson", "icc", "reference", *_STRANGE)
        sd.layer_bias(moments, estimator=estimator)
        units = sd.unit_bias(moments, threshold=_mostly(drawn, 0.5, *_STRANGE), estimator=estimator)
        sd.removal_mask(
            _mostly(drawn, units, *_STRANGE),
            factor=_mostly(drawn, "static", *_STRANGE),
            fraction=_mostly(drawn, 0.1, *_STRANGE),
        )

    return call


_STRANGE: tuple[Any, ...] = (None, "x", -1, 1.5, float("nan"), [], {}, [[1, 2], [3]], b"x", 1j, object(), np.zeros(0))


def _mostly(rng: Generator, sound: Any, *strange: Any) -> Any:  # noqa: ANN401
    """Return a sound value, or now and then a strange one."""
    return sound if rng.random() < 0.85 else _pick(rng, strange)


def _pick(rng: Generator, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Return one of several values."""
    return choices[int(rng.integers(len(choices)))]


def _array(rng: Generator) -> Any:  # noqa: ANN401
    """Return pooled responses `(pairs, units)`, sound half of the time."""
    sound = rng.normal(size=(6, 4))
    if rng.random() < 0.5:
        return sound
    kinds: tuple[Any, ...] = (
        sound.astype(_pick(rng, ("float16", "float32", "int8", "complex64", "object", "U8", "bool", "M8[s]"))),
        sound[:, :: _pick(rng, (-1, 2))],
        np.asfortranarray(sound),
        sound[: int(rng.integers(6))],
        sound[0],
        sound[None],
        np.where(sound > 1, _pick(rng, (np.nan, np.inf, -np.inf)), sound),
        sound * _pick(rng, (1e-320, 1e308, 0, 1e160)),
        np.ma.masked_greater(sound, 0),
        sound.tolist(),
        np.broadcast_to(np.float32(1), (6, 4)),
        sound.view("c16"),
        memoryview(sound),
        *_STRANGE,
    )
    return _pick(rng, kinds)
