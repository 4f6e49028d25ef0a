"""Runs on a real cluster of processes: workers are lost, and clips kill them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import CRASHED, RemoteModel
from sdmetrics.clips import Clip
from sdmetrics.errors import InputError
from sdmetrics.loading.dask_cluster import dask_client, local_workers
from tests.helpers.fakes import NumpyRunner, changes, colours
from tests.helpers.sources import KilledOnce, NumpySource, killed, noise

pytest.importorskip("distributed", reason="distributed is not installed: runs on a Dask cluster are not tested")

CLIPS = 60


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with dask_client("local:2") as client:
        yield client


def here(clips: list[Clip]) -> Any:
    return measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips)


def clips_but(number: int, other: Clip) -> list[Clip]:
    return [other if place == number else noise(place) for place in range(CLIPS)]


def unreadable() -> None:
    raise InputError("it is damaged")


def test_a_worker_that_is_killed_costs_no_bit(client: Any, tmp_path: Path):
    clips = clips_but(30, noise(30, KilledOnce(tmp_path / "killed", os.getpid())))
    log = tmp_path / "opened"
    results = measure_biases(RemoteModel(NumpySource(log), client), clips, out=tmp_path / "run")
    assert (tmp_path / "killed").exists()
    assert results == here([noise(number) for number in range(CLIPS)])
    # Each worker opened the model once, and so did the one in the place of the killed.
    assert 2 <= len(log.read_text().split()) <= 3


def test_a_clip_that_kills_its_workers_is_named_and_the_rest_is_kept(client: Any, tmp_path: Path):
    source = NumpySource(tmp_path / "opened")
    clips = clips_but(30, noise(30, killed))
    results = measure_biases(RemoteModel(source, client), clips, out=tmp_path / "run")
    assert results.clips["skipped"] == [{"id": "clip-0030", "reason": f"{CRASHED} 3 times"}]
    without = here(clips_but(30, noise(30, unreadable)))
    assert (results.layers, results.units) == (without.layers, without.units)
    # It is stored that it was left out: the same run in this process does not touch it.
    again = measure_biases(NumpyRunner({"colours": colours, "changes": changes}), clips, out=tmp_path / "run")
    assert again == results


def test_where_the_workers_are():
    assert local_workers("local:2") == 2
    assert local_workers("tcp://node-1:8786") is None
    for wrong in ("local", "local:0", "local:x", "node-1:8786", ""):
        with pytest.raises(InputError, match="expected the address of a scheduler"):
            local_workers(wrong)


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sdmetrics.loading.dask_cluster.SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match="no scheduler answers at tcp"), dask_client(address):
        pass
