"""The centre bias of data sets whose objects are where we put them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sdmetrics.clips import Clip
from sdmetrics.errors import InputError
from sdmetrics.evaluation.centre_bias import centre_bias, save_centre_biases
from sdmetrics.metrics.groups import group_of
from sdmetrics.metrics.intervals import jackknife
from sdmetrics.report.centre_bias_chart import number_text, write_centre_figure
from tests import naive
from tests.helpers.fakes import broken_clip


def _central(length):
    """Return the pixels that the middle half of a line touches."""
    return slice(length // 4, -(-3 * length // 4))


def undecodable():
    raise AssertionError("frames are not needed")


def annotated(name, masks, video=""):
    masks = np.asarray(masks, np.uint8)
    return Clip(name, undecodable, video=video, load_masks=lambda: masks)


def box(left, top, right, bottom, height=8, width=16):
    mask = np.zeros((1, height, width), np.uint8)
    mask[:, top:bottom, left:right] = 1
    return mask


@pytest.mark.parametrize("size", [(4, 8), (8, 16), (5, 7), (54, 96), (2, 3)])
def test_the_number_is_1_everywhere_alike_whatever_the_size(size):
    bias = centre_bias([annotated("all", np.full((3, 9, 17), 4))], size)
    assert bias.map.shape == size
    assert (bias.map == 1).all()
    assert bias.number == pytest.approx(1)
    assert bias.frames == 3


def test_the_number_is_4_in_the_centre_and_0_at_the_edge():
    assert centre_bias([annotated("centre", box(4, 2, 12, 6))], (8, 16)).number == 4
    assert centre_bias([annotated("corner", box(5, 3, 6, 4))], (8, 16)).number == 4
    assert centre_bias([annotated("edge", box(0, 0, 16, 2))], (8, 16)).number == 0
    half = centre_bias([annotated("centre", box(4, 2, 12, 6)), annotated("edge", box(0, 0, 16, 2))], (8, 16))
    assert half.number == pytest.approx(2), "as many pixels inside as outside: 32 of 64, in a quarter of the frame"


@given(st.data())
def test_the_map_is_the_mean_of_the_frames_whatever_clips_they_come_in(data):
    shape = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=6))
    masks = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 9, 255])))
    cut = data.draw(st.integers(1, len(masks) - 1))
    clips = [annotated("one", masks[:cut]), annotated("two", masks[cut:])]
    if (masks == 255).all():
        with pytest.raises(InputError, match=r"no pixel of 2 clip\(s\) is annotated"):
            centre_bias(clips, shape[1:])
        return
    bias = centre_bias(clips, shape[1:])
    objects, known = ((masks != 0) & (masks != 255)).sum(axis=0), (masks != 255).sum(axis=0)
    share = np.divide(objects, known, out=np.full(shape[1:], np.nan), where=known > 0)
    np.testing.assert_allclose(bias.map, share / (np.nanmax(share) or 1))
    assert bias.frames == (masks != 255).any(axis=(1, 2)).sum()
    assert (
        bias.number is not None or not np.nansum(share) or not known[_central(shape[1]), :][:, _central(shape[2])].any()
    )


def test_pixels_that_are_not_annotated_count_for_neither():
    known = annotated("known", box(4, 2, 12, 6))
    strip = box(4, 2, 12, 6)
    strip[:, :, 8:] = 255
    assert centre_bias([annotated("strip", strip), known], (8, 16)).number == 4
    assert np.array_equal(centre_bias([annotated("strip", strip), known], (8, 16)).map, box(4, 2, 12, 6)[0])


def test_frames_of_every_size_and_shape_are_stretched_to_one():
    small, wide = box(4, 2, 12, 6), box(20, 5, 60, 15, height=20, width=80)
    bias = centre_bias([annotated("small", small), annotated("wide", wide)], (4, 8))
    assert bias.map.tolist() == box(2, 1, 6, 3, height=4, width=8)[0].tolist()


def test_the_interval_is_that_over_videos_worked_out_by_hand():
    rng = np.random.default_rng(0)
    masks = rng.random((30, 8, 16)) < np.linspace(0.2, 0.8, 30)[:, None, None]
    clips = [annotated(f"c{k}", mask[None], video=f"v{k % 11}") for k, mask in enumerate(masks)]
    bias = centre_bias(clips, (8, 16))
    groups = np.array([group_of(clip.video) for clip in clips])

    def number(kept):
        return kept[:, 2:6, 4:12].mean() / kept.mean()

    replicates = np.array([number(kept) for kept in (masks, *naive.without_each_group(masks, groups))])
    assert bias.number == pytest.approx(replicates[0])
    assert bias.ci95 == pytest.approx([float(end) for end in jackknife(replicates)])


def test_nothing_annotated_has_no_number_and_unusable_clips_are_listed(tmp_path):
    bias = centre_bias([annotated("empty", np.zeros((2, 4, 4))), Clip("bare", undecodable), broken_masks()], (4, 4))
    assert bias.number is None
    assert bias.ci95 == [None, None]
    assert not bias.map.any()
    assert [row["id"] for row in bias.skipped] == ["bare", "broken"]
    assert "no masks" in bias.skipped[0]["reason"]
    assert (bias.clips, bias.frames) == (1, 2)
    assert number_text(bias) == "–"
    half = np.full((1, 4, 4), 255)
    half[:, :, :2] = 1
    known = centre_bias([annotated("half", half)], (4, 4))
    file = save_centre_biases({"empty": bias, "half": known}, tmp_path / "new" / "bias.json")
    document = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert document["datasets"]["empty"]["number"] is None
    assert document["datasets"]["half"]["map"] == [[1, 1, None, None]] * 4
    assert document["datasets"]["half"]["number"] == 1
    assert {path.suffix for path in write_centre_figure({"empty": bias, "half": known}, tmp_path)} == {".png", ".svg"}


def broken_masks():
    return Clip("broken", undecodable, load_masks=broken_clip().load)


def test_what_has_no_centre_bias_is_an_error():
    with pytest.raises(InputError, match="there are no clips"):
        centre_bias([])
    with pytest.raises(InputError, match=r"size is \(0, 4\)"):
        centre_bias([annotated("all", np.ones((1, 4, 4)))], (0, 4))
    with pytest.raises(InputError, match=r"0 of 1 clips could be used, .*; bare: .*no masks"):
        centre_bias([Clip("bare", undecodable)])


def test_the_figure_shows_every_data_set_with_its_number(tmp_path):
    biases = {
        "narrow": centre_bias([annotated("a", box(4, 2, 12, 6))], (8, 16)),
        "all": centre_bias([annotated("b", box(0, 0, 16, 8))], (8, 16)),
    }
    png, svg = write_centre_figure(biases, tmp_path / "figures")
    assert png.name == "centre-bias.png"
    assert png.read_bytes()[:4] == b"\x89PNG"
    drawn = svg.read_text(encoding="utf-8")
    for text in ("narrow", "all", "centre bias 4.00 · 1 frame", "centre bias 1.00 · 1 frame", "1.0"):
        assert text in drawn
