"""The camouflage world as clips: where objects are placed, and what a clip knows of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from sdmetrics.clips.generated.camouflage import CamouflageVariant, camouflage_batch, camouflage_clips
from sdmetrics.clips.generated.camouflage_scenes import hidden_scene
from sdmetrics.errors import InputError
from tests.clips.generated.test_camouflage import VISIBLE


def hidden_share(objects, occlusion, size=48, camera=1.0):
    """Return the mean share of an object that those in front of it hide, of all but the first in front."""
    hidden = []
    for k in range(30):
        scene = hidden_scene(k, 6, size, 4, CamouflageVariant(objects=objects, occlusion=occlusion, camera=camera))
        for j, shape in enumerate(scene.shapes[:-1]):
            alone = replace(scene, shapes=(shape,), places=scene.places[:, [j]]).masks() > 0
            hidden.append(1 - (scene.masks()[alone] == j + 1).mean())
    return np.mean(hidden)


class TestPlacement:
    @pytest.mark.parametrize("objects", [2, 3, 4])
    def test_objects_are_kept_apart_or_cross_in_front_of_each_other(self, objects):
        apart, some, heavy = (hidden_share(objects, occlusion) for occlusion in (0, 0.75, 1))
        assert apart == 0
        assert 0.1 < some < heavy - 0.1
        assert heavy > 0.35

    @pytest.mark.parametrize("camera", [0.0, 2.0])
    def test_a_panning_camera_does_not_drive_them_together(self, camera):
        assert hidden_share(4, 0, 64, camera) == 0

    def test_heavily_occluded_objects_come_out_again(self):
        scenes = [hidden_scene(k, 24, 48, 4, CamouflageVariant(objects=2, occlusion=1)) for k in range(12)]
        seen = np.stack([(s.masks() == 1).sum((1, 2)) / s.shapes[0].sum() for s in scenes])
        assert (seen.max(1) > 0.7).all()
        assert (seen.min(1) < 0.6).all()

    def test_objects_are_anywhere_or_in_the_middle(self):
        maps = [
            (camouflage_batch(300, frames=2, variant=CamouflageVariant(centred=c)).masks > 0).mean((0, 1))
            for c in (0, 0.5, 1)
        ]
        assert maps[0].sum() == pytest.approx(maps[2].sum(), rel=0.15)
        middle = [m[16:32, 16:32].sum() / m.sum() for m in maps]
        border = [m[:6].sum() + m[-6:].sum() + m[6:-6, :6].sum() + m[6:-6, -6:].sum() for m in maps] / maps[0].sum()
        assert middle[0] < 0.3 < middle[1] < middle[2]
        assert middle[2] > 0.7
        assert border[0] > 0.2 > border[1] > border[2]

    def test_several_centred_objects_are_as_close_as_their_places_allow(self):
        loose, close = (
            np.stack([hidden_scene(k, 1, 48, 0, CamouflageVariant(objects=3, centred=c)).places for k in range(60)])
            for c in (0, 1)
        )
        assert np.abs(close - 24).mean() < np.abs(loose - 24).mean() - 1


class TestClips:
    def test_a_clip_is_the_same_whenever_and_among_however_many_it_is_drawn(self):
        settings = {"frames": 3, "seed": 4, "variant": CamouflageVariant(camouflaged=0.5, objects=2)}
        one, other, batch = (
            camouflage_clips(6, **settings),
            camouflage_clips(3, **settings),
            camouflage_batch(5, **settings),
        )
        for k in range(3):
            for what in ("frames", "flow", "masks"):
                drawn = getattr(one[k], what)
                assert np.array_equal(drawn, getattr(one[k], what))
                assert np.array_equal(drawn, getattr(other[k], what))
                assert np.array_equal(drawn, getattr(batch, what)[k])
            assert (one[k].id, one[k].label, one[k].stamp) == (other[k].id, other[k].label, other[k].stamp)
            assert batch.camouflaged[k] == (one[k].label == "camouflaged")

    def test_every_setting_changes_the_stamp_and_every_seed_the_frames(self):
        pytest.importorskip("cv2")
        changes = [{}, {"frames": 6}, {"size": 32}, {"seed": 1}, {"variant": VISIBLE}, {"flow": "estimated"}]
        assert len({camouflage_clips(1, **settings)[0].stamp for settings in changes}) == len(changes)
        drawn = [clip.frames.tobytes() for seed in range(4) for clip in camouflage_clips(6, frames=1, seed=seed)]
        assert len({hashlib.sha256(content).digest() for content in drawn}) == 24

    def test_no_clip_at_all(self):
        assert camouflage_clips(0) == []
        assert camouflage_batch(0, frames=2).masks.shape == (0, 2, 48, 48)

    @pytest.mark.parametrize(
        "settings",
        [{"n": -1}, {"n": 1, "seed": -1}, {"n": 1, "frames": 0}, {"n": 1, "size": 15},
         {"n": 1, "size": 36, "variant": CamouflageVariant(objects=2)}],
    )  # fmt: skip
    def test_a_world_that_cannot_be_drawn_is_refused(self, settings):
        with pytest.raises(InputError, match=r"cannot be drawn; allowed: .* size from \d+ for"):
            camouflage_clips(**settings)

    def test_an_unknown_flow_is_refused(self):
        with pytest.raises(InputError, match="flow is 'raft'; allowed: 'exact', 'estimated'"):
            camouflage_clips(1, flow="raft")

    @pytest.mark.parametrize(
        ("settings", "named"),
        [({"camouflaged": 1.5}, "camouflaged is 1.5; allowed: 0 to 1"), ({"occlusion": -1}, "occlusion is -1"),
         ({"objects": 0}, "objects is 0; allowed: 1 to 4"), ({"objects": 1.5}, "objects is 1.5; expected a whole"),
         ({"speed": 0.5}, "speed is 0.5; allowed: 1 to 8"), ({"centred": np.nan}, "centred is nan"),
         ({"camera": 2.5}, "camera is 2.5; allowed: 0 to 2, the objects' speed")],
    )  # fmt: skip
    def test_a_variant_out_of_range_is_refused(self, settings, named):
        with pytest.raises(InputError, match=f"a camouflage world's {named}"):
            CamouflageVariant(**settings)
