"""The table of how every architecture is fed."""

from pathlib import Path

from benchmarks.feeding import line, table
from sdmetrics.exporters.catalogue import find_architecture

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


def test_a_line_says_how_a_row_is_fed_and_where_its_owner_says_so():
    assert line(find_architecture("r2plus1d_18")) == (
        "| r2plus1d_18 | 16×1 at 15 fps, 128×171→112² | 0.4322, 0.3947, 0.3765; 0.228, 0.2215, 0.217 | Kinetics-400 "
        "| R2Plus1D_18_Weights.KINETICS400_V1 | [pytorch/vision, resnet.py]"
        "(https://github.com/pytorch/vision/blob/main/torchvision/models/video/resnet.py) |"
    )
    assert "| 16 + 64 spread, 256² | 0.45; 0.225 | Something-Something v2 | – |" in line(
        find_architecture("slowfast_r50_16x8")
    )


def test_the_page_shows_the_rows_as_they_are():
    """Otherwise run: python -m benchmarks.feeding --write docs/catalogue.md."""
    assert table() in PAGE.read_text(encoding="utf-8")
