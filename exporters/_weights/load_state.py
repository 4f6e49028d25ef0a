"""Load weights into a module, all of them or none, and report every mismatch by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdmetrics._text import printable
from sdmetrics.errors import InputError, note, one_line
from sdmetrics.exporters._weights.holders import under_best_prefix
from sdmetrics.exporters._weights.layouts.table import translated
from sdmetrics.exporters.architectures.transformers import SOURCES
from sdmetrics.exporters.architectures.transformers_source import fed_for

if TYPE_CHECKING:
    from torch import nn

    from sdmetrics.exporters.architectures.architecture import Architecture, State
    from sdmetrics.probes.inputs import ModelInput

# BatchNorm counts its training batches in it. Inference never reads it, and old checkpoints do not have it.
# The last is the counter of torch's moving average of weights.
HARMLESS = ("num_batches_tracked", "n_averaged")
SHOWN = 3


def fit(module: nn.Module, state: State, source: str) -> list[str]:
    """Load weights into a module, and return the names that are left out: of parts that the module does not have.

    Parameters
    ----------
    module
        The module, which is unchanged if the weights do not fit.
    state
        The weights by name, in the module's layout or in one of the table.
    source
        How errors refer to the weights: their file or address.

    Raises
    ------
    InputError
        If a parameter is missing, unexpected in a part that the module has, of another shape, or of whole numbers; the
        message names each, with the shapes. Further parts, such as a loss with weights, are left out only if everything
        else fits.

    Examples
    --------
    >>> import torch
    >>> fit(torch.nn.Linear(3, 2), {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, "my.pth")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: my.pth does not fit the architecture. Of another shape: weight (2, 4), expected \
(2, 3). Choose the architecture that these weights were trained as: sdmetrics export --list
    """
    expected = module.state_dict()
    given, _ = translated(state, expected)
    shared = expected.keys() & given.keys()
    problems = {
        "Of another shape": [
            f"{name} {_shape(given, name)}, expected {_shape(expected, name)}"
            for name in expected
            if name in shared and given[name].shape != expected[name].shape
        ],
        "Whole numbers, as of quantised weights": [
            f"{name} {str(given[name].dtype).removeprefix('torch.')}"
            for name in expected
            if name in shared and expected[name].is_floating_point() and not given[name].is_floating_point()
        ],
        "Missing": [f"{name} {_shape(expected, name)}" for name in _essential(expected) if name not in shared],
        "Unexpected": [f"{name} {_shape(given, name)}" for name in _essential(given) if name not in shared],
    }
    parts = {name.partition(".")[0] for name in expected}
    beside = [name for name in _essential(given) if name.partition(".")[0] not in parts]
    if any(problems.values()) and (len(problems["Unexpected"]) > len(beside) or any([*problems.values()][:3])):
        raise InputError(
            f"{source} does not fit the architecture. {listed(problems)}. Choose the architecture that these weights "
            "were trained as: sdmetrics export --list"
        )
    module.load_state_dict({name: given[name] for name in shared}, strict=False)
    return beside


def listed(problems: Mapping[str, Sequence[str]]) -> str:
    """Summarise in one line what does not fit: the first few names of every kind, and the number of further ones.

    Examples
    --------
    >>> listed({"Missing": ["a", "b", "c", "d"], "Unexpected": []})
    'Missing: a; b; c; and 1 more'
    """
    parts = []
    for problem, names in problems.items():
        more = len(names) - SHOWN
        if names:
            parts.append(
                f"{problem}: {printable('; '.join(names[:SHOWN]))}" + (f"; and {more} more" if more > 0 else "")
            )
    return ". ".join(parts)


def build_fitted(architecture: Architecture, state: State, source: str) -> tuple[nn.Module, tuple[ModelInput, ...]]:
    """Build an architecture with the number of classes of the weights, and load them.

    Returns the module and how it is fed: as the owner of the weights feeds it, where their layout says so.

    Raises
    ------
    InputError
        If they do not fit; see `fit`.
    """
    import torch

    # Of models of Transformers, which come in all sizes, only the names are needed.
    sized = architecture.name in SOURCES
    try:
        with torch.device("meta" if sized else "cpu"):
            module = architecture.build(architecture.inputs, architecture.classes)
        expected = module.state_dict()
        whole, state = state, under_best_prefix(state, expected, source)
        given, layout = translated(state, expected)
        options = layout.options(state) if layout else {}
        # The classifier is the last part of every module in the catalogue that has classes.
        *_, classifier = dict(module.named_parameters())
        head = given.get(classifier) if architecture.classes else None
        found = len(head) if head is not None and head.ndim == 1 and len(head) else architecture.classes
        classes = options.pop("classes", found)
        if sized or options or classes != architecture.classes:
            module = _sized(architecture, classes, options, source)
        beside = fit(module, state, source)
    except InputError as error:
        raise InputError(f"{architecture.name}: {error}") from None
    kept = {id(tensor) for tensor in state.values()}
    if left := [*(name for name, tensor in whole.items() if id(tensor) not in kept), *beside]:
        note(
            f"{source}: {len(left)} of {len(whole)} tensors are no part of {architecture.name} and are left out: "
            f"{printable(', '.join(left[:SHOWN]))}{', …' if len(left) > SHOWN else ''}"
        )
    for said in layout.said(state) if layout else ():
        note(f"{source}: {said}")
    fed = layout.fed if layout else {}
    fitted: nn.Module = module.eval()
    inputs = tuple(replace(each, **fed) for each in architecture.inputs)
    if sized:
        inputs = tuple(fed_for(SOURCES[architecture.name], each, classes, source) for each in inputs)
    return fitted, inputs


def _sized(architecture: Architecture, classes: int, options: Mapping[str, Any], source: str) -> nn.Module:
    """Build a module of the sizes that weights have."""
    build: Any = architecture.build
    try:
        module: nn.Module = build(architecture.inputs, classes, **options)
    except InputError:
        raise
    except Exception as error:
        if not options:
            raise
        raise InputError(f"the weights in {source} have sizes of no model: {printable(one_line(error))}") from None
    return module


def _essential(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.endswith(HARMLESS)]


def _shape(state: State, name: str) -> str:
    return str(tuple(state[name].shape))
