"""The catalogue's convolutional networks as PyTorchVideo builds them, where it is installed.

What the tests need without it is printed by `python -m tests.helpers.pytorchvideo_code`.
"""

import importlib
import zlib

import torch
from torch import nn

from sdmetrics.exporters.architectures import pytorchvideo

C2D = ((1,), (1,), (1,), (1,))
I3D = ((3,), (3, 1), (3, 1), (1, 3))
SLOW = ((1,), (1,), (3,), (3,))
FAST = ((3,), (3,), (3,), (3,))


def unfilled(build, *arguments):
    """Build a network without making its numbers."""
    with torch.device("meta"):
        return build(*arguments)


def in_numbers(network):
    """Return the numbers of parameters and of tensors, and a checksum of the tensors' names and shapes."""
    state = network.state_dict()
    lines = "".join(f"{name} {tuple(tensor.shape)}\n" for name, tensor in state.items())
    return sum(parameter.numel() for parameter in network.parameters()), len(state), zlib.crc32(lines.encode())


def build(row):
    """Return a row's network from PyTorchVideo's builders, called with a list where it has two inputs."""
    network = {"SlowFast": _slowfast, "X3D": _x3d}.get(row.family, _resnet)(row)
    for part in network.modules():
        if "_r18_" in row.name and hasattr(part, "res_blocks"):
            part.res_blocks = part.res_blocks[:2]
    return network


def main():
    """Print what PyTorchVideo's networks have."""
    for row in pytorchvideo.ROWS:
        parameters, tensors, checksum = in_numbers(unfilled(build, row))
        print(f'    "{row.name}": ({parameters:_}, {tensors}, {checksum}),')


def mvit(row):
    """Return MViT-B for a row's clips."""
    (clip,) = row.inputs
    return importlib.import_module("pytorchvideo.models.hub.vision_transformers").mvit_base_16x4(
        spatial_size=clip.size, temporal_size=clip.frames, head_num_classes=row.classes
    )


def _resnet(row):
    (clip,) = row.inputs
    kernels = {"C2D": C2D, "I3D": I3D, "SlowOnly": SLOW, "FastOnly": FAST}[row.family]
    pooled = row.family in ("C2D", "I3D")
    return importlib.import_module("pytorchvideo.models.resnet").create_resnet(
        model_num_class=row.classes,
        stem_dim_out=8 if row.family == "FastOnly" else 64,
        stem_conv_kernel_size=(5 if row.family in ("I3D", "FastOnly") else 1, 7, 7),
        stage1_pool=nn.MaxPool3d if pooled else None,
        stage_conv_a_kernel_size=_temporal(kernels),
        head_pool_kernel_size=(clip.frames // 2 if pooled else clip.frames, *_window(clip)),
    )


def _slowfast(row):
    slow, fast = row.inputs
    return importlib.import_module("pytorchvideo.models.slowfast").create_slowfast(
        model_num_class=row.classes,
        slowfast_fusion_conv_kernel_size=(5 if row.name.endswith("_4x16") else 7, 1, 1),
        slowfast_fusion_conv_stride=(fast.frames // slow.frames, 1, 1),
        stage_conv_a_kernel_sizes=(_temporal(SLOW), _temporal(FAST)),
        head_pool_kernel_sizes=((slow.frames, *_window(slow)), (fast.frames, *_window(fast))),
    )


def _x3d(row):
    (clip,) = row.inputs
    return importlib.import_module("pytorchvideo.models.x3d").create_x3d(
        input_clip_length=clip.frames,
        input_crop_size=min(clip.size),
        model_num_class=row.classes,
        depth_factor=5.0 if row.name == "x3d_l" else 2.2,
        head_activation=None,
    )


def _temporal(kernels):
    return [[(size, 1, 1) for size in stage] for stage in kernels]


def _window(clip):
    return tuple(min(7, -(-side // 32)) for side in clip.size)


if __name__ == "__main__":
    main()
