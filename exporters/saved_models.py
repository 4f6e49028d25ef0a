"""Open and export Keras files and SavedModels, and describe their inputs."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, note, one_line, require
from sdmetrics.exporters._graph.describe_inputs import describe_inputs
from sdmetrics.exporters._tensorflow.functions import concrete_function, input_specs
from sdmetrics.exporters._tensorflow.keras_layers import check_backend
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.quiet import logs_shown, quiet, silent_stderr

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

KERAS_FILES = (".keras", ".h5", ".hdf5")
LOGGERS = ("absl", "keras", "tensorflow")
A_PROGRAM = "a SavedModel is a program that can read and write files as it runs; export only those of people you trust"
LOST = re.compile(r"Could not locate \w+ '[^']+'")
"""The part of Keras's message that names a class which a file needs."""


def is_saved(path: Path) -> bool:
    """Return whether a path is that of a Keras file or of a folder, which may be a SavedModel.

    Examples
    --------
    >>> is_saved(Path("model.keras")), is_saved(Path("model.onnx"))
    (True, False)
    """
    return path.suffix in KERAS_FILES or path.is_dir()


def export_saved(saved: Path, path: Path, layers: Sequence[str], **given: Any) -> Path:  # noqa: ANN401 (fields of ModelInput)
    """Open a Keras file or a SavedModel and export it. `given` are fields of `ModelInput` that describe how it is fed.

    Raises
    ------
    InputError
        See `open_saved`, `saved_inputs` and `sdmetrics.exporters.tensorflow.export`.
    """
    from sdmetrics.exporters.tensorflow import export

    model = open_saved(saved)
    return export(model, saved_inputs(model, **given), layers, path)


def open_saved(path: Path) -> keras.Model | tf.Module:
    """Open a Keras file (`.keras`, `.h5`) or the folder of a SavedModel, for `sdmetrics.exporters.tensorflow.export`.

    Keras's safe mode is on, so code inside a file is not run. For a SavedModel a `Note` says that it is a program.

    Raises
    ------
    InputError
        If there is no such file or folder, or Keras or TensorFlow cannot load it, or loading it would run code.

    Examples
    --------
    >>> open_saved(Path("holiday.mp4"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: holiday.mp4 is neither a Keras file (.keras, .h5, .hdf5) nor the folder of a SavedModel
    """
    path = Path(path)
    if not (path.is_file() and path.suffix in KERAS_FILES) and not (path / "saved_model.pb").is_file():
        raise InputError(f"{path} is neither a Keras file ({', '.join(KERAS_FILES)}) nor the folder of a SavedModel")
    if path.is_dir():
        note(f"{path}: {A_PROGRAM}")
    if not logs_shown():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow prints some lines when it starts and when it loads, which no setting stops.
    with silent_stderr():
        tf, keras = require("tensorflow", extra="tensorflow"), require("keras", extra="tensorflow")
    try:
        if path.is_dir():
            with quiet(*LOGGERS), silent_stderr():
                return tf.saved_model.load(str(path))
        check_backend()
        with quiet(*LOGGERS), silent_stderr():
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
    """Describe the inputs of a model that `open_saved` returned, with the usual mean and deviation.

    `given` are fields of `ModelInput`, which take precedence over the shapes.

    Raises
    ------
    InputError
        If an input's layout, frames or size are neither specified nor determined by its shape.
    """
    keras = require("keras", extra="tensorflow")
    if not isinstance(model, keras.Model):
        shapes = {spec.name: spec.shape for spec in input_specs(concrete_function(model))}
    elif getattr(model, "inputs", None):
        shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    else:
        raise InputError(
            f"{model.name} does not declare its inputs: it is code, not a graph of layers. Load it in Python and pass "
            "the inputs to sdmetrics.exporters.tensorflow.export"
        )
    return describe_inputs({name: tuple(size or "?" for size in shape) for name, shape in shapes.items()}, **given)
