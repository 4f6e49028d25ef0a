"""The moments beside their peers: `pytest benchmarks/test_moments.py`, one group for each way to batch."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.moments import activations, contestants


@pytest.fixture(scope="module", params=[None, 8], ids=["at once", "batches of 8"])
def runs(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return f"3000 × 2048 float32, {request.node.callspec.id}", contestants(*activations(), request.param)


@pytest.mark.parametrize("name", ["ours", "reading", "numpy", "torchmetrics"])
def test_moments(benchmark: Any, runs: tuple[str, Any], name: str) -> None:
    benchmark.group, run = runs[0], runs[1][name]
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
