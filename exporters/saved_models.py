"""Keras files and SavedModels: opened for an export, and how they are fed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, one_line, require
from sdmetrics.exporters._graph.describe_inputs import describe_inputs
from sdmetrics.exporters._tensorflow.functions import concrete_function, input_specs
from sdmetrics.exporters._tensorflow.keras_layers import check_backend
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

KERAS_FILES = (".keras", ".h5", ".hdf5")
LOST = re.compile(r"Could not locate \w+ '[^']+'")
"""What Keras says, amidst much else, of classes that a file needs."""


def is_saved(path: Path) -> bool:
    """Return whether what is called so would be a Keras file or the folder of a SavedModel.

    Examples
    --------
    >>> is_saved(Path("model.keras")), is_saved(Path("model.onnx"))
    (True, False)
    """
    return path.suffix in KERAS_FILES or path.is_dir()


def export_saved(saved: Path, path: Path, layers: Sequence[str], **given: Any) -> Path:  # noqa: ANN401 (fields of ModelInput)
    """Open a Keras file or a SavedModel and export it; fields of `ModelInput` that are `given` say how it is fed.

    Raises
    ------
    InputError
        As `open_saved`, `saved_inputs` and `sdmetrics.exporters.tensorflow.export`.
    """
    from sdmetrics.exporters.tensorflow import export

    model = open_saved(saved)
    return export(model, saved_inputs(model, **given), layers, path)


def open_saved(path: Path) -> keras.Model | tf.Module:
    """Open a Keras file (`.keras`, `.h5`) or the folder of a SavedModel, for `sdmetrics.exporters.tensorflow.export`.

    Keras's safe mode is on: code that a file brings along is not run.

    Raises
    ------
    InputError
        If there is no such file or folder, or Keras or TensorFlow cannot load it, or must not.

    Examples
    --------
    >>> open_saved(Path("holiday.mp4"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: holiday.mp4 is neither a Keras file (.keras, .h5, .hdf5) nor the folder of a SavedModel
    """
    path = Path(path)
    if not (path.is_file() and path.suffix in KERAS_FILES) and not (path / "saved_model.pb").is_file():
        raise InputError(f"{path} is neither a Keras file ({', '.join(KERAS_FILES)}) nor the folder of a SavedModel")
    with _quiet_start():
        tf, keras = require("tensorflow", extra="tensorflow"), require("keras", extra="tensorflow")
    try:
        if path.is_dir():
            return tf.saved_model.load(str(path))
        check_backend()
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except Exception as error:
        reason = one_line(error).partition(". ")[0]
        if lost := LOST.search(str(error)):
            reason = lost[0]
        elif "safe_mode" in str(error) or "unsafe" in str(error):
            reason = "it holds Python code (a Lambda layer), which is not run"
        raise InputError(
            f"{path} cannot be loaded: {reason}. If you trust it, load it in Python, with its own "
            "classes imported, and call sdmetrics.exporters.tensorflow.export"
        ) from error


def saved_inputs(model: keras.Model | tf.Module, **given: Any) -> tuple[ModelInput, ...]:  # noqa: ANN401 (fields of ModelInput)
    """Describe the inputs of a model that `open_saved` gave, with the usual mean and deviation.

    Fields of `ModelInput` that are `given` go before what the shapes say.

    Raises
    ------
    InputError
        If an input's layout, frames or size are neither given nor told by its shape.
    """
    keras = require("keras", extra="tensorflow")
    if not isinstance(model, keras.Model):
        shapes = {spec.name: spec.shape for spec in input_specs(concrete_function(model))}
    elif getattr(model, "inputs", None):
        shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    else:
        raise InputError(
            f"{model.name} does not say what it reads: it is code, not a graph of layers. Load it in Python and call "
            "sdmetrics.exporters.tensorflow.export, which is told"
        )
    return describe_inputs({name: tuple(size or "?" for size in shape) for name, shape in shapes.items()}, **given)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep TensorFlow's first words, which no setting stops, from standard error."""
    if "tensorflow" in sys.modules:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
