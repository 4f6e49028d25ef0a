"""A pair compares two different views: where both would be the same, the clip is skipped with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.render import render
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
MOVING = np.random.default_rng(1).normal(0, 3, (4, 16, 16, 2)).astype(np.float32)
IMAGE = ModelInput("image", frames=1, size=(16, 16), layout="NCHW")
FLOWS = [ModelInput("flow", source, frames=4, size=(16, 16)) for source in ("flow", "flow_vectors")]
VIDEO = ModelInput("video", frames=4, size=(16, 16))


def clip(flow: np.ndarray, frames: np.ndarray = FRAMES, name: str = "a") -> Clip:
    return Clip(name, lambda: frames, load_flow=lambda: flow)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("still", [np.zeros_like(MOVING), np.full((4, 16, 16, 3), 255, np.uint8)])
def test_flow_without_motion_makes_no_static_pair(flow: ModelInput, still: np.ndarray):
    with pytest.raises(InputError, match=r"clip 'a' has optical flow without motion, .*; a static pair needs two diff"):
        render(clip(still), 0, [IMAGE, flow])
    _, shown = render(clip(MOVING), 0, [IMAGE, flow])
    assert not np.array_equal(shown[0][flow.source], shown[2][flow.source])


def test_frames_that_can_be_shuffled_are_motion_enough():
    views, _ = render(clip(np.zeros_like(MOVING)), 0, [VIDEO, FLOWS[1]])
    assert views[0].orders["video"].tolist() != views[2].orders["video"].tolist()


def test_styles_that_look_the_same_make_no_dynamic_pair():
    with pytest.raises(
        InputError, match=r"clip 'a' looks the same in the styles '.' and '.'; a dynamic pair needs two"
    ):
        render(clip(MOVING), 0, [VIDEO], {"p": lambda frames: frames, "q": lambda frames: frames})


class Eye:
    """A runner whose units are means of flow."""

    inputs = (IMAGE, FLOWS[1])
    layers = ("eye",)
    name = "eye"
    identity: dict[str, object] = {"layers": {"eye": {}}}  # noqa: RUF012
    circumstance: dict[str, object] = {}  # noqa: RUF012

    def __call__(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"eye": feeds["flow_vectors"].mean(axis=(1, 2, 3)).astype(np.float32)}


def test_a_clip_without_motion_is_skipped_with_the_reason():
    clips = [clip(MOVING + number, name=f"clip {number}") for number in range(3)]
    results = measure_biases(Eye(), [*clips, clip(np.zeros_like(MOVING), name="still")], progress=False)
    assert results.clips["used"] == 3
    (skipped,) = results.clips["skipped"]
    assert skipped["id"] == "still"
    assert "without motion" in skipped["reason"]
