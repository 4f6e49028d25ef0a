"""A training that is killed at any moment goes on with every measurement that it had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sdmetrics.analysis.results import Results
from sdmetrics.errors import InputError, Note
from sdmetrics.torch.training.step_storage import StepStorage
from tests.helpers.runs import run as made_run
from tests.torch.training.test_tracker import made, tracked


def measured(step, seed):
    results = made_run(seed=seed, units=8)
    results.model["step"] = step
    return results


@pytest.fixture
def storage(tmp_path):
    """The measurements of steps 1 and 2."""
    storage = StepStorage(tmp_path)
    for step in (1, 2):
        storage.finish(measured(step, seed=step), step)
    return storage


def scores(found):
    return {step: results.units[0]["static"] for step, results in found.items()}


def test_a_measurement_that_was_whole_and_had_no_place_gets_it(storage):
    measured(3, seed=3).save(storage.unfinished)
    before = scores(storage.loaded())
    assert scores(storage.recovered()) == before | {3: measured(3, 3).units[0]["static"]}
    assert sorted(path.name for path in storage.folder.iterdir()) == ["step-000001", "step-000002", "step-000003"]


def test_a_measurement_that_was_not_whole_is_removed(storage):
    measured(3, seed=3).save(storage.unfinished)
    (storage.unfinished / "units.csv").unlink()
    before = scores(storage.loaded())
    assert scores(storage.recovered()) == before
    assert not list(storage.folder.glob(".*"))


@pytest.mark.parametrize("new", ["unfinished", "in place", "lost"])
def test_a_step_that_was_being_replaced_is_there_once(storage, new):
    """The old run was moved away; the new one has its place, or not yet, or was lost with the power."""
    place = storage.folder / "step-000002"
    old, after = (measured(2, seed).units[0]["static"] for seed in (2, 5))
    place.rename(storage.folder / ".replaced")
    if new != "lost":
        measured(2, seed=5).save(storage.unfinished if new == "unfinished" else place)
    assert scores(storage.recovered())[2] == (old if new == "lost" else after)
    assert not list(storage.folder.glob(".*"))


def test_a_half_removed_run_is_set_aside_and_its_step_can_be_measured_again(tmp_path):
    tracker = tracked(made(), out=tmp_path)
    for step in (1, 2):
        tracker.measure(step)
    shutil.rmtree(tmp_path / "step-000002" / "shards")
    (tmp_path / "step-000002" / "units.csv").write_bytes(b"")
    with pytest.warns(Note, match=r"step-000002 is not used and was renamed to step-000002\.damaged: .*units\.csv"):
        again = tracked(made(), out=tmp_path)
    assert list(again.results) == [1]
    assert again.measure(2).layers == tracker.results[2].layers
    assert Results.load(tmp_path / "step-000002").layers == tracker.results[2].layers
    assert list(tracked(made(), out=tmp_path).results) == [1, 2]


def test_what_cannot_be_read_at_the_moment_stays_where_it_is(storage, monkeypatch):
    """A disk that does not answer says nothing about the measurement."""
    measured(3, seed=3).save(storage.unfinished)
    read = Path.read_bytes

    def fail(path):
        if path.name == "results.json":
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(InputError, match="Input/output error"):
        storage.recovered()
    monkeypatch.undo()
    assert sorted(storage.recovered()) == [1, 2, 3]
