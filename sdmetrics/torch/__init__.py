"""For training in PyTorch: StaticDropout, the bias over training, data sets whose frames are shuffled, segmenters.

Training against static bias, and fine-tuning as the paper does (Sec. 5.2):

>>> import torch
>>> from sdmetrics.torch import attach, finetune
>>> _ = torch.manual_seed(0)
>>> layers = torch.nn.Conv3d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten()
>>> model = torch.nn.Sequential(*layers, torch.nn.Linear(16, 4))
>>> attached = attach(model, "3", rate=0.3, every=30)  # where the module "3" returns its features, (clips, 16)
>>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
>>> for _ in range(3):
...     video, label = torch.randn(8, 3, 6, 16, 16), torch.randint(4, (8,))
...     loss = torch.nn.functional.cross_entropy(model(video), label)
...     optimizer.zero_grad()
...     loss.backward()
...     optimizer.step()
>>> attached.dropout.scores.shape, attached.dropout.estimates
(torch.Size([16]), 1)
>>> finetune(model)  # from here on nothing is dropped

Segmenting moving objects by frames and their flow, with parts that combine freely (Sec. 5.3); `fusionseg`, `matnet` and
`rtnet` are published combinations, at their full size:

>>> from sdmetrics.torch import TwoStream, small_resnet
>>> model = TwoStream(small_resnet(), small_resnet(), cross="motion_to_appearance", fusion="gated", width=32)
>>> model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))["mask"].shape
torch.Size([1, 1, 64, 64])

`VisTR` finds the objects of whole clips.
"""

from sdmetrics.errors import require

require("torch", extra="torch")

from sdmetrics.torch.segmenters.backbones import small_resnet  # noqa: E402
from sdmetrics.torch.segmenters.published import fusionseg, matnet, rtnet  # noqa: E402
from sdmetrics.torch.segmenters.two_stream import TwoStream  # noqa: E402
from sdmetrics.torch.segmenters.vistr import VisTR  # noqa: E402
from sdmetrics.torch.training.attachment import Attachment, attach  # noqa: E402
from sdmetrics.torch.training.shuffled_frames import ShuffledFrames  # noqa: E402
from sdmetrics.torch.training.static_dropout import StaticDropout, finetune  # noqa: E402
from sdmetrics.torch.training.tracker import BiasTracker  # noqa: E402

__all__ = [
    "Attachment",
    "BiasTracker",
    "ShuffledFrames",
    "StaticDropout",
    "TwoStream",
    "VisTR",
    "attach",
    "finetune",
    "fusionseg",
    "matnet",
    "rtnet",
    "small_resnet",
]
