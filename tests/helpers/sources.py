"""Descriptions of models and clips in plain NumPy, which tests send to other processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdmetrics.clips import Clip, Frames
from sdmetrics.errors import note
from tests.helpers.fakes import NumpyRunner, changes, colours


@dataclass(frozen=True)
class NumpySource:
    """Opens a runner in plain NumPy, and appends a line to a file each time; `version` is read from a file."""

    opened: Path
    version: Path | None = None
    notes: bool = False

    def open(self) -> NumpyRunner:
        with self.opened.open("a") as file:
            file.write(f"{os.getpid()}\n")
        runner = NumpyRunner({"colours": colours, "changes": changes})
        if self.version is not None:
            runner.identity = {**runner.identity, "version": self.version.read_text()}
        if self.notes:
            note("the model assumes something")
        return runner


@dataclass(frozen=True)
class Noise:
    """Loads a clip of noise that drifts; before, it does something."""

    seed: int
    before: Callable[[], object] = int

    def __call__(self) -> Frames:
        self.before()
        rng = np.random.default_rng(self.seed)
        base, drift = rng.integers(0, 256, (2, 1, 16, 16, 3))
        steps = np.cumsum([0, *rng.permutation([1, *rng.integers(0, 2, 4)])])
        return ((base + steps[:, None, None, None] * drift / 7) % 256).astype(np.uint8)


@dataclass(frozen=True)
class KilledOnce:
    """Kills the process that first calls it, unless that is the one of the test."""

    marker: Path
    spared: int

    def __call__(self) -> None:
        try:
            self.marker.touch(exist_ok=False)
        except FileExistsError:
            return
        if os.getpid() != self.spared:
            os.kill(os.getpid(), signal.SIGKILL)


def killed() -> None:
    """End this process as a decoder that reads past its memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


def noise(seed: int, before: Callable[[], object] = int) -> Clip:
    """Return a clip that another process can be sent."""
    return Clip(f"clip-{seed:04d}", Noise(seed, before), stamp=str(seed))
