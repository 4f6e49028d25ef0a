r"""The table of all layouts, and the one function that applies it.

How to add a layout: write a `Layout` in a file of its owner in this folder, and add that file's `LAYOUTS` to the table.

* `given` is the name of a weight that files of this layout have and the module does not; `wanted` is the name of a
  weight that the module has and modules of other kinds do not.
* `steps` are applied in order. A rename `(pattern, replacement)` goes to `re.sub` for every name. A `Remake` computes
  tensors from others: `Remake((r"(.*)\.qkv\.(.*)",), (r"\1.q.\2", r"\1.k.\2", r"\1.v.\2"), thirds)` splits,
  `Remake((r"(.*)\.q\.(.*)", r"\1.k.\2", r"\1.v.\2"), (r"\1.qkv.\2",), joined)` merges, and any function of tensors that
  returns a sequence of tensors reshapes. Its first source is matched against whole names.
* `fed` has the fields of `ModelInput` in which the owner feeds the module otherwise than the catalogue's row:
  `fed={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}`.
* For networks of many sizes, `row` and `sizes` tell how one is built for given weights: see VideoMAE's.
* Layouts are tried from the first to the last, and each that recognises the weights is applied to what the ones before
  made of them. So a layout may end in the names of another that comes after it. The first one is the owner.
* Prefixes of all names, such as `module.` and `backbone.`, are gone before the table is asked: where only some names
  have one (`backbone.`, `cls_head.`), the layout's first steps take it off.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sdmetrics.exporters._weights.layouts import mmaction2, segmenters, slowfast, vision_transformers
from sdmetrics.exporters._weights.layouts.layout import Layout

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

LAYOUTS: tuple[Layout, ...] = (
    *mmaction2.LAYOUTS,
    *slowfast.LAYOUTS,
    *segmenters.LAYOUTS,
    *vision_transformers.LAYOUTS,
)


def translated(state: State, names: Collection[str]) -> tuple[dict[str, Tensor], Layout | None]:
    """Return a checkpoint's weights under a module's names, and their layout; those of an unknown one stay.

    Parameters
    ----------
    state
        The weights by their names in the file, by which the layout is recognised.
    names
        The names of the module's own weights.

    Raises
    ------
    InputError
        If they are of a layout that is known not to fit.

    Examples
    --------
    >>> names = ["conv_proj.weight", "head.1.weight"]
    >>> weights, layout = translated({"patch_embed.proj.weight": 0, "head.projection.weight": 1}, names)
    >>> list(weights), layout.owner
    (['conv_proj.weight', 'head.1.weight'], "SlowFast's MViT")
    """
    owner = None
    found = dict(state)
    for layout in LAYOUTS:
        if layout.recognises(found, names):
            owner = owner or layout
            found = layout.applied(found, names)
    return found, owner
