"""No line of a library reaches the terminal, unless it is asked for."""

import logging
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.errors import InputError, MissingExtra, Note
from sdmetrics.exporters.saved_models import open_saved
from sdmetrics.probes.quiet import quiet, show_logs, silent_stderr
from sdmetrics.probes.trial import open_trial, run_once
from tests.helpers.hostile_models import CONV, constant, node, saved


@pytest.fixture(params=[False, True], ids=["quiet", "verbose"])
def verbose(request):
    show_logs(request.param)
    yield request.param
    show_logs(False)


@pytest.fixture
def library(capsys):
    """A library's logger with a level and a handler of its own, below the logger that is silenced."""
    assert capsys is not None  # the handler writes to what it captures
    logger, handler = logging.getLogger("a_library.part"), logging.StreamHandler(sys.stderr)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_what_python_code_logs_warns_and_prints(capsys, verbose, library):
    with warnings.catch_warnings(record=True, action="always") as shown:
        with quiet("a_library"):
            library.error("a dump")
            logging.getLogger("a_library").error("another")
            print("a graph")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        library.error("later")
    printed = capsys.readouterr()
    assert ("a dump" in printed.err, "a graph" in printed.out, bool(shown)) == (verbose,) * 3
    assert "later" in printed.err


def test_what_compiled_code_writes_past_python(capfd, verbose):
    with silent_stderr():
        os.write(2, b"I0000 a device")
    os.write(2, b" our own")
    assert capfd.readouterr().err == ("I0000 a device" if verbose else "") + " our own"


def test_the_runtime_logs_on_request(tmp_path, capfd, verbose):
    nodes = [CONV, node("Reshape", ["c", "s"], ["y"])]
    path = saved(tmp_path, nodes, constant("s", [7, -1]), shape=("n", 3, "t", 16, 16))
    with pytest.raises(InputError):
        run_once(open_trial(path.read_bytes(), 1), {"x": np.zeros((1, 3, 4, 16, 16), np.float32)}, ["y"])
    assert ("onnxruntime" in capfd.readouterr().err) == verbose


def test_torch_does_not_print_the_graph_that_it_cannot_export(capfd):
    torch = pytest.importorskip("torch")
    from sdmetrics.exporters.torch import export
    from sdmetrics.probes.inputs import ModelInput

    class Branching(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv3d(3, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            return (2 * y if y.sum() > 0 else y).mean((2, 3, 4))

    with pytest.raises(InputError, match="cannot export Branching: GuardOnDataDependent"):
        export(Branching().eval(), [ModelInput("x", frames=2, size=(8, 8))], ["conv"], Path("absent.onnx"))
    assert capfd.readouterr() == ("", "")


def test_a_saved_model_is_said_to_be_a_program(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with (
        pytest.warns(Note, match="a SavedModel is a program that can read and write files as it runs"),
        pytest.raises((MissingExtra, InputError)),
    ):
        open_saved(tmp_path)
