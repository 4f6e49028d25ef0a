"""BiasTracker: layer biases of a model during its training (paper, Sec. 4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn

from sdmetrics.analysis.facts import differences
from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip, listed_clips
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.comparison.compare import layer_values
from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError
from sdmetrics.loggers.log import as_log
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.feeds import check_sources
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.probes.torch_hooks import device_and_dtype
from sdmetrics.runners.torch import TorchRunner
from sdmetrics.torch.training.clip_cache import cached_clips
from sdmetrics.torch.training.isolation import preserving_state
from sdmetrics.torch.training.processes import is_first_process
from sdmetrics.torch.training.step_storage import StepStorage
from sdmetrics.torch.training.wrappers import check_on_one_device, unwrap


class BiasTracker:
    """Tracks layer biases during training, always on the same views of the same clips.

    A measurement does not affect the training: modes, buffers, gradients and random generators are restored, so the
    training continues bit for bit as it would have without. The model is measured in evaluation mode and in the
    precision of its weights, even if the training uses `autocast`, and the numbers are those that `analyze` returns
    for the exported model. In distributed training only the first process measures. The others wait for it at their
    next gradient, so a measurement must not take longer than the process group's timeout.

    Parameters
    ----------
    model
        The module that is trained, plain or wrapped by `DistributedDataParallel` or `torch.compile`.
    inputs
        Descriptions of the model's inputs.
    layers
        Names of modules of the unwrapped model, or `"stages"`; as for `TorchRunner`.
    clips
        Clips to measure on. For narrow intervals use at least a hundred, held out from the training.
    every
        Number of calls of `step` per measurement. Call `step` once per optimiser step or once per epoch.
    seed, batch, estimator, threshold, styles
        As for `analyze`.
    out
        Folder to write to. Each measurement becomes a run in it, e.g. `step-000300`, for `sdmetrics report` and
        `compare`, of about 1.6 kB per unit. Measurements that are already in the folder are loaded, so that a stopped
        training can resume; measuring a step again replaces its run. A damaged measurement is set aside.
    cache
        Memory limit, in bytes, of the rendered clips, which take three times clips × frames × height × width × 3. If
        that exceeds the limit, they are decoded and styled again for every measurement.

    Attributes
    ----------
    results : dict
        The `Results` by step.

    Raises
    ------
    InputError
        If a layer or an input does not fit the model, the weights are on several devices or sharded, or `out` contains
        measurements with different settings.

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
        every, seed, batch = whole("every", every, 1), whole("seed", seed, 0), whole("batch", batch, 1)
        self.module = unwrap(model)
        check_on_one_device(self.module)
        self.every = every
        self.count = 0
        check_sources(inputs)
        self._inputs, self._layers = tuple(inputs), layers
        with preserving_state(self.module, seed):
            self._runner()
        self._clips, styles = cached_clips(listed_clips(clips), styles, self._inputs, cache)
        self._seed = seed
        self._arguments: dict[str, Any] = {
            "seed": seed, "batch": batch, "estimator": estimator, "threshold": threshold, "styles": styles,
        }  # fmt: skip
        self._out = None if out is None else Path(out)
        self._storage = None if self._out is None else StepStorage(self._out)
        self.results: dict[int, Results] = {}
        if self._storage:
            self.results = self._storage.recovered() if is_first_process() else self._storage.loaded()
        self._unwritten: set[int] = set()

    @property
    def history(self) -> list[dict[str, Any]]:
        """Rows for a data frame, one per step and layer; see `sdmetrics.comparison.compare.layer_values`."""
        return [
            {"step": step, "layer": layer["name"], **layer_values(layer)}
            for step, results in sorted(self.results.items())
            for layer in results.layers
        ]

    def step(self, now: int | None = None) -> Results | None:
        """Count one step or epoch, and measure if the count is a multiple of `every`.

        Parameters
        ----------
        now
            Number of this step, for a training that did not start at 0. Default: the previous number plus 1.

        Returns
        -------
        Results or None
            The measurement, if one was made.
        """
        self.count = self.count + 1 if now is None else now
        return self.measure(self.count) if self.count % self.every == 0 else None

    def measure(self, step: int) -> Results | None:
        """Measure now and record the result as `step`; use 0 before the training begins.

        Returns
        -------
        Results or None
            None in all processes except the first.

        Raises
        ------
        InputError
            As for `analyze`, or if `out` contains measurements with different settings.
        """
        if step < 0:
            raise InputError(f"step is {step}; expected at least 0")
        if not is_first_process():
            return None
        unfinished = None
        if self._storage:
            self._storage.clear()
            unfinished = self._storage.unfinished
        with preserving_state(self.module, self._seed):
            results = measure_biases(self._runner(), self._clips, out=unfinished, progress=False, **self._arguments)
        results.model["step"] = step
        self._check_settings(results)
        if self._storage:
            self._storage.finish(results, step)
        self.results[step] = results
        self._unwritten.add(step)
        return results

    def write(self, log: object, *more: object) -> None:
        """Write the measurements made since the last call to experiment trackers, each at its step.

        Parameters
        ----------
        log, *more
            A `SummaryWriter`, a run of wandb, MLflow or trackio, or another log: see `sdmetrics.loggers.log.as_log`.
            The names of the numbers are those of `sdmetrics.comparison.scalars.scalars`.

        Raises
        ------
        InputError
            If a log cannot be written to; then nothing is written.
        """
        logs = [as_log(each) for each in (log, *more)]
        for step in sorted(self._unwritten):
            values = scalars(self.results[step])
            for each in logs:
                each.write(values, step)
            self._unwritten.discard(step)

    def _runner(self) -> TorchRunner:
        """Return a runner of the module in its current state, on its current device."""
        return TorchRunner(self.module, self._inputs, self._layers, str(device_and_dtype(self.module)[0]))

    def _check_settings(self, results: Results) -> None:
        """Check that a measurement has the settings of the previous ones."""
        for step, before in self.results.items():
            changed = differences({"before": before, "now": results})
            if before.settings.get("layers", results.settings["layers"]) != results.settings["layers"]:
                changed.append("layers")
            if changed:
                raise InputError(
                    f"{self._out} already contains measurements with different settings ({', '.join(changed)}), e.g. "
                    f"step {step}. Use another folder, or the original arguments"
                )
            return
