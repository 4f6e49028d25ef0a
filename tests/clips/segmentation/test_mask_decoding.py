"""Masks of data sets: images, run lengths, polygons and boxes, against naive pixel-by-pixel code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sdmetrics.clips.segmentation.mask_decoding import decode_runs, fill_box, fill_polygons, painted, read_mask
from sdmetrics.errors import InputError
from tests.helpers.segmentation_files import compressed, runs, write_png

WHERE = "list.json, annotation [3],"
MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: arrays(np.bool_, size))


@given(MASKS)
def test_runs_of_any_mask(mask: NDArray[np.bool_]):
    counts = runs(mask)["counts"]
    assert isinstance(counts, list)
    for form in (counts, np.array(counts, np.int32), compressed(counts)):
        decoded = decode_runs(form, mask.shape, WHERE)
        assert decoded.dtype == np.bool_
        assert (decoded == mask).all()


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=9))
def test_long_runs_of_compressed_text(counts: list[int]):
    """Lengths that match no image: the error text shows that they were read."""
    counts[0] += 10
    with pytest.raises(InputError, match=r"do not add up to 1 × 2 pixels: \[" + str(counts[0])):
        decode_runs(compressed(counts), (1, 2), WHERE)


def test_published_runs():
    """Texts that COCO's own code wrote of these masks."""
    hole = np.zeros((40, 60), bool)
    hole[5:30, 7:50] = True
    hole[12:14, 20:22] = False
    texts = {
        "01500000005": np.eye(5, 7, dtype=bool),
        "<": np.zeros((3, 4), bool),
        "0<": np.ones((3, 4), bool),
        "m8i0?000000000000000000000000^OC9=GC9=9000000000000000000000000000000000000000000000000000000[<": hole,
    }
    for text, mask in texts.items():
        assert (decode_runs(text, mask.shape, WHERE) == mask).all()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([3, 2], r"runs that do not add up to 2 × 3 pixels: \[3, 2\]"),
        ([7, -1], "do not add up"),
        ([2**62, 2**62, 2**62, 2**62, 6], "do not add up"),
        ([], r"counts \[\]; expected a list of whole numbers"),
        ([1.5, 4.5], r"counts \[1\.5, 4\.5\]"),
        ([2**70], "expected a list of whole numbers"),
        ([True, False], "expected a list of whole numbers"),
        ([[6]], "expected a list of whole numbers"),
        ([1, [5]], "expected a list of whole numbers"),
        (["6"], "expected a list of whole numbers"),
        ("", "counts '', which are not run lengths"),
        ("P", "which are not run lengths"),
        ("6 ", "which are not run lengths"),
        ("6é", "which are not run lengths"),
        ("PPPPPPPPPPP0", "which are not run lengths"),
        ("3", "do not add up"),
    ],
)
def test_wrong_runs(counts: object, message: str):
    with pytest.raises(InputError, match=message) as error:
        decode_runs(counts, (2, 3), WHERE)
    assert str(error.value).startswith(WHERE)


def even_odd(points: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """Return whether a point is in a polygon, by the crossings to its left."""
    inside = False
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        if (y1 <= y) != (y2 <= y) and x1 + (y - y1) * (x2 - x1) / (y2 - y1) <= x:
            inside = not inside
    return inside


POINTS = st.lists(st.tuples(*[st.floats(-9, 18, width=16)] * 2), min_size=3, max_size=8)


@given(st.lists(POINTS, min_size=1, max_size=2))
def test_polygons_point_by_point(polygons: list[list[tuple[float, float]]]):
    filled = fill_polygons([np.ravel(points) for points in polygons], (7, 9), WHERE)
    for row, column in np.ndindex(7, 9):
        inside = any(even_odd(points, column + 0.5, row + 0.5) for points in polygons)
        assert filled[row, column] == inside


@pytest.mark.parametrize(
    "polygon",
    [
        [0, 0, 1, 1],
        [0, 0, 1, 1, 2],
        [0, 0, 1, 1, 2, float("nan")],
        [1e300] * 6,
        "abcdef",
        [[0, 0, 1, 1, 2, 2]],
        None,
        5,
    ],
)
def test_wrong_polygons(polygon: object):
    with pytest.raises(InputError, match="at least three points") as error:
        fill_polygons([polygon], (2, 3), WHERE)
    assert str(error.value).startswith(WHERE)


@given(st.tuples(*[st.floats(-4, 12)] * 4))
def test_boxes_pixel_by_pixel(box: tuple[float, float, float, float]):
    left, top, right, bottom = box
    filled = fill_box(box, (6, 8))
    for row, column in np.ndindex(6, 8):
        assert filled[row, column] == (left <= column + 0.5 < right and top <= row + 0.5 < bottom)


def test_box_of_whole_pixels():
    assert np.argwhere(fill_box((2, 1, 4, 3), (6, 8))).tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]
    assert not fill_box((20, 20, 30, 30), (6, 8)).any()


def test_objects_are_numbered_and_later_ones_cover():
    left, right = fill_box((0, 0, 2, 1), (1, 4)), fill_box((1, 0, 3, 1), (1, 4))
    assert painted([left, right], (1, 4), WHERE).tolist() == [[1, 2, 2, 0]]
    assert painted([right, left], (1, 4), WHERE, [9, 254]).tolist() == [[254, 254, 9, 0]]
    assert painted([], (1, 4), WHERE).tolist() == [[0, 0, 0, 0]]
    for number in (0, 255):
        with pytest.raises(InputError, match=f"{number}; allowed: 1 to 254"):
            painted([left], (1, 4), WHERE, [number])


@given(arrays(np.uint8, (3, 5)))
def test_images_with_a_palette_keep_their_indices(tmp_path_factory: pytest.TempPathFactory, indices: NDArray[np.uint8]):
    path = tmp_path_factory.getbasetemp() / "palette.png"
    assert (read_mask(write_png(path, indices, palette=True)) == indices).all()


def test_grey_images(tmp_path: Path):
    binary = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)
    for pixels in (binary, np.repeat(binary[..., None], 3, axis=-1)):
        assert read_mask(write_png(tmp_path / "a.png", pixels)).tolist() == [[0, 1, 1], [0, 0, 1]]
    for pixels in ([[0, 1, 2]], [[0, 1, 255]], [[254, 255, 0]]):
        assert read_mask(write_png(tmp_path / "a.png", np.array(pixels, np.uint8))).tolist() == pixels
    assert read_mask(write_png(tmp_path / "a.png", np.zeros((2, 2), np.uint8))).tolist() == [[0, 0], [0, 0]]


def test_images_that_are_not_masks(tmp_path: Path):
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, 0] = 128, 0, 0
    for pixels, kind in ((colours, "colours"), (np.zeros((2, 3), np.uint16), "16 bits")):
        with pytest.raises(InputError, match=rf"a\.png is an image with {kind}; expected 8 bits"):
            read_mask(write_png(tmp_path / "a.png", pixels))
    whole = write_png(tmp_path / "b.png", np.arange(200, dtype=np.uint8).reshape(10, 20), palette=True).read_bytes()
    for content in (b"", b"no image", whole[: len(whole) // 2], whole[:-20] + bytes(8) + whole[-12:]):
        (tmp_path / "b.png").write_bytes(content)
        with pytest.raises(InputError, match=r"b\.png"):
            read_mask(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"gone\.png cannot be read"):
        read_mask(tmp_path / "gone.png")
