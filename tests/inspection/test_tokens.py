"""Tokens are found at their places whatever their order, and where the model mixes them, nothing is claimed."""

import numpy as np
import pytest

from sdmetrics.inspection.maps import Places
from sdmetrics.inspection.tokens import located
from sdmetrics.probes.feeds import order_name
from sdmetrics.probes.inputs import ModelInput

GRID = TIME, HEIGHT, WIDTH = 4, 6, 2
INPUT = ModelInput("video", frames=8, size=(48, 16))


class Tokens:
    """A runner whose tokens are means of the frames' parts, in some order, after others; `mixed` into one another."""

    def __init__(self, arrange, mixed=0.0, inputs=(INPUT,)):
        self.arrange, self.mixed, self.inputs, self.runs = arrange, mixed, inputs, 0

    def tensors(self, feeds, layers):
        self.runs += 1
        item = self.inputs[0]
        frames = feeds["rgb"][0, feeds[order_name(item)][0]].astype(np.float32)
        parts = frames.reshape(TIME, -1, HEIGHT, 8, WIDTH, 8, 3).mean(axis=(1, 3, 5))
        parts = (1 - self.mixed) * parts + self.mixed * parts.mean(axis=(0, 1, 2))
        return {layer: self.arrange(parts).swapaxes(1, 2) for layer in layers}


def first(count):
    """Adds tokens of the whole clip in front."""
    return lambda tokens: np.concatenate([tokens.mean(axis=1, keepdims=True)] * count + [tokens], axis=1)


ARRANGED = {
    "frame by frame": (lambda x: x.reshape(1, -1, 3), 0, False),
    "after a class token": (lambda x: first(1)(x.reshape(1, -1, 3)), 1, False),
    "place by place": (lambda x: first(1)(x.transpose(1, 2, 0, 3).reshape(1, -1, 3)), 1, True),
    "rows are frames": (lambda x: x.reshape(TIME, -1, 3), 0, False),
    "rows are places": (lambda x: x.transpose(1, 2, 0, 3).reshape(-1, TIME, 3), 0, True),
}


@pytest.mark.parametrize("order", ARRANGED)
def test_every_order_is_found_and_laid_out(order):
    arrange, skipped, time_last = ARRANGED[order]
    places = located(Tokens(arrange), ["block"])["block"]
    assert (places.grid, places.skipped, places.time_last) == (GRID, skipped, time_last)
    assert "4 × 6 × 2" in places.basis
    known = np.random.default_rng(0).normal(size=(*GRID, 3))
    tokens = arrange(known)
    np.testing.assert_array_equal(places.laid_out(tokens[:, skipped:, 1]), known[..., 1])


def test_each_token_of_a_mixed_layer_is_compared_with_itself():
    """Most of what a token holds is of all others, and the last ones respond a hundred times more than the first."""
    gains = np.linspace(1, 100, TIME * HEIGHT * WIDTH)[:, None]
    runner = Tokens(lambda x: x.reshape(1, -1, 3) * gains, mixed=0.5)
    assert located(runner, ["block"])["block"].grid == GRID


def test_what_does_not_tell_is_not_claimed():
    runner = Tokens(lambda x: x.reshape(1, -1, 3), mixed=1.0)
    assert located(runner, ["block"]) == {}
    shuffled = np.random.default_rng(0).permutation(TIME * HEIGHT * WIDTH)
    assert located(Tokens(lambda x: x.reshape(1, -1, 3)[:, shuffled]), ["block"]) == {}


def test_one_clip_is_enough_where_it_tells():
    runner = Tokens(ARRANGED["frame by frame"][0])
    located(runner, ["block", "other"])
    assert runner.runs == 7


def test_inputs_of_fewer_frames_read_all_of_the_clip():
    slow = ModelInput("slow", frames=4, size=(48, 16))
    runner = Tokens(ARRANGED["frame by frame"][0], inputs=(slow, ModelInput("fast", frames=32, size=(48, 16))))
    assert located(runner, ["slow.block"])["slow.block"].grid == GRID


def test_places_without_grid_cover_the_frame():
    assert Places((2, 1, 1)).laid_out(np.arange(2)).shape == (2, 1, 1)
