"""Puts StaticDropout into a model, and makes its estimates while the model is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sdmetrics.errors import InputError
from sdmetrics.probes.torch_hooks import layer_names, place_of, with_first_tensor
from sdmetrics.torch.training.moments import pooled
from sdmetrics.torch.training.processes import gathered, rank
from sdmetrics.torch.training.shuffled_call import Call, Layout, understand
from sdmetrics.torch.training.silent_forward import run_unnoticed
from sdmetrics.torch.training.static_dropout import Per, StaticDropout

NAME = "static_dropout"
"""What the module that `attach` adds to a layer is called there."""

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

Hook = TypeVar("Hook", bound=Callable[..., None])


def not_compiled(hook: Hook) -> Hook:
    """Keep a compiler away from what runs around the model's forward: it counts steps, and runs the model once more."""
    reason = "for fullgraph=True call sdmetrics.torch.attach after torch.compile, on what torch.compile returned"
    kept: Hook = torch.compiler.disable(hook, reason=reason)  # type: ignore[no-untyped-call]
    return kept


class Options(TypedDict, total=False):
    """The further arguments of `StaticDropout`."""

    every: int
    batches: int
    replacement: bool
    per: Per
    rescale: bool
    temperature: float


class Attachment:
    """A StaticDropout in a model and the hooks that make its estimates; `attach` returns it.

    Attributes
    ----------
    dropout : StaticDropout
        The module that was put in.
    """

    def __init__(
        self, model: nn.Module, layer: str, dropout: StaticDropout, layout: Layout | Sequence[Layout], seed: int
    ) -> None:
        self.dropout = dropout
        self._model, self._layer, self._layout, self._seed = model, layer, layout, seed
        self._seen: list[Tensor] = []
        self._of_shuffled: Tensor | None = None
        self._shuffling = False
        self._hooks: list[RemovableHandle] = []
        parent, _, name = layer.rpartition(".")
        bare = _bare(model)
        found = bare.get_submodule(layer)
        if isinstance(found, (StaticDropout, *DROPOUTS)):
            self._place: tuple[nn.Module, str, nn.Module | None] = bare.get_submodule(parent), name, found
        else:
            self._place = found, NAME, None
            # A plain Sequential runs whatever is added to it, at its end.
            if type(found).forward is not nn.Sequential.forward:
                self._hooks.append(found.register_forward_hook(self._drop))
        setattr(*self._place[:2], dropout)
        self._hooks += [
            dropout.register_forward_pre_hook(self._see),
            model.register_forward_pre_hook(self._begin, prepend=True, with_kwargs=True),
            model.register_forward_hook(self._end),
        ]
        torch.compiler.reset()  # compiled code does not notice hooks

    def remove(self) -> None:
        """Take the module and the hooks out again; the model is as it was, what it learned aside."""
        if not self._hooks:
            return
        while self._hooks:
            self._hooks.pop().remove()
        owner, name, before = self._place
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before.train(self.dropout.training))
        torch.compiler.reset()

    def _drop(self, _module: nn.Module, _args: object, output: object) -> object:
        """Drop channels of what the layer returns."""
        return with_first_tensor(output, self.dropout, self._layer)

    def _see(self, dropout: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Note the features on their way into the dropout; of a layer that runs many times two will do."""
        if dropout.training and len(self._seen) < 2:
            self._seen.append(args[0].detach())

    @not_compiled
    def _begin(self, _model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Begin a step of training; where an estimate is due, run the model on shuffled frames.

        That is before the forward, not after it, as nothing waits for a backward yet.
        """
        if self._in_training():
            due = self.dropout.begin_step()
            self._of_shuffled = self._run_shuffled(understand(args, kwargs, self._layout)) if due else None
            self._seen.clear()

    @not_compiled
    def _end(self, _model: nn.Module, _args: tuple[Any, ...], _output: object) -> None:
        """Compare the features of this forward with those of shuffled frames."""
        if self._shuffling:
            return
        if self._in_training() and self._of_shuffled is not None:
            self.dropout.collect(self._features(len(self._of_shuffled)), self._of_shuffled)
            self._of_shuffled = None
        self._seen.clear()

    def _in_training(self) -> bool:
        """Whether this is a forward that training needs; not so that on shuffled frames, also of another attachment."""
        return self.dropout.training and torch.is_grad_enabled()

    def _run_shuffled(self, call: Call) -> Tensor:
        """Return the features of shuffled frames, `(N, units)`."""
        clips = [int(number) for number in gathered(torch.tensor(call.clips, device=self.dropout.scores.device))]
        orders, draws = (np.random.default_rng([self._seed, self.dropout.step, n]) for n in (0, 1 + rank()))
        args, kwargs = call.shuffled(orders, first=sum(clips[: rank()]), total=sum(clips))
        self._seen.clear()
        self.dropout.active, self._shuffling = False, True
        try:
            run_unnoticed(self._model, args, kwargs, seed=int(draws.integers(2**63)))
        finally:
            self.dropout.active, self._shuffling = True, False
        return pooled(self._features(call.clips))

    def _features(self, clips: int) -> Tensor:
        """Return the features that were seen in this forward."""
        if len(self._seen) != 1:
            found = f"runs {len(self._seen)} times" if self._seen else "does not run"
            raise InputError(
                f"module {self._layer!r} {found} in a forward of {type(_bare(self._model)).__name__}; needed: once. "
                "Name the module that returns the pooled features"
            )
        if len(self._seen[0]) != clips:
            raise InputError(
                f"module {self._layer!r} returns features of the shape {tuple(self._seen[0].shape)} for {clips} clips; "
                "needed: one row for each clip. Name a module after the frames are pooled"
            )
        return self._seen[0]


def attach(
    model: nn.Module,
    layer: str,
    rate: float | None = None,
    *,
    units: int | None = None,
    layout: Layout | Sequence[Layout] = "NCTHW",
    seed: int = 0,
    **options: Unpack[Options],
) -> Attachment:
    """Put StaticDropout into a model where a module returns its features, and make its estimates in training.

    Every `every` steps of training (of `model.train()`, with gradients) the model runs once more, on the batch with
    the frames of each clip shuffled, before its forward proper. This further forward is in training mode as the other
    is and keeps no gradient; all buffers (BatchNorm's running statistics and counters) and torch's random generators
    are afterwards, bit for bit, as if it had not been. So the model's own random draws are those of the
    same training without estimates; what the further forward draws, and the frames' new orders, depend on `seed`, the
    step and the process alone.

    Parameters
    ----------
    model
        The model that the training loop calls: plain, compiled, or in `DistributedDataParallel`.
    layer
        The name of the module that returns the features, `(N, units)` or `(N, units, *)` (of several tensors, the
        first). The module that drops becomes a part of it, `static_dropout`, and of the model's `state_dict`. If it
        is a dropout of torch, StaticDropout takes its place; if it is a StaticDropout, it stays. Where no module
        returns the features, put one before the classifier: `model.head = nn.Sequential(StaticDropout(768, 0.3),
        model.head)`, and name it, here `"head.0"`.
    rate
        As of `StaticDropout`; by default that of the dropout whose place it takes.
    units
        Channels of the features; by default what the module that comes after `layer` reads.
    layout
        The axes of the model's inputs, `"NCTHW"` or any other, or a `ModelInput`. A single one counts for each tensor
        with as many axes that the model is called with (in lists, tuples and dicts, too), and others are left as
        they are; a list gives one for each. Several inputs get orders of their own.
    seed
        Draws the orders of frames.
    options
        Further arguments of `StaticDropout`: `every`, `batches`, `replacement`, `per`, `rescale`, `temperature`.

    Returns
    -------
    Attachment
        With `.dropout`, the module, and `.remove()`, which takes it out again.

    Raises
    ------
    InputError
        If there is no such layer, or it has a StaticDropout already; in training, if the layer does not run once, or
        does not return one row of `units` channels for each clip, or if no input has frames to shuffle.

    Notes
    -----
    * Load pretrained weights first, and then attach; to resume, attach first, and then load. After `.remove()` the
      `state_dict` is that of the plain model.
    * `torch.compile`: before or after, the model stays one graph and is not compiled anew at any step. With
      `fullgraph=True` attach after it, to what it returned. The further forward runs uncompiled.
    * `DistributedDataParallel`: before or after. Scores are those of all processes' pairs. All processes must take
      the same number of steps.
    * Hooks of your own run in the further forward, too. Modules that count or draw by other means than buffers and
      torch's generators notice it.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv3d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 2))
    >>> attached = attach(model, "3", rate=0.5, every=2)
    >>> video = torch.randn(6, 3, 4, 8, 8)
    >>> for _ in range(2):
    ...     model(video).sum().backward()
    >>> attached.dropout.estimates, attached.dropout.probabilities.shape
    (1, torch.Size([8]))
    >>> attached.remove()
    """
    bare = _bare(model)
    layer_names(bare, [layer])
    found = bare.get_submodule(layer)
    hooks = found._forward_pre_hooks.values() if isinstance(found, StaticDropout) else ()
    if hasattr(found, NAME) or any(isinstance(getattr(hook, "__self__", None), Attachment) for hook in hooks):
        raise InputError(f"module {layer!r} has a StaticDropout attached already; .remove() that one first")
    if isinstance(found, StaticDropout):
        if rate is not None or units is not None or options:
            raise InputError(f"module {layer!r} is a StaticDropout already; its rate and options are given there")
        return Attachment(model, layer, found, layout, seed)
    if rate is None and isinstance(found, DROPOUTS):
        rate = found.p
    if rate is None:
        raise InputError(f"module {layer!r} is {type(found).__name__}, not a dropout; give a rate, 0 to 1")
    dropout = StaticDropout(_units_after(bare, layer) if units is None else units, rate, **options)
    dropout.to(place_of(bare)[0]).train(found.training)
    return Attachment(model, layer, dropout, layout, seed)


def _bare(model: nn.Module) -> nn.Module:
    """Return the module that `torch.compile` and `DistributedDataParallel` are wrapped around."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _units_after(model: nn.Module, layer: str) -> int:
    """Return the channels that the first module after a layer reads, of those that say so."""
    modules = list(model.named_modules())
    last = max(index for index, (name, _) in enumerate(modules) if f"{name}.".startswith(f"{layer}."))
    for _, module in modules[last + 1 :]:
        for width in ("in_features", "in_channels"):
            if isinstance(units := getattr(module, width, None), int):
                return units
    raise InputError(f"no module after {layer!r} tells how many units it returns; give units=")
