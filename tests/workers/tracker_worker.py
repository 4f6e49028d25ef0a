"""Train in one of two processes, with and without a tracker, and print what `test_tracker` checks."""

import sys
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.torch.training.test_tracker import Net, made, tracked, trained

if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    losses = []
    for measured in (False, True):
        model = DistributedDataParallel(made(Net))
        tracker = tracked(model, out=folder / "run")
        losses.append(trained(model, 3, after=tracker.step if measured else lambda: None))
    print(len(tracker.results), losses[0] == losses[1])
    distributed.destroy_process_group()
