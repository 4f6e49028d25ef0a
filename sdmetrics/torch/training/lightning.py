"""A callback for Lightning that measures the bias of a model while it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from sdmetrics.clips.clip import Clip
from sdmetrics.errors import InputError, require
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch.training.tracker import BiasTracker, scalars

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    # Lightning comes as two packages with one interface; who trains with the other has this one too.
    Callback = require("pytorch_lightning", extra="tracking").Callback

UNITS = ("epochs", "steps")


class BiasCallback(Callback):
    """Measures layers with a `BiasTracker` before the training and every few epochs or steps of it.

    Each measurement goes to the trainer's loggers, `dynamic/LAYER` and so on (see `tracker.scalars`), at the number of
    optimiser steps that the weights have had. Of several processes the first measures; the others go on.

    Parameters
    ----------
    inputs, layers, clips
        As for `BiasTracker`; layers are named as in the module that is measured.
    every, unit
        Measure every so many `"epochs"` or `"steps"`.
    module
        The part of the LightningModule that is fed with the video, by its name; default: the LightningModule.
    **arguments
        Further arguments of `BiasTracker`, such as `out`.

    Attributes
    ----------
    tracker : BiasTracker or None
        What measures, once the training has begun; its `history` and `results` hold what was found.

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
            raise InputError(f"every is {every}; allowed: 1 and above")
        if unit not in UNITS:
            raise InputError(f"unit is {unit!r}; allowed: {', '.join(UNITS)}")
        self.tracker: BiasTracker | None = None
        self._every, self._unit, self._module = every, unit, module
        self._made_of = (inputs, layers, list(clips))
        self._arguments = arguments

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure what the training starts from."""
        parts = dict(pl_module.named_modules())
        if self._module not in parts:
            raise InputError(f"{type(pl_module).__name__} has no module {self._module!r}; name one of its parts")
        self.tracker = BiasTracker(parts[self._module], *self._made_of, **self._arguments)
        self._measure(trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Measure after every so many steps."""
        # Batches whose gradients are accumulated make one step.
        if self._unit == "steps" and trainer.global_step != self._last and trainer.global_step % self._every == 0:
            self._measure(trainer)

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        """Measure after every so many epochs."""
        if self._unit == "epochs" and (trainer.current_epoch + 1) % self._every == 0:
            self._measure(trainer)

    def _measure(self, trainer: Trainer) -> None:
        """Measure, and tell the loggers."""
        assert self.tracker is not None
        self._last = trainer.global_step
        results = self.tracker.measure(trainer.global_step)
        if results is not None:
            # Not by `pl_module.log`, which would keep it back until the next of the steps that are logged.
            for logger in trainer.loggers:
                logger.log_metrics(scalars(results), step=trainer.global_step)
