"""Small models in training, for the tests of what is done to them there."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn

UNITS = 6


class Net(nn.Module):
    """A small network with all that a further forward could disturb."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, UNITS, 3)
        self.bn = nn.BatchNorm3d(UNITS)
        self.inner = nn.Dropout(0.3)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(UNITS, 2)

    def forward(self, video):
        return self.fc(self.pool(self.inner(self.bn(self.conv(video)).relu())).flatten(1))


class Plain(nn.Module):
    """Nothing random and nothing that depends on other clips."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 5, 3)
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(5, 4)

    def forward(self, video):
        return self.fc(self.pool(self.conv(video).relu()).flatten(1))


class TwoPathways(nn.Module):
    """Takes a list of inputs and writes into it, as PyTorchVideo's SlowFast does."""

    def __init__(self):
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 4, (1, 3, 3)), nn.Conv3d(3, 2, (3, 3, 3))
        self.joined = nn.Identity()
        self.fc = nn.Linear(6, 2)

    def forward(self, pathways):
        assert [pathway.shape[1] for pathway in pathways] == [3, 3]
        for number, conv in enumerate((self.slow, self.fast)):
            pathways[number] = conv(pathways[number]).relu().mean((2, 3, 4))
        return self.fc(self.joined(torch.cat(pathways, 1)))


def videos(number=0, clips=6, frames=4):
    return torch.randn(clips, 3, frames, 5, 5, generator=torch.Generator().manual_seed(number))


def made(kind=Net, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind()


def train(model, first=0, last=6, optimizer=None, batch=videos):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    losses = []
    for number in range(first, last):
        loss = model(batch(number)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def equal(first, second):
    """Whether two mappings or lists of tensors are the same, bit for bit."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    assert len(first) == len(second)
    return all(map(torch.equal, first, second))


def watch(module):
    """Return a list that what the module reads is added to."""
    seen = []
    module.register_forward_pre_hook(lambda _module, args: seen.append(args[0].detach().clone()))
    return seen


@contextmanager
def seeded_and_alone():
    """Seeds torch, and keeps it to one thread: to share what is so small costs more than it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)
