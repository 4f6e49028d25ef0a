"""Runs that are interrupted, damaged or continued elsewhere add up to the same numbers, or are an error."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sdmetrics._files import load_npz, save_npz
from sdmetrics.analysis.identity import sha256_of
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.analysis.shards import load_shard, save_shard, shard_files
from sdmetrics.errors import InputError, Note
from sdmetrics.report.page import write_report
from tests.helpers.fakes import NumpyRunner, broken_clip, changes, colours, noise_clip
from tests.report.test_page import Page

ROOT = Path(__file__).resolve().parents[2]
# Few videos, so that groups have several shards of several clips.
LAYERS = ["colours", "changes"]
CLIPS = [*(noise_clip(number, video=f"video {number // 40}") for number in range(200)), broken_clip()]


def analysed(out=None, runner=None, **arguments):
    runner = runner or NumpyRunner({"colours": colours, "changes": changes})
    return measure_biases(runner, CLIPS, out=out, **{"progress": False, **arguments})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was never interrupted."""
    out = tmp_path_factory.mktemp("finished")
    analysed(out)
    return out


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def shards(run):
    return [path for _, path in shard_files(run / "shards")]


def loaded(path, run):
    return load_shard(path, sha256_of(Results.load(run).settings), LAYERS)


def files(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def worker(folder):
    return subprocess.Popen([sys.executable, "-m", "tests.workers.resume_worker", str(folder)], cwd=ROOT)


def test_a_run_killed_in_the_middle_resumes_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert worker(whole).wait() == 0

    process = worker(killed)
    deadline = time.monotonic() + 60
    while len(list(killed.glob("shards/*.npz"))) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
    kept = {path.name: path.stat().st_mtime_ns for path in killed.glob("shards/[0-9]*.npz")}
    assert kept
    assert not (killed / "results.json").exists()

    assert worker(killed).wait() == 0
    assert (killed / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert (killed / "units.csv").read_bytes() == (whole / "units.csv").read_bytes()
    assert {name: (killed / "shards" / name).stat().st_mtime_ns for name in kept} == kept


@pytest.mark.parametrize(
    ("damaged", "missing"),
    [([2], [4, 5, 7]), ([2, 3], [9, 10]), ([0], range(1, 12)), ([5], [0, 1]), ([3, 8], []), ([11], [10])],
)
def test_the_clips_of_a_damaged_shard_are_not_given_the_renderings_of_those_missing_after_it(
    finished, run, damaged, missing
):
    names = shards(run)
    assert len(names) > 12
    for place in damaged:
        names[place].write_bytes(names[place].read_bytes()[:-40])
    for place in missing:
        names[place].unlink()
    runner = NumpyRunner({"colours": colours, "changes": changes})
    analysed(run, runner)
    computed = [loaded(names[place], run) for place in {*damaged, *missing}]
    assert sum(runner.batches) == 3 * sum(shard.used for shard in computed)
    assert files(run) == files(finished)


def test_the_same_run_with_another_batch_size_is_resumed_and_recorded_not_refused(finished, run):
    names = shards(run)
    gone = names[1::3]
    for path in gone:
        path.unlink()
    runner = NumpyRunner({"colours": colours, "changes": changes})
    results = analysed(run, runner, batch=7)
    assert max(runner.batches) == 7
    assert {row["batch"]: row["shards"] for row in results.ran_on} == {6: len(names) - len(gone), 7: len(gone)}
    before = Results.load(finished)
    assert [row["shards"] for row in before.ran_on] == [len(names)]
    assert replace(results, ran_on=before.ran_on) == before
    assert Results.load(run) == results
    text = Page(write_report({"numpy": results}, run / "report.html")).text
    assert "Parts of this run were computed in 2 different" in text
    assert "ran on 2 · batch7" in text
    assert "Parts of this run" not in Page(write_report({"numpy": before}, run / "report.html")).text


def test_threads_and_versions_of_the_runner_are_recorded_by_shard_not_refused(run):
    names = shards(run)
    names[0].unlink()
    elsewhere = NumpyRunner({"colours": colours, "changes": changes})
    elsewhere.circumstance = {"provider": "cuda", "threads": 3}
    results = analysed(run, elsewhere)
    assert [(row.get("provider"), row["shards"]) for row in results.ran_on] == [("cuda", 1), (None, len(names) - 1)]
    assert "provider" not in str(results.settings)


def test_a_shard_of_a_run_with_another_seed_is_never_merged(run, tmp_path):
    analysed(tmp_path / "seed 1", seed=1)
    path = shards(run)[3]
    shutil.copy(tmp_path / "seed 1" / "shards" / path.name, path)
    with pytest.raises(InputError, match=rf"{path.name} belongs to another run .*; remove it, or use another") as error:
        analysed(run)
    assert str(path) in str(error.value)
    path.unlink()
    analysed(run)


def test_a_shard_of_the_same_seed_and_of_other_clips_is_never_merged(run, tmp_path):
    path = shards(run)[3]
    runner = NumpyRunner({"colours": colours, "changes": changes})
    measure_biases(runner, CLIPS[:-1], out=tmp_path / "other", progress=False)
    shutil.copy(tmp_path / "other" / "shards" / path.name, path)
    with pytest.raises(InputError, match=rf"{path.name} belongs to another run"):
        analysed(run)


def test_a_shard_without_an_identity_is_computed_again(finished, run):
    path = shards(run)[0]
    header, arrays = load_npz(path)
    save_npz(path, {key: value for key, value in header.items() if key != "identity"}, arrays)
    assert load_shard(path, "any", LAYERS) is None
    analysed(run)
    assert files(run) == files(finished)


def test_temporary_files_of_a_killed_writer_are_not_shards(finished, run):
    whole = shards(run)[0].read_bytes()
    for name, content in ((".00-00000-1f2e3d4c.npz", whole[:99]), (".01-00000-9a8b7c6d.npz", whole)):
        (run / "shards" / name).write_bytes(content)
    before = Results.load(finished)
    assert analysed(run) == before
    assert not list(run.rglob(".*"))
    assert shards(run) == [run / path.relative_to(finished) for path in shards(finished)]


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_damaged_settings_are_written_again_from_what_the_shards_know(finished, run, text):
    """After a power loss an older version may have left an empty file."""
    (run / "shards" / "settings.json").write_text(text)
    with pytest.raises(InputError, match="belongs to another run"):
        analysed(run, seed=3)
    runner = NumpyRunner({"colours": colours, "changes": changes})
    analysed(run, runner)
    assert runner.batches == []
    assert files(run) == files(finished)


def test_a_saved_shard_is_loaded_as_it_was(run, tmp_path):
    shard = loaded(shards(run)[0], run)
    shard.ran_on = {"provider": "cuda"}
    save_shard(shard, tmp_path / "00-00000.npz", "this run")
    again = load_shard(tmp_path / "00-00000.npz", "this run", LAYERS)
    assert (again.ids, again.skipped, again.ran_on) == (shard.ids, shard.skipped, shard.ran_on)
    with pytest.raises(InputError, match=r"identity this run…, expected that run…"):
        load_shard(tmp_path / "00-00000.npz", "that run", LAYERS)


def test_a_shard_copied_over_another_of_the_same_run_is_an_error(run):
    first, second, *_ = shards(run)
    shutil.copy(first, second)
    with pytest.raises(InputError, match=rf"{second.name} is a copy of {first.name}, so its clips would count twice"):
        analysed(run)


def test_a_clip_that_was_unreadable_for_a_moment_is_tried_again(tmp_path):
    """A disk that did not answer must not be remembered as a clip that is damaged."""
    state = {"fails": True}
    steady = CLIPS[3]

    def load():
        if state["fails"]:
            raise OSError(5, "Input/output error")
        return steady.load()

    clips = [*CLIPS[:3], replace(steady, load=load), *CLIPS[4:]]
    runner = NumpyRunner({"colours": colours, "changes": changes})
    with pytest.warns(Note, match=f"1 skipped .* may be usable another time, e.g. {steady.id}"):
        first = measure_biases(runner, clips, out=tmp_path, progress=False)
    assert steady.id in [row["id"] for row in first.clips["skipped"]]
    state["fails"] = False
    again = measure_biases(runner, clips, out=tmp_path, progress=False)
    assert again.units == measure_biases(runner, CLIPS, progress=False).units
    assert steady.id not in [row["id"] for row in again.clips["skipped"]]


def test_shards_without_settings_are_not_claimed_by_another_run(run):
    (run / "shards" / "settings.json").unlink()
    with pytest.raises(InputError, match="belongs to another run"):
        analysed(run, seed=3)
    assert not (run / "shards" / "settings.json").exists()
    analysed(run)
