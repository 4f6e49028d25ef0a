"""Writing to trackio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdmetrics.errors import require
from sdmetrics.loggers.names import ARTIFACT, ARTIFACT_TYPE


class TrackioLog:
    """Writes to a run of trackio, with files as one artifact.

    Parameters
    ----------
    run
        What `trackio.init` returned.
    """

    def __init__(self, run: Any) -> None:  # noqa: ANN401  trackio has no types
        self._run = run

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name, all of one step."""
        self._run.log(dict(values), step=step)

    def attach(self, files: Sequence[Path]) -> None:
        """Store files as one artifact of the run."""
        artifact = require("trackio", extra="trackio").Artifact(ARTIFACT, ARTIFACT_TYPE)
        for file in files:
            artifact.add_file(file)
        self._run.log_artifact(artifact)
