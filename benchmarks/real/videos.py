"""The real videos beside the checkout, as one list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared"
REAL = SHARED / "real"

SETS = {"clips": SHARED / "clips", "something": REAL / "something", "davis": REAL / "davis" / "JPEGImages" / "480p"}
"""Folders of videos: files, and folders of frames."""

FILES = (".mp4", ".mkv")


def missing_videos() -> str | None:
    """Return why the videos cannot be read, if they cannot."""
    absent = [name for name, folder in SETS.items() if not folder.is_dir()]
    return (
        f"no {', '.join(absent)} in {SHARED.name}/ beside the checkout: real videos are not part of it"
        if absent
        else None
    )


def list_videos(folder: Path, sets: Sequence[str]) -> Path:
    """Write a list of the videos into `folder`, and return it.

    It names them by links beside it, so that a clip has the same name, and with it the same views, wherever the videos
    are.
    """
    paths = []
    for name in sets:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(SETS[name], target_is_directory=True)
        paths += [
            f"{name}/{path.name}" for path in sorted(SETS[name].iterdir()) if path.is_dir() or path.suffix in FILES
        ]
    listed = folder / f"{'-'.join(sets)}.csv"
    listed.write_text("\n".join(["path", *paths, ""]), encoding="utf-8")
    return listed
