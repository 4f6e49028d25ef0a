"""A Lightning callback that measures the bias of a model during training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sdmetrics.clips.clip import Clip
from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError, require
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch.training.tracker import BiasTracker

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    # Lightning is published as two packages with one interface; `lightning` depends on this one.
    Callback = require("pytorch_lightning", extra="tracking").Callback

UNITS = ("epochs", "steps")


class BiasCallback(Callback):  # type: ignore[misc]  # mypy skips its package
    """Measures layers with a `BiasTracker`, before the training and then every few epochs or steps.

    Each measurement is sent to the trainer's loggers, as `dynamic/LAYER` and so on (see `comparison.scalars`), at the
    current number of optimiser steps. In distributed training only the first process measures.

    Parameters
    ----------
    inputs, layers, clips
        As for `BiasTracker`. Layer names are relative to the measured module.
    every, unit
        Interval between measurements, in `"epochs"` or `"steps"`.
    module
        Name of the submodule that reads the video. Default: the LightningModule itself.
    **arguments
        Further arguments of `BiasTracker`, e.g. `out`.

    Attributes
    ----------
    tracker : BiasTracker or None
        The tracker, once the training has begun. Its `history` and `results` hold the measurements.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> video = ModelInput("video", frames=8, size=(40, 40))
    >>> callback = BiasCallback([video], ["net.stage4"], world_clips(100), every=500, unit="steps")
    >>> callback.tracker is None  # until Trainer(callbacks=[callback]).fit(...)
    True
    """

    def __init__(
        self,
        inputs: Sequence[ModelInput],
        layers: Sequence[str] | Mapping[str, int] | Literal["stages"],
        clips: Iterable[Clip],
        *,
        every: int = 1,
        unit: str = "epochs",
        module: str = "",
        **arguments: Any,  # noqa: ANN401  BiasTracker's own
    ) -> None:
        super().__init__()
        if every < 1:
            raise InputError(f"every is {every}; expected at least 1")
        if unit not in UNITS:
            raise InputError(f"unit is {unit!r}; allowed: {', '.join(UNITS)}")
        self.tracker: BiasTracker | None = None
        self._every, self._unit, self._module = every, unit, module
        self._tracked = (inputs, layers, list(clips))
        self._arguments = arguments

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the model before its training."""
        parts = dict(pl_module.named_modules())
        if self._module not in parts:
            raise InputError(
                f"{type(pl_module).__name__} has no module {self._module!r}; use the name of one of its submodules"
            )
        self.tracker = BiasTracker(parts[self._module], *self._tracked, **self._arguments)
        self._measure(trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Measure if this step completes an interval."""
        # With gradient accumulation, one step takes several batches.
        if self._unit == "steps" and trainer.global_step != self._last and trainer.global_step % self._every == 0:
            self._measure(trainer)

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        """Measure if this epoch completes an interval."""
        if self._unit == "epochs" and (trainer.current_epoch + 1) % self._every == 0:
            self._measure(trainer)

    def _measure(self, trainer: Trainer) -> None:
        """Measure, and log the result."""
        assert self.tracker is not None
        self._last = trainer.global_step
        results = self.tracker.measure(trainer.global_step)
        if results is not None:
            # Not with `pl_module.log`, which would wait for the next step that is logged.
            for logger in trainer.loggers:
                logger.log_metrics(scalars(results), step=trainer.global_step)
