"""Training in PyTorch: StaticDropout, bias tracking, data sets with shuffled frames, segmenters.

Every name is imported on first use.

Train against static bias, then fine-tune as in the paper (Sec. 5.2):

>>> import torch
>>> from sdmetrics.torch import attach, finetune
>>> _ = torch.manual_seed(0)
>>> layers = torch.nn.Conv3d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten()
>>> model = torch.nn.Sequential(*layers, torch.nn.Linear(16, 4))
>>> attached = attach(model, "3", rate=0.3, every=30)  # module "3" returns the features, (clips, 16)
>>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
>>> for _ in range(3):
...     video, label = torch.randn(8, 3, 6, 16, 16), torch.randint(4, (8,))
...     loss = torch.nn.functional.cross_entropy(model(video), label)
...     optimizer.zero_grad()
...     loss.backward()
...     optimizer.step()
>>> attached.dropout.scores.shape, attached.dropout.estimates
(torch.Size([16]), 1)
>>> finetune(model)  # nothing is dropped any more

Segment moving objects, given frames and their flow, with interchangeable parts (Sec. 5.3). `fusionseg`, `matnet` and
`rtnet` are published combinations, in full size:

>>> from sdmetrics.torch import TwoStream, small_resnet
>>> model = TwoStream(small_resnet(), small_resnet(), cross="motion_to_appearance", fusion="gated", width=32)
>>> model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))["mask"].shape
torch.Size([1, 1, 64, 64])

`VisTR` segments the objects of whole clips. `StaticDynamic` is the metric of a layer for torchmetrics.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sdmetrics.errors import require

if TYPE_CHECKING:
    from sdmetrics.torch.integrations.static_dynamic import StaticDynamic as StaticDynamic
    from sdmetrics.torch.segmenters.backbones import small_resnet
    from sdmetrics.torch.segmenters.published import fusionseg, matnet, rtnet
    from sdmetrics.torch.segmenters.two_stream import TwoStream
    from sdmetrics.torch.segmenters.vistr import VisTR
    from sdmetrics.torch.training.attached_loss import AttachedLoss
    from sdmetrics.torch.training.attachment import Attachment, attach
    from sdmetrics.torch.training.shuffle_entropy import ShuffleEntropy
    from sdmetrics.torch.training.shuffled_frames import ShuffledFrames
    from sdmetrics.torch.training.static_dropout import StaticDropout, finetune
    from sdmetrics.torch.training.static_penalty import StaticPenalty
    from sdmetrics.torch.training.style_augment import StyleAugment
    from sdmetrics.torch.training.tracker import BiasTracker

__all__ = [
    "AttachedLoss",
    "Attachment",
    "BiasTracker",
    "ShuffleEntropy",
    "ShuffledFrames",
    "StaticDropout",
    "StaticPenalty",
    "StyleAugment",
    "TwoStream",
    "VisTR",
    "attach",
    "finetune",
    "fusionseg",
    "matnet",
    "rtnet",
    "small_resnet",
]
"""What a star import brings: all that needs torch only. `StaticDynamic` needs torchmetrics, too."""

_MODULES = {
    "AttachedLoss": "training.attached_loss",
    "Attachment": "training.attachment",
    "BiasTracker": "training.tracker",
    "ShuffleEntropy": "training.shuffle_entropy",
    "ShuffledFrames": "training.shuffled_frames",
    "StaticDropout": "training.static_dropout",
    "StaticDynamic": "integrations.static_dynamic",
    "StaticPenalty": "training.static_penalty",
    "StyleAugment": "training.style_augment",
    "TwoStream": "segmenters.two_stream",
    "VisTR": "segmenters.vistr",
    "attach": "training.attachment",
    "finetune": "training.static_dropout",
    "fusionseg": "segmenters.published",
    "matnet": "segmenters.published",
    "rtnet": "segmenters.published",
    "small_resnet": "segmenters.backbones",
}
"""Where each public name is defined, below this package."""

require("torch", extra="torch")

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value


def __dir__() -> list[str]:
    """Return the module's names, including those not imported yet."""
    return sorted({*globals(), *_MODULES})
