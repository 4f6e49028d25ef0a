"""Measure the cost of StaticDropout in training: the time of a step over that with `nn.Dropout`, on a 3-D ResNet.

Both models are trained side by side in one process, in alternating steps. Ratios are of blocks of 30 steps, each of
which includes one estimate of the static channels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from torch import nn

from benchmarks.machine import describe_machine
from benchmarks.models.slowonly import slowonly
from sdmetrics.torch import attach

AIM = 1.05
EVERY = 30


class Training:
    """The training of a model with a dropout before its classifier."""

    def __init__(self, *, static: bool, clips: int, size: int, blocks: tuple[int, ...], device: str) -> None:
        network = slowonly(classes=48, blocks=blocks)
        network.fc = nn.Sequential(nn.Dropout(0.5), network.fc)
        self.model = network.to(device).train()
        if static:
            attach(self.model, "fc.0", every=EVERY)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9)
        self.video = torch.randn(clips, 3, 8, size, size, device=device)
        self.labels = torch.randint(48, (clips,), device=device)

    def step(self) -> float:
        """Train for one step, and return its duration in seconds."""
        _wait()
        start = time.perf_counter()
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.model(self.video), self.labels).backward()
        self.optimizer.step()
        _wait()
        return time.perf_counter() - start


def dropout_cost(rounds: int, **setting: Any) -> list[float]:  # noqa: ANN401
    """Return, for each round, the time of a block with StaticDropout over that of one with `nn.Dropout`."""
    plain, static = Training(static=False, **setting), Training(static=True, **setting)
    for training in (plain, static):
        training.step()
    ratios = []
    for _ in range(rounds):
        seconds = {plain: 0.0, static: 0.0}
        for number in range(EVERY):
            for training in (plain, static) if number % 2 else (static, plain):
                seconds[training] += training.step()
        ratios.append(seconds[static] / seconds[plain])
    return ratios


def _wait() -> None:
    """Wait until the GPU, if there is one, has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Measure and print the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="number of pairs of blocks")
    parser.add_argument("--clips", type=int, default=4, help="batch size, in clips")
    parser.add_argument("--size", type=int, default=64, help="height and width of the frames")
    parser.add_argument(
        "--blocks", type=int, nargs=4, default=(1, 1, 1, 1), help="blocks per stage; ResNet-50: 3 4 6 3"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    setting = {"clips": arguments.clips, "size": arguments.size, "blocks": tuple(arguments.blocks)}
    ratios = dropout_cost(arguments.rounds, **setting, device=arguments.device)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"training step, StaticDropout over nn.Dropout: {middle:.3f}× (quartiles {low:.3f}× and {high:.3f}×)")
    print(
        f"aim ≤ {AIM}×: {'reached' if middle <= AIM else 'missed'}; {arguments.rounds} rounds of {EVERY} steps of each"
    )
    print(", ".join(f"{name} {value}" for name, value in setting.items()))
    print(describe_machine("torch"))


if __name__ == "__main__":
    main()
