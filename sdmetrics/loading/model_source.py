"""ModelSource: a description of a model that other processes open."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._reading import read_bytes
from sdmetrics.errors import InputError
from sdmetrics.loading.open import open_model
from sdmetrics.loading.user_code import is_code, split_code
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from sdmetrics.runners.onnxruntime import OnnxRunner
    from sdmetrics.runners.torch import TorchRunner

LIMIT = 2**31
"""Bytes of a file that is sent to workers."""


@dataclass(frozen=True)
class ModelSource:
    """A model and how to open it, for the workers of an executor: each opens it once.

    Parameters
    ----------
    model
        As of `open_model`; the workers find the file under the same path, unless `content` is there.
    layers, inputs, provider, threads, half, allow_tf32, device
        As of `open_model`.
    content
        The content of the file, for workers that share no disk, see `embedded`.

    Examples
    --------
    >>> import pickle
    >>> from sdmetrics.demo import demo_model
    >>> with demo_model("motion") as path:
    ...     source = ModelSource(path, provider="cpu", threads=1).embedded()
    >>> pickle.loads(pickle.dumps(source)).open().layers[0]
    'stem'
    """

    model: str | Path
    layers: Sequence[str] | Mapping[str, int | None] | None = None
    inputs: Sequence[ModelInput | HeldInput] | None = None
    provider: str = "auto"
    threads: int | None = None
    half: bool = False
    allow_tf32: bool = False
    device: str | None = None
    content: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Make the path absolute: workers have current folders of their own."""
        object.__setattr__(self, "model", _absolute(self.model))

    def embedded(self) -> ModelSource:
        """Return the same with the content of the file in it, which is sent to every worker.

        Raises
        ------
        InputError
            If there is no such file.
        """
        place = split_code(self.model)[0] if is_code(self.model) else str(self.model)
        if is_code(self.model) and not place.endswith(".py"):
            raise InputError(f"{self.model} is a module; install it where the workers run, or pass FILE.py:FUNCTION")
        path = Path(place)
        if not path.is_file():
            raise InputError(f"{path} does not exist or is not a file; pass the path of a model")
        return replace(self, content=read_bytes(path, LIMIT))

    def open(self) -> OnnxRunner | TorchRunner:
        """Return the runner of the model, see `open_model`.

        Raises
        ------
        InputError
            As `open_model` does; if an embedded model keeps its weights in other files.
        """
        if self.content is None:
            return self._opened(self.model)
        place, function = split_code(self.model) if is_code(self.model) else (str(self.model), "")
        with tempfile.TemporaryDirectory(prefix="sdmetrics-") as folder:
            path = Path(folder) / Path(place).name
            path.write_bytes(self.content)
            try:
                runner = self._opened(f"{path}:{function}" if function else path)
            except InputError as error:
                raise InputError(f"{str(error).replace(str(path), place)} (the file was sent alone)") from error
        runner.file = self.model if function else Path(self.model)
        return runner

    def _opened(self, model: str | Path) -> OnnxRunner | TorchRunner:
        """Open the model at a path with the options of this source."""
        return open_model(
            model,
            layers=self.layers,
            inputs=self.inputs,
            provider=self.provider,
            threads=self.threads,
            half=self.half,
            allow_tf32=self.allow_tf32,
            device=self.device,
        )


def _absolute(model: str | Path) -> str | Path:
    """Return a model with an absolute path; a module has none."""
    if not is_code(model):
        return Path(model).absolute()
    place, function = split_code(model)
    return f"{Path(place).absolute()}:{function}" if place.endswith(".py") else model
