"""Runs on a real cluster of processes: workers are lost, and clips kill them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Timer
from types import SimpleNamespace
from typing import Any

import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.parallel.executors import CRASHED, RemoteModel
from sdmetrics.clips import Clip
from sdmetrics.errors import InputError, Note
from sdmetrics.loading.dask_cluster import SETTINGS, dask_client, local_workers
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


def test_a_cluster_that_runs_already_is_found_by_its_address(client: Any, tmp_path: Path):
    address = client.scheduler.address
    assert address.startswith("tcp://")
    clips = [noise(number) for number in range(CLIPS)]
    with dask_client(address) as by_address:
        assert measure_biases(RemoteModel(NumpySource(tmp_path / "opened"), by_address), clips) == here(clips)
    assert str(os.getpid()) not in (tmp_path / "opened").read_text().split()
    assert client.submit(len, "left").result() == 4, "it still runs"


def test_a_scheduler_without_workers_is_said():
    from distributed import LocalCluster

    options = {"n_workers": 0, "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(**options) as cluster,
        pytest.warns(Note, match="has no workers yet; the run begins with"),
        dask_client(cluster.scheduler_address) as client,
    ):
        assert client.nthreads() == {}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdmetrics.analysis.parallel.executors.LOOK", 0.1)
    monkeypatch.setattr("sdmetrics.analysis.parallel.executors.PATIENCE", 5)


@pytest.mark.usefixtures("impatient")
def test_a_run_does_not_wait_for_ever_for_workers_that_do_not_come_back(tmp_path: Path):
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
        with pytest.raises(InputError, match="no workers for 0 s: they ended, and none could be started again"):
            RemoteModel(NumpySource(tmp_path / "opened"), client)
        # Of a cluster elsewhere nobody knows whether they do.
        Timer(2, cluster.scale, [1]).start()
        with Client(cluster.scheduler_address) as by_address, pytest.warns(Note, match="continues with the first"):
            RemoteModel(NumpySource(tmp_path / "opened"), by_address)


def test_the_workers_that_are_started_do_not_watch_themselves(client: Any):
    def settings() -> dict[str, Any]:
        import dask

        return {name: dask.config.get(name) for name in SETTINGS}

    assert client.submit(settings).result() == SETTINGS


class Cards:
    """Stands in for dask-cuda on a machine with two cards."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        if options["n_workers"] > 2:
            raise ValueError("Can not scale beyond visible devices", [0, 1])

    def __enter__(self) -> Cards:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def on_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_cuda", SimpleNamespace(LocalCUDACluster=Cards))
    monkeypatch.setattr("distributed.Client", nullcontext)


@pytest.mark.usefixtures("on_cards")
def test_each_worker_has_a_card_where_dask_cuda_is_there():
    with dask_client("local:2", "cuda") as cluster:
        assert isinstance(cluster, Cards)
    assert (cluster.options["n_workers"], cluster.options["threads_per_worker"]) == (2, 1)
    assert cluster.options["scheduler_kwargs"] == {"allowed_failures": 2}
    with (
        pytest.raises(
            InputError, match=r"'local:3', and dask-cuda rejects it .* pass at most as many as there are cards"
        ),
        dask_client("local:3", "cuda"),
    ):
        pass


@pytest.mark.usefixtures("on_cards")
def test_a_model_on_the_cpu_needs_no_cards(monkeypatch: pytest.MonkeyPatch):
    started: list[dict[str, Any]] = []
    monkeypatch.setattr("distributed.LocalCluster", lambda **options: started.append(options) or Cards(**options))
    for provider in ("cpu", "auto"):
        with dask_client("local:2", provider):
            pass
    assert [options["processes"] for options in started] == [True, True]


def test_without_dask_cuda_it_is_said_that_one_card_is_shared(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    monkeypatch.setattr("distributed.Client", nullcontext)
    monkeypatch.setattr("distributed.LocalCluster", lambda **options: Cards(**options))
    said = pytest.warns(Note, match="dask-cuda is not installed, so all 2 workers use one graphics card")
    with said, dask_client("local:2", "cuda"):
        pass


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sdmetrics.loading.dask_cluster.SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match="no scheduler answers at tcp"), dask_client(address):
        pass
