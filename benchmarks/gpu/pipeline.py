"""Views per second of a whole analysis on the card, beside the model's own forward, eager and compiled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

import torch

from benchmarks.moments import seconds
from sdmetrics.analysis.measurement import Measurement
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.clips.prefetch import rendered_ahead
from sdmetrics.clips.views import VIEWS_PER_CLIP
from sdmetrics.errors import one_line
from sdmetrics.probes.feeds import prepare, random_feeds
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.session import available_threads
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.runners.torch_precision import computing

if TYPE_CHECKING:
    from torch import nn

BATCHES = (8, 1, 32)
Found = Callable[[dict[str, object]], None]


def measure(
    name: str,
    build: Callable[[], nn.Module],
    inputs: Sequence[ModelInput],
    layers: Sequence[str],
    found: Found,
    device: str = "cuda",
    clips: int = 64,
    backend: str = "inductor",
) -> None:
    """Find a row per batch and precision, first without the compiled forward, which may take minutes or fail."""
    rows = []
    for half in (False, True):
        module = build().half() if half else build()
        runner = TorchRunner(module, inputs, layers, device)
        for batch in BATCHES:
            row = {"kind": "pipeline", "model": name, "precision": "float16" if half else "float32", "batch": batch}
            row |= {
                "analysis": analysis(runner, batch, clips),
                "eager": forward(module, inputs, batch),
                "compiled": None,
            }
            rows.append((row, module))
            found({**row, "text": _text(row)})
    for row, module in rows:
        try:
            torch.compiler.reset()
            row["compiled"] = forward(torch.compile(module, backend=backend), inputs, row["batch"], module)
        except Exception as error:
            found({"kind": "left out", "what": name, "text": f"not run: the compiled forward: {one_line(error)}"})
            return
        found({**row, "text": _text(row)})


def analysis(runner: TorchRunner, batch: int, clips: int) -> float:
    """Return the views per second of an analysis of generated clips: drawn, styled, fed, run, and their moments."""
    item = max(runner.inputs, key=lambda each: each.frames)
    listed = world_clips(clips, frames=item.frames, size=item.size[0])
    work = Measurement(runner, 0, batch, None, "")

    def run(count: int) -> float:
        started = time.perf_counter()
        with rendered_ahead(work.render, listed[:count], available_threads()) as rendered:
            work.make(rendered, count, lambda _clips: None)
        return count * VIEWS_PER_CLIP / (time.perf_counter() - started)

    run(max(2, batch // VIEWS_PER_CLIP + 1))
    return run(clips)


def forward(
    model: Callable[..., object], inputs: Sequence[ModelInput], batch: int, weights: nn.Module | None = None
) -> float:
    """Return the views per second of a model that reads inputs which are on its device already."""
    parameter = next((weights or model).parameters())  # type: ignore[union-attr]
    fed = prepare(random_feeds(inputs, batch), inputs).values()
    tensors = [torch.from_numpy(array).to(parameter.device, parameter.dtype) for array in fed]

    def run() -> object:
        with computing(parameter.device, None), torch.inference_mode():
            output = model(*tensors)
            if parameter.is_cuda:
                torch.cuda.synchronize()
        return output

    run()
    run()
    return batch / median(seconds(run) for _ in range(9))


def _text(row: dict[str, object]) -> str:
    """Describe a row in a line."""
    rates = ", ".join(f"{kind} {row[kind]:.1f}" for kind in ("analysis", "eager", "compiled") if row[kind])
    return f"{row['model']}, {row['precision']}, batch {row['batch']}: views/s: {rates}"
