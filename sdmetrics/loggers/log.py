"""What measurements are written to: two protocols, and the log that belongs to an object of an experiment tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sdmetrics.errors import InputError
from sdmetrics.loggers.mlflow import MlflowLog
from sdmetrics.loggers.tensorboard import TensorBoardLog
from sdmetrics.loggers.trackio import TrackioLog
from sdmetrics.loggers.wandb import WandbLog


@runtime_checkable
class Log(Protocol):
    """Anything with this method can be written to, e.g. an adapter for another service."""

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name, all of one step of a training."""


@runtime_checkable
class FileLog(Log, Protocol):
    """A log that also stores files."""

    def attach(self, files: Sequence[Path]) -> None:
        """Store files beside the numbers. They may be temporary: store what they contain now."""


RUNS: Mapping[str, Callable[[Any], Log]] = {
    "mlflow.Run": MlflowLog,
    "trackio.Run": TrackioLog,
    "wandb.Run": WandbLog,
}
"""The logs by package and class of the run that they write to. No package is imported to recognise its run."""


def as_log(target: object) -> Log:
    """Return the log that writes to an object of an experiment tracker.

    Parameters
    ----------
    target
        A `SummaryWriter` of TensorBoard; a run of Weights & Biases, MLflow or trackio; or anything that is a `Log`.

    Raises
    ------
    InputError
        If it is anything else.

    Examples
    --------
    >>> class Printed:
    ...     def write(self, values, step):
    ...         print(step, values)
    >>> as_log(Printed()).write({"static/layer4": 40.0}, step=3)
    3 {'static/layer4': 40.0}
    """
    for kind in type(target).__mro__:
        name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        if name in RUNS:
            return RUNS[name](target)
    if callable(getattr(target, "add_scalar", None)):
        return TensorBoardLog(target)
    if isinstance(target, Log) and callable(target.write):
        return target
    found = "None" if target is None else f"a {type(target).__name__}"
    raise InputError(
        f"cannot write measurements to {found}; expected: a SummaryWriter, a run of wandb, mlflow or "
        "trackio, or an object with the method write(values, step). Pass the run that was started, e.g. wandb.run"
    )


def write_to_logs(logs: Sequence[Log], steps: Mapping[int, Mapping[str, float]], files: Sequence[Path] = ()) -> None:
    """Write numbers, by step and name, to every log, and files to those that store files.

    Examples
    --------
    >>> class Printed:
    ...     def write(self, values, step):
    ...         print(step, values)
    >>> write_to_logs([Printed()], {0: {"static/layer4": 40.0}, 9: {"static/layer4": 35.0}})
    0 {'static/layer4': 40.0}
    9 {'static/layer4': 35.0}
    """
    for step, values in steps.items():
        for log in logs:
            log.write(values, step)
    for log in logs:
        if isinstance(log, FileLog):
            log.attach(files)
