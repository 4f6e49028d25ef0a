"""The perceptual loss, where the weights of VGG-16 that it compares images with are on this machine."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from sdmetrics._text import printable
from sdmetrics.errors import InputError, one_line

WEIGHTS = "vgg16-397923af.pth"
"""The file under which torchvision keeps them; nothing is downloaded here."""

WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256)
"""Channels of VGG-16's convolutions as far as they are used; 0 halves the size."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def vgg_at_hand() -> Path | None:
    """Return the file of VGG-16's weights in torch's folder of downloaded ones, if it is there."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    return path if path.is_file() else None


class Perceptual(nn.Module):
    """Compares images by what VGG-16 sees in them, up to its seventh convolution (Johnson et al., ECCV 2016).

    Parameters
    ----------
    path
        The weights, as torchvision publishes them.

    Raises
    ------
    InputError
        If the file does not hold them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        channels = 3
        layers: list[nn.Module] = []
        for width in WIDTHS:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
            channels = width or channels
        self.features = nn.Sequential(*layers)
        own = [f"features.{name}" for name in self.features.state_dict()]
        try:
            weights = torch.load(path, map_location="cpu", weights_only=True)
            self.load_state_dict({name: weights[name] for name in own})
        except Exception as error:
            raise InputError(
                f"{printable(path)} are not the weights of VGG-16 ({type(error).__name__}: {one_line(error)}); "
                "download them again, or remove the file to train without them"
            ) from None
        self.requires_grad_(False)
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1), persistent=False)

    def forward(self, made: Tensor, paintings: Tensor) -> Tensor:
        """Return the mean squared difference of the features of images, 0 to 1."""
        seen = [self.features((images - self.mean) / self.std) for images in (made, paintings)]
        return mse_loss(*seen)
