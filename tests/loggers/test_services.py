"""Every log against the real library, which writes to a local folder."""

import csv
import io
import sys
from pathlib import Path

import pytest

from sdmetrics.comparison.compare import compare
from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError, MissingExtra
from sdmetrics.loggers.log import as_log
from sdmetrics.loggers.mlflow import MlflowLog
from sdmetrics.loggers.wandb import WandbLog
from tests.helpers import runs
from tests.helpers.tracker_files import (
    mlflow_numbers,
    tensorboard_numbers,
    trackio_numbers,
    wandb_numbers,
    wandb_records,
)
from tests.test_imports import HEAVY, loaded_by

SERVICES = {"wandb", "mlflow", "trackio", "tensorboard"}


@pytest.fixture
def comparison():
    """A training of two steps, and a run that has no step."""
    later = runs.run({"stage1": (0.4, 0.7), "stage2": (0.5, 0.6)})
    training = {0: runs.run({"stage1": (0.4, 0.7), "stage2": (0.4, 0.6)}), 20: later}
    return compare({"i3d": training, "other": runs.run({"stage1": (0.4, 0.7)})})


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<!doctype html>")
    return path


def expected(comparison):
    numbers = {}
    for name, points in comparison.series.items():
        for point in points:
            for key, value in scalars(point.results).items():
                numbers.setdefault(f"{name}/{key}", {})[point.step or 0] = pytest.approx(value, rel=1e-6)
    assert numbers["i3d/static/stage2"].keys() == {0, 20}
    assert numbers["other/units-joint/stage1"].keys() == {0}
    return numbers


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_tensorboard(offline, comparison, page):
    board = pytest.importorskip("tensorboard.summary", reason="tensorboard is not installed")
    writer = board.Writer(str(offline / "events"))
    comparison.write(writer, page=page)  # which stores no files
    writer.close()
    assert tensorboard_numbers(offline / "events") == expected(comparison)


def test_wandb(offline, comparison, page):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    with wandb.init(project="bias") as run:
        run.log({"loss": 1.0}, step=50)  # the counter of the run is that of the training
        comparison.write(run, page=page)
    numbers = wandb_numbers(offline)
    assert numbers.pop("loss") == {0: 1.0}
    assert numbers == expected(comparison)
    records = wandb_records(offline)
    defined = {record.metric.glob_name: record.metric.step_metric for record in records if record.metric.glob_name}
    assert defined == {"i3d/*": "sdmetrics/step", "other/*": "sdmetrics/step"}
    (artifact,) = (record.artifact for record in records if record.HasField("artifact"))
    assert {entry.path for entry in artifact.manifest.contents} == {"rows.csv", "page.html"}


@pytest.mark.usefixtures("offline")
def test_mlflow(comparison, page):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    with mlflow.start_run() as run:
        comparison.write(run, page=page)
    client = mlflow.MlflowClient()
    assert mlflow_numbers(client, run.info.run_id) == expected(comparison)
    files = {
        Path(file.path).name: file.path for file in client.list_artifacts(run.info.run_id, "static-dynamic-comparison")
    }
    assert files.keys() == {"rows.csv", "page.html"}
    rows = Path(client.download_artifacts(run.info.run_id, files["rows.csv"])).read_text()
    assert len(rows_of(rows)) == len(comparison.rows)


def test_mlflow_with_a_client_a_run_by_its_id_and_names_it_does_not_accept(offline, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setattr("sdmetrics.loggers.mlflow.BATCH", 4)
    client = mlflow.MlflowClient(f"file://{offline}/elsewhere")
    run = client.create_run("0")
    values = {f"static/body{number}": float(number) for number in range(9)}
    MlflowLog(run.info.run_id, client).write(values | {"static//Conv:0*": 7.0}, step=3)
    numbers = mlflow_numbers(client, run.info.run_id)
    assert numbers == {name: {3: value} for name, value in values.items()} | {"static/Conv_0_": {3: 7.0}}


@pytest.mark.usefixtures("offline")
def test_trackio(comparison, page):
    trackio = pytest.importorskip("trackio", reason="trackio is not installed")
    run = trackio.init(project="bias", embed=False)
    comparison.write(run, page=page)
    run.finish()
    assert trackio_numbers("bias", run.name) == expected(comparison)
    from trackio.sqlite_storage import SQLiteStorage

    manifest = SQLiteStorage.get_artifact_manifest("bias", "static-dynamic-comparison", "latest")["manifest"]
    assert {entry["path"] for entry in manifest} == {"rows.csv", "page.html"}


def test_a_log_of_ones_own_gets_numbers_by_step_and_files_where_it_takes_them(comparison):
    class Numbers:
        def __init__(self):
            self.written = []

        def write(self, values, step):
            self.written.append((step, values))

    class Files(Numbers):
        def attach(self, files):
            self.files = {file.name: file.read_text() for file in files}

    numbers, files = Numbers(), Files()
    comparison.write(numbers, files)
    assert [step for step, _ in numbers.written] == [0, 20]
    assert numbers.written == files.written
    assert len(rows_of(files.files["rows.csv"])) == len(comparison.rows)
    one = Numbers()
    compare({"i3d": comparison.series["i3d"][0].results}).write(one)
    assert one.written == [(0, scalars(comparison.series["i3d"][0].results))]  # no name of the only run


class TestHostileInput:
    @pytest.mark.parametrize("target", [None, sys, "runs/", Path("runs"), 3, type("Loud", (), {"write": True})()])
    def test_what_cannot_be_written_to(self, comparison, target):
        with pytest.raises(InputError, match=r"cannot write measurements to .*; expected: a SummaryWriter, a run of"):
            comparison.write(target)

    def test_nothing_is_written_if_one_of_several_is_wrong(self, comparison):
        class Log:
            write = None

            def __init__(self):
                self.write = lambda values, step: pytest.fail(f"{step}: {values}")

        with pytest.raises(InputError, match="cannot write measurements to None"):
            comparison.write(Log(), None)

    def test_a_page_that_is_not_there(self, comparison, tmp_path):
        with pytest.raises(InputError, match=r"none\.html does not exist; write it first"):
            comparison.write(type("Log", (), {"write": lambda *_: None})(), page=tmp_path / "none.html")

    @pytest.mark.parametrize(
        ("name", "act"), [("mlflow", lambda: MlflowLog("a1")), ("wandb", lambda: WandbLog(None).attach([]))]
    )
    def test_without_the_package_the_extra_is_named(self, monkeypatch, name, act):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingExtra, match=rf"{name} cannot be imported.*static-dynamic-metrics\[{name}\]"):
            act()


def test_nothing_is_imported_to_recognise_a_run():
    loaded = loaded_by("import sdmetrics.loggers.log, sdmetrics.loggers.start, sdmetrics.comparison.compare")
    assert not loaded & (HEAVY | SERVICES)
    run = type("Run", (), {"__module__": "wandb.sdk.wandb_run"})()
    assert isinstance(as_log(run), WandbLog)
