"""New runs of experiment trackers, named on the command line: `mlflow=http://localhost:5000`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sdmetrics._files import writable_folder
from sdmetrics._text import printable
from sdmetrics.errors import InputError, MissingExtra, one_line, require
from sdmetrics.loggers.log import Log
from sdmetrics.loggers.mlflow import MlflowLog
from sdmetrics.loggers.tensorboard import TensorBoardLog
from sdmetrics.loggers.trackio import TrackioLog
from sdmetrics.loggers.wandb import WandbLog


@contextmanager
def started(text: str) -> Iterator[Log]:
    """Start a run where a text says, and finish it afterwards.

    Nobody is logged in: that, and all else that the trackers read from the environment, is up to the user.

    Parameters
    ----------
    text
        `tensorboard=FOLDER`, `wandb=PROJECT`, `mlflow=URI` or `trackio=PROJECT`.

    Raises
    ------
    InputError
        If the text is anything else, or the tracker reports an error.
    MissingExtra
        If the tracker is not installed.
    """
    service, where = parsed(text)
    try:
        with STARTERS[service](where) as log:
            yield log
    except (InputError, MissingExtra):
        raise
    except Exception as error:  # whatever a tracker raises
        raise InputError(
            f"cannot write to {printable(text)}: {one_line(error).rstrip('.')}. Correct this, or leave it out"
        ) from error


def parsed(text: str) -> tuple[str, str]:
    """Return the tracker that a text names, and where it is to write.

    Examples
    --------
    >>> parsed("mlflow=sqlite:///runs.db")
    ('mlflow', 'sqlite:///runs.db')
    """
    service, _, where = text.partition("=")
    if service not in STARTERS or not where:
        raise InputError(
            f"the log is {printable(text)!r}; expected: tensorboard=FOLDER, wandb=PROJECT, mlflow=URI or "
            "trackio=PROJECT"
        )
    return service, where


@contextmanager
def _tensorboard(folder: str) -> Iterator[Log]:
    """Write event files to a folder, without loading torch."""
    summary = require("tensorboard.summary", extra="tracking")
    writer = summary.Writer(str(writable_folder(Path(folder))))
    try:
        yield TensorBoardLog(writer)
    finally:
        writer.close()


@contextmanager
def _wandb(project: str) -> Iterator[Log]:
    """Start a run in a project. Without a login it would ask for one."""
    wandb = require("wandb", extra="wandb")
    with wandb.init(project=project, job_type="compare") as run:
        yield WandbLog(run)


@contextmanager
def _mlflow(uri: str) -> Iterator[Log]:
    """Start a run in the experiment that MLflow is set to (`MLFLOW_EXPERIMENT_NAME`), else in the default one."""
    mlflow = require("mlflow", extra="mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        with mlflow.start_run() as run:
            yield MlflowLog(run)
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def _trackio(project: str) -> Iterator[Log]:
    """Start a run in a local project, or in the Space that `TRACKIO_SPACE_ID` names."""
    trackio = require("trackio", extra="trackio")
    run = trackio.init(project=project, embed=False)
    try:
        yield TrackioLog(run)
    finally:
        run.finish()


STARTERS: Mapping[str, Callable[[str], AbstractContextManager[Log]]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
    "trackio": _trackio,
}
