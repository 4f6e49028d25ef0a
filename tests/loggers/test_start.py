"""`sdmetrics compare --log`: runs that are started, written to and finished."""

import re
import sys

import pytest

from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError
from sdmetrics.loggers.start import parsed, started
from tests.cli.test_commands import failed
from tests.helpers import runs
from tests.helpers.tracker_files import mlflow_numbers, tensorboard_numbers, trackio_numbers, wandb_numbers


@pytest.fixture
def compared(offline, command):
    """Compare one run with `--log`; return what is printed, and the numbers that are expected."""
    results = runs.run({"stage1": (0.4, 0.7)})
    results.save(offline / "motion")

    def run(*logs):
        options = [word for log in logs for word in ("--log", log)]
        code, out, err = command("compare", offline / "motion", "-o", offline / "page.html", *options)
        assert (code, err) == (0, ""), out + err
        for log in logs:
            assert f"log: {log}" in out.splitlines()
        return {name: {0: pytest.approx(value, rel=1e-6)} for name, value in scalars(results).items()}

    return run


def test_tensorboard_twice(compared, offline):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    expected = compared("tensorboard=a/b", f"tensorboard={offline}/c")
    assert tensorboard_numbers(offline / "a" / "b") == tensorboard_numbers(offline / "c") == expected


def test_wandb(compared, offline):
    pytest.importorskip("wandb", reason="wandb is not installed")
    assert compared("wandb=bias") == wandb_numbers(offline)


def test_mlflow(compared, offline):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    before = mlflow.get_tracking_uri()
    uri = f"file://{offline}/elsewhere"
    expected = compared(f"mlflow={uri}")
    assert mlflow.get_tracking_uri() == before
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert mlflow_numbers(client, run.info.run_id) == expected


def test_trackio(compared):
    trackio = pytest.importorskip("trackio", reason="trackio is not installed")
    expected = compared("trackio=from-the-command-line")
    (run,) = trackio.Api().runs("from-the-command-line")
    assert trackio_numbers("from-the-command-line", run.name) == expected


class TestBadInput:
    @pytest.mark.parametrize("text", ["wandb", "wandb=", "=x", "neptune=x", "", "runs/"])
    def test_what_names_no_tracker(self, command, tmp_path, text):
        with pytest.raises(InputError, match=f"the log is {re.escape(repr(text))}; expected: tensorboard=FOLDER"):
            parsed(text)
        # Before anything is read or written.
        assert failed(command("compare", tmp_path / "none", "--log", text), "expected: tensorboard=FOLDER")

    def test_a_folder_that_cannot_be_written(self, tmp_path):
        pytest.importorskip("tensorboard", reason="tensorboard is not installed")
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="it is a file"), started(f"tensorboard={tmp_path}/file"):
            pass

    def test_without_the_package_the_extra_is_named(self, command, tmp_path, monkeypatch):
        runs.run().save(tmp_path / "motion")
        monkeypatch.setitem(sys.modules, "wandb", None)
        found = command("compare", tmp_path / "motion", "-o", tmp_path / "page.html", "--log", "wandb=bias")
        assert failed(found, "wandb cannot be imported", "static-dynamic-metrics[wandb]")

    @pytest.mark.usefixtures("offline")
    def test_what_a_tracker_reports_is_one_line(self):
        pytest.importorskip("mlflow", reason="mlflow is not installed")
        with (
            pytest.raises(InputError, match=r"cannot write to mlflow=nowhere:\S*: .*\. Correct this, or leave it out"),
            started("mlflow=nowhere://"),
        ):
            pass
