"""Measure what losses on shuffled frames cost: training steps with them over steps without."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from benchmarks.models.slowonly import slowonly
from sdmetrics.torch import ShuffleEntropy, StaticPenalty, attach

BLOCKS, SIZE = (1, 1, 1, 1), (4, 3, 8, 56, 56)
"""Blocks of the network's stages, and the clips of a batch."""

EVERY = (1, 4)


def losses_ratios(repeats: int = 7) -> dict[int, float]:
    """Return, for each `every`, the median time of four steps with both losses over that of steps without."""
    steps = {every: _steps(every) for every in (0, *EVERY)}
    for take in steps.values():
        take()
    seconds = [{every: _seconds(take) for every, take in steps.items()} for _ in range(repeats)]
    return {every: median(of[every] / of[0] for of in seconds) for every in EVERY}


def _steps(every: int) -> Callable[[], None]:
    """Return a function that takes `max(EVERY)` training steps of a model of its own; 0 stands for no losses."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = slowonly(blocks=BLOCKS).train()
        video = torch.rand(SIZE)
    optimiser = torch.optim.SGD(model.parameters(), 1e-4)
    losses = {"penalty": StaticPenalty(every=every), "entropy": ShuffleEntropy(every=every)} if every else None
    attached = attach(model, "stage4", **losses) if losses else None

    def take() -> None:
        for _ in range(max(EVERY)):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(video), torch.zeros(len(video), dtype=torch.long))
            (loss + attached.loss() if attached else loss).backward()
            optimiser.step()

    return take


def _seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    for name, ratio in losses_ratios().items():
        print(f"every={name}: {ratio:.2f}")
