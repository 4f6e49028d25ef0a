"""The contact sheet: it shows every view, says which make a pair, and is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sdmetrics.errors import InputError
from sdmetrics.report.contact_sheet import COLOURS, SheetRow, contact_sheet


def row(clip_id: str = "wave", frames: int = 4, size: tuple[int, int] = (40, 40)) -> SheetRow:
    """Three views whose frames have a colour of their own each, which the sheet must show."""
    first = np.stack([np.full((*size, 3), (250, 10 * i, 0), np.uint8) for i in range(frames)])
    second = np.stack([np.full((*size, 3), (0, 10 * i, 250), np.uint8) for i in range(frames)])
    return SheetRow(clip_id, [("ink", first), ("oil", second), ("ink", first[::-1])])


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image[..., ::-1]


def columns_of(image: np.ndarray, colour: tuple[int, int, int]) -> list[np.ndarray]:
    """Return the columns that a colour appears in, strip by strip."""
    found = (image == colour).all(axis=-1)
    rows = np.flatnonzero(found.any(axis=1))
    strips = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return [np.flatnonzero(found[strip].any(axis=0)) for strip in strips]


def test_every_view_is_shown_in_its_order(tmp_path: Path):
    image = read(contact_sheet([row()], tmp_path / "pairs.png"))
    lefts = []
    for i in range(4):
        in_order, shuffled = columns_of(image, (250, 10 * i, 0))
        (other,) = columns_of(image, (0, 10 * i, 250))
        assert in_order.min() == other.min()
        lefts.append((in_order.min(), shuffled.min()))
    assert lefts == sorted(lefts)
    assert [left for left, _ in lefts] == [right for _, right in reversed(lefts)]


def test_brackets_join_the_views_of_a_pair(tmp_path: Path):
    image = read(contact_sheet([row()], tmp_path / "pairs.png"))
    first, second, third = (
        np.flatnonzero((image == colour).all(axis=-1).any(axis=1)).mean()
        for colour in [(250, 0, 0), (0, 0, 250), (250, 0, 0)]
    )
    strips = np.flatnonzero((image == (250, 0, 0)).all(axis=-1).any(axis=1))
    upper, lower = np.split(strips, [np.argmax(np.diff(strips)) + 1])
    for factor, end in (("dynamic", second), ("static", lower.mean())):
        columns = (image == COLOURS[factor]).all(axis=-1).sum(axis=0)
        rows = np.flatnonzero((image[:, columns.argmax()] == COLOURS[factor]).all(axis=-1))
        assert abs(rows.min() - upper.mean()) < 12, factor
        assert abs(rows.max() - end) < 12, factor
    assert first == third


def test_clips_of_any_shape_fit(tmp_path: Path):
    rows = [row("a", 64, (224, 224)), row("long " * 200, 2, (20, 300)), row("größe", 1, (600, 10))]
    assert read(contact_sheet(rows, tmp_path / "pairs.png")).shape[1] < 1800


def test_what_cannot_be_drawn(tmp_path: Path):
    with pytest.raises(InputError, match="no clips to show"):
        contact_sheet([], tmp_path / "pairs.png")
    with pytest.raises(InputError, match="'wave' has 2 views; expected 3"):
        contact_sheet([SheetRow("wave", row().views[:2])], tmp_path / "pairs.png")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        contact_sheet([row()], tmp_path / "file" / "pairs.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
