"""A callback for the Trainer of Hugging Face Transformers that measures the bias of a model during training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from sdmetrics.clips.clip import Clip
from sdmetrics.comparison.scalars import scalars
from sdmetrics.errors import InputError, require
from sdmetrics.metrics._arguments import one_of, whole
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch.training.tracker import BiasTracker

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
else:
    TrainerCallback = require("transformers", extra="huggingface").TrainerCallback

UNITS = ("epochs", "steps")


class BiasCallback(TrainerCallback):  # type: ignore[misc]  # mypy skips its package
    """Measures layers with a `BiasTracker`, before the training and then every few epochs or steps.

    Each measurement is added to the trainer's `state.log_history`, as `dynamic/LAYER` and so on (see
    `sdmetrics.comparison.scalars.scalars`), at the current number of optimiser steps. With `trainer` it is also sent
    to all that the trainer reports to. In distributed training only the first process measures.

    Parameters
    ----------
    inputs, layers, clips
        As for `BiasTracker`. Layer names are relative to the measured module.
    every, unit
        Interval between measurements, in `"epochs"` or `"steps"`.
    module
        Name of the submodule that reads the video. Default: the model itself.
    trainer
        The trainer, for `trainer.add_callback(BiasCallback(..., trainer=trainer))`: what `report_to` names then gets
        the measurements, too. Transformers names them `train/dynamic/LAYER` there.
    **arguments
        Further arguments of `BiasTracker`, e.g. `out`.

    Attributes
    ----------
    tracker : BiasTracker or None
        The tracker, once the training has begun. Its `history` and `results` hold the measurements.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> video = ModelInput("pixel_values", frames=8, layout="NTCHW", size=(40, 40))
    >>> layers = {"videomae.encoder.layer.11": 2}  # tokens: the channels are axis 2
    >>> callback = BiasCallback([video], layers, world_clips(100), every=500, unit="steps")
    >>> callback.tracker is None  # until Trainer(callbacks=[callback], ...).train()
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
        trainer: Trainer | None = None,
        **arguments: Any,  # noqa: ANN401  BiasTracker's own
    ) -> None:
        one_of("unit", unit, UNITS)
        self.tracker: BiasTracker | None = None
        self._every, self._unit, self._module = whole("every", every, least=1), unit, module
        self._tracked = (inputs, layers, list(clips))
        self._arguments = arguments
        self._trainer = trainer

    def on_train_begin(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401  the model and more
    ) -> None:
        """Measure the model before its training."""
        model = kwargs["model"]
        parts = dict(model.named_modules())
        if self._module not in parts:
            raise InputError(
                f"{type(model).__name__} has no module {self._module!r}; use the name of one of its submodules"
            )
        with _own_precision(model):
            self.tracker = BiasTracker(parts[self._module], *self._tracked, **self._arguments)
        self._epochs = int(state.epoch or 0)  # not 0 if the training is resumed
        self._measure(state, control, model)

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401  the model and more
    ) -> None:
        """Measure if this step completes an interval."""
        if self._unit == "steps" and state.global_step % self._every == 0:
            self._measure(state, control, kwargs["model"])

    def on_epoch_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,  # noqa: ANN401  the model and more
    ) -> None:
        """Measure if this epoch completes an interval."""
        self._epochs += 1
        if self._unit == "epochs" and self._epochs % self._every == 0:
            self._measure(state, control, kwargs["model"])

    def _measure(self, state: TrainerState, control: TrainerControl, model: nn.Module) -> None:
        """Measure, and log the result."""
        assert self.tracker is not None
        with _own_precision(model):
            results = self.tracker.measure(state.global_step)
        if results is None:
            return
        values = scalars(results)
        if self._trainer is None:
            state.log_history.append({**values, "epoch": state.epoch, "step": state.global_step})
            return
        # Logging fulfils the trainer's wish to log its loss at this step, which it has not done yet.
        wished = control.should_log
        self._trainer.log(values)
        control.should_log = wished


@contextmanager
def _own_precision(model: nn.Module) -> Iterator[None]:
    """Take off what accelerate wraps around `forward` for mixed precision: autocast, in which nothing is measured."""
    wrapped = vars(model).get("forward")
    if wrapped is None or "_original_forward" not in vars(model):
        yield
        return
    model.forward = vars(model)["_original_forward"]
    try:
        yield
    finally:
        model.forward = wrapped
