"""How SlowFast and PyTorchVideo name the weights of residual networks, SlowFast, X3D and MViT.

The repository that trained most of the paper's models (facebookresearch/SlowFast) has its own code for each of them. It
computes the same as PyTorchVideo and torchvision but names its parts differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdmetrics.exporters._weights.layouts.layout import Layout, Remake, Rename, joined, thirds

if TYPE_CHECKING:
    from torch import Tensor

STEM = r"s1\.pathway0_stem\.conv\.weight"
RESNET: tuple[Rename, ...] = (
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
X3D: tuple[Rename, ...] = (
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


def _places(*places: int) -> tuple[Rename, ...]:
    """Rename the five stages and the head to the places of PyTorchVideo's blocks, some of which have no weights."""
    *stages, head = places
    return (
        *((rf"^s{stage}\.", f"blocks.{place}.") for stage, place in enumerate(stages, start=1)),
        (r"^head\.", f"blocks.{head}."),
    )


ONE: Rename = (r"\.pathway0\.", ".")
TWO: Rename = (r"\.pathway(\d)\.", r".multipathway_blocks.\1.")


def _folded(
    convolution: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Sequence[Tensor]:
    """Fold the BatchNorm of a shortcut: its scale into the convolution before it, its shift into the other branch."""
    scale = weight / (variance + 1e-5).sqrt()
    return convolution * scale.reshape(-1, 1, 1, 1, 1), shift + bias - mean * scale


# X3D's first stage keeps its width. SlowFast normalises the shortcut there, PyTorchVideo does not. The sum of the two
# branches stays the same.
SHORTCUT = Remake(
    (
        r"(.*)\.branch1_conv\.weight",
        r"\1.branch2.norm_c.bias",
        *(rf"\1.branch1_norm.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
    ),
    (r"\1.branch1_conv.weight", r"\1.branch2.norm_c.bias"),
    _folded,
)


def _flat(token: Tensor) -> Sequence[Tensor]:
    return (token.flatten(),)


def _first(tokens: Tensor) -> Sequence[Tensor]:
    return (tokens[0],)


SPLIT = Remake((r"(.*\.attn)\.qkv\.(.*)",), (r"\1.q.\2", r"\1.k.\2", r"\1.v.\2"), thirds)
JOIN = Remake((r"(.*\.attn)\.q\.(.*)", r"\1.k.\2", r"\1.v.\2"), (r"\1.qkv.\2",), joined)
TO_TORCHVISION: tuple[Rename | Remake, ...] = (
    JOIN,
    # torchvision's position codes have no axis for the batch, and its class tokens none for the tokens.
    Remake((r"cls_token",), ("pos_encoding.class_token",), _flat),
    Remake((r"pos_embed_class",), ("pos_encoding.class_pos",), _flat),
    Remake((r"pos_embed_(spatial|temporal)",), (r"pos_encoding.\1_pos",), _first),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
    (r"\.attn\.proj\.", ".attn.project.0."),
    (r"\.attn\.(pool_[qkv])\.", r".attn.\1.pool."),
    (r"\.attn\.norm_([qkv])\.", r".attn.pool_\1.norm_act.0."),
    (r"^(blocks\.\d+)\.proj\.", r"\1.project."),
    (r"^head\.projection\.", "head.1."),
)

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "SlowFast's X3D", STEM, r"blocks\.5\.pool\.pre_conv\.weight", (*X3D, *_places(0, 1, 2, 3, 4, 5), ONE, SHORTCUT)
    ),
    Layout(
        "SlowFast's SlowFast",
        r"s1\.pathway1_stem\.conv\.weight",
        r"blocks\.0\.multipathway_blocks\.1\.conv\.weight",
        (*RESNET, *_places(0, 1, 2, 3, 4, 6), TWO),
    ),
    # Time is halved after the first stage, by a block of its own.
    Layout("SlowFast's C2D and I3D", STEM, r"blocks\.6\.proj\.weight", (*RESNET, *_places(0, 1, 3, 4, 5, 6), ONE)),
    Layout("SlowFast's Slow", STEM, r"blocks\.5\.proj\.weight", (*RESNET, *_places(0, 1, 2, 3, 4, 5), ONE)),
    # Both versions of MViT. torchvision's Swin calls its own patches `patch_embed.proj`.
    Layout("SlowFast's MViT", r"patch_embed\.proj\.weight", r"conv_proj\.weight", TO_TORCHVISION),
    Layout(
        "PyTorchVideo's MViT",
        r"patch_embed\.patch_model\.weight",
        r"conv_proj\.weight",
        (
            (r"^patch_embed\.patch_model\.", "patch_embed.proj."),
            (r"^cls_positional_encoding\.", ""),
            (r"^norm_embed\.", "norm."),
            (r"^head\.proj\.", "head.projection."),
            *TO_TORCHVISION,
        ),
    ),
    Layout(
        "SlowFast's MViT, for PyTorchVideo",
        r"patch_embed\.proj\.weight",
        r"patch_embed\.patch_model\.weight",
        (
            (r"^patch_embed\.proj\.", "patch_embed.patch_model."),
            (r"^(cls_token|pos_embed.*)$", r"cls_positional_encoding.\1"),
            (r"^norm\.", "norm_embed."),
            (r"^head\.projection\.", "head.proj."),
            SPLIT,
        ),
    ),
)
