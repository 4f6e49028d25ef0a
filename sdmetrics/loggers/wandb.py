"""Writing to Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdmetrics.errors import require
from sdmetrics.loggers.names import ARTIFACT, ARTIFACT_TYPE

STEP = "sdmetrics/step"
"""The horizontal axis of the charts. A run's own counter only grows, and a training's own logging moves it, too."""


class WandbLog:
    """Writes to a run of Weights & Biases, with the step as a column of its own and files as one artifact.

    Parameters
    ----------
    run
        What `wandb.init` returned, in any of its modes; also `wandb.run`.
    """

    def __init__(self, run: Any) -> None:  # noqa: ANN401  wandb is optional
        self._run = run

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name, all of one step."""
        self._run.define_metric(STEP, hidden=True)
        for group in sorted({name.partition("/")[0] for name in values}):
            self._run.define_metric(f"{group}/*", step_metric=STEP)
        self._run.log({STEP: step, **values})

    def attach(self, files: Sequence[Path]) -> None:
        """Store files as one artifact of the run."""
        artifact = require("wandb", extra="wandb").Artifact(ARTIFACT, ARTIFACT_TYPE)
        for file in files:
            artifact.add_file(str(file))
        self._run.log_artifact(artifact)
