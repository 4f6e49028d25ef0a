"""Circumstance: where and how the numbers of a shard were computed. It is recorded and shown, never compared."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import Any

from sdmetrics._version import __version__, installed_version
from sdmetrics.runners.protocols import Runner, circumstance_of

PACKAGES = ("numpy", "numba", "av", "opencv-python-headless")
"""Packages whose version may change the last bits of a result."""

Circumstance = dict[str, Any]


def circumstance(runner: Runner, batch: int) -> Circumstance:
    """Return how a runner runs here: its own account (provider, threads, versions), batch size, packages, machine.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> circumstance(SimpleNamespace(circumstance={"provider": "cpu"}, identity={}), batch=6)["provider"]
    'cpu'
    """
    return {
        **circumstance_of(runner),
        "batch": batch,
        "machine": platform.platform(),
        "packages": {"sdmetrics": __version__} | {name: installed_version(name) for name in PACKAGES},
    }


def ran_on(shards: Iterable[Mapping[str, Any]]) -> list[Circumstance]:
    """Return the distinct circumstances of shards, in order of appearance, each with its number of `shards`.

    Examples
    --------
    >>> ran_on([{"provider": "cpu"}, {"provider": "cuda"}, {"provider": "cpu"}])
    [{'shards': 2, 'provider': 'cpu'}, {'shards': 1, 'provider': 'cuda'}]
    """
    distinct: list[Circumstance] = []
    for shard in shards:
        row = next((row for row in distinct if {**row, "shards": 0} == {"shards": 0, **shard}), None)
        if row is None:
            row = {"shards": 0, **shard}
            distinct.append(row)
        row["shards"] += 1
    return distinct
