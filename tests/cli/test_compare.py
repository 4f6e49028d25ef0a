"""`sdmetrics compare`: what it prints and writes."""

import csv

import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.comparison.step_folders import step_folder
from tests.cli.test_commands import failed
from tests.helpers import runs
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip

CLIPS = [noise_clip(seed) for seed in range(24)]


@pytest.fixture
def trainings(tmp_path):
    """Two trainings of 3 and 20 steps, without shards."""
    for name, steps in (("i3d", 3), ("slowfast", 20)):
        for step in range(steps):
            run = runs.run({"stage1": (0.4, 0.7), "stage2": (0.4 + 0.02 * step, 0.6)})
            run.model["step"] = 10 * step
            run.save(step_folder(tmp_path / name, 10 * step))
    return tmp_path


def test_trainings_side_by_side(command, trainings, tmp_path):
    page, numbers = tmp_path / "out" / "page.html", tmp_path / "out" / "rows.csv"
    code, out, err = command("compare", trainings / "i3d", trainings / "slowfast", "-o", page, "--csv", numbers)
    assert (code, err) == (0, "")
    assert "i3d: stage2 over training" in out
    assert "slowfast: stage2 over training, 12 of 20 steps" in out
    assert "i3d, step 20 → slowfast, step 190" in out
    assert "none: which clips they saw is not known" in out
    assert "warning: The clips are not known" in out
    assert page.read_text().startswith("<!doctype html>")
    with numbers.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * 23


def test_steps_that_are_given_one_by_one_are_one_training(command, trainings, tmp_path):
    steps = [step_folder(trainings / "i3d", step) for step in (20, 0)]
    code, out, _ = command("compare", *steps, "-o", tmp_path / "page.html")
    assert code == 0
    assert "i3d, step 0 → i3d, step 20" in out
    assert "layers" not in out.split("differences")[0].split("over training")[0]


def test_models_on_the_same_clips_have_paired_differences_and_figures(command, tmp_path):
    for name, layer in (("still", colours), ("moving", changes)):
        measure_biases(NumpyRunner({"deep": layer}), CLIPS, out=tmp_path / name, progress=False)
    page, figures = tmp_path / "page.html", tmp_path / "figures"
    code, out, _ = command("compare", tmp_path / "still", tmp_path / "moving", "-o", page, "--figures", figures)
    assert code == 0
    assert "warning" not in out
    assert "paired, 95 %" in out
    assert {path.name for path in figures.iterdir()} == {
        *("layers.png", "layers.svg", "last-layers.png", "last-layers.svg"),
    }


class TestBadInput:
    def test_a_folder_that_is_no_run(self, command, tmp_path):
        assert failed(command("compare", tmp_path), "results.json")
        assert failed(command("compare", tmp_path / "none"), "none does not exist")

    def test_the_same_name_twice(self, command, trainings, tmp_path):
        runs.run().save(tmp_path / "elsewhere" / "i3d")
        assert failed(command("compare", trainings / "i3d", tmp_path / "elsewhere" / "i3d"), "'i3d'", "rename one")
        assert failed(command("compare", trainings / "i3d", trainings / "i3d"), "'i3d'")
        assert failed(command("compare", trainings / "i3d", step_folder(trainings / "i3d", 10)), "'i3d'")

    def test_a_page_that_cannot_be_written(self, command, trainings, tmp_path):
        (tmp_path / "file").touch()
        assert failed(command("compare", trainings / "i3d", "-o", tmp_path / "file" / "page.html"), "cannot write")
