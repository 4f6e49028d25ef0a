"""Optical flow that is given: a folder with a file for every image of a video, of the image's name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sdmetrics._text import printable
from sdmetrics.clips.clip import Flow
from sdmetrics.clips.decode import image_size
from sdmetrics.clips.fit import Fit, Size
from sdmetrics.clips.flow.estimate import resized_flow
from sdmetrics.clips.flow.files import read_flow
from sdmetrics.errors import InputError

FLOW_SUFFIXES = (".flo", ".png", ".jpg", ".jpeg")


def flow_root(flow: str | Path, frames: Iterable[Path]) -> Path:
    """Return the folder that flow is given in, unless the frames themselves are below it.

    Parameters
    ----------
    flow
        The folder.
    frames
        The folders of the frames.

    Raises
    ------
    InputError
        If it is not a folder, or holds the frames.

    Examples
    --------
    >>> flow_root(".", [Path("walk")])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: flow is ., which holds the frames themselves (walk); pass a folder with the flow of \
every image only, or leave it out to estimate the flow
    """
    root = Path(flow)
    if not os.path.isdir(root):  # noqa: PTH112  (Path.is_dir raises an error for names that are too long)
        raise InputError(
            f"flow is {printable(flow)}, which is not a folder; pass one with the flow of every image, or none"
        )
    real = root.resolve()
    if inside := next((folder for folder in frames if folder.resolve().is_relative_to(real)), None):
        raise InputError(
            f"flow is {printable(flow)}, which holds the frames themselves ({printable(inside)}); pass a folder with "
            "the flow of every image only, or leave it out to estimate the flow"
        )
    return root


def flow_file(folder: Path, image: Path) -> Path | None:
    """Return the file of a folder with the flow of an image, if there is one.

    Examples
    --------
    >>> flow_file(Path("gone"), Path("bear/00000.jpg")) is None
    True
    """
    files = (folder / f"{image.stem}{suffix}" for suffix in FLOW_SUFFIXES)
    return next((file for file in files if file.exists()), None)


def flow_files(folder: Path, images: Sequence[Path]) -> list[Path]:
    """Return the files with the flow of images; a file that does not exist where there is none.

    Examples
    --------
    >>> [file.name for file in flow_files(Path("gone"), [Path("bear/00000.jpg")])]
    ['00000.flo']
    """
    return [flow_file(folder, image) or folder / f"{image.stem}{FLOW_SUFFIXES[0]}" for image in images]


def flow_of_images(folder: Path, images: Sequence[Path], fit: Fit) -> Flow:
    """Return the flow of images from the files of a folder, scaled and cropped like the images.

    Parameters
    ----------
    folder
        With files that `sdmetrics.clips.flow.files.read_flow` reads.
    images
        Flow files have the names of the images. The images themselves are needed only where their size decides to
        what they are scaled.
    fit
        As in `sdmetrics.clips.decode.read_image`.

    Returns
    -------
    flow
        float32 `(T, height, width, 2)`, or colour-coded uint8 `(T, height, width, 3)`.

    Raises
    ------
    InputError
        If a file is missing or cannot be read, some are vectors and some images, or an image cannot be read.

    Examples
    --------
    >>> flow_of_images(Path("gone"), [Path("bear/00000.jpg")], Fit((4, 4), resize=(4, 4)))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: gone/00000 has no flow (.flo .png .jpg .jpeg); add it, or use another folder
    """
    flows = []
    for image in images:
        file = flow_file(folder, image)
        if file is None:
            raise InputError(
                f"{printable(folder / image.stem)} has no flow ({' '.join(FLOW_SUFFIXES)}); add it, or use another "
                "folder"
            )
        flows.append(fitted_flow(read_flow(file), scaled_size(image, fit), fit))
    if len({flow.shape[-1] for flow in flows}) > 1:
        raise InputError(
            f"{printable(folder)} has vectors for some images and colour-coded flow for others; keep one kind"
        )
    return np.stack(flows)


def scaled_size(image: Path, fit: Fit) -> Size:
    """Return the size to which an image is scaled; its header is read only if that decides.

    Examples
    --------
    >>> scaled_size(Path("gone.png"), Fit((112, 112), resize=(128, 171)))
    (128, 171)
    """
    return fit.resize if isinstance(fit.resize, tuple) else fit.scaled(image_size(image), image)


def fitted_flow(flow: Flow, scaled: Size, fit: Fit) -> Flow:
    """Return flow `(H, W, 2 or 3)` scaled to `scaled` and cropped to the centre.

    Examples
    --------
    >>> fitted_flow(np.ones((4, 4, 2), np.float32), (8, 16), Fit((8, 8)))[0, 0].tolist()
    [4.0, 2.0]
    """
    top, left = fit.corner(scaled)
    return resized_flow(flow, scaled)[top : top + fit.size[0], left : left + fit.size[1]]
