"""Manipulations by name: what each shows of frames and of flow, and where it makes no sense."""

from __future__ import annotations

import numpy as np
import pytest

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.clips.manipulations.manipulate import (
    MANIPULATIONS,
    check_manipulations,
    manipulated,
    manipulated_view,
)
from sdmetrics.clips.render import plain, render
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput

FRAMES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
FLOW = np.random.default_rng(1).normal(0, 3, (8, 32, 32, 2)).astype(np.float32)
CLIP = Clip("a", lambda: FRAMES, load_flow=lambda: FLOW)
STILL = Clip("still", lambda: np.repeat(FRAMES[:1], 8, axis=0), load_flow=lambda: np.zeros_like(FLOW))


def reads(name: str, frames: int, source: str = "rgb") -> ModelInput:
    return ModelInput(name, source, frames=frames, size=(32, 32))


SLOW, FAST, IMAGE = reads("slow", 4), reads("fast", 8), reads("image", 1)
COLOURS, VECTORS, ONE_FLOW = reads("colours", 8, "flow"), reads("vectors", 8, "flow_vectors"), reads("one", 1, "flow")


def fed(name: str, inputs: list[ModelInput], clip: Clip = CLIP) -> dict[str, np.ndarray]:
    """Return what each input is fed."""
    view, shown = manipulated(name, clip, 0, inputs) if name else plain(clip, inputs)
    return {item.name: shown[item.source][view.orders[item.name]] for item in inputs}


# The naive twins: lists of frames.
def backwards(frames):
    return [frames[i] for i in range(len(frames) - 1, -1, -1)]


def first_half_twice(frames):
    half = frames[: (len(frames) + 1) // 2]
    return (list(half) + list(half))[: len(frames)]


@pytest.mark.parametrize(("name", "twin"), [("reverse", backwards), ("loop", first_half_twice)])
@pytest.mark.parametrize("counts", [(8,), (4, 8), (3,), (2, 8), (5, 7)])
def test_frames_in_another_order_are_those_of_the_naive_twin(name, twin, counts):
    inputs = [reads(f"input {number}", count) for number, count in enumerate(counts)]
    longest = max(counts)
    clip = Clip("a", lambda: FRAMES[:longest])
    before, after = fed("", inputs, clip), fed(name, inputs, clip)
    for item in inputs:
        np.testing.assert_array_equal(after[item.name], np.stack(twin(before[item.name])))


def test_freeze_shows_one_frame_to_all_inputs():
    shown = fed("freeze", [SLOW, FAST])
    for frames in shown.values():
        np.testing.assert_array_equal(frames, np.repeat(FRAMES[4:5], len(frames), axis=0))


def test_shuffle_shows_the_same_frames_to_each_input_in_another_order():
    before, after = fed("", [SLOW, FAST]), fed("shuffle", [SLOW, FAST])
    for name, frames in after.items():
        assert sorted(map(bytes, frames)) == sorted(map(bytes, before[name]))
        assert not np.array_equal(frames, before[name])


def test_reverse_turns_the_vectors_of_flow():
    shown = fed("reverse", [FAST, VECTORS, COLOURS])
    np.testing.assert_array_equal(shown["vectors"], -FLOW[::-1])
    image = flow_to_rgb(FLOW)
    vectors = rgb_to_flow(image, scale=1)[::-1]
    np.testing.assert_allclose(rgb_to_flow(shown["colours"], scale=1), -vectors, atol=0.02)


def test_freeze_leaves_no_motion_in_flow():
    shown = fed("freeze", [IMAGE, ONE_FLOW, VECTORS])
    assert (shown["one"] == 255).all()
    assert (shown["vectors"] == 0).all()
    np.testing.assert_array_equal(shown["image"], FRAMES[:1])


def test_loop_takes_flow_along():
    shown = fed("loop", [VECTORS])
    np.testing.assert_array_equal(shown["vectors"], FLOW[[0, 1, 2, 3, 0, 1, 2, 3]])


def test_appearance_free_leaves_flow_as_it_is():
    before, after = fed("", [IMAGE, ONE_FLOW, VECTORS]), fed("appearance-free", [IMAGE, ONE_FLOW, VECTORS])
    assert (before["image"] != after["image"]).mean() > 0.9
    for name in ("one", "vectors"):
        np.testing.assert_array_equal(before[name], after[name])


def test_a_view_in_a_style_is_manipulated_in_it():
    views, shown = render(CLIP, 0, [FAST])
    for name in ("shuffle", "reverse", "freeze", "loop"):
        view, drawn = manipulated_view(name, CLIP, views[0], shown[0], 0, [FAST])
        assert (view.style, drawn) == (views[0].style, shown[0])
        assert view.orders["fast"].tolist() == manipulated(name, CLIP, 0, [FAST])[0].orders["fast"].tolist()
    _, noise = manipulated_view("appearance-free", CLIP, views[0], shown[0], 0, [FAST])
    np.testing.assert_array_equal(noise["rgb"], manipulated("appearance-free", CLIP, 0, [FAST])[1]["rgb"])


@pytest.mark.parametrize("name", [name for name in MANIPULATIONS if name != "appearance-free"])
def test_a_still_clip_is_told(name):
    with pytest.raises(InputError, match=r"clip 'still' shows the same under|cannot be shuffled"):
        fed(name, [FAST], STILL)


def test_a_clip_without_motion_is_the_same_backwards():
    with pytest.raises(InputError, match="clip 'still' shows the same under 'reverse' as untouched"):
        fed("reverse", [IMAGE, VECTORS], STILL)


@pytest.mark.parametrize(
    ("names", "inputs", "message"),
    [
        (["revers"], [FAST], "manipulation 'revers' is not known; allowed: shuffle, .*; did you mean 'reverse'?"),
        ([""], [FAST], "manipulation '' is not known; allowed: shuffle, .*appearance-free$"),
        (["loop", "loop"], [FAST], "manipulation 'loop' is named 2 times"),
        ("loop", [FAST], "manipulations are 'loop'; expected a list"),
        (["shuffle"], [FAST, IMAGE], "input 'image' reads a single frame, which cannot be shuffled"),
        (["reverse"], [IMAGE], "'reverse' changes nothing in the single frame that model input 'image' reads"),
        (["freeze"], [IMAGE], "'freeze' changes nothing in the single frame"),
        (["loop"], [IMAGE, ONE_FLOW], "'loop' changes nothing in the single frame that model input 'image', 'one'"),
        (["appearance-free"], [VECTORS], "'vectors' reads optical flow only, which shows no appearance"),
        (["appearance-free"], [IMAGE], "reads a single frame, of which .* leaves nothing but noise"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(names, inputs, message):
    with pytest.raises(InputError, match=message) as refused:
        check_manipulations(names, inputs)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("names", "inputs"),
    [
        (tuple(MANIPULATIONS), [SLOW, FAST]),
        (("reverse", "freeze", "appearance-free"), [IMAGE, ONE_FLOW]),
        (("shuffle", "reverse", "freeze", "loop"), [VECTORS]),
        (("loop",), [IMAGE, FAST]),
    ],
)
def test_what_makes_sense_is_done(names, inputs):
    assert check_manipulations(list(names), inputs) == names
    clip = Clip("a", lambda: FRAMES[: inputs[-1].frames], load_flow=lambda: FLOW[: inputs[-1].frames])
    for name in names:
        before, after = fed("", inputs, clip), fed(name, inputs, clip)
        assert any(not np.array_equal(before[item.name], after[item.name]) for item in inputs)
        assert all(before[item.name].shape == after[item.name].shape for item in inputs)
        assert all(before[item.name].dtype == after[item.name].dtype for item in inputs)
