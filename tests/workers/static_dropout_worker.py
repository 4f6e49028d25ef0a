"""Train with StaticDropout in one of several processes, and print the results as JSON."""

from __future__ import annotations

import json
import sys
import warnings

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sdmetrics.torch import attach

STEPS, EVERY, BATCHES = 7, 4, 2
ORDERS = ("attach last", "attach first", "compiled")


class Mean(nn.Module):
    """The mean over all positions, and a buffer that counts forwards and that processes broadcast."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("forwards", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forwards += 1
        return x.mean((2, 3, 4))


def model() -> nn.Module:
    """Return a model whose features of a clip do not depend on the other clips."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(3, 6, 3), nn.ReLU(), Mean(), nn.Linear(6, 2)).double()


def batch(step: int, bad: bool) -> torch.Tensor:
    """Return the whole batch of one step, ten clips."""
    clips = torch.randn(10, 3, 4, 4, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    if bad and step == 1:
        clips[9] = float("nan")
    return clips


def train(rank: int, world: int, order: str, first: int = 7, bad: bool = False) -> dict[str, object]:
    """Train on this process's share of each batch. Of two processes, the first gets `first` clips."""
    plain = trained = model()
    share = slice(None) if world == 1 else [slice(first), slice(first, None)][rank]
    if order == "attach first":
        attachment = attach(plain, "2", 0.0, every=EVERY, batches=BATCHES)
    if world > 1:
        trained = DistributedDataParallel(plain)
    if order == "compiled":
        trained = torch.compile(trained, backend="eager")
    if order != "attach first":
        attachment = attach(trained, "2", 0.0, every=EVERY, batches=BATCHES)
    optimizer = torch.optim.SGD(plain.parameters(), 0.1)
    for step in range(STEPS):
        optimizer.zero_grad()
        clips = batch(step, bad)[share]
        # DistributedDataParallel takes the mean over processes, whatever their shares.
        trained(clips).square().sum().mul(world / 10).nan_to_num(0).backward()
        for parameter in plain.parameters():
            parameter.grad.nan_to_num_(0)
        optimizer.step()
    dropout = attachment.dropout
    return {
        "scores": dropout.scores.tolist(),
        "probabilities": dropout.probabilities.tolist(),
        "estimates": dropout.estimates,
        "forwards": plain[2].forwards.item(),
        "weights": plain[0].weight.detach().flatten()[:5].tolist(),
    }


def main(rank: int, world: int, store: str) -> None:
    """Train in every order of wrapping, and with a non-finite clip in only one process."""
    torch.set_num_threads(1)
    if world > 1:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    results = {order: train(rank, world, order) for order in ORDERS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results["not finite"] = train(rank, world, "attach last", bad=True)
    results["one clip"] = train(rank, world, "attach last", first=9)
    print(json.dumps(results))
    if world > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
