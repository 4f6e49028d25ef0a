"""How the authors of VideoMAE and V-JEPA 2 name the weights of their vision transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError
from sdmetrics.exporters._weights.layouts.layout import Layout, Remake, Rename, thirds

if TYPE_CHECKING:
    from torch import Tensor

    from sdmetrics.exporters.architectures.architecture import State

HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
"""Numbers of attention heads by width, in networks that their authors trained."""

VJEPA2_HEADS = HEADS | {1408: 22, 1664: 26}

ASSUMED_HEADS = 16
"""Of networks of other widths."""

FIRST_VJEPA = (8 * 14 * 14, 8 * 24 * 24)
"""Numbers of patches in the positions of the first V-JEPA. Files of the second may have positions, too, of others."""

SMALLEST_PATCH = 4
"""In pixels. Smaller ones would make millions of tokens."""

VIDEOMAE: tuple[Rename | Remake, ...] = (
    # While it is trained without labels, the network is the encoder of two.
    (r"^encoder\.", ""),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^blocks\.(\d+)\.", r"encoder.layer.\1."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.q_bias$", ".attention.attention.query.bias"),
    (r"\.attn\.v_bias$", ".attention.attention.value.bias"),
    Remake(
        (r"(.*)\.attn\.qkv\.weight",),
        tuple(rf"\1.attention.attention.{part}.weight" for part in ("query", "key", "value")),
        thirds,
    ),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"^norm\.", "layernorm."),
    (r"^head\.", "classifier."),
)
VJEPA2: tuple[Rename | Remake, ...] = (
    (r"^patch_embed\.proj\.", "encoder.embeddings.patch_embeddings.proj."),
    (r"^blocks\.(\d+)\.", r"encoder.layer.\1."),
    Remake(
        (r"(.*)\.attn\.qkv\.(weight|bias)",),
        tuple(rf"\1.attention.{part}.\2" for part in ("query", "key", "value")),
        thirds,
    ),
    (r"\.attn\.proj\.", ".attention.proj."),
    (r"^norm\.", "encoder.layernorm."),
)


def videomae_sizes(state: State) -> Mapping[str, Any]:
    """Return the fields of Transformers' configuration that the shapes of VideoMAE's weights imply."""
    start = "" if "patch_embed.proj.weight" in state else "encoder."
    width, frames, side = _patches(state[f"{start}patch_embed.proj.weight"])
    return {
        "classes": len(state["head.bias"]) if "head.bias" in state else 0,
        "hidden_size": width,
        "num_hidden_layers": _depth(state, start),
        "num_attention_heads": HEADS.get(width, ASSUMED_HEADS),
        "intermediate_size": len(state[f"{start}blocks.0.mlp.fc1.bias"]),
        "patch_size": side,
        "tubelet_size": frames,
        "use_mean_pooling": "fc_norm.weight" in state,
        "qv_bias": f"{start}blocks.0.attn.q_bias" in state,
        "layer_norm_eps": 1e-6,
    }


def vjepa2_sizes(state: State) -> Mapping[str, Any]:
    """Return the fields of Transformers' configuration that the shapes of V-JEPA 2's weights imply.

    Raises
    ------
    InputError
        If they are of the first V-JEPA, which names them alike.
    """
    if "pos_embed" in state and state["pos_embed"].shape[1:2].numel() in FIRST_VJEPA:
        raise InputError(
            "these are weights of the first V-JEPA, which adds a table of positions; V-JEPA 2 has none, and computes "
            "something else with them. Run its own code: sdmetrics analyze FILE.py:FUNCTION CLIPS"
        )
    width, frames, side = _patches(state["patch_embed.proj.weight"])
    return {
        "classes": 0,
        "hidden_size": width,
        "num_hidden_layers": _depth(state, ""),
        "num_attention_heads": VJEPA2_HEADS.get(width, ASSUMED_HEADS),
        # Rounded down again where it is multiplied by the width.
        "mlp_ratio": (len(state["blocks.0.mlp.fc1.bias"]) + 0.5) / width,
        "patch_size": side,
        "tubelet_size": frames,
    }


def _patches(weight: Tensor) -> tuple[int, int, int]:
    """Return the width, and the numbers of frames and pixels that a token covers."""
    width, _, frames, side, _ = weight.shape
    if side < SMALLEST_PATCH:
        raise ValueError(f"patches of {side} pixels")
    return width, frames, side


def _depth(state: State, start: str) -> int:
    """Return the number of blocks."""
    return sum(name.startswith(f"{start}blocks.") and name.endswith(".norm1.weight") for name in state)


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "VideoMAE",
        r"patch_embed\.proj\.weight",
        r"videomae\.embeddings\.patch_embeddings\.projection\.weight",
        (*VIDEOMAE, (r"^(embeddings|encoder|layernorm)\.", r"videomae.\1.")),
        row="videomae_b_16x4",
        sizes=videomae_sizes,
        widths=HEADS,
    ),
    # Its encoder alone, from training without labels.
    Layout(
        "VideoMAE without labels",
        r"(encoder\.)?patch_embed\.proj\.weight",
        r"(videomae\.)?embeddings\.patch_embeddings\.projection\.weight",
        VIDEOMAE,
        left_out=(r"^(decoder\.|encoder_to_decoder\.|mask_token$)", "of VideoMAE's decoder are left out"),
        row="videomae_b_16x4",
        sizes=videomae_sizes,
        widths=HEADS,
    ),
    Layout(
        "V-JEPA 2",
        r"patch_embed\.proj\.weight",
        r"(vjepa2\.)?encoder\.embeddings\.patch_embeddings\.proj\.weight",
        VJEPA2,
        # Its positions are angles.
        unused=r"^pos_embed$",
        row="vjepa2_vitl",
        sizes=vjepa2_sizes,
        widths=VJEPA2_HEADS,
        assumed="do not say how many frames of which size their network reads; it is fed as the catalogue's",
    ),
)
