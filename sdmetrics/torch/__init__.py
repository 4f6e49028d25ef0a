"""For training in PyTorch: StaticDropout, the bias over training, and data sets whose frames are shuffled."""

from sdmetrics.errors import require

require("torch", extra="torch")

from sdmetrics.torch.attachment import Attachment, attach  # noqa: E402
from sdmetrics.torch.shuffle import ShuffledFrames  # noqa: E402
from sdmetrics.torch.static_dropout import StaticDropout, finetune  # noqa: E402
from sdmetrics.torch.tracker import BiasTracker  # noqa: E402

__all__ = ["Attachment", "BiasTracker", "ShuffledFrames", "StaticDropout", "attach", "finetune"]
