"""A part of a run is used for its own clips only: whatever else lies in the folder is refused, or computed again."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics._files import load_npz, save_npz
from sdmetrics.analysis import shards as shard_module
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.shards import adds_up, load_shard, shard_files
from sdmetrics.clips.prefetch import rendered_ahead
from sdmetrics.errors import InputError, Note
from tests.analysis.test_resume import CLIPS, LAYERS, analysed, files, finished, run, shards
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip

__all__ = ["finished", "run"]

SKIPPED = {"id": "clip-0001", "reason": "damaged"}


def with_header(**edits):
    return lambda header, arrays: ({**header, **edits}, arrays)


def without_a_factor(header, arrays):
    return {**header, "names": header["names"][1:]}, arrays


def twice(header, arrays):
    return {**header, "ids": [*header["ids"], *header["ids"]]}, arrays


def of_fewer_pairs(header, arrays):
    return header, {**arrays, "0/n": arrays["0/n"] - 1}


def without_moments(header, arrays):
    return header, {name: array for name, array in arrays.items() if not name.startswith("1/")}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(with_header(ids=-5), id="ids -5"),
        pytest.param(with_header(ids=["a clip of another run"]), id="another clip used"),
        pytest.param(with_header(ids=[5]), id="ids are numbers"),
        pytest.param(with_header(ids=[]), id="no ids"),
        pytest.param(twice, id="a clip used twice"),
        pytest.param(with_header(names=[]), id="no names"),
        pytest.param(with_header(names=[["colours", "static"]]), id="one name"),
        pytest.param(with_header(names=5), id="names are a number"),
        pytest.param(with_header(skipped=[SKIPPED]), id="a clip more"),
        pytest.param(with_header(skipped=[{**SKIPPED, "id": "a clip of another run"}]), id="another run's clip"),
        pytest.param(with_header(skipped=[5]), id="skipped is a number"),
        pytest.param(with_header(skipped={"id": "x"}), id="skipped is an object"),
        pytest.param(with_header(ran_on=[]), id="ran on a list"),
        pytest.param(with_header(identity=5), id="identity is a number"),
        pytest.param(with_header(file=None), id="no file"),
        pytest.param(without_a_factor, id="a factor is missing"),
        pytest.param(of_fewer_pairs, id="fewer pairs than clips"),
        pytest.param(without_moments, id="moments are missing"),
    ],
)
def test_a_shard_that_does_not_add_up_is_computed_again(finished, run, damage):
    path = shards(run)[2]
    header, arrays = load_npz(path)
    save_npz(path, *damage(header, arrays))
    runner = NumpyRunner({"colours": colours, "changes": changes})
    analysed(run, runner)
    assert sum(runner.batches) == 3 * len(header["ids"])
    assert files(run) == files(finished)


def test_every_clip_of_a_part_was_used_or_skipped():
    clips = CLIPS[:3]
    skipped = {"id": clips[0].id, "reason": "x"}
    assert adds_up(clips, 3, [])
    assert adds_up(clips, 2, [skipped])
    assert not adds_up(clips, 1, [skipped, skipped])
    assert not adds_up(clips, 3, [skipped])


def test_a_special_file_in_the_place_of_a_shard_is_replaced(finished, run):
    path = shards(run)[1]
    path.unlink()
    os.mkfifo(path)
    analysed(run)
    assert files(run) == files(finished)


def test_a_compressed_shard_is_not_unpacked(run):
    path = shards(run)[0]
    header, arrays = load_npz(path)
    save_npz(path, header, arrays)
    with np.load(path) as file:
        np.savez_compressed(path, header=file["header"], moments=np.zeros(2**23))
    tracemalloc.start()
    assert load_shard(path, header["identity"], LAYERS) is None
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_foreign_shards_are_found_before_anything_is_computed(run):
    *_, last = shards(run)
    first = shards(run)[0]
    header, arrays = load_npz(last)
    save_npz(last, {**header, "identity": "of another run"}, arrays)
    first.unlink()
    runner = NumpyRunner({"colours": colours, "changes": changes})
    with pytest.raises(InputError, match=rf"{last.name} belongs to another run"):
        analysed(run, runner)
    assert runner.batches == []
    assert not first.exists()


@pytest.mark.parametrize("gone", [range(5, 9), range(2, 12), [2], [4, 8]])
def test_shards_that_vanish_while_a_run_is_resumed_are_made_of_their_own_clips(finished, run, gone):
    names = shards(run)
    (run / "results.json").unlink()
    for path in names[:2]:
        path.unlink()

    class Removing(NumpyRunner):
        def __call__(self, feeds):
            if not self.batches:
                for place in gone:
                    names[place].unlink()
            return super().__call__(feeds)

    analysed(run, Removing({"colours": colours, "changes": changes}))
    assert files(run) == files(finished)


def test_a_shard_that_cannot_be_read_a_second_time_is_made_of_its_own_clips(finished, run, monkeypatch):
    """A disk that fails with EIO, as `strace -e inject=openat:error=EIO:when=2` has it."""
    failing = {path.name for path in shards(run)[3:6]}
    read = load_npz
    monkeypatch.setattr(shard_module, "load_npz", lambda path: None if path.name in failing else read(path))
    shards(run)[0].unlink()
    analysed(run)
    assert files(run) == files(finished)


def outcome_of(error, stamp="a.mp4 5 bytes"):
    """Return what becomes of a clip whose file cannot be read."""

    def load():
        raise error

    with rendered_ahead(lambda clip: clip.frames, [replace(noise_clip(0), load=load, stamp=stamp)]) as rendered:
        ((_, outcome),) = rendered
    return outcome


def caused_by(cause, explicit):
    error = InputError("the clip cannot be read")
    setattr(error, "__cause__" if explicit else "__context__", cause)
    return error


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize(
    "cause", [OSError(5, "EIO"), OSError(24, "EMFILE"), OSError(12, "ENOMEM"), MemoryError(), FileNotFoundError(2, "x")]
)
def test_what_may_pass_is_tried_again(cause, explicit):
    assert outcome_of(cause).transient
    assert outcome_of(caused_by(cause, explicit)).transient


def test_what_decoding_proves_is_kept():
    assert not outcome_of(InputError("a.mp4 is truncated")).transient
    assert not outcome_of(ValueError("no frames")).transient
    assert not outcome_of(caused_by(ValueError("invalid data"), explicit=True)).transient


def test_a_file_that_was_missing_from_the_start_is_proved_by_its_stamp():
    assert not outcome_of(FileNotFoundError(2, "no such file"), stamp="a.mp4 missing; Window()").transient


def test_too_little_memory_skips_a_clip_for_now(tmp_path):
    state = {"fails": True}

    def load():
        if state["fails"]:
            raise MemoryError("Unable to allocate 3 GiB")
        return CLIPS[3].load()

    clips = [*CLIPS[:3], replace(CLIPS[3], load=load), *CLIPS[4:12]]
    runner = NumpyRunner({"colours": colours})
    with pytest.warns(Note, match=r"1 skipped clip\(s\) may be usable another time, e\.g\. clip-0003"):
        first = measure_biases(runner, clips, out=tmp_path, progress=False)
    assert first.clips["skipped"] == [
        {"id": "clip-0003", "reason": "there was not enough memory to decode it (Unable to allocate 3 GiB)"}
    ]
    stored = len(shard_files(tmp_path / "shards"))
    state["fails"] = False
    assert measure_biases(runner, clips, out=tmp_path, progress=False).clips == {"used": 12, "looped": 0, "skipped": []}
    assert len(shard_files(tmp_path / "shards")) == stored + 1
