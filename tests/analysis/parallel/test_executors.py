"""The shards of a run are measured in other processes, with the bits of a run in this one."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sdmetrics.analysis.measure import measure_biases, measure_part
from sdmetrics.analysis.parallel.executors import IN_FLIGHT, RemoteModel
from sdmetrics.analysis.parallel.parts import Part
from sdmetrics.analysis.shards import Slice, slices
from sdmetrics.clips import Clip
from sdmetrics.errors import InputError, Note
from tests.helpers.fakes import NumpyRunner, broken_clip, changes, colours
from tests.helpers.sources import NumpySource, killed, noise

SPAWN = multiprocessing.get_context("spawn")


class HereExecutor(Executor):
    """Computes at once, in this process, and counts what nobody has asked for yet."""

    def __init__(self) -> None:
        self.tasks: list[Future[Any]] = []

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.append(future)
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def here(clips: list[Clip], **more: Any) -> Any:
    """The run in this process."""
    return measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips, **more)


def test_two_processes_give_the_bits_of_one(tmp_path: Path):
    clips = [*(noise(number) for number in range(60)), Clip("empty", dict)]
    log = tmp_path / "opened"
    with ProcessPoolExecutor(2, SPAWN) as pool:
        results = measure_biases(RemoteModel(NumpySource(log), pool), clips, out=tmp_path / "run")
    assert results == here(clips)
    pids = log.read_text().split()
    assert len(pids) == len(set(pids)) <= 2
    assert str(os.getpid()) not in pids
    stored = sorted(path.name for path in (tmp_path / "run" / "shards").glob("*.npz"))
    here(clips, out=tmp_path / "own")
    assert stored == sorted(path.name for path in (tmp_path / "own" / "shards").glob("*.npz"))


def test_a_run_is_resumed_in_either_way(tmp_path: Path):
    clips = [noise(number) for number in range(60)]
    expected = here(clips, out=tmp_path / "run")
    shards = sorted((tmp_path / "run" / "shards").glob("*.npz"))
    for path in shards[::3]:
        path.unlink()
    shards[1].write_bytes(b"damaged")
    pool = HereExecutor()
    assert measure_biases(RemoteModel(NumpySource(tmp_path / "log"), pool), clips, out=tmp_path / "run") == expected
    # Besides the shards: the description, and the batch size.
    assert len(pool.tasks) == len(shards[::3]) + 1 + 2
    assert here(clips, out=tmp_path / "run") == expected


def test_not_all_shards_are_handed_out_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sdmetrics.analysis.parallel.executors.IN_FLIGHT", 3)
    assert IN_FLIGHT > 3
    from sdmetrics.analysis.measure import prepare
    from sdmetrics.analysis.parallel.executors import spread

    pool = HereExecutor()
    model = RemoteModel(NumpySource(tmp_path / "log"), pool)
    prepared = prepare(model, [noise(number) for number in range(60)])
    before = len(pool.tasks)
    for done, _ in enumerate(spread(prepared.work, prepared.pieces, None), 1):
        assert len(pool.tasks) - before <= done + 3
    assert len(pool.tasks) - before == len(prepared.pieces)


def test_the_largest_shards_of_a_round_are_handed_out_first(tmp_path: Path):
    from sdmetrics.analysis.measure import prepare
    from sdmetrics.analysis.parallel.executors import spread

    handed: list[tuple[int, int]] = []

    class Noting(HereExecutor):
        def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
            handed.extend((given.index, len(given.clips)) for given in arguments if isinstance(given, Slice))
            return super().submit(function, *arguments, **named)

    prepared = prepare(RemoteModel(NumpySource(tmp_path / "log"), Noting()), [noise(number) for number in range(45)])
    places = [(piece.index, piece.group) for piece, _ in spread(prepared.work, prepared.pieces, None)]
    assert places == [(piece.index, piece.group) for piece in prepared.pieces]
    assert handed == sorted(handed, key=lambda item: (item[0], -item[1]))
    assert handed != [(piece.index, len(piece.clips)) for piece in prepared.pieces]


def test_another_model_under_the_same_path_is_not_merged(tmp_path: Path):
    version = tmp_path / "version"
    version.write_text("1")
    source = NumpySource(tmp_path / "log", version)
    with ProcessPoolExecutor(1, SPAWN) as described:
        model = RemoteModel(source, described)
    version.write_text("2")
    with ProcessPoolExecutor(1, SPAWN) as other:
        model.executor = other
        with pytest.raises(InputError, match=r"another model than the run began with: model\.version was"):
            measure_biases(model, [noise(number) for number in range(40)], out=tmp_path / "run")
    assert not list((tmp_path / "run" / "shards").glob("*.npz"))


def test_a_worker_that_ends_is_one_line_and_finished_shards_are_kept(tmp_path: Path):
    clips = [noise(number) for number in range(60)]
    deadly = [noise(clip_number, killed if clip_number == 30 else int) for clip_number in range(60)]
    log = tmp_path / "log"
    with (
        ProcessPoolExecutor(1, SPAWN) as pool,
        pytest.raises(InputError, match=r"a worker ended while it computed .* run the same again"),
    ):
        measure_biases(RemoteModel(NumpySource(log), pool), deadly, out=tmp_path / "run")
    kept = len(list((tmp_path / "run" / "shards").glob("*.npz")))
    assert kept > 0
    pool = HereExecutor()
    results = measure_biases(RemoteModel(NumpySource(log), pool), clips, out=tmp_path / "run")
    assert results == here(clips)


def test_shards_that_are_finished_are_kept_when_another_fails(tmp_path: Path):
    clips = [noise(number) for number in range(40)]
    pool = HereExecutor()
    model = RemoteModel(NumpySource(tmp_path / "log"), pool)

    def failing(*_: object) -> Future[Any]:
        future = HereExecutor.submit(pool, *_)
        if len(pool.tasks) == 8:
            future = Future()
            future.set_exception(InputError("layer 'a' is not finite"))
        return future

    pool.submit = failing  # type: ignore[method-assign, assignment]
    with pytest.raises(InputError, match="is not finite"):
        measure_biases(model, clips, out=tmp_path / "run")
    assert len(list((tmp_path / "run" / "shards").glob("*.npz"))) == len(slices(clips)) - 1


def test_what_a_model_notes_is_said_once(tmp_path: Path):
    with ThreadPoolExecutor(2) as pool, pytest.warns(Note, match="assumes something") as shown:
        measure_biases(
            RemoteModel(NumpySource(tmp_path / "log", notes=True), pool), [noise(number) for number in range(40)]
        )
    assert len(shown) == 1


def test_clips_and_styles_that_cannot_be_sent(tmp_path: Path):
    with ProcessPoolExecutor(1, SPAWN) as pool:
        model = RemoteModel(NumpySource(tmp_path / "log"), pool)
        with pytest.raises(InputError, match="a clip cannot be sent to another process"):
            measure_biases(model, [broken_clip(), broken_clip("other")])


def test_what_is_no_executor():
    with pytest.raises(InputError, match="executor is a int; pass an executor"):
        RemoteModel(NumpySource(Path("log")), 4)


def test_parts_are_spread_too(tmp_path: Path):
    clips = [noise(number) for number in range(40)]
    model = RemoteModel(NumpySource(tmp_path / "log"), HereExecutor())
    used = [measure_part(model, clips, Part(index, 2), out=tmp_path / "run").used for index in (1, 2)]
    assert sum(used) == 40
    asked = len(model.executor.tasks)
    assert measure_biases(model, clips, out=tmp_path / "run") == here(clips)
    assert len(model.executor.tasks) - asked <= 1


def test_responses_come_from_the_workers(tmp_path: Path):
    clips = [noise(number) for number in range(40)]
    here(clips, out=tmp_path / "own", keep_responses=True)
    log = tmp_path / "log"
    with ProcessPoolExecutor(2, SPAWN) as pool:
        model = RemoteModel(NumpySource(log), pool)
        measure_biases(model, clips, out=tmp_path / "run", keep_responses=True)
        # A run that was measured without them is completed there, too.
        measure_part(model, clips, Part(1, 1), out=tmp_path / "later")
        measure_biases(model, clips, out=tmp_path / "later", keep_responses=True)
    for run in ("run", "later"):
        for kind in ("shards", "responses"):
            own = {path.name: path.read_bytes() for path in (tmp_path / "own" / kind).glob("*.npz")}
            assert {path.name: path.read_bytes() for path in (tmp_path / run / kind).glob("*.npz")} == own
            assert len(own) > 12


class KilledWorker(Exception):
    """What Dask says of a task whose workers died."""

    allowed_failures = 2


class RememberingExecutor(HereExecutor):
    """Like Dask: asked the same again, it gives the same answer. A shard that runs beside a killer fails at first."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[bytes, Future[Any]] = {}
        self.beside = True

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        key = pickle.dumps((function, arguments, named))
        if key not in self.known:
            self.known[key] = super().submit(function, *arguments, **named)
            if function.__name__ == "measured" and self.beside:
                self.known[key], self.beside = Future(), False
                self.known[key].set_exception(KilledWorker())
        return self.known[key]


def test_a_clip_beside_a_killer_is_tried_again_and_not_blamed(tmp_path: Path):
    clips = [noise(number) for number in range(20)]  # so many that shards have a single clip
    assert measure_biases(RemoteModel(NumpySource(tmp_path / "log"), RememberingExecutor()), clips) == here(clips)
