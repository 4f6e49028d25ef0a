"""dask_client(): connect to the scheduler of a Dask cluster, or start a cluster of processes on this machine."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdmetrics.analysis.parallel.executors import RemoteModel
from sdmetrics.errors import InputError, note, one_line, require
from sdmetrics.loading.model_source import ModelSource
from sdmetrics.probes.quiet import logs_shown
from sdmetrics.probes.session import available_threads

if TYPE_CHECKING:
    from sdmetrics.runners.protocols import Runner

LOCAL = re.compile(r"local:([1-9]\d{0,3})")
ADDRESS = re.compile(r"\w+://\S+")
SECONDS = 30
"""To wait for a scheduler."""

SETTINGS = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}
"""Of a cluster that is started here. By default every process of Dask looks at its threads and its clock a hundred
times a second, which takes time from the models."""

DEATHS = 3
"""Workers that a task may kill before it is given up, in a cluster that is started here."""


def local_workers(where: str) -> int | None:
    """Return the number of workers that are to be started here, or `None` for a cluster that runs already.

    Raises
    ------
    InputError
        If it is neither a number of workers nor an address.

    Examples
    --------
    >>> local_workers("local:4"), local_workers("tcp://10.0.0.1:8786")
    (4, None)
    """
    if match := LOCAL.fullmatch(where):
        return int(match[1])
    if not ADDRESS.fullmatch(where):
        raise InputError(
            f"--dask is {where!r}; expected the address of a scheduler, e.g. tcp://HOST:8786, or local:N for N "
            "processes on this machine, e.g. local:4"
        )
    return None


@contextmanager
def opened(source: ModelSource, dask: str | None) -> Iterator[Runner]:
    """Yield a model that runs in this process, or in the workers of a Dask cluster, see `dask_client`.

    Workers that are started here share the cores of this machine, unless the source says how many threads it takes.
    """
    if dask is None:
        yield source.open()
        return
    workers = local_workers(dask)
    if workers is not None and source.threads is None:
        source = replace(source, threads=max(1, available_threads() // workers))
    with dask_client(dask, source.provider) as client:
        yield RemoteModel(source, client)


@contextmanager
def dask_client(where: str, provider: str = "auto") -> Iterator[Any]:
    """Yield a client of the cluster at an address, or of one that is started for the block, see `local_workers`.

    With `provider` `"cuda"` each worker that is started has a graphics card of its own, if dask-cuda is installed.

    Raises
    ------
    InputError
        If no scheduler answers at the address, or there are fewer graphics cards than workers.
    MissingExtra
        If `distributed` is not installed.
    """
    workers = local_workers(where)
    distributed = require("distributed", extra="dask")
    if workers is not None:
        set_up = require("dask", extra="dask").config.set(SETTINGS)
        with set_up, _cluster(distributed, workers, provider) as cluster, distributed.Client(cluster) as client:
            yield client
        return
    try:
        client = distributed.Client(where, timeout=SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no scheduler answers at {where} ({one_line(error)}); start one with `dask scheduler`, or pass local:N"
        ) from None
    with client:
        if not client.nthreads():
            note(f"the scheduler at {where} has no workers yet; the run begins with the first: dask worker {where}")
        yield client


def _cluster(distributed: Any, workers: int, provider: str) -> Any:  # noqa: ANN401  distributed is optional
    """Start processes of one thread each: the threads of a worker would wait for each other's model."""
    options = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "memory_limit": None,
        # Its server starts even without a dashboard, on a port that may be in use.
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.WARNING if logs_shown() else logging.CRITICAL,
        "scheduler_kwargs": {"allowed_failures": DEATHS - 1},
    }
    if provider == "cuda":
        try:
            from dask_cuda import LocalCUDACluster
        except ImportError:
            if workers > 1:
                note(f"dask-cuda is not installed, so all {workers} workers use one graphics card")
        else:
            try:
                # Without limits it keeps what tasks return as it is, and needs no library of its own for that.
                return LocalCUDACluster(device_memory_limit=None, **options)
            except ValueError as error:
                raise InputError(
                    f"--dask is 'local:{workers}', and dask-cuda rejects it ({one_line(error)}); each worker has a "
                    "card of its own, so pass at most as many as there are cards"
                ) from None
    return distributed.LocalCluster(processes=True, **options)
