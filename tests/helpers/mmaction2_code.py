"""Models of mmaction2's own code, saved by its own code, where that package is at hand.

To have it: `pip install --target FOLDER --no-deps mmengine==0.10.7 mmcv-lite==2.1.0 yapf addict termcolor rich einops
importlib_metadata==7.2 …` and a checkout of github.com/open-mmlab/mmaction2; then
`PYTHONPATH=CHECKOUT:FOLDER python -m pytest tests/exporters/test_mmaction2_checkpoints.py`. What the tests need without
it is written by `PYTHONPATH=CHECKOUT:FOLDER python -m tests.helpers.mmaction2_code`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.helpers.mmaction2_pairs import CLASSES, PAIRS, RECORD, Pair
from tests.helpers.slowfast_pairs import nested, weights

MULTIMODAL = "mmaction.models.multimodal"
"""A part of mmaction2 that requires further packages and that none of these models uses."""
FIXED = ("relative_position_index", "backbone.pos_embed")
"""Ends of names of tables that are computed, and saved nevertheless."""


def available() -> bool:
    """Whether mmaction2 is at hand."""
    return importlib.util.find_spec("mmaction") is not None


@contextlib.contextmanager
def _imported() -> Iterator[tuple[Any, Any]]:
    """Yield mmengine's configurations and mmaction2's registry of models."""
    sys.modules.setdefault(MULTIMODAL, ModuleType(MULTIMODAL))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("mmaction.models")
        importlib.import_module("mmengine.registry").init_default_scope("mmaction")
        resnet = importlib.import_module("mmaction.models.backbones.resnet")
        block = resnet.ResNet.arch_settings[50][0]
        with mock.patch.dict(resnet.ResNet.arch_settings, {50: (block, (1, 1, 1, 1))}):
            config = importlib.import_module("mmengine.config").Config
            yield config, importlib.import_module("mmaction.registry").MODELS


def configuration(pair: Pair) -> Any:
    """Return mmaction2's own configuration, for few classes and blocks."""
    import mmaction

    with _imported() as (config, _):
        found = config.fromfile(Path(mmaction.__file__).parents[1] / "configs" / "recognition" / pair.config)
    # BatchNorm of one process: its weights are those of the synchronised one.
    synchronised = found.model.backbone.get("norm_cfg", {}).get("type") == "SyncBN"
    alone = {"backbone.norm_cfg.type": "BN3d"} if synchronised else {}
    head = {"cls_head.num_classes": CLASSES} | ({"cls_head.in_channels": pair.features} if pair.features else {})
    changed = {f"backbone.{name}": value for name, value in pair.backbone.items()}
    blank = {"backbone.pretrained": None} if "pretrained" in found.model.backbone else {}
    found.merge_from_dict({f"model.{name}": value for name, value in (alone | head | changed | blank).items()})
    return found


def build(config: Any) -> nn.Module:
    """Return mmaction2's model with the tests' weights."""
    with _imported() as (_, registry):
        model: nn.Module = registry.build(config.model)
    own = model.state_dict()
    drawn = weights({name: tensor.shape for name, tensor in own.items()})
    model.load_state_dict({name: own[name] if _fixed(model, name) else drawn[name] for name in own})
    return model.eval()


def _fixed(model: nn.Module, name: str) -> bool:
    return name.endswith(FIXED) and name not in dict(model.named_parameters())


def save(model: nn.Module, config: Any, path: Path) -> Path:
    """Return the checkpoint that mmengine writes while mmaction2 trains."""
    with _imported():
        save_checkpoint = importlib.import_module("mmengine.runner.checkpoint").save_checkpoint
        history = importlib.import_module("mmengine.logging").HistoryBuffer([1.0], [1])
    weights = importlib.import_module("mmengine.runner.checkpoint").get_state_dict(model)
    meta = {"epoch": 1, "iter": 1, "cfg": config.pretty_text, "experiment_name": "tests"}
    save_checkpoint({"meta": meta, "state_dict": weights, "message_hub": {"log_scalars": {"loss": history}}}, str(path))
    return path


def logits(model: nn.Module, clips: Tensor) -> Tensor:
    """Return what an mmaction2 model says of clips `(N, 3, T, H, W)`."""
    frames_first = type(model).__name__ == "Recognizer2D"
    with torch.no_grad(), _imported():
        said: Tensor = model(clips.transpose(1, 2).contiguous() if frames_first else clips[:, None], stage="head")
    return said


def main() -> None:
    """Write down what mmaction2's code gives."""
    records = {}
    for pair in PAIRS:
        model = build(configuration(pair))
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        records[pair.name] = {"shapes": nested(shapes), "logits": logits(model, pair.clip()).tolist()}
    RECORD.write_text(json.dumps(records, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
