"""Folders that go with the frames of a video instead of being videos: optical flow and masks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FLOW_NAMES = (("flow_x", "flow_y"), ("x", "y"), ("u", "v"))
"""Of folders of horizontal and of vertical flow: `VIDEO/x` and `VIDEO/y`, or `u/VIDEO` and `v/VIDEO`."""

FRAME_NAMES = ("img", "imgs", "image", "images", "rgb", "frame", "frames", "jpg", "jpegs", "jpegs_256", "all")
"""Of folders of frames beside those of flow or masks; `i`, too, where there is no other, as it may be a letter."""

MASK_NAMES = ("mask", "masks", "annotation", "annotations", "segmentation", "segmentations", "depth")


@dataclass(frozen=True)
class Companions:
    """The folders of images that are not videos.

    Parameters
    ----------
    flow
        For every folder of frames those of the horizontal and the vertical part of its flow.
    alone
        Such pairs without frames.
    unclear
        Such pairs that are named like flow or like anything, and have no frames: read as videos.
    masks
        Folders of masks or depth beside their frames.
    """

    flow: Mapping[Path, tuple[Path, Path]] = field(default_factory=dict)
    alone: Collection[tuple[Path, Path]] = ()
    unclear: Collection[tuple[Path, Path]] = ()
    masks: Collection[Path] = ()


def companions(folders: Collection[Path]) -> Companions:
    """Tell the folders of flow and of masks, by their names, from those of frames.

    A folder is that of a part of flow only together with the other part, and, unless its name has the word flow, with
    frames: in the folder above, or in the only tree of folders beside it that is named as those of frames are and has
    the same names below, as in UCF101's `u/VIDEO`, `v/VIDEO` and `jpegs_256/VIDEO`. Where a name has the word flow, the
    only other tree may have any name: without that word, `u`, `v` and `w` may be the signs of an alphabet.

    Parameters
    ----------
    folders
        All folders with images, relative to the data set.

    Examples
    --------
    >>> names = ("tvl1_flow/u/wave", "tvl1_flow/v/wave", "jpegs_256/wave", "walk", "walk/masks")
    >>> found = companions({Path(name) for name in names})
    >>> [(str(frames), str(x), str(y)) for frames, (x, y) in found.flow.items()]
    [('jpegs_256/wave', 'tvl1_flow/u/wave', 'tvl1_flow/v/wave')]
    >>> [str(folder) for folder in found.masks]
    ['walk/masks']
    """
    pairs = {pair: place for folder in sorted(folders) for pair, place in _pairs(folder, folders)}
    in_pairs = {folder for pair in pairs for folder in pair}
    tree = _Tree({folder for folder in folders if folder not in in_pairs})
    flow: dict[Path, tuple[Path, Path]] = {}
    alone: list[tuple[Path, Path]] = []
    unclear: list[tuple[Path, Path]] = []
    for pair, (above, below) in pairs.items():
        named = any("flow" in part for part in pair[0].parts[: len(above) + 1])
        frames = tree.beside(above, below) or tree.only_other(above, below, None if named else FRAME_NAMES)
        if frames is not None and frames not in flow:
            flow[frames] = pair
        else:
            (alone if named else unclear).append(pair)
    masks = [
        folder
        for folder in sorted(tree.folders)
        for place, part in enumerate(folder.parts)
        if part.lower() in MASK_NAMES and tree.beside(*_around(folder, place)) is not None
    ]
    return Companions(flow, alone, unclear, masks)


Place = tuple[tuple[str, ...], tuple[str, ...]]
"""The parts of a path above and below one of its folders."""


def _pairs(folder: Path, folders: Collection[Path]) -> Iterator[tuple[tuple[Path, Path], Place]]:
    """Yield a folder and the one of the other part of its flow, if it is named like horizontal flow."""
    for place, part in enumerate(folder.parts):
        for horizontal, vertical in FLOW_NAMES:
            above, below = _around(folder, place)
            if part == horizontal and (other := Path(*above, vertical, *below)) in folders:
                yield (folder, other), (above, below)
                return


def _around(folder: Path, place: int) -> Place:
    """Return the parts of a path above and below one of them."""
    return folder.parts[:place], folder.parts[place + 1 :]


class _Tree:
    """The folders that are not part of any flow, also by the parts around each of their names."""

    def __init__(self, folders: Collection[Path]) -> None:
        self.folders = folders
        self._at: dict[Place, list[Path]] = {}
        for folder in folders:
            for place in range(len(folder.parts)):
                self._at.setdefault(_around(folder, place), []).append(folder)

    def beside(self, above: tuple[str, ...], below: tuple[str, ...]) -> Path | None:
        """Return the folder of frames above, or the only one beside it that is named as folders of frames are."""
        if (outer := Path(*above, *below)) in self.folders:
            return outer
        names = {folder.parts[len(above)]: folder for folder in self._at.get((above, below), ())}
        found = [folder for name, folder in names.items() if name in FRAME_NAMES]
        if {name for name in names if name.lower() not in MASK_NAMES} == {"i"}:
            return names["i"]
        return found[0] if len(found) == 1 else None

    def only_other(self, above: tuple[str, ...], below: tuple[str, ...], names: Collection[str] | None) -> Path | None:
        """Return the folder of the same path below, if only one other tree, of these names, has it."""
        if not below:
            return None
        found = [
            folder
            for root in {above, above[:-1]}
            for folder in self._at.get((root, below), ())
            if names is None or folder.parts[len(root)] in names
        ]
        return found[0] if len(found) == 1 else None
