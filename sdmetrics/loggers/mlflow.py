"""Writing to MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdmetrics.errors import require
from sdmetrics.loggers.names import ARTIFACT, mlflow_names

BATCH = 1000
"""The largest number of metrics that MLflow accepts in one request."""


class MlflowLog:
    """Writes to a run of MLflow, with files as artifacts.

    Names are those that MLflow accepts: other characters than letters, digits and `_-. /` become `_`.

    Parameters
    ----------
    run
        What `mlflow.start_run` or `MlflowClient.create_run` returned, or the id of a run.
    client
        The `MlflowClient` to use. Default: a new one, for the tracking URI that MLflow is set to.
    """

    def __init__(self, run: Any, client: Any = None) -> None:  # noqa: ANN401  mlflow is optional
        self._mlflow = require("mlflow", extra="mlflow")
        self._client = self._mlflow.MlflowClient() if client is None else client
        self._run_id = run if isinstance(run, str) else run.info.run_id

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name, all of one step."""
        metric, now = self._mlflow.entities.Metric, int(1000 * time.time())
        metrics = [metric(name, values[own], now, step) for own, name in mlflow_names(values).items()]
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(self._run_id, metrics=metrics[start : start + BATCH])

    def attach(self, files: Sequence[Path]) -> None:
        """Store files as artifacts of the run, in a folder of their own."""
        for file in files:
            self._client.log_artifact(self._run_id, str(file), artifact_path=ARTIFACT)
