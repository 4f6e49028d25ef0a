"""Attach StaticDropout, or a loss on shuffled frames, to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack, overload

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.torch_hooks import device_and_dtype, layer_names, with_first_tensor
from sdmetrics.torch.training.attached_loss import AttachedLoss, attached_loss
from sdmetrics.torch.training.hooks import not_compiled
from sdmetrics.torch.training.isolation import extra_forward, in_extra_forward
from sdmetrics.torch.training.moments import pooled
from sdmetrics.torch.training.shuffle_entropy import ShuffleEntropy
from sdmetrics.torch.training.shuffled_call import Call, Layout, check_layout, parse_call
from sdmetrics.torch.training.static_dropout import Per, StaticDropout
from sdmetrics.torch.training.static_penalty import StaticPenalty
from sdmetrics.torch.training.wrappers import unwrap

NAME = "static_dropout"
"""Name of the submodule that `attach` adds to a layer."""

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class Options(TypedDict, total=False):
    """Optional arguments of `StaticDropout`."""

    every: int
    batches: int
    replacement: bool
    per: Per
    rescale: bool
    temperature: float


class Attachment:
    """A StaticDropout in a model, with the hooks that estimate its scores. `attach` returns it.

    Attributes
    ----------
    dropout : StaticDropout
        The attached module.
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
        bare = _unwrap(model)
        module = bare.get_submodule(layer)
        if isinstance(module, (StaticDropout, *DROPOUTS)):
            self._place: tuple[nn.Module, str, nn.Module | None] = bare.get_submodule(parent), name, module
        else:
            self._place = module, NAME, None
            # A plain Sequential runs the added module itself, at its end.
            if type(module).forward is not nn.Sequential.forward:
                self._hooks.append(module.register_forward_hook(self._drop))
        setattr(*self._place[:2], dropout)
        self._hooks += [
            dropout.register_forward_pre_hook(self._see),
            model.register_forward_pre_hook(self._begin, prepend=True, with_kwargs=True),
            model.register_forward_hook(self._end),
        ]
        torch.compiler.reset()  # compiled code does not notice hooks

    def remove(self) -> None:
        """Remove the module and the hooks. The model is as before, except for what it learned."""
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
        """Drop channels of the layer's output."""
        return with_first_tensor(output, self.dropout, self._layer)

    def _see(self, dropout: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Record the features that the dropout reads; two records suffice to detect a layer that runs repeatedly."""
        if dropout.training and len(self._seen) < 2 and (self._shuffling or not in_extra_forward()):
            self._seen.append(args[0].detach())

    @not_compiled
    def _begin(self, _model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Begin a training step; if an estimate is due, run the model on shuffled frames.

        This happens before the main forward, while no activations are held for the backward yet.
        """
        if self._in_training():
            due = self.dropout.begin_step()
            self._of_shuffled = self._run_shuffled(parse_call(args, kwargs, self._layout)) if due else None
            self._seen.clear()

    @not_compiled
    def _end(self, _model: nn.Module, _args: tuple[Any, ...], _output: object) -> None:
        """Add the features of this forward and those of the shuffled frames to the estimate."""
        if self._shuffling:
            return
        if self._in_training() and self._of_shuffled is not None:
            self.dropout.collect(self._features(len(self._of_shuffled)), self._of_shuffled)
            self._of_shuffled = None
        self._seen.clear()

    def _in_training(self) -> bool:
        """Return whether this is a training forward, not an extra forward on shuffled frames (of any attachment)."""
        return self.dropout.training and torch.is_grad_enabled() and not in_extra_forward()

    def _run_shuffled(self, call: Call) -> Tensor:
        """Return the features of shuffled frames, `(N, units)`."""
        device = self.dropout.scores.device
        args, kwargs, draws = call.shuffled_in_step(self._seed, self.dropout.step, device)
        self._seen.clear()
        self.dropout.active, self._shuffling = False, True
        try:
            extra_forward(self._model, args, kwargs, seed=draws)
        finally:
            self.dropout.active, self._shuffling = True, False
        return pooled(self._features(call.clips))

    def _features(self, clips: int) -> Tensor:
        """Return the features recorded in this forward."""
        if len(self._seen) != 1:
            runs = f"runs {len(self._seen)} times" if self._seen else "does not run"
            raise InputError(
                f"module {self._layer!r} {runs} in a forward of {type(_unwrap(self._model)).__name__}; expected: once. "
                "Name the module that returns the pooled features"
            )
        if len(self._seen[0]) != clips:
            raise InputError(
                f"module {self._layer!r} returns features of shape {tuple(self._seen[0].shape)} for {clips} clips; "
                "expected: one row per clip. Name a module that runs after the frames are pooled"
            )
        return self._seen[0]


@overload
def attach(
    model: nn.Module,
    layer: str,
    rate: float | None = None,
    *,
    units: int | None = None,
    layout: Layout | Sequence[Layout] = "NCTHW",
    seed: int = 0,
    **options: Unpack[Options],
) -> Attachment: ...


@overload
def attach(
    model: nn.Module,
    layer: str | Sequence[str] | Mapping[str, int],
    *,
    penalty: StaticPenalty,
    entropy: ShuffleEntropy | None = None,
    layout: Layout | Sequence[Layout] = "NCTHW",
    seed: int = 0,
) -> AttachedLoss: ...


@overload
def attach(
    model: nn.Module,
    layer: str | Sequence[str] | Mapping[str, int],
    *,
    penalty: None = None,
    entropy: ShuffleEntropy,
    layout: Layout | Sequence[Layout] = "NCTHW",
    seed: int = 0,
) -> AttachedLoss: ...


def attach(
    model: nn.Module,
    layer: str | Sequence[str] | Mapping[str, int],
    rate: float | None = None,
    *,
    penalty: StaticPenalty | None = None,
    entropy: ShuffleEntropy | None = None,
    units: int | None = None,
    layout: Layout | Sequence[Layout] = "NCTHW",
    seed: int = 0,
    **options: Unpack[Options],
) -> Attachment | AttachedLoss:
    """Attach StaticDropout to the module that returns a model's features, or losses on shuffled frames to layers.

    With `penalty` or `entropy` the second forward is one of the losses, and what is returned has `.loss()`; see Notes.
    Without, it estimates the scores of StaticDropout:

    Every `every` training steps (forwards in `model.train()` mode with gradients) the model runs an extra forward
    before the main one, on the same batch with the frames of each clip shuffled. The extra forward is in training mode
    and records no gradient. It restores all buffers (BatchNorm's running statistics and counters) and torch's random
    generators bit for bit, so the model's own random draws are those of the same training without estimates. The
    random draws of the extra forward, and the order of the frames, depend only on `seed`, the step and the process.

    Parameters
    ----------
    model
        The model that the training loop calls: plain, compiled, or in `DistributedDataParallel`.
    layer
        Name of the module that returns the features, `(N, units)` or `(N, units, *)`; if it returns several tensors,
        the first is used. StaticDropout becomes its submodule `static_dropout` and part of the model's `state_dict`.
        If the module is a dropout of torch, StaticDropout replaces it; if it is a StaticDropout, it is used as it is.
        If no module returns the features, insert a StaticDropout before the classifier,
        `model.head = nn.Sequential(StaticDropout(768, 0.3), model.head)`, and name it, here `"head.0"`.
        For a penalty, the layers that it is applied to: names, or names with the axis of the channels, such as
        `{"blocks.11": 2}` for tokens `(N, tokens, units)`; the penalty is the mean over layers.
    rate
        See `StaticDropout`. Default: the rate of the dropout that is replaced.
    penalty, entropy
        A `StaticPenalty`, a `ShuffleEntropy`, or both, which share the second forward. Neither goes with `rate`.
    units
        Number of channels of the features. Default: the number that the next module after `layer` reads.
    layout
        Axes of the model's inputs, e.g. `"NCTHW"`, or a `ModelInput`. A single layout applies to every tensor with
        that number of axes among the model's arguments (also inside lists, tuples and dicts); other tensors are not
        shuffled. A list specifies one layout per tensor. Each input is shuffled independently.
    seed
        Random seed of the frame orders.
    options
        Further arguments of `StaticDropout`: `every`, `batches`, `replacement`, `per`, `rescale`, `temperature`.

    Returns
    -------
    Attachment or AttachedLoss
        Of StaticDropout, `.dropout` is the module; of losses, `.loss()` returns what is added to the model's loss after
        each forward. `.remove()` removes either again.

    Raises
    ------
    InputError
        If the layer does not exist or already has a StaticDropout; in training, if the layer does not run exactly
        once, does not return one row of `units` channels per clip, or if no input has frames to shuffle.

    Notes
    -----
    * Load pretrained weights before attaching. To resume a training, attach first and then load its checkpoint. After
      `.remove()` the `state_dict` is that of the plain model.
    * `torch.compile` may be called before or after `attach`; the model stays one graph and is not recompiled at any
      step. With `fullgraph=True`, call `attach` after `torch.compile`, on the module that it returned. The extra
      forward runs uncompiled.
    * `DistributedDataParallel` may be applied before or after `attach`. Scores are estimated from the pairs of all
      processes, which must take the same number of steps.
    * With a penalty or an entropy, the extra forward records gradients (it about doubles the time and the memory of a
      step in which it is due). An entropy reads the output named `logits`, or the only one of the shape
      `(N, classes)`. Gradient checkpointing needs `use_reentrant=False`. A checkpoint of the training should have
      `state_dict()` of what `attach` returns. In a few of the steps the model also runs on the batch in other looks,
      to count channels that turned to noise: `.lost`. `.agreement` is Cohen's kappa of the predictions for clips and
      for their shuffled copies. A warning comes if either shows that the loss takes away what the labels need.
    * Your own hooks run in the extra forward, too. It does affect modules that keep state outside buffers or draw
      random numbers from other generators than torch's.

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

    >>> attached = attach(model, ["1", "3"], penalty=StaticPenalty(weight=1.0), entropy=ShuffleEntropy())
    >>> (model(video).square().mean() + attached.loss()).backward()
    """
    if penalty is not None or entropy is not None:
        if rate is not None or units is not None or options:
            raise InputError("rate, units and options are those of StaticDropout; attach it by a further call")
        return attached_loss(model, layer, penalty, entropy, layout, seed)
    bare = _unwrap(model)
    if not isinstance(layer, str):
        raise InputError(f"layer is {layer!r:.60}; expected: the name of one module, e.g. '3' or 'head.0'")
    layer_names(bare, [layer])
    seed = whole("seed", seed, least=0)
    check_layout(layout)
    module = bare.get_submodule(layer)
    hooks = module._forward_pre_hooks.values() if isinstance(module, StaticDropout) else ()
    if hasattr(module, NAME) or any(isinstance(getattr(hook, "__self__", None), Attachment) for hook in hooks):
        raise InputError(f"module {layer!r} already has a StaticDropout attached; .remove() it first")
    if isinstance(module, StaticDropout):
        if rate is not None or units is not None or options:
            raise InputError(f"module {layer!r} is already a StaticDropout; set rate, units and options there")
        return Attachment(model, layer, module, layout, seed)
    if rate is None and isinstance(module, DROPOUTS):
        rate = module.p
    if rate is None:
        raise InputError(f"module {layer!r} is {type(module).__name__}, not a dropout; pass a rate, 0 to 1")
    dropout = StaticDropout(_units_after(bare, layer) if units is None else units, rate, **options)
    dropout.to(device_and_dtype(bare)[0]).train(module.training)
    return Attachment(model, layer, dropout, layout, seed)


def _unwrap(model: nn.Module) -> nn.Module:
    """Return the module that layer names refer to; for `DataParallel` they begin with `module.`."""
    return unwrap(model, (nn.parallel.DistributedDataParallel,))


def _units_after(model: nn.Module, layer: str) -> int:
    """Return the number of input channels of the first module after a layer that declares it."""
    modules = list(model.named_modules())
    last = max(index for index, (name, _) in enumerate(modules) if f"{name}.".startswith(f"{layer}."))
    for _, module in modules[last + 1 :]:
        for width in ("in_features", "in_channels"):
            if isinstance(units := getattr(module, width, None), int):
                return units
    raise InputError(f"no module after {layer!r} declares its number of input channels; pass units=")
