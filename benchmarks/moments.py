"""Compare the speed of the moments with that of merely reading the same bytes, vectorised NumPy and torchmetrics."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import add_moments, numpy_moments
from sdmetrics.metrics.moments import PairMoments

Pairs = tuple[NDArray[np.float32], NDArray[np.float32]]

PAUSE = 0.03
"""Seconds before each run. The peers' threads spin for part of this time after their work and would slow the next."""

PEERS = ("reading", "numpy", "torchmetrics")


def activations(rows: int = 3000, units: int = 2048) -> Pairs:
    """Return correlated members of pairs, `(rows, units)` float32."""
    rng = np.random.default_rng(0)
    z1, noise = (rng.standard_normal((rows, units), dtype=np.float32) for _ in range(2))
    return z1, z1 + noise


def contestants(z1: NDArray[np.float32], z2: NDArray[np.float32], batch: int | None) -> dict[str, Callable[[], object]]:
    """Return functions that read all pairs, at once or in batches, each in its fastest way."""
    import torch
    from torchmetrics import PearsonCorrCoef

    rows, units = z1.shape
    step = batch or rows
    parts = [(z1[i : i + step], z2[i : i + step]) for i in range(0, rows, step)]
    tensors = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in parts]

    def ours() -> object:
        moments = PairMoments(units)
        for a, b in parts:
            moments.update(a, b)
        return moments

    def reading() -> object:
        return [(np.sum(a), np.sum(b)) for a, b in parts]

    def numpy() -> object:
        # The two-pass formulas of each batch, added to the total by Chan's update.
        total = numpy_moments(*parts[0])
        n = len(parts[0][0])
        for a, b in parts[1:]:
            total = add_moments(total, n, numpy_moments(a, b), len(a))
            n += len(a)
        return total

    def torchmetrics() -> object:
        metric = PearsonCorrCoef(num_outputs=units)
        for a, b in tensors:
            metric.update(a, b)
        return metric.compute()

    return {"ours": ours, "reading": reading, "numpy": numpy, "torchmetrics": torchmetrics}


def moments_ratios(
    rows: int = 3000, units: int = 2048, batch: int | None = None, repeats: int = 25
) -> dict[str, float]:
    """Return each peer's time divided by ours: the median of ratios, all measured in turn within one run."""
    runs = contestants(*activations(rows, units), batch)
    for run in runs.values():
        run()
    ratios: dict[str, list[float]] = {peer: [] for peer in PEERS}
    for _ in range(repeats):
        ours = seconds(runs["ours"])
        for peer in PEERS:
            ratios[peer].append(seconds(runs[peer]) / ours)
    return {peer: median(values) for peer, values in ratios.items()}


def seconds(run: Callable[[], object]) -> float:
    """Return how long a run takes, after a pause in which the threads of the previous run stop spinning."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Print the ratios for both shapes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=25, help="Runs of each, taken in turn; default: 25.")
    repeats = parser.parse_args().repeats
    for batch in (None, 8):
        ratios = moments_ratios(batch=batch, repeats=repeats)
        print(f"batch {batch or 'of all'}: " + ", ".join(f"{peer} {ratio:.2f}×" for peer, ratio in ratios.items()))


if __name__ == "__main__":
    main()
