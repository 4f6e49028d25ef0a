"""Writing to TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TensorBoardLog:
    """Writes to TensorBoard, which keeps numbers but no files.

    Parameters
    ----------
    writer
        A `SummaryWriter` of `torch.utils.tensorboard` or tensorboardX, or a `tensorboard.summary.Writer`.

    Examples
    --------
    >>> class Writer:  # a real one is SummaryWriter("runs/")
    ...     def add_scalar(self, name, value, step):
    ...         print(name, value, step)
    >>> TensorBoardLog(Writer()).write({"static/layer4": 40.0}, step=3)
    static/layer4 40.0 3
    """

    def __init__(self, writer: Any) -> None:  # noqa: ANN401  of any of three packages
        self._writer = writer

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers by name, all of one step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
