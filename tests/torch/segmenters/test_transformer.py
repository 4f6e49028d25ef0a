"""The layers of VisTR's transformer against naive twins and PyTorch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from sdmetrics.torch.segmenters.transformer import Attention, DecoderLayer, EncoderLayer, sine_positions
from tests.helpers.attention import joint, tensors

# --- positions


@pytest.mark.parametrize(("shape", "channels"), [((4, 3, 5), 12), ((1, 2, 1), 6), ((2, 2, 2), 64), ((36, 2, 3), 384)])
def test_positions_are_sines_and_cosines_of_frame_row_and_column(shape, channels):
    found = sine_positions(*shape, channels).numpy().reshape(*shape, channels)
    third = channels // 6 * 2
    expected = np.zeros((*shape, channels))
    for place in np.ndindex(*shape):
        for axis, (index, length) in enumerate(zip(place, shape, strict=True)):
            for pair in range(third // 2):
                turn = 2 * math.pi * (index + 1) / length / 10000 ** (2 * pair / third)
                expected[(*place, axis * third + 2 * pair)] = math.sin(turn)
                expected[(*place, axis * third + 2 * pair + 1)] = math.cos(turn)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_place_has_a_code_of_its_own():
    codes = sine_positions(36, 10, 17, 384)
    assert codes.shape == (6120, 384)
    assert len(torch.unique((codes * 1e4).round(), dim=0)) == 6120


# --- layers


def naive_attention(attention, queries, keys, values):
    """One clip, one head and one query after the other."""
    query, key, value = (
        (part(tensor)).double().numpy()
        for part, tensor in zip((attention.query, attention.key, attention.value), (queries, keys, values), strict=True)
    )
    taken = np.zeros(query.shape)
    width = query.shape[2] // attention.heads
    for clip, place, head in np.ndindex(*query.shape[:2], attention.heads):
        own = slice(head * width, (head + 1) * width)
        scores = [query[clip, place, own] @ other / math.sqrt(width) for other in key[clip, :, own]]
        shares = np.exp(scores - np.max(scores))
        taken[clip, place, own] = (shares / shares.sum()) @ value[clip, :, own]
    return attention.out(torch.from_numpy(taken).float())


@torch.no_grad()
def test_attention_is_the_mean_of_values_weighted_by_how_alike_query_and_key_are():
    queries, keys, values = tensors((2, 3, 12), (2, 5, 12), (2, 5, 12))
    attention = Attention(12, heads=3)
    torch.testing.assert_close(attention(queries, keys, values), naive_attention(attention, queries, keys, values))


def as_torchs(layer, kind):
    """PyTorch's own layer of the same kind with the same weights."""
    own = kind(12, 2, 16, batch_first=True).eval()
    state = {f"self_attn.{name}": value for name, value in joint(layer.attention).items()}
    if hasattr(layer, "cross_attention"):
        state |= {f"multihead_attn.{name}": value for name, value in joint(layer.cross_attention).items()}
    state |= {f"linear1.{name}": value for name, value in layer.feedforward[0].state_dict().items()}
    state |= {f"linear2.{name}": value for name, value in layer.feedforward[3].state_dict().items()}
    norms = [name for name, _ in layer.named_children() if name.startswith("norm")]
    state |= {f"{norm}.{name}": value for norm in norms for name, value in getattr(layer, norm).state_dict().items()}
    own.load_state_dict(state)
    return own


@torch.no_grad()
def test_without_positions_the_layers_are_pytorchs():
    tokens, found, nowhere = (*tensors((2, 5, 12), (2, 3, 12)), torch.zeros(5, 12))
    encode, decode = EncoderLayer(12, 2, 16).eval(), DecoderLayer(12, 2, 16).eval()
    for norm in (encode.norm2, decode.norm1):
        nn.init.normal_(norm.weight)
    torch.testing.assert_close(encode(tokens, nowhere), as_torchs(encode, nn.TransformerEncoderLayer)(tokens))
    expected = as_torchs(decode, nn.TransformerDecoderLayer)(found, tokens)
    torch.testing.assert_close(decode(found, tokens, nowhere, torch.zeros(3, 12)), expected)


@torch.no_grad()
def test_positions_and_queries_change_what_is_looked_at_and_not_what_is_taken():
    tokens, positions, found, queries = tensors((2, 5, 12), (5, 12), (2, 3, 12), (3, 12))
    encode, decode = EncoderLayer(12, 2, 16).eval(), DecoderLayer(12, 2, 16).eval()
    seen = naive_attention(encode.attention, tokens + positions, tokens + positions, tokens)
    tokens_seen = encode.norm1(tokens + seen)
    expected = encode.norm2(tokens_seen + encode.feedforward(tokens_seen))
    torch.testing.assert_close(encode(tokens, positions), expected)

    placed = found + queries
    now = decode.norm1(found + naive_attention(decode.attention, placed, placed, found))
    seen = naive_attention(decode.cross_attention, now + queries, tokens + positions, tokens)
    now = decode.norm2(now + seen)
    expected = decode.norm3(now + decode.feedforward(now))
    torch.testing.assert_close(decode(found, tokens, positions, queries), expected)


def test_dropout_is_for_training():
    tokens = tensors((2, 5, 12))[0]
    layer = EncoderLayer(12, 2, 16, dropout=0.5)
    assert not torch.equal(layer(tokens, tokens[0]), layer(tokens, tokens[0]))
    layer.eval()
    assert torch.equal(layer(tokens, tokens[0]), layer(tokens, tokens[0]))
