"""AnnotatedVideo: the images of a video of which some have masks, whatever layout they were published in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sdmetrics.clips.clip import VOID
from sdmetrics.clips.decode import image_size
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.segmentation.mask_decoding import Mask
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, as_id, files_below, in_order
from sdmetrics.errors import InputError


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video of a data set for segmentation; nothing is read until a mask is asked for.

    Parameters
    ----------
    folder
        The folder of its images, relative to the images of the data set. It names the video.
    images
        All images, in order.
    annotated
        The indices of the images that are annotated, increasing.
    read_mask
        Returns the mask of an annotated image, given its index and its `(height, width)`.
    annotation_files
        The files that hold the masks of the annotated images: one for each, or one for all.
    label
        The category of its objects, where all have the same.
    problem
        What is wrong with the video as a whole, if anything.
    """

    folder: Path
    images: tuple[Path, ...]
    annotated: tuple[int, ...]
    read_mask: Callable[[int, tuple[int, int]], Mask]
    annotation_files: tuple[Path, ...]
    label: str | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The folder as an id."""
        return as_id(self.folder)

    def annotations_of(self, indices: Sequence[int]) -> list[Path]:
        """Return the files that hold the masks of some images."""
        if len(self.annotation_files) == 1:
            return [*self.annotation_files]
        files = dict(zip(self.annotated, self.annotation_files, strict=True))
        return [files[index] for index in sorted(set(indices) & files.keys())]

    def mask(self, index: int, *, scored: bool) -> Mask:
        """Return the mask of an image, uint8 `(h, w)`; 255 everywhere unless it is annotated and to be scored.

        Raises
        ------
        InputError
            If the image or its annotation cannot be read, or they differ in size.
        """
        size = image_size(self.images[index])
        if not scored:
            return np.full(size, VOID, np.uint8)
        mask = self.read_mask(index, size)
        if mask.shape != size:
            raise InputError(
                f"{self.images[index]} is {size[0]} × {size[1]} pixels and its mask {mask.shape[0]} × {mask.shape[1]}; "
                "take both from the same version of the data set"
            )
        return mask


def fitted_mask(mask: Mask, image: Path, fit: Fit) -> Mask:
    """Return the mask of an image scaled and cropped like the image, each pixel that of the nearest centre.

    Examples
    --------
    >>> fitted_mask(np.arange(16, dtype=np.uint8).reshape(4, 4), Path("a.png"), Fit((2, 2), resize=8)).tolist()
    [[5, 6], [9, 10]]
    """
    scaled = fit.scaled(mask.shape, image)
    rows, columns = (
        ((first + np.arange(kept) + 0.5) * stored / long).astype(np.int64)
        for first, kept, stored, long in zip(fit.corner(scaled), fit.size, mask.shape, scaled, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def by_folder(root: Path, suffixes: Sequence[str]) -> dict[Path, list[Path]]:
    """Return the files with one of some suffixes by the folder that contains them, relative to `root`, in order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Path(root, "bear").mkdir()
    ...     Path(root, "bear", "00000.png").touch()
    ...     [(str(folder), len(files)) for folder, files in by_folder(Path(root), [".png"]).items()]
    [('bear', 1)]
    """
    found: dict[Path, list[Path]] = {}
    for file in files_below(root):
        if file.suffix.lower() in suffixes:
            found.setdefault(file.parent.relative_to(root), []).append(file)
    return {folder: sorted(found[folder], key=in_order) for folder in sorted(found)}


def paired(
    images_root: Path,
    notes: Mapping[Path, Mapping[str, Any]],
    read: Callable[[Sequence[Any], int, tuple[int, int]], Mask],
    labels: Mapping[str, str | None] | None = None,
    file: Path | None = None,
) -> list[AnnotatedVideo]:
    """Return the videos that have annotations, each with the images in its folder below `images_root`.

    Images without an annotation belong to their video; folders of images without any are left out. An annotation
    without an image is a problem of its video.

    Parameters
    ----------
    images_root
        The folder of the folders of images.
    notes
        The annotations by folder and by the image's name without its suffix: their files, or anything where `file` is
        given.
    read
        Returns the mask of an annotated image, given the annotations of all images of its video (None where there is
        none), its index and its `(height, width)`.
    labels
        Category by video, where it is known.
    file
        The file of all annotations, where there is one.
    """
    images = by_folder(images_root, IMAGE_SUFFIXES)
    videos = []
    for folder, noted in sorted(notes.items()):
        files = images.get(folder, [])
        stems = [file.stem for file in files]
        problem = ""
        if lost := sorted(noted.keys() - set(stems)):
            image = images_root / folder / lost[0]
            problem = f"{image} is annotated, but there is no such image ({' '.join(IMAGE_SUFFIXES)}); add it"
        elif len(set(stems)) < len(stems):
            twice = next(stem for stem in stems if stems.count(stem) > 1)
            problem = f"{images_root / folder / twice} is there with two suffixes; keep one of the images"
        annotated = tuple(index for index, stem in enumerate(stems) if stem in noted)
        label = (labels or {}).get(as_id(folder))
        held = (file,) if file else tuple(noted[stems[index]] for index in annotated)
        read_mask = partial(read, [noted.get(stem) for stem in stems])
        videos.append(AnnotatedVideo(folder, tuple(files), annotated, read_mask, held, label, problem))
    return videos
