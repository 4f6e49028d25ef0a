"""The batch size of a run: chosen once, recorded with every shard, and kept where the run goes on."""

from __future__ import annotations

from sdmetrics._files import load_header, load_npz, save_npz
from sdmetrics.analysis.measure import prepare
from sdmetrics.analysis.shards import shard_files
from tests.analysis.test_resume import CLIPS, analysed, finished, run
from tests.helpers.fakes import NumpyRunner, changes, colours

__all__ = ["finished", "run"]


def on(provider: str, device: str = "card") -> NumpyRunner:
    """A runner that says where it runs."""
    runner = NumpyRunner({"colours": colours, "changes": changes})
    runner.circumstance = {"provider": provider, "device": device}
    return runner


def batches(folder) -> set[int]:
    return {load_header(path)["ran_on"]["batch"] for _, path in shard_files(folder / "shards")}


def test_the_batch_size_is_recorded(tmp_path, finished):
    assert batches(finished) == {6}
    analysed(tmp_path, on("cpu"), batch=4)
    assert batches(tmp_path) == {4}


def test_a_resumed_run_keeps_its_batch_size(tmp_path):
    analysed(tmp_path, on("cuda"), batch=5)
    for path in [path for _, path in shard_files(tmp_path / "shards")][1::2]:
        path.unlink()
    analysed(tmp_path, on("cuda"))
    assert batches(tmp_path) == {5}


def test_it_is_chosen_anew_elsewhere(tmp_path):
    analysed(tmp_path, on("cuda"), batch=5)
    for runner, batch, size in ((on("cpu", "cpu"), "auto", 6), (on("cuda"), "auto", 5), (on("cuda"), 7, 7)):
        assert prepare(runner, CLIPS, out=tmp_path, batch=batch).work.batch == size
    other = on("cuda", "another card")
    prepare(other, CLIPS, out=tmp_path)
    assert other.batches  # of random frames, to see how fast it is


def test_a_damaged_record_is_no_batch_size(tmp_path):
    analysed(tmp_path, on("cpu"), batch=5)
    first = shard_files(tmp_path / "shards")[0][1]
    header, arrays = load_npz(first)
    for ran_on in ({**header["ran_on"], "batch": "5"}, {**header["ran_on"], "batch": 0}, {}, None):
        save_npz(first, {**header, "ran_on": ran_on}, arrays)
        assert prepare(on("cpu"), CLIPS, out=tmp_path).work.batch == 6


def test_a_batch_that_is_chosen_has_no_more_views_than_a_shard():
    few = on("cuda")
    assert prepare(few, CLIPS[:200:40]).work.batch == 6
    assert not few.batches
