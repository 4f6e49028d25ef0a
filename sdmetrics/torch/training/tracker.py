"""BiasTracker: the bias of a model while it is trained (paper, Sec. 4.3)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from sdmetrics.analysis.facts import differences
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.comparison.compare import layer_values
from sdmetrics.comparison.step_folders import step_folder, step_folders
from sdmetrics.errors import InputError
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.torch_hooks import place_of
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch.training.clip_cache import keep
from sdmetrics.torch.training.measuring import bare_module, is_first_process, leaving_no_trace

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class BiasTracker:
    """Measures layers of a model again and again while it is trained, always on the same views of the same clips.

    A measurement leaves no trace: modes, buffers, gradients and random numbers are afterwards what they were, so the
    training goes on as it would have without. It is made in evaluation mode and in the precision of the weights,
    also where the training uses `autocast`, and gives the numbers that `analyze` gives for the exported model. Of
    several processes the first measures and the others go on; they wait at their next gradient, so one measurement
    must not take longer than the process group's timeout.

    Parameters
    ----------
    model
        The module that is trained, as it is or in `DistributedDataParallel` or `torch.compile`.
    inputs
        How it is fed.
    layers
        Names of modules of the bare model, or `"stages"`; as for `TorchRunner`.
    clips
        What it is measured on; at least a hundred, held out from the training, make for narrow intervals.
    every
        Calls of `step` from one measurement to the next: call it once per optimiser step or once per epoch.
    seed, batch, estimator, threshold, styles
        As for `analyze`.
    out
        A folder: each measurement becomes a run in it, `step-000300` say, for `sdmetrics report` and `compare`. About
        1.6 kB for each unit and step. Measurements that lie there already are taken up, so that a training that was
        stopped goes on; one that is made again replaces what was there.
    cache
        Bytes of memory that the rendered clips may take: three times clips × frames × height × width × 3. Where that
        is not enough, they are decoded and styled anew in every measurement.

    Attributes
    ----------
    results : dict
        The `Results` by step.

    Raises
    ------
    InputError
        If a layer or an input does not suit the model, the weights lie on several devices or are sharded, or `out`
        holds measurements that were made otherwise.

    Examples
    --------
    >>> import torch
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 8))
    >>> video = ModelInput("video", frames=4, stride=1, size=(16, 16))
    >>> tracker = BiasTracker(model, [video], ["1"], world_clips(20, frames=4, size=16), every=2)
    >>> optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> for _ in range(4):
    ...     model(torch.randn(2, 3, 4, 16, 16)).square().mean().backward()
    ...     optimiser.step()
    ...     _ = tracker.step()
    >>> [(row["step"], row["layer"]) for row in tracker.history]
    [(2, '1'), (4, '1')]
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Sequence[ModelInput],
        layers: Sequence[str] | Mapping[str, int] | Literal["stages"],
        clips: Iterable[Clip],
        *,
        every: int = 1,
        seed: int = 0,
        batch: int = 6,
        estimator: str = "pearson",
        threshold: float = 0.5,
        styles: Mapping[str, Style] | None = None,
        out: str | Path | None = None,
        cache: int = 2 << 30,
    ) -> None:
        if every < 1:
            raise InputError(f"every is {every}; allowed: 1 and above")
        self.module = bare_module(model)
        self.every = every
        self.count = 0
        self._inputs, self._layers = tuple(inputs), layers
        with leaving_no_trace(self.module, seed):
            self._runner()
        self._clips, styles = keep(list(clips), styles, self._inputs, cache)
        self._seed = seed
        self._arguments: dict[str, Any] = {
            "seed": seed, "batch": batch, "estimator": estimator, "threshold": threshold, "styles": styles,
        }  # fmt: skip
        self._out = None if out is None else Path(out)
        before = step_folders(self._out) if self._out else {}
        self.results = {step: Results.load(folder) for step, folder in before.items()}
        self._unwritten: set[int] = set()

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row per step and layer, ready for any data frame: see `sdmetrics.comparison.compare.layer_values`."""
        return [
            {"step": step, "layer": layer["name"], **layer_values(layer)}
            for step, results in sorted(self.results.items())
            for layer in results.layers
        ]

    def step(self, now: int | None = None) -> Results | None:
        """Count one step or epoch; measure if that makes a multiple of `every`.

        Parameters
        ----------
        now
            The number of this step, for a training that did not start at 0; default: one more than before.

        Returns
        -------
        Results or None
            What was measured, if it was.
        """
        self.count = self.count + 1 if now is None else now
        return self.measure(self.count) if self.count % self.every == 0 else None

    def measure(self, step: int) -> Results | None:
        """Measure now, and call it `step`: 0 before the training begins.

        Returns
        -------
        Results or None
            None in all processes but the first.

        Raises
        ------
        InputError
            As `analyze` does, or if what lies in `out` was measured otherwise.
        """
        if step < 0:
            raise InputError(f"step is {step}; allowed: 0 and above")
        if not is_first_process():
            return None
        unfinished = self._out / ".unfinished" if self._out else None
        if unfinished:
            shutil.rmtree(unfinished, ignore_errors=True)
        with leaving_no_trace(self.module, self._seed):
            runner = self._runner(step)
            results = measure_biases(runner, self._clips, out=unfinished, progress=False, **self._arguments)
        self._insist_alike(results)
        if self._out and unfinished:
            folder = step_folder(self._out, step)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
        self.results[step] = results
        self._unwritten.add(step)
        return results

    def write(self, writer: SummaryWriter) -> None:
        """Write what was measured since the last call to TensorBoard, each measurement at its step; see `scalars`."""
        for step in sorted(self._unwritten):
            for name, value in scalars(self.results[step]).items():
                writer.add_scalar(name, value, step)
        self._unwritten.clear()

    def _runner(self, step: int | None = None) -> TorchRunner:
        """Return what runs the module as it is now, where it is now."""
        runner = TorchRunner(self.module, self._inputs, self._layers, str(place_of(self.module)[0]))
        if step is not None:
            runner.identity = {**runner.identity, "step": step}
        return runner

    def _insist_alike(self, results: Results) -> None:
        """Refuse a measurement that does not go with those before it."""
        for step, before in self.results.items():
            changed = differences({"before": before, "now": results})
            if changed:
                raise InputError(
                    f"{self._out} holds measurements that were made otherwise ({', '.join(changed)}), that of step "
                    f"{step} for one. Give another folder, or the arguments of before"
                )
            return


def scalars(results: Results) -> dict[str, float]:
    """Return what a training's log shows of a measurement, by name; what is undefined is left out.

    `dynamic/LAYER` and `static/LAYER` are the percents of Eq. 1, `units-CLASS/LAYER` the percents of the layer's units
    in each class of Eq. 3.

    Examples
    --------
    >>> layer = {"name": "stage4", "units": 8, "percent": {"dynamic": 30.0, "static": None}, "counts": {"joint": 2}}
    >>> scalars(Results({}, 0, "pearson", 0.5, {}, layers=[layer]))
    {'dynamic/stage4': 30.0, 'units-joint/stage4': 25.0}
    """
    found: dict[str, float] = {}
    for layer in results.layers:
        percents = {factor: layer["percent"][factor] for factor in FACTORS}
        shares = {f"units-{name}": 100 * count / layer["units"] for name, count in layer["counts"].items()}
        for name, value in (percents | shares).items():
            if value is not None:
                found[f"{name}/{layer['name']}"] = float(value)
    return found
