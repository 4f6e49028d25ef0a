"""The table of styles learnt from filters that flicker: its filters, and a row."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.learnt_styles import FILTERS, FRAMES, measured, videos
from tests.helpers.videos import write_video


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_paints_a_frame_and_depends_on_nothing_else(name):
    frame = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    painted = FILTERS[name](frame)
    assert (painted.shape, painted.dtype) == (frame.shape, np.uint8)
    assert np.array_equal(painted, FILTERS[name](frame))
    assert not np.array_equal(painted, frame)


def test_dithering_keeps_the_brightness_in_two_values():
    frame = np.tile(np.linspace(40, 210, 64).astype(np.uint8)[None, :, None], (32, 1, 3))
    painted = FILTERS["dithering"](frame)
    assert set(np.unique(painted)) == {0, 255}
    halves = [painted[:, :32].mean() - frame[:, :32].mean(), painted[:, 32:].mean() - frame[:, 32:].mean()]
    assert np.abs(halves).max() < 6


@pytest.mark.all
def test_a_row_of_the_table(tmp_path):
    write_video(tmp_path / "one.mp4", FRAMES + 2)
    (tmp_path / "notes.txt").write_text("no video")
    assert [video.name for video in videos(tmp_path)] == ["one.mp4"]
    row = measured(tmp_path / "one.mp4", "k-means", 1)
    assert row[:2] == ["one.mp4", "k-means"]
    assert all(float(part) >= 0 for cell in row[2:] for part in cell.split(" / "))
