"""Rename SlowFast's parameters to the names of the libraries that build the catalogue's modules.

The repository that trained most of the paper's models (facebookresearch/SlowFast) has its own code for each of them. It
computes the same as PyTorchVideo and torchvision but names its parts differently.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sdmetrics.exporters._weights import rename_segmenters
from sdmetrics.exporters._weights.rename_segmenters import Renames
from sdmetrics.exporters.architectures import vistr

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

RESNET: Renames = (
    (r"_stem\.", "."),
    (r"_res(\d+)\.", r".res_blocks.\1."),
    (r"\.branch1\.", ".branch1_conv."),
    (r"\.branch1_bn\.", ".branch1_norm."),
    (r"\.branch2\.([abc])\.", r".branch2.conv_\1."),
    (r"\.branch2\.([abc])_bn\.", r".branch2.norm_\1."),
    (r"^(s\d)_fuse\.conv_f2s\.", r"\1.multipathway_fusion.conv_fast_to_slow."),
    (r"^(s\d)_fuse\.bn\.", r"\1.multipathway_fusion.norm."),
    (r"^(s1\.pathway\d)\.bn\.", r"\1.norm."),
    (r"^head\.projection\.", "head.proj."),
)
X3D: Renames = (
    # The stem convolves over space, then over time. PyTorchVideo calls the second `conv_xy` and the first `conv_t`.
    (r"_stem\.conv\.", "_stem.conv.conv_xy."),
    (r"_stem\.conv_xy\.", "_stem.conv.conv_t."),
    (r"\.branch2\.b_bn\.", ".branch2.norm_b.0."),
    (r"\.branch2\.se\.fc1\.", ".branch2.norm_b.1.block.0."),
    (r"\.branch2\.se\.fc2\.", ".branch2.norm_b.1.block.2."),
    (r"^head\.conv_5\.", "head.pool.pre_conv."),
    (r"^head\.conv_5_bn\.", "head.pool.pre_norm."),
    (r"^head\.lin_5\.", "head.pool.post_conv."),
    *RESNET,
)
MVIT: Renames = (
    (r"^patch_embed\.proj\.", "patch_embed.patch_model."),
    (r"^(cls_token|pos_embed.*)$", r"cls_positional_encoding.\1"),
    (r"^norm\.", "norm_embed."),
    (r"^head\.projection\.", "head.proj."),
)
MVIT_TORCHVISION: Renames = (
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^cls_token$", "pos_encoding.class_token"),
    (r"^pos_embed_(spatial|temporal|class)$", r"pos_encoding.\1_pos"),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
    (r"\.attn\.proj\.", ".attn.project.0."),
    (r"\.attn\.(pool_[qkv])\.", r".attn.\1.pool."),
    (r"\.attn\.norm_([qkv])\.", r".attn.pool_\1.norm_act.0."),
    (r"^(blocks\.\d+)\.proj\.", r"\1.project."),
    (r"^head\.projection\.", "head.1."),
)


def translated(state: State, names: Collection[str]) -> dict[str, Tensor]:
    """Return a checkpoint's weights under a module's names. Weights of an unknown layout keep their names.

    Parameters
    ----------
    state
        The weights by their names in the file, by which SlowFast's layout is recognised.
    names
        The names of the module's own weights, from PyTorchVideo or torchvision.

    Examples
    --------
    >>> names = ["conv_proj.weight", "head.1.weight"]
    >>> list(translated({"patch_embed.proj.weight": 0, "head.projection.weight": 1}, names))
    ['conv_proj.weight', 'head.1.weight']
    """
    if "s1.pathway0_stem.conv.weight" in state:
        places = sorted({int(name.split(".")[1]) for name in names if name.startswith("blocks.")})
        # A stem, four stages and a head; these weights do not fit a module of another kind.
        return _convolutional(state, names, places) if len(places) == 6 else dict(state)
    if "queries.weight" in names and any(name.endswith("query_embed.weight") for name in state):
        return vistr.translated(state)
    if "appearance.stem.0.weight" in names:
        return rename_segmenters.translated(state)
    # torchvision's Swin uses the same name for its own patches.
    mvit = "patch_embed.proj.weight" in state and "patch_embed.proj.weight" not in names
    if mvit and "conv_proj.weight" in names:
        renamed = {_renamed(name, MVIT_TORCHVISION): tensor for name, tensor in state.items()}
        # torchvision's position codes have no axis for the batch, and its class tokens none for the tokens.
        return {name: tensor.squeeze() if "pos_encoding." in name else tensor for name, tensor in renamed.items()}
    if mvit:
        state = {_renamed(name, MVIT): tensor for name, tensor in state.items()}
    return _split_projections(state, names)


def rgb_first(state: State, configuration: object) -> dict[str, Tensor]:
    r"""Return weights for RGB frames, as SlowFast's models of Something-Something read BGR.

    Parameters
    ----------
    state
        The weights by name.
    configuration
        The content of the file under `cfg`: SlowFast's configuration as YAML, or anything else.

    Examples
    --------
    >>> import torch
    >>> stem = {"stem.weight": torch.arange(3.0).reshape(1, 3, 1, 1, 1)}
    >>> rgb_first(stem, "DATA:\n  REVERSE_INPUT_CHANNEL: true")["stem.weight"].flatten().tolist()
    [2.0, 1.0, 0.0]
    """
    if not (isinstance(configuration, str) and re.search(r"REVERSE_INPUT_CHANNEL: true", configuration, re.I)):
        return dict(state)
    return {
        name: tensor.flip(1) if tensor.ndim == 5 and tensor.shape[1] == 3 else tensor for name, tensor in state.items()
    }


def _renamed(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _convolutional(state: State, names: Collection[str], places: Sequence[int]) -> dict[str, Tensor]:
    """Rename the weights of C2D, I3D, Slow, SlowFast and X3D."""
    renames = X3D if "s1.pathway0_stem.conv_xy.weight" in state else RESNET
    two = "s1.pathway1_stem.conv.weight" in state
    steps = (
        *renames,
        *((rf"^s{stage}\.", f"blocks.{place}.") for stage, place in enumerate(places[:-1], start=1)),
        (r"^head\.", f"blocks.{places[-1]}."),
        (r"\.pathway(\d)\.", r".multipathway_blocks.\1." if two else "."),
    )
    return _fold_shortcuts({_renamed(name, steps): tensor for name, tensor in state.items()}, names)


def _fold_shortcuts(state: dict[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    """Fold the BatchNorm of a shortcut into its neighbours if the module has no such BatchNorm.

    X3D's first stage keeps its width. SlowFast normalises the shortcut there, PyTorchVideo does not. The sum of the two
    branches is unchanged: the scale is folded into the shortcut's convolution, the shift into the other branch's norm.
    """
    for name in [name for name in state if name.endswith(".branch1_norm.weight") and name not in names]:
        block = name.removesuffix(".branch1_norm.weight")
        parts = [f"{block}.branch1_norm.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        neighbours = [f"{block}.branch1_conv.weight", f"{block}.branch2.norm_c.bias"]
        if not state.keys() >= {*parts, *neighbours}:
            continue
        weight, bias, mean, variance = (state.pop(part) for part in parts)
        state.pop(f"{block}.branch1_norm.num_batches_tracked", None)
        scale = weight / (variance + 1e-5).sqrt()
        convolution, shift = neighbours
        state[convolution] = state[convolution] * scale.reshape(-1, 1, 1, 1, 1)
        state[shift] = state[shift] + bias - mean * scale
    return state


def _split_projections(state: State, names: Collection[str]) -> dict[str, Tensor]:
    """Split the joint projection of queries, keys and values into three if the module has three."""
    split: dict[str, Tensor] = {}
    for name, tensor in state.items():
        parts = [name.replace(".attn.qkv.", f".attn.{part}.") for part in "qkv"]
        if name not in names and parts[0] in names and tensor.ndim and len(tensor) % 3 == 0:
            split |= dict(zip(parts, tensor.chunk(3), strict=True))
        else:
            split[name] = tensor
    return split
