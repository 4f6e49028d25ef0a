"""StyleAugment: clips in looks that differ from clip to clip, so that what a frame looks like predicts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sdmetrics.clips.render import restyled
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput
from sdmetrics.torch.training.looks import Looks


class StyleAugment:
    """Shows every clip in a random look, the same in all its frames: motion stays, colours and brightness do not.

    Without `styles` the look is photometric, and computed on the device of the clips: channels are mixed at random,
    each is inverted with a probability of 0.4, and gamma, contrast and brightness change. `sdmetrics.analyze` measures
    with other styles by default.

    Parameters
    ----------
    layout
        Axes of the clips by letter, with `C`, three channels. With `N` every clip of the batch has a look of its own;
        without it, e.g. `"CTHW"` in a dataset, there is one clip.
    mean, std
        What the clips were normalised with, per channel, values being 0 to 1. Default: they were not. Whole numbers
        (uint8) are 0 to 255.
    styles
        Styles by name, as for `sdmetrics.analyze(styles=...)`, e.g. `sdmetrics.clips.styles.built_in.STYLES`, one of
        which is drawn for every clip. They run on the CPU, frame by frame, so they belong into the workers of a data
        loader.

    Notes
    -----
    Draws use torch's global generator of the CPU, as torchvision's transforms do: workers of a data loader draw
    differently, and a checkpoint of the generator resumes them.

    Raises
    ------
    InputError
        If an argument is not allowed, or clips do not fit the layout.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> clip = torch.rand(1, 3, 1, 4, 4).expand(2, 3, 8, 4, 4)
    >>> shown = StyleAugment("NCTHW")(clip)
    >>> torch.equal(shown[:, :, :1].expand_as(shown), shown), torch.equal(shown[0], shown[1])
    (True, False)
    """

    def __init__(
        self,
        layout: str = "NCTHW",
        *,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        styles: Mapping[str, Style] | None = None,
    ) -> None:
        if not isinstance(layout, str) or sorted(layout) not in (sorted("CTHW"), sorted("NCTHW")):
            raise InputError(f"layout is {layout!r:.60}; expected: C, T, H and W, with N or without, e.g. 'NCTHW'")
        checked = ModelInput("video", mean=tuple(mean), std=tuple(std))
        if styles is not None and not styles:
            raise InputError("styles is empty; pass at least one, or None for photometric looks")
        self.layout, self.styles = layout, styles
        self._mean, self._std = torch.tensor(checked.mean), torch.tensor(checked.std)

    def __call__(self, clips: Tensor) -> Tensor:
        """Return the clips in their looks, of the same shape, type and device."""
        if not isinstance(clips, Tensor) or clips.ndim != len(self.layout):
            what = f"of shape {tuple(clips.shape)}" if isinstance(clips, Tensor) else f"a {type(clips).__name__}"
            raise InputError(f"clips are {what}; expected: a tensor with the axes {self.layout}")
        if clips.shape[self.layout.index("C")] != 3:
            raise InputError(f"clips of shape {tuple(clips.shape)} have not three channels on axis C of {self.layout}")
        if not (clips.is_floating_point() or clips.dtype == torch.uint8):
            raise InputError(f"clips are {clips.dtype}; expected: uint8, 0 to 255, or floating-point numbers")
        full = self.layout if "N" in self.layout else f"N{self.layout}"
        axes = [full.index(axis) for axis in "NTHWC"]
        values = self._frames(clips if full == self.layout else clips[None], axes)
        shown = self._styled(values) if self.styles else Looks.drawn(len(values))(values)
        return self._restored(shown, clips.dtype, axes).reshape(clips.shape)

    def _frames(self, clips: Tensor, axes: Sequence[int]) -> Tensor:
        """Return clips as float32 (N, T, H, W, 3), 0 to 1."""
        values = clips.permute(*axes).float()
        if clips.dtype == torch.uint8:
            return values / 255
        return values * self._std.to(clips.device) + self._mean.to(clips.device)

    def _restored(self, values: Tensor, dtype: torch.dtype, axes: Sequence[int]) -> Tensor:
        """Return what `_frames` returned in the layout, type and range of the clips."""
        if dtype == torch.uint8:
            values = (values * 255).round()
        else:
            values = (values - self._mean.to(values.device)) / self._std.to(values.device)
        back = [list(axes).index(axis) for axis in range(len(axes))]
        return values.permute(*back).to(dtype)

    def _styled(self, values: Tensor) -> Tensor:
        """Draw every clip in one of the styles."""
        assert self.styles is not None
        named = sorted(self.styles)
        frames = (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
        drawn = [named[number] for number in torch.randint(len(named), (len(frames),)).tolist()]
        shown = np.stack([restyled(clip, name, self.styles[name]) for name, clip in zip(drawn, frames, strict=True)])
        return torch.from_numpy(shown).to(values.device) / 255
