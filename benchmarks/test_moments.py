"""Compare the moments with their peers: `pytest benchmarks/test_moments.py`, one group for each batch size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.moments import activations, contestants

Runs = tuple[str, dict[str, Callable[[], object]]]


@pytest.fixture(scope="module", params=[None, 8])
def runs(request: pytest.FixtureRequest) -> Runs:
    group = "at once" if request.param is None else f"in batches of {request.param}"
    return f"3000 × 2048 float32, {group}", contestants(*activations(), request.param)


@pytest.mark.parametrize("name", ["ours", "reading", "numpy", "torchmetrics"])
def test_moments(benchmark: BenchmarkFixture, runs: Runs, name: str) -> None:
    benchmark.group, run = runs[0], runs[1][name]
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
