"""Find the weights in a checkpoint: the entry that holds them, and the prefix of their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics._text import printable
from sdmetrics.errors import InputError, note
from sdmetrics.exporters._weights.layouts.table import translated

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

TRAINING = re.compile(
    r"optim|sched|scaler|loss|criterion|metric|predictor|^opt$|(^|_)(amp|rng|args|hyper|callbacks|loops)", re.I
)
"""Entries that training code stores beside the weights."""

WRAPPERS = ("module.", "model.", "backbone.")
"""Prefixes that wrappers add to all names: DataParallel; SlowFast around PyTorchVideo, and Lightning; V-JEPA 2
around its encoder."""

EVALUATED = {"encoder": ("target_encoder", "ema_encoder")}
"""Moving averages that the authors themselves evaluate, by the entry beside them: those of V-JEPA 2."""

INSIDE = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch adds anywhere in names, around parts that are compiled, sharded or computed twice."""

DEPTH = 3
"""How deep entries are looked for: `{"ema": {"module": {...}}}` is two deep."""

TRIED = 16
"""Prefixes that are tried, from the most frequent on."""

SHOWN = 3


def held_weights(content: object, source: str, holder: str | None = None) -> dict[str, Tensor]:
    """Return the weights in the content of a file, without the prefixes of wrappers.

    Parameters
    ----------
    content
        What the file contains.
    source
        How messages refer to it.
    holder
        The entry that holds the weights, `"model_ema"` or `"ema.module"`, or the prefix of their names. Default: the
        only entry with weights.

    Raises
    ------
    InputError
        If there are no weights, no such holder, or several and none is named.

    Examples
    --------
    >>> import torch
    >>> weights = {"module.fc.bias": torch.zeros(2)}
    >>> held_weights({"model": weights, "model_ema": weights}, "my.pth")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: my.pth holds weights in several places: model (1 tensors), model_ema (1 tensors). \
Choose one: --holder model
    >>> held_weights({"model": weights, "model_ema": weights}, "my.pth", holder="model_ema")
    {'fc.bias': tensor([0., 0.])}
    """
    from torch import Tensor

    found = dict(_entries(content)) if isinstance(content, Mapping) else {}
    if holder is not None and holder not in found:
        return _below_named([*found.items()] or [("", content)], holder, source)
    if isinstance(content, Mapping) and _tensors(content):
        found[""] = content
    most = max(map(_tensors, found.values()), default=0)
    large = [name for name, held in found.items() if 2 * _tensors(held) >= most]
    for trained, averages in EVALUATED.items():
        if trained in large and (better := next((name for name in averages if name in large), None)):
            large = [name for name in large if name not in (trained, *averages) or name == better]
    if holder is None and len(large) > 1:
        listed = ", ".join(
            f"{printable(name) or 'the file itself'} ({_tensors(found[name])} tensors)" for name in large
        )
        raise InputError(
            f"{source} holds weights in several places: {listed}. Choose one: --holder {printable(large[0])}"
        )
    chosen = holder or (large[0] if large else "")
    held = found.get(chosen, content)
    if isinstance(held, Mapping) and held:
        weights = {name: value for name, value in held.items() if isinstance(name, str) and isinstance(value, Tensor)}
        if len(weights) == len(held):
            if holder is None and (small := [name or "tensors beside it" for name in found if name not in large]):
                note(f"{source}: the weights are those of {printable(chosen)}; left out: {printable(', '.join(small))}")
            return _unwrapped(weights)
        others = [f"{name} ({type(value).__name__})" for name, value in held.items() if name not in weights]
        what = ", ".join(map(printable, others[:SHOWN]))
    else:
        what = "nothing" if isinstance(held, Mapping) else f"a {type(held).__name__}"
    raise InputError(
        f"{source} is not a checkpoint: expected a mapping of tensors, found {what}. Save the weights with "
        "torch.save(model.state_dict(), ...)"
    )


def under_best_prefix(state: State, expected: State, source: str) -> dict[str, Tensor]:
    """Return the weights below the prefix that gives most of them the names and shapes that a module expects.

    Raises
    ------
    InputError
        If two prefixes fit alike, such as those of a model and of its moving average.

    Examples
    --------
    >>> import torch
    >>> state = {"net.fc.bias": torch.zeros(2), "loss.weight": torch.zeros(3)}
    >>> under_best_prefix(state, {"fc.bias": torch.zeros(2)}, "my.ckpt")
    {'fc.bias': tensor([0., 0.])}
    """
    bare = _fitting(state, expected)
    if bare == len(expected):
        return dict(state)
    counts = Counter(prefix for name in state for prefix in _prefixes(name))
    fitting = {prefix: _fitting(_below(state, prefix), expected) for prefix, _ in counts.most_common(TRIED)}
    most = max(fitting.values(), default=0)
    if most <= bare or 2 * most < len(expected):
        return dict(state)
    best, *others = [prefix for prefix, count in fitting.items() if count == most]
    if others:
        names = ", ".join(printable(prefix) for prefix in (best, *others))
        raise InputError(
            f"{source} has weights below several prefixes: {names}. Choose one: --holder {printable(best[:-1])}"
        )
    return _below(state, best)


def _prefixes(name: str) -> list[str]:
    """Return the prefixes of a name, with their dots."""
    parts = name.split(".")[:-1]
    return [".".join(parts[:depth]) + "." for depth in range(1, min(len(parts), DEPTH) + 1)]


def _below(state: State, prefix: str) -> dict[str, Tensor]:
    """Return the weights whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _fitting(state: State, expected: State) -> int:
    """Return how many weights of a module have their name and shape in a checkpoint."""
    try:
        given, _ = translated(state, expected)
    except Exception:  # names that are not the model's may break any rename
        return 0
    return sum(name in given and given[name].shape == tensor.shape for name, tensor in expected.items())


def _below_named(found: Sequence[tuple[str, object]], holder: str, source: str) -> dict[str, Tensor]:
    """Return the weights whose names begin with the prefix `holder`."""
    from torch import Tensor

    pools = [held for _, held in found if isinstance(held, Mapping)]
    states = [{name: value for name, value in pool.items() if isinstance(value, Tensor)} for pool in pools]
    below = [inner for state in states if (inner := _below(state, f"{holder}."))]
    if len(below) == 1:
        return _unwrapped(below[0])
    known = [
        *(name for name, _ in found if name),
        *dict.fromkeys(prefix[:-1] for state in states for name in state for prefix in _prefixes(name)[:1]),
    ]
    raise InputError(
        f"{source} has {'several' if below else 'no'} weights in {printable(holder)!r}; allowed: "
        f"{printable(', '.join(known[:8])) or 'nothing, leave --holder out'}"
    )


def _unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without what wrappers add to names."""
    bare = {INSIDE.sub("", name): tensor for name, tensor in weights.items()}
    weights = bare if len(bare) == len(weights) else weights
    while wrapper := next((w for w in WRAPPERS if all(name.startswith(w) for name in weights)), None):
        weights = _below(weights, wrapper)
    return weights


def _entries(content: Mapping[Any, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield the entries that hold tensors, by their path."""
    for key, value in content.items():
        if not isinstance(key, str) or TRAINING.search(key) or not isinstance(value, Mapping):
            continue
        inner = f"{path}{key}"
        if _tensors(value):
            yield inner, value
        elif depth + 1 < DEPTH:
            yield from _entries(value, f"{inner}.", depth + 1)


def _tensors(held: Mapping[Any, Any]) -> int:
    """Return the number of tensors in an entry."""
    from torch import Tensor

    return sum(isinstance(value, Tensor) for value in held.values())
