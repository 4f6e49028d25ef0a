"""Attach losses on a frame-shuffled copy of each batch to a model: `StaticPenalty` and `ShuffleEntropy`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.torch_hooks import (
    TRAINED_ON_SHUFFLED,
    device_and_dtype,
    layer_names,
    losses_on_shuffled,
    with_first_tensor,
)
from sdmetrics.torch.training import watch as watching
from sdmetrics.torch.training.hooks import not_compiled
from sdmetrics.torch.training.isolation import extra_forward, in_extra_forward
from sdmetrics.torch.training.looks import Looks
from sdmetrics.torch.training.processes import all_gather, rank
from sdmetrics.torch.training.shuffle_entropy import ShuffleEntropy, logits_of
from sdmetrics.torch.training.shuffled_call import Call, Layout, check_layout, parse_call
from sdmetrics.torch.training.static_penalty import StaticPenalty
from sdmetrics.torch.training.watch import ChannelWatch, Lost, PredictionWatch
from sdmetrics.torch.training.wrappers import unwrap

Features = dict[str, Tensor]


def attached_loss(
    model: nn.Module,
    layers: str | Sequence[str] | Mapping[str, int],
    penalty: StaticPenalty | None,
    entropy: ShuffleEntropy | None,
    layout: Layout | Sequence[Layout],
    seed: int,
) -> AttachedLoss:
    """Validate the arguments of `attach` and attach the losses; see there.

    Raises
    ------
    InputError
        If an argument is not allowed, or a layer does not exist.
    """
    for name, one, kind in (("penalty", penalty, StaticPenalty), ("entropy", entropy, ShuffleEntropy)):
        if one is not None and not isinstance(one, kind):
            raise InputError(f"{name} is {one!r:.60}; expected: a {kind.__name__}, e.g. {kind.__name__}(weight=1.0)")
    bare = unwrap(model)
    if isinstance(model, nn.DataParallel):
        raise InputError("the model is in DataParallel, whose parts are copies; use DistributedDataParallel")
    named = [layers] if isinstance(layers, str) else layers
    layer_names(bare, named if isinstance(named, Mapping) else list(named))
    axes = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, 1)
    check_layout(layout)
    return AttachedLoss(model, axes, penalty, entropy, layout, whole("seed", seed, least=0))


class AttachedLoss:
    """The hooks that run a model on shuffled frames, and the loss that they compute. `attach` returns it.

    Attributes
    ----------
    step : int
        Number of training steps begun.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[str, int],
        penalty: StaticPenalty | None,
        entropy: ShuffleEntropy | None,
        layout: Layout | Sequence[Layout],
        seed: int,
    ) -> None:
        self.step = 0
        self._model, self._layers, self._layout, self._seed = model, dict(layers), layout, seed
        self._penalty, self._entropy = penalty, entropy
        self._seen: dict[str, list[Tensor]] = {name: [] for name in layers}
        self._watches = {name: ChannelWatch(name) for name in layers}
        self._predictions = PredictionWatch()
        self._computed, self._at_full_weight = 0, 0
        self._running, self._watched, self._growing = False, False, False
        self._weights = (0.0, 0.0)
        self._copy: tuple[Call, Features, Tensor | None] | None = None
        self._restyled: Features | None = None
        self._loss: Tensor | None = None
        bare = unwrap(model)
        losses = [type(one).__name__ for one in (penalty, entropy) if one is not None]
        setattr(bare, TRAINED_ON_SHUFFLED, sorted({*losses_on_shuffled(bare), *losses}))
        self._hooks: list[RemovableHandle] = [
            *(bare.get_submodule(name).register_forward_hook(self._recorder(name)) for name in layers),
            model.register_forward_pre_hook(self._begin, prepend=True, with_kwargs=True),
            model.register_forward_hook(self._end),
        ]
        torch.compiler.reset()  # compiled code does not notice hooks

    @property
    def lost(self) -> dict[str, Lost]:
        """By layer, how many channels were dead or noise when last counted; empty before the first count."""
        return {name: watch.lost for name, watch in self._watches.items() if watch.lost is not None}

    @property
    def agreement(self) -> float | None:
        """How often the predicted class for shuffled frames is that for the clip: 0 as often as by chance, 1 always.

        Cohen's kappa when last counted, in training mode; `None` before, if all predictions were one class, or if the
        model does not return one tensor `(N, classes)` or one named `logits`.
        """
        return self._predictions.agreement

    def loss(self) -> Tensor:
        """Return the loss of the last training forward, a scalar to be added to the model's; 0 where none was due.

        Raises
        ------
        InputError
            If there was no forward in training mode with gradients.
        """
        if self._loss is None:
            raise InputError(
                "there was no forward in training yet; call the model that was given to attach, in train() mode and "
                "with gradients, then loss()"
            )
        return self._loss

    def remove(self) -> None:
        """Remove the hooks. The model is as before, except for what it learned."""
        while self._hooks:
            self._hooks.pop().remove()
        torch.compiler.reset()

    def state_dict(self) -> dict[str, int]:
        """Return what a resumed training needs, for its checkpoint."""
        return {"step": self.step, "computed": self._computed, "at_full_weight": self._at_full_weight}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore the result of `state_dict`."""
        self.step, self._computed = int(state["step"]), int(state["computed"])
        self._at_full_weight = int(state.get("at_full_weight", 0))

    def _recorder(self, name: str) -> Any:  # noqa: ANN401  a forward hook
        """Return a hook that records what a module returns; two records suffice to detect that it runs repeatedly."""
        seen = self._seen[name]

        def record(tensor: Tensor) -> Tensor:
            if len(seen) < 2:
                seen.append(tensor)
            return tensor

        def hook(module: nn.Module, _args: object, output: object) -> None:
            if module.training and (self._running or not in_extra_forward()):
                with_first_tensor(output, record, name)

        return hook

    @not_compiled
    def _begin(self, model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Begin a training step; if a loss is due, run the model on shuffled frames."""
        if not self._in_training(model):
            return
        self._forget()
        self._weights = self._weight(self._penalty), self._weight(self._entropy)
        if any(self._weights):
            call = parse_call(args, kwargs, self._layout)
            self._growing = any(self.step < one.schedule.warmup for one in (self._penalty, self._entropy) if one)
            self._at_full_weight += not self._growing
            self._watched = self._computed % watching.EVERY >= watching.EVERY - watching.WINDOW
            self._copy = (call, *self._of_shuffled(call))
            self._restyled = self._in_other_look(call) if self._watched and call.has_looks() else None
            self._computed += 1
        self.step += 1

    @not_compiled
    def _end(self, model: nn.Module, _args: tuple[Any, ...], output: object) -> None:
        """Compute the loss from the features of this forward and those of the shuffled frames."""
        if not self._in_training(model):
            return
        if self._copy is None:
            self._loss = torch.zeros((), device=device_and_dtype(unwrap(model))[0])
        else:
            (call, of_shuffled, logits), restyled = self._copy, self._restyled
            z = self._features(call.clips)
            device = next(iter(z.values())).device
            total = torch.zeros((), device=device)
            weight, of_entropy = self._weights
            if self._penalty is not None and weight:
                self._check_gradient(z)
                terms = [self._penalty.unweighted(z[name], of_shuffled[name]) for name in z]
                total = total + weight * torch.stack(terms).mean()
            if self._entropy is not None and logits is not None and of_entropy:
                total = total + of_entropy * self._entropy.unweighted(logits)
            self._copy = self._restyled = None
            self._loss = total
            if self._watched:
                for name, one in self._watches.items():
                    one.add(z[name], of_shuffled[name], restyled[name] if restyled else None)
                if not self._growing:
                    self._compare(self._logits(output), logits, call.clips, device)
        self._clear()

    def _compare(self, logits: Tensor | None, of_shuffled: Tensor | None, clips: int, device: torch.device) -> None:
        """Compare the predictions with those for shuffled frames, if all processes have logits of the same classes."""
        fit = [one for one in (logits, of_shuffled) if one is not None and len(one) == clips]
        classes = fit[0].shape[1] if len(fit) == 2 and fit[0].shape == fit[1].shape else 0
        by_process = all_gather(torch.tensor(classes, device=device))
        if classes and all(int(one) == classes for one in by_process):
            self._predictions.add(fit[0], fit[1], self._at_full_weight)

    def _logits(self, output: object) -> Tensor | None:
        """Return the logits among what the model returned, if they are needed and there are."""
        if self._entropy is not None:
            return logits_of(output)
        if not self._watched:
            return None
        try:
            return logits_of(output).detach()
        except InputError:  # a penalty alone needs no logits
            return None

    def _in_training(self, model: nn.Module) -> bool:
        """Return whether this is a training forward, not one on a copy of the batch."""
        return model.training and torch.is_grad_enabled() and not in_extra_forward()

    def _weight(self, loss: StaticPenalty | ShuffleEntropy | None) -> float:
        """Return the weight of a loss in this step."""
        return loss.schedule.at(self.step) if loss else 0.0

    def _of_shuffled(self, call: Call) -> tuple[Features, Tensor | None]:
        """Return the features and the logits for shuffled frames, with gradient."""
        device = device_and_dtype(unwrap(self._model))[0]
        return self._run(call, *call.shuffled_in_step(self._seed, self.step, device), gradient=True)

    def _in_other_look(self, call: Call) -> Features:
        """Return the features for the clips in other looks, without gradient."""
        seed = int(np.random.default_rng([self._seed, self.step, 0, rank()]).integers(2**63))
        args, kwargs = call.restyled(Looks.drawn(call.clips, torch.Generator().manual_seed(seed)))
        return self._run(call, args, kwargs, seed, gradient=False)[0]

    def _run(
        self, call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any], seed: int, *, gradient: bool
    ) -> tuple[Features, Tensor | None]:
        """Run the model on a copy of the batch, outside of the wrappers: they expect one forward per backward."""
        self._clear()
        self._running = True
        try:
            output = extra_forward(unwrap(self._model), args, kwargs, seed, gradient=gradient)
        finally:
            self._running = False
        features = self._features(call.clips)
        self._clear()
        return features, self._logits(output) if gradient else None

    def _features(self, clips: int) -> Features:
        """Return what the layers returned in this forward, `(N, units, *)`."""
        found = {}
        for name, axis in self._layers.items():
            seen = self._seen[name]
            if len(seen) != 1:
                runs = f"runs {len(seen)} times" if seen else "does not run in train() mode"
                raise InputError(
                    f"module {name!r} {runs} in a forward of {type(unwrap(self._model)).__name__}; expected: once. "
                    "Name a module that does"
                )
            if seen[0].ndim < 2 or len(seen[0]) != clips or not -seen[0].ndim <= axis < seen[0].ndim or not axis:
                raise InputError(
                    f"module {name!r} returns features of shape {tuple(seen[0].shape)} for {clips} clips, with the "
                    f"channels on axis {axis}; expected: one row per clip, and channels on an axis after it, which a "
                    "mapping of layers specifies, e.g. {'blocks.11': 2} for tokens (N, tokens, units)"
                )
            found[name] = seen[0].movedim(axis, 1)
        return found

    def _check_gradient(self, features: Features) -> None:
        """Raise an `InputError` if the penalty cannot change a layer."""
        for name, z in features.items():
            if not z.requires_grad:
                raise InputError(
                    f"no gradient reaches what module {name!r} returns: its weights are frozen, or it runs in a "
                    "reentrant checkpoint. Name a module that learns, or pass use_reentrant=False to checkpoint()"
                )

    def _forget(self) -> None:
        """Drop what an earlier step left, e.g. one whose forward failed."""
        self._copy = self._restyled = self._loss = None
        self._clear()

    def _clear(self) -> None:
        """Drop the records of the layers."""
        for seen in self._seen.values():
            seen.clear()
