"""Models of SlowFast's own code, saved by its own code, where that repository is at hand.

To have it, clone github.com/facebookresearch/SlowFast anywhere; then
`PYTHONPATH=path/to/SlowFast python -m pytest tests/exporters/test_slowfast_checkpoints.py`. What the tests need without
it is written by `PYTHONPATH=path/to/SlowFast python -m tests.helpers.slowfast_code`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.helpers.slowfast_pairs import CLASSES, PAIRS, RECORD, Pair, nested, weights

# What SlowFast imports and none of these models uses.
UNRELATED = (
    *("detectron2", "detectron2.layers", "matplotlib", "matplotlib.pyplot", "pandas", "simplejson"),
    *("pytorchvideo.losses", "pytorchvideo.losses.soft_target_cross_entropy"),
)
# Names of `pytorchvideo.layers.distributed` that came after its last release.
LATER = ("cat_all_gather", "get_local_process_group", "get_local_rank", "get_local_size", "init_distributed_training")
# One per family: more would say the same again.
RECORDED = ("i3d_r18_8x8", "slowfast_r18_8x8", "x3d_xs", "mvit_b_16x4", "mvit_v2_s_16x4")


class _Absent(ModuleType):
    """Stands for a module that is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # torch looks at it when it lists what is imported.
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.Mock()


@contextlib.contextmanager
def _unrelated_left_out() -> Iterator[None]:
    import pytorchvideo.layers.distributed as distributed

    absent = {name: _Absent(name) for name in UNRELATED if not _installed(name)}
    sys.modules.update(absent)
    try:
        with contextlib.ExitStack() as stack:
            for name in LATER:
                stack.enter_context(mock.patch.object(distributed, name, None, create=True))
            yield
    finally:
        for name in absent:
            del sys.modules[name]


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def available() -> bool:
    """Whether SlowFast's repository is at hand."""
    return _installed("slowfast")


def configuration(pair: Pair) -> Any:
    """Return SlowFast's own configuration, for few classes and the pair's clip."""
    import slowfast

    with _unrelated_left_out():
        config = importlib.import_module("slowfast.config.defaults").get_cfg()
    config.merge_from_file(str(Path(slowfast.__file__).parents[1] / "configs" / f"{pair.config}.yaml"))
    size = ("DATA.TRAIN_CROP_SIZE", pair.side, "DATA.TEST_CROP_SIZE", pair.side, "DATA.NUM_FRAMES", pair.frames)
    # BatchNorm of one process: its weights are those of the synchronised one.
    alone = ("NUM_GPUS", 0, "BN.NORM_TYPE", "batchnorm")
    config.merge_from_list([*size, *alone, "MODEL.NUM_CLASSES", CLASSES, *pair.options])
    return config


def build(pair: Pair, config: Any) -> nn.Module:
    """Return SlowFast's model with the tests' weights."""
    with _unrelated_left_out():
        builder = importlib.import_module("slowfast.models.video_model_builder")
    kernels = builder._TEMPORAL_KERNEL_BASIS
    # The fast pathway by itself has no name in SlowFast: it is a slow network with the fast one's kernels.
    fast = {"slow": [[stage[1]] for stage in kernels["slowfast"]]} if pair.name.startswith("fastonly") else {}
    with mock.patch.dict(kernels, fast):
        model: nn.Module = getattr(builder, config.MODEL.MODEL_NAME)(config)
    model.load_state_dict(weights({name: tensor.shape for name, tensor in model.state_dict().items()}))
    return model.eval()


def save(model: nn.Module, config: Any, folder: Path) -> Path:
    """Return the checkpoint that SlowFast's own code writes."""
    with _unrelated_left_out():
        checkpoint = importlib.import_module("slowfast.utils.checkpoint")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Path(checkpoint.save_checkpoint(str(folder), model, optimizer, 3, config))


def logits(model: nn.Module, clips: list[Tensor]) -> Tensor:
    """Return what the classifier of a SlowFast model says, before the softmax that ends it."""
    said: list[Tensor] = []
    handle = model.head.projection.register_forward_hook(lambda _module, _inputs, output: said.append(output))
    with torch.no_grad():
        model(clips)
    handle.remove()
    return said[0].reshape(len(clips[0]), -1, CLASSES).mean(1)


def fed(pair: Pair, frames: list[Path]) -> list[Tensor]:
    """Return what SlowFast's loader of Something-Something makes of frames, `(C, T, H, W)` per pathway."""
    config = configuration(pair)
    with _unrelated_left_out():
        utils = importlib.import_module("slowfast.datasets.utils")
    loaded = torch.as_tensor(utils.retry_load_images([str(frame) for frame in frames], 1))
    scaled = utils.tensor_normalize(loaded, config.DATA.MEAN, config.DATA.STD)
    pathways: list[Tensor] = utils.pack_pathway_output(config, scaled.permute(3, 0, 1, 2))
    return pathways


def main() -> None:
    """Write down what SlowFast's code gives."""
    records = {}
    for pair in PAIRS:
        if pair.name in RECORDED:
            model = build(pair, configuration(pair))
            shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
            records[pair.name] = {"shapes": nested(shapes), "logits": logits(model, pair.clips()).tolist()}
    RECORD.write_text(json.dumps(records, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
