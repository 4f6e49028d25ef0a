"""How mmaction2 names the weights of its video classifiers, and how it feeds them.

Each is fed as in the `val_pipeline` of its configuration, a single clip and a single crop, where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdmetrics.exporters._weights.layouts.layout import Layout, Remake, Rename
from sdmetrics.exporters._weights.layouts.slowfast import SHORTCUT
from sdmetrics.exporters._weights.layouts.vision_transformers import HEADS, videomae_sizes

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CROPPED: dict[str, Any] = {"resize": 256, "size": (224, 224), "fps": None}

HEAD = r"cls_head\.fc_cls\.weight"
BOTTLENECKS: tuple[Rename, ...] = (
    (r"^(backbone(\.\w+_path)?)\.conv1\.conv\.", r"\1.stem.conv."),
    (r"^(backbone(\.\w+_path)?)\.conv1\.bn\.", r"\1.stem.norm."),
    (r"\.layer([1-4])\.(\d+)\.", r".layer\1.res_blocks.\2."),
    (r"\.downsample\.conv\.", ".branch1_conv."),
    (r"\.downsample\.bn\.", ".branch1_norm."),
    *((rf"\.conv{n}\.conv\.", f".branch2.conv_{part}.") for n, part in enumerate("abc", start=1)),
    *((rf"\.conv{n}\.bn\.", f".branch2.norm_{part}.") for n, part in enumerate("abc", start=1)),
)


def _places(above: str, *below: str) -> tuple[Rename, ...]:
    """Rename stem and stages to the places of PyTorchVideo's blocks; `below` are the paths inside of a block."""
    inner = "".join(f".{part}" for part in below)
    stages = ((rf"^{above}\.layer{number}\.", f"blocks.{number}{inner}.") for number in range(1, 5))
    return ((rf"^{above}\.stem\.", f"blocks.0{inner}."), *stages)


def _with_time(kernel: Tensor) -> Sequence[Tensor]:
    """Give a kernel of two axes one of a single frame."""
    return (kernel.unsqueeze(2) if kernel.ndim == 4 else kernel,)


def _pointwise(matrix: Tensor) -> Sequence[Tensor]:
    """Make a convolution over single positions of a matrix."""
    return (matrix[:, :, None, None, None],)


def _slow_first(matrix: Tensor) -> Sequence[Tensor]:
    """Put the slow pathway's columns first: mmaction2 puts the fast one's ninth before them."""
    fast = matrix.shape[1] // 9
    return (matrix.roll(-fast, 1),)


RECOGNIZER: tuple[Rename | Remake, ...] = (
    Remake((r"(backbone\..*\.conv(\.net)?)\.weight",), (r"\1.weight",), _with_time),
    *BOTTLENECKS,
    *((rf"^backbone\.layer{number}\.", f"backbone.res{number + 1}.") for number in range(1, 5)),
)
SLOWONLY: tuple[Rename, ...] = (*BOTTLENECKS, *_places("backbone"), (r"^cls_head\.fc_cls\.", "blocks.5.proj."))
LATERAL = "multipathway_fusion.conv_fast_to_slow"
SLOWFAST: tuple[Rename | Remake, ...] = (
    Remake((HEAD,), ("blocks.6.proj.weight",), _slow_first),
    (r"^cls_head\.fc_cls\.", "blocks.6.proj."),
    (r"^backbone\.slow_path\.conv1_lateral\.conv\.", rf"blocks.0.{LATERAL}."),
    (r"^backbone\.slow_path\.layer(\d)_lateral\.conv\.", rf"blocks.\1.{LATERAL}."),
    *BOTTLENECKS,
    *_places(r"backbone\.slow_path", "multipathway_blocks", "0"),
    *_places(r"backbone\.fast_path", "multipathway_blocks", "1"),
)
X3D: tuple[Rename | Remake, ...] = (
    Remake((r"cls_head\.fc1\.weight",), ("blocks.5.pool.post_conv.weight",), _pointwise),
    (r"^cls_head\.fc2\.", "blocks.5.proj."),
    # PyTorchVideo calls the convolution over space `conv_t` and the one over time `conv_xy`.
    (r"^backbone\.conv1_s\.conv\.", "blocks.0.conv.conv_t."),
    (r"^backbone\.conv1_t\.conv\.", "blocks.0.conv.conv_xy."),
    (r"^backbone\.conv1_t\.bn\.", "blocks.0.norm."),
    (r"^backbone\.conv5\.conv\.", "blocks.5.pool.pre_conv."),
    (r"^backbone\.conv5\.bn\.", "blocks.5.pool.pre_norm."),
    (r"\.conv2\.bn\.", ".branch2.norm_b.0."),
    (r"\.se_module\.fc1\.", ".branch2.norm_b.1.block.0."),
    (r"\.se_module\.fc2\.", ".branch2.norm_b.1.block.2."),
    *BOTTLENECKS,
    *_places("backbone"),
    SHORTCUT,
)

SWIN: tuple[Rename, ...] = (
    (r"^backbone\.", ""),
    *((rf"^layers\.{stage}\.blocks\.", f"features.{2 * stage}.") for stage in range(4)),
    *((rf"^layers\.{stage}\.downsample\.", f"features.{2 * stage + 1}.") for stage in range(3)),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
    (r"^norm3\.", "norm."),
    (r"^cls_head\.fc_cls\.", "head."),
)
# To the names of SlowFast's MViT, whose layout comes after this one.
MVIT: tuple[Rename, ...] = (
    (r"^backbone\.patch_embed\.projection\.", "patch_embed.proj."),
    (r"^backbone\.(norm\d?)\.", "norm."),
    (r"^backbone\.", ""),
    (r"^cls_head\.fc_cls\.", "head.projection."),
)

LAYER = r"^backbone\.(?:transformer_layers\.layers|blocks)\.(\d+)\."
TIMESFORMER: tuple[Rename, ...] = (
    *(
        (rf"{LAYER}attentions\.0\.{theirs}", rf"timesformer.encoder.layer.\1.temporal_{ours}")
        for theirs, ours in (
            (r"norm\.", "layernorm."),
            (r"attn\.in_proj_", "attention.attention.qkv."),
            (r"attn\.out_proj\.", "attention.output.dense."),
            (r"temporal_fc\.", "dense."),
        )
    ),
    *(
        (rf"{LAYER}{theirs}", rf"timesformer.encoder.layer.\1.{ours}")
        for theirs, ours in (
            (r"attentions\.1\.norm\.", "layernorm_before."),
            (r"attentions\.1\.attn\.in_proj_", "attention.attention.qkv."),
            (r"attentions\.1\.attn\.out_proj\.", "attention.output.dense."),
            (r"ffns\.0\.norm\.", "layernorm_after."),
            (r"ffns\.0\.layers\.0\.0\.", "intermediate.dense."),
            (r"ffns\.0\.layers\.1\.", "output.dense."),
        )
    ),
    (r"^backbone\.pos_embed$", "timesformer.embeddings.position_embeddings"),
    (r"^backbone\.time_embed$", "timesformer.embeddings.time_embeddings"),
    (r"^backbone\.cls_token$", "timesformer.embeddings.cls_token"),
    (r"^backbone\.patch_embed\.", "timesformer.embeddings.patch_embeddings."),
    (r"^backbone\.norm\.", "timesformer.layernorm."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)
# To the names of VideoMAE's authors, whose layout comes after this one.
VIDEOMAE: tuple[Rename, ...] = (
    (r"^backbone\.patch_embed\.projection\.", "patch_embed.proj."),
    (r"^backbone\.", ""),
    (r"\.mlp\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.mlp\.layers\.1\.", ".mlp.fc2."),
    (r"^cls_head\.fc_cls\.", "head."),
)


def _videomae_sizes(state: State) -> Mapping[str, Any]:
    return videomae_sizes(Layout("", "", "", VIDEOMAE).applied(state, ()))


RESNET = r"backbone\.conv1\.conv\.weight"
TWO_PATHWAYS = r"backbone\.slow_path\.conv1\.conv\.weight"
LAYOUTS: tuple[Layout, ...] = (
    Layout("mmaction2's C2D, I3D, TSN and TSM", RESNET, r"backbone\.stem\.conv\.weight", RECOGNIZER),
    Layout("mmaction2's SlowOnly", RESNET, r"blocks\.5\.proj\.weight", SLOWONLY, fed=IMAGENET | CROPPED),
    Layout(
        "mmaction2's SlowFast, for PyTorchVideo's",
        TWO_PATHWAYS,
        r"blocks\.0\.multipathway_fusion\.norm\.weight",
        refusal="these are weights of mmaction2's SlowFast, whose lateral connections have no BatchNorm and no ReLU. "
        "Choose slowfast_r50_8x8x1 or slowfast_r50_4x16x1",
    ),
    Layout(
        "mmaction2's SlowFast",
        TWO_PATHWAYS,
        r"blocks\.0\.multipathway_fusion\.conv_fast_to_slow\.weight",
        SLOWFAST,
    ),
    Layout(
        "mmaction2's C2D and I3D, for PyTorchVideo's",
        RESNET,
        r"blocks\.6\.proj\.weight",
        refusal="these are weights of mmaction2, whose C2D and I3D pool elsewhere than this architecture. Choose the "
        "one that they were trained as: c2d_r50_8x8x1, i3d_r50_32x2x1, tsn_r50_1x1x8, tsm_r50_1x1x8, …",
    ),
    Layout(
        "mmaction2's X3D",
        r"backbone\.conv1_s\.conv\.weight",
        r"blocks\.5\.pool\.pre_conv\.weight",
        X3D,
        fed={"std": (0.22502,) * 3},
    ),
    Layout(
        "mmaction2's Swin",
        r"backbone\.patch_embed\.proj\.weight",
        r"features\.0\.0\.attn\.qkv\.weight",
        SWIN,
        fed=IMAGENET | CROPPED | {"stride": 2},
    ),
    Layout(
        "mmaction2's MViT",
        r"backbone\.patch_embed\.projection\.weight",
        r"conv_proj\.weight",
        MVIT,
        fed=CROPPED | {"stride": 4, "mean": (0.45,) * 3, "std": (0.225,) * 3},
    ),
    Layout(
        "mmaction2's TimeSformer",
        r"backbone\.patch_embed\.projection\.weight",
        r"timesformer\.encoder\.layer\.0\..*",
        TIMESFORMER,
        fed=CROPPED | {"mean": (0.5,) * 3, "std": (0.5,) * 3},
    ),
    Layout(
        "mmaction2's VideoMAE",
        r"backbone\.patch_embed\.projection\.weight",
        r"videomae\.embeddings\.patch_embeddings\.projection\.weight",
        VIDEOMAE,
        # A fixed table, which the module has, too.
        unused=r"^backbone\.pos_embed$",
        fed=IMAGENET | {"resize": 224},
        row="videomae_b_16x4",
        sizes=_videomae_sizes,
        widths=HEADS,
    ),
)
