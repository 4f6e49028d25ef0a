"""open_tensors(): open the model of a run again, for what its layers hold before it is pooled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.analysis.results import Results
from sdmetrics.loading.user_code import is_code
from sdmetrics.probes.held_inputs import HeldInput
from sdmetrics.probes.inputs import ModelInput

if TYPE_CHECKING:
    from sdmetrics.runners.onnxruntime import OnnxRunner
    from sdmetrics.runners.torch import TorchRunner


def open_tensors(
    model: str | Path,
    results: Results,
    layers: Sequence[str],
    *,
    provider: str = "auto",
    threads: int | None = None,
    device: str | None = None,
) -> OnnxRunner | TorchRunner:
    """Return the runner of a run's model, fed as in the run, whose `tensors` returns what some layers hold.

    Raises
    ------
    InputError
        As `open_model`.
    """
    from sdmetrics.loading.open import open_model

    stored = results.model.get("layers") or {}
    axes = {name: stored.get(name, {}).get("channel_axis") for name in layers}
    if is_code(str(model)):
        return open_model(model, layers=axes, provider=provider, threads=threads, device=device)

    from sdmetrics.exporters.probe import open_probe
    from sdmetrics.probes.model_file import read_model_file
    from sdmetrics.runners.onnxruntime import OnnxRunner
    from sdmetrics.runners.tensors import with_tensors

    file = read_model_file(model)
    half = results.model.get("precision") == "float16" and not file.is_probe
    inputs = None if file.metadata is not None else _inputs(results)
    probe = with_tensors(open_probe(file, layers=axes, inputs=inputs, half=half), layers)
    return OnnxRunner(probe, provider=provider, threads=threads, file=Path(model), device=device)


def _inputs(results: Results) -> list[ModelInput | HeldInput]:
    """Return how the model was fed in the run; an input that was held at an array is left to the file."""
    held = [
        HeldInput(item["name"], item["value"]) for item in results.model.get("held", []) if item["value"] is not None
    ]
    return [*(ModelInput(**item) for item in results.settings["inputs"]), *held]
