"""Train with losses on shuffled frames in one of several processes, and print the results as JSON."""

from __future__ import annotations

import json
import sys

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from sdmetrics.torch import ShuffleEntropy, StaticPenalty, attach
from sdmetrics.torch.training import watch

STEPS, CLIPS = 5, 10
SIMILARITIES = "similarities, of another shape in each process"
CASES = {"even": 5, "uneven": 7, "attach first": 7, SIMILARITIES: 7}
"""Clips of the first process."""


class Similarities(nn.Module):
    """Compares all clips of the batch, in place of classes."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return `(N, N)`."""
        return features @ features.T


def model() -> nn.Module:
    """Return a model whose features of a clip do not depend on the other clips."""
    torch.manual_seed(0)
    pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
    return nn.Sequential(nn.Conv3d(3, 6, 3), nn.ReLU(), pool, nn.Linear(6, 4)).double()


def train(rank: int, world: int, case: str) -> dict[str, object]:
    """Train on this process's share of each batch."""
    plain = trained = model()
    if case == SIMILARITIES:
        plain.append(Similarities())
    shares = [slice(CASES[case]), slice(CASES[case], None)]
    share = slice(None) if world == 1 else shares[rank]
    options = {"penalty": StaticPenalty(every=1 if case == SIMILARITIES else 2)}
    if case != SIMILARITIES:
        options["entropy"] = ShuffleEntropy(0.5)
    if case == "attach first":
        attached = attach(plain, "2", **options)
    if world > 1:
        trained = DistributedDataParallel(plain)
    if case != "attach first":
        attached = attach(trained, "2", **options)
    optimizer = torch.optim.SGD(plain.parameters(), 0.5)
    losses = []
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(step)
        clips = torch.randn(CLIPS, 3, 4, 4, 4, generator=generator, dtype=torch.float64)[share]
        optimizer.zero_grad()
        # DistributedDataParallel takes the mean over processes, whatever their shares.
        own = trained(clips).square().sum() * world / CLIPS * (case != SIMILARITIES)
        (own + attached.loss()).backward()
        optimizer.step()
        losses.append(attached.loss().item())
    weights = torch.cat([p.detach().flatten() for p in plain.parameters()]).tolist()
    return {"losses": losses, "weights": weights, "agreement": attached.agreement}


def main(rank: int, world: int, store: str) -> None:
    """Train in every case."""
    torch.set_num_threads(1)
    watch.EVERY, watch.WINDOW, watch.LEAST_PREDICTIONS = STEPS, 2, 2 * CLIPS
    if world > 1:
        distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    print(json.dumps({case: train(rank, world, case) for case in CASES}))
    if world > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
