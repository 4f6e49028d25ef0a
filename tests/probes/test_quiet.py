"""No line of a library reaches the terminal, unless it is asked for."""

import logging
import os
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.errors import InputError, MissingExtra, Note
from sdmetrics.exporters.saved_models import open_saved
from sdmetrics.probes.quiet import quiet, show_logs, silent_stderr
from sdmetrics.probes.session import run_options
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


def open_files():
    """Return how many files this process has open, where the system tells."""
    return len([*Path("/dev/fd").iterdir()]) if Path("/dev/fd").is_dir() else 0


def test_threads_that_drop_standard_error_give_it_back(capfd):
    barrier = threading.Barrier(4)

    def overlapping(waits):
        with silent_stderr():
            barrier.wait()
            os.write(2, b"dropped")
            for _ in range(waits):
                barrier.wait()
        for _ in range(3 - waits):
            barrier.wait()

    threads = [threading.Thread(target=overlapping, args=(waits,)) for waits in range(4)]
    before = open_files()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"our own")
    assert capfd.readouterr().err == "our own"
    assert open_files() == before


def test_a_process_without_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with silent_stderr():
        assert run_options() is not None


def test_sessions_of_others_log_as_before(tmp_path, capfd):
    """The default logger is the process's own, which a session without a severity of its own logs to."""
    import onnxruntime

    loud = [CONV, node("Reshape", ["c", "s"], ["y"])]
    path = saved(tmp_path, loud, constant("s", [7, -1]), shape=("n", 3, "t", 16, 16))
    open_trial(path.read_bytes(), 1)
    assert capfd.readouterr().err == ""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="Reshape"):
        session.run(None, {"x": np.zeros((1, 3, 4, 16, 16), np.float32)})
    assert "onnxruntime" in capfd.readouterr().err


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
