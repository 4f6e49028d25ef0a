"""Weights of an attention as PyTorch's own module has them, and tokens to try it with."""

import torch


def tensors(*shapes):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def joint(attention):
    """Its weights as those of nn.MultiheadAttention."""
    parts = attention.query, attention.key, attention.value
    return {
        "in_proj_weight": torch.cat([part.weight for part in parts]),
        "in_proj_bias": torch.cat([part.bias for part in parts]),
        "out_proj.weight": attention.out.weight,
        "out_proj.bias": attention.out.bias,
    }
