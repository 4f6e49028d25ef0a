"""Layout: how one repository names the weights of a module, and how these names become the module's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

Rename = tuple[str, str]
"""A regular expression that is searched in every name, and its replacement."""


@dataclass(frozen=True)
class Remake:
    r"""Tensors that are computed from others: split, merged, or reshaped.

    Nothing is done where a source is absent or of an unexpected shape, or where the module has all sources itself.

    Parameters
    ----------
    sources
        A regular expression of a whole name, then the names of further tensors in terms of its groups.
    targets
        The names of the results, in terms of its groups.
    make
        Computes the results from the sources.

    Examples
    --------
    >>> import torch
    >>> join = Remake((r"(.*)\.q_bias", r"\1.v_bias"), (r"\1.bias",), lambda q, v: (torch.cat([q, 0 * q, v]),))
    >>> join.applied({"attn.q_bias": torch.ones(1), "attn.v_bias": torch.ones(1)}, [])
    {'attn.bias': tensor([1., 0., 1.])}
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    make: Callable[..., Sequence[Tensor]]

    def applied(self, state: State, names: Collection[str]) -> dict[str, Tensor]:
        """Return the weights after this step; `names` are the module's own."""
        found = dict(state)
        for name in state:
            match = re.fullmatch(self.sources[0], name)
            sources = [name, *(match.expand(source) for source in self.sources[1:])] if match else []
            if not match or not found.keys() >= {*sources} or all(source in names for source in sources):
                continue
            try:
                made = self.make(*(found[source] for source in sources))
            # A tensor of another number of axes or of another length; it keeps its name, by which it is reported.
            except (RuntimeError, IndexError):
                continue
            if len(made) == len(self.targets):
                targets = [match.expand(target) for target in self.targets]
                found = {key: tensor for key, tensor in found.items() if key not in sources}
                found |= dict(zip(targets, made, strict=True))
        return found


@dataclass(frozen=True)
class Layout:
    r"""How one repository names the weights of a kind of module.

    Parameters
    ----------
    owner
        The repository.
    given
        A regular expression of a whole name by which a file of this layout is recognised.
    wanted
        A regular expression of a whole name by which a module is recognised that the steps lead to.
    steps
        What is done one after the other: renames of all names, and tensors that are split, merged or reshaped.
    unused
        A regular expression that is searched in names: weights that the owner's code saves and never uses.
    left_out
        A regular expression that is searched in names, and words: weights of parts that the module does not have, and
        what is said about them after their number.
    refusal
        Why weights of this layout cannot fit; empty if they can.
    fed
        Fields of `ModelInput` that its owner feeds in another way than the catalogue, such as `mean` and `std`.
    row, sizes
        For networks of many sizes: the catalogue's row that builds them, and what returns the options of its builder
        for given weights, with the number of `classes`, 0 without a head.
    widths
        For transformers: the widths whose number of attention heads is known. No shape tells it.
    assumed
        What is said about such weights after "the weights".

    Examples
    --------
    >>> layout = Layout("someone", r"net\.fc\.weight", r"head\.weight", ((r"^net\.fc\.", "head."),))
    >>> layout.recognises({"net.fc.weight": 0}, ["head.weight"])
    True
    >>> layout.applied({"net.fc.weight": 0}, ["head.weight"])
    {'head.weight': 0}
    """

    owner: str
    given: str
    wanted: str
    steps: tuple[Rename | Remake, ...] = ()
    unused: str = ""
    left_out: tuple[str, str] = ("", "")
    refusal: str = ""
    fed: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""
    sizes: Callable[[State], Mapping[str, Any]] | None = None
    widths: Collection[int] = ()
    assumed: str = ""

    def recognises(self, state: State, names: Collection[str]) -> bool:
        """Return whether the weights are of this layout, and a module with these names is what they become."""
        return any(re.fullmatch(self.wanted, name) for name in names) and any(
            re.fullmatch(self.given, name) and name not in names for name in state
        )

    def applied(self, state: State, names: Collection[str]) -> dict[str, Tensor]:
        """Return the weights under the module's names.

        Raises
        ------
        InputError
            If they are known not to fit.
        """
        if self.refusal:
            raise InputError(self.refusal)
        outside = [pattern for pattern in (self.unused, self.left_out[0]) if pattern]
        found = {name: tensor for name, tensor in state.items() if not any(re.search(each, name) for each in outside)}
        for step in self.steps:
            found = step.applied(found, names) if isinstance(step, Remake) else _renamed(found, *step)
        return found

    def options(self, state: State) -> dict[str, Any]:
        """Return the options of the row's builder, or none for weights of other shapes.

        Raises
        ------
        InputError
            If they are known not to fit.
        """
        try:
            return dict(self.sizes(state)) if self.sizes else {}
        except InputError:
            raise
        except (KeyError, ValueError, TypeError):
            return {}

    def said(self, state: State) -> list[str]:
        """Return in words what is left out of these weights, and what is assumed about them."""
        pattern, words = self.left_out
        count = sum(bool(pattern and re.search(pattern, name)) for name in state)
        said = [f"the {count} weights {words}"] * bool(count) + [f"the weights {self.assumed}"] * bool(self.assumed)
        options = self.options(state) if self.widths else {}
        if options and options["hidden_size"] not in self.widths:
            said.append(
                f"the weights do not say how many attention heads their network has, and their width, "
                f"{options['hidden_size']}, is of no known one; {options['num_attention_heads']} heads are assumed"
            )
        return said


def _renamed(state: State, pattern: str, replacement: str) -> dict[str, Tensor]:
    """Rename weights; one whose new name is already taken keeps its own."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = re.sub(pattern, replacement, name)
        found[name if new in found else new] = tensor
    return found


def thirds(joint: Tensor) -> Sequence[Tensor]:
    """Split the joint projection of queries, keys and values.

    Examples
    --------
    >>> import torch
    >>> thirds(torch.arange(3))
    (tensor([0]), tensor([1]), tensor([2]))
    """
    return joint.chunk(3)


def joined(*parts: Tensor) -> Sequence[Tensor]:
    """Join the projections of queries, keys and values.

    Examples
    --------
    >>> import torch
    >>> joined(torch.zeros(1), torch.ones(1))
    (tensor([0., 1.]),)
    """
    import torch

    return (torch.cat(parts),)
