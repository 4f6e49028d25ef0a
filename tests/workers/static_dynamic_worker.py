"""Compute StaticDynamic in two processes, and write the results and moments of each to a file."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.multiprocessing import start_processes

from sdmetrics.torch import StaticDynamic

BATCHES, PAIRS, UNITS = 5, 8, 6
SHARES = (slice(0, 3), slice(3, BATCHES))
"""The batches of each of two processes."""


def batches() -> list[dict[str, tuple[Tensor, Tensor]]]:
    """Return the features of all batches, float32; one unit is dead."""
    torch.manual_seed(0)
    found = []
    for _ in range(BATCHES):
        content, style, other, noise = torch.randn(4, PAIRS, UNITS) + 3
        for z in (content, style, other):
            z[:, -1] = 1.0
        found.append({"dynamic": (content, content + style), "static": (content, 0.5 * content + other + 0 * noise)})
    return found


def stored(metric: StaticDynamic) -> dict[str, list[list[float]]]:
    """Return the states of a metric; JSON keeps every bit of a float."""
    return {factor: getattr(metric, factor).tolist() for factor in ("dynamic", "static")}


def results(rank: int, world: int) -> dict[str, object]:
    """Return what one process finds, with its batches; and where only the first process has any."""
    metric = StaticDynamic(UNITS)
    for batch in batches()[slice(None) if world == 1 else SHARES[rank]]:
        metric.update(**batch)
    own = stored(metric)
    computed = {name: value.item() for name, value in metric.compute().items()}
    with metric.sync_context():
        joined = stored(metric)
    lonely = StaticDynamic(UNITS)
    if rank == 0:
        lonely.update(**batches()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns where nothing was added
        one_sided = {name: value.item() for name, value in lonely.compute().items()}
    return {"computed": computed, "joined": joined, "restored": stored(metric) == own, "lonely": one_sided}


def process(rank: int, world: int, folder: Path) -> None:
    """Write what one of several processes finds."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    (folder / f"{rank}.json").write_text(json.dumps(results(rank, world)))
    distributed.destroy_process_group()


if __name__ == "__main__":
    # Forks, so that torchmetrics, which takes seconds to import, is imported once.
    start_processes(process, (2, Path(sys.argv[1])), nprocs=2, start_method="fork")
