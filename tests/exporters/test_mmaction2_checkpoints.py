"""mmaction2's checkpoints: its names are translated, the answer stays the same, and so does how clips are fed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters._weights.layouts.table import translated
from sdmetrics.exporters._weights.load_state import build_fitted
from sdmetrics.exporters._weights.mmaction2_config import normalisation
from sdmetrics.exporters.catalogue import find_architecture
from tests.helpers import mmaction2_code
from tests.helpers.mmaction2_pairs import CLASSES, PAIRS, Pair, record
from tests.helpers.slowfast_pairs import record as slowfast_record
from tests.helpers.slowfast_pairs import weights

BY_NAME = {pair.name: pair for pair in PAIRS}
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY = (0.45,) * 3, (0.225,) * 3
# Frames and stride, rate, how they are chosen, mean and deviation: of mmaction2's `val_pipeline` and preprocessor, for
# X3D and VideoMAE of its `test_pipeline`.
FED = {
    "c2d_r50_8x8x1": ((8, 8), None, "window", IMAGENET),
    "tsm_r50_1x1x8": ((8, 1), None, "spread", IMAGENET),
    "i3d_r50_32x2x1": ((32, 2), None, "window", IMAGENET),
    "i3d_r50_heavy_32x2x1": ((32, 2), None, "window", IMAGENET),
    "r2plus1d_r34_8x8x1": ((8, 8), None, "window", IMAGENET),
    "slowfast_r50_4x16x1": ((4, 16), None, "window", IMAGENET),
    "slowfast_r50_8x8x1": ((8, 8), None, "window", IMAGENET),
    "slowonly_r50_8x8": ((8, 8), None, "window", IMAGENET),
    "x3d_m": ((16, 5), 30, "window", (GREY[0], (0.22502,) * 3)),
    "swin3d_t": ((32, 2), None, "window", IMAGENET),
    "timesformer_8x32": ((8, 32), None, "window", ((0.5,) * 3, (0.5,) * 3)),
    "videomae_b_16x4": ((16, 4), None, "window", IMAGENET),
}
SCALED = dict.fromkeys(FED, (256, (224, 224))) | {"videomae_b_16x4": (224, (224, 224))}

installed = pytest.mark.skipif(
    not mmaction2_code.available(), reason="no mmaction2 on the path: see tests/helpers/mmaction2_code.py"
)


def given(name):
    """Return weights by mmaction2's names, and tables as it computes them."""
    drawn = weights(record(name)["shapes"])
    tables = [name for name in drawn if name.endswith("relative_position_index")]
    return drawn | dict.fromkeys(tables, window_table())


def window_table():
    """Return the place of every pair of Swin's positions in its table of biases, for windows of 8 x 7 x 7."""
    where = torch.cartesian_prod(torch.arange(8), torch.arange(7), torch.arange(7))
    apart = where[:, None] - where[None] + torch.tensor([7, 6, 6])
    return (apart * torch.tensor([13 * 13, 13, 1])).sum(-1)


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", BY_NAME)
def test_the_recorded_weights_fit_and_give_the_recorded_answer(name):
    pair = BY_NAME[name]
    module, _ = build_fitted(pair.row, given(name), "record")
    with torch.no_grad():
        ours = module(*pair.fed())
    theirs = torch.tensor(record(name)["logits"])
    assert theirs.shape == (2, CLASSES)
    assert difference(theirs[0], theirs[1]) > 1e-3
    assert difference(ours, theirs) < 1e-4


@pytest.mark.parametrize("name", FED)
def test_a_clip_is_fed_as_mmaction2_feeds_it(name):
    row = find_architecture(name)
    with torch.device("meta"):
        names = row.build(row.inputs, row.classes).state_dict()
    _, layout = translated(given(name), names)
    first = replace(row.inputs[0], **(layout.fed if layout else {}))
    assert ((first.frames, first.stride), first.fps, first.sampling, (first.mean, first.std)) == FED[name]
    assert (first.resize, first.size) == SCALED[name]


# --- MViT: mmaction2's names are SlowFast's but for these


def test_mvit_of_mmaction2_is_slowfasts_by_other_names():
    row = find_architecture("mvit_v2_s_16x4")
    with torch.device("meta"):
        expected = row.build(row.inputs, CLASSES).state_dict()
        state = {
            "cls_head.fc_cls." + name.rpartition(".")[2]
            if name.startswith("head.")
            else "backbone."
            + re.sub(r"^norm\.", "norm3.", name).replace("embed.proj.", "embed.projection."): torch.empty(shape)
            for name, shape in slowfast_record("mvit_v2_s_16x4")["shapes"].items()
        }
    found, layout = translated(state, expected)
    assert {name: tensor.shape for name, tensor in found.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }
    assert layout is not None
    fed = replace(row.inputs[0], **layout.fed)
    assert (fed.stride, fed.fps, fed.resize, fed.mean, fed.std) == (4, None, 256, *GREY)


# --- what does not fit


@pytest.mark.parametrize(
    ("of", "architecture", "chosen"),
    [
        ("slowfast_r50_8x8x1", "slowfast_r50_8x8", "no BatchNorm and no ReLU. Choose slowfast_r50_8x8x1"),
        ("i3d_r50_32x2x1", "i3d_r50_8x8", "i3d_r50_32x2x1"),
        ("c2d_r50_8x8x1", "c2d_r50_8x8", "c2d_r50_8x8x1"),
        ("c2d_r50_8x8x1", "tsm_r50_1x1x8", r"Missing: backbone.res2.res_blocks.0.branch2.conv_a.net.weight"),
        ("tsm_r50_1x1x8", "tsn_r50_1x1x8", r"Unexpected: backbone.res2.res_blocks.0.branch2.conv_a.net.weight"),
    ],
)
def test_weights_of_another_network_are_one_line_that_names_it(of, architecture, chosen):
    row = replace(BY_NAME[of], name=architecture, options={}).row
    with pytest.raises(InputError, match=chosen) as caught:
        build_fitted(row, given(of), "file.pth")
    assert "\n" not in str(caught.value)


# --- the configuration beside the weights


@pytest.mark.parametrize(
    ("meta", "read"),
    [
        ({"cfg": "mean=[\n 123.675,\n 116.28,\n 103.53,\n ], std=[58.395, 57.12, 57.375]"}, IMAGENET),
        # Before version 1; several that agree.
        ({"config": "a = dict(mean=[51, 51, 51], std=[255, 255, 255])\n" * 2}, ((0.2,) * 3, (1.0,) * 3)),
        ({"cfg": "a = dict(mean=[51, 51, 51])\nb = dict(mean=[0, 0, 0], std=[255, 255, 255])"}, None),
        ({"cfg": "mean=[128, 128], std=[128, 128]"}, None),
        ({"cfg": "mean=[1..2, 1, 1], std=[1, 1, 1]"}, None),
        ({"cfg": "mean=[1, 1, 1], std=[0, 1, 1]"}, None),
        ({"cfg": 5}, None),
        ("meta", None),
    ],
)
def test_the_normalisation_of_the_configuration_is_read(meta, read):
    assert normalisation({"meta": meta}) == ({"mean": read[0], "std": read[1]} if read else {})


def test_weights_are_scaled_as_the_configuration_beside_them_says(tmp_path):
    content = {"meta": {"cfg": "mean=[0, 0, 0], std=[255, 255, 255]"}, "state_dict": given("slowonly_r50_8x8")}
    torch.save(content, tmp_path / "mine.pth")
    _, (video,) = open_checkpoint(BY_NAME["slowonly_r50_8x8"].row, tmp_path / "mine.pth")
    assert (video.mean, video.std, video.fps) == ((0, 0, 0), (1, 1, 1), None)


@pytest.mark.parametrize(
    ("kind", "architecture", "chosen"),
    [("C2D", "tsn_r50_1x1x8", "c2d_r50_8x8x1"), ("ResNet", "c2d_r50_8x8x1", "tsn_r50_1x1x8")],
)
def test_c2d_is_not_taken_for_tsn_whose_weights_look_alike(kind, architecture, chosen, tmp_path):
    content = {"meta": {"cfg": f"model=dict(backbone=dict(type='{kind}'))"}, "state_dict": given("c2d_r50_8x8x1")}
    torch.save(content, tmp_path / "mine.pth")
    row = replace(BY_NAME["c2d_r50_8x8x1"], name=architecture).row
    with pytest.raises(InputError, match=f"the backbone {kind}, .* Choose {chosen}"):
        open_checkpoint(row, tmp_path / "mine.pth")
    torch.save({**content, "meta": {}}, tmp_path / "bare.pth")
    with pytest.warns(Note, match=rf"bare\.pth: opened as {architecture}; weights of c2d_r50_8x8x1, .* does not tell"):
        open_checkpoint(row, tmp_path / "bare.pth")
    open_checkpoint(replace(row, name=chosen), tmp_path / "mine.pth")


# --- against mmaction2 itself


@installed
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_file_that_mmaction2_saved_gives_its_own_logits(pair: Pair, tmp_path: Path):
    config = mmaction2_code.configuration(pair)
    theirs = mmaction2_code.build(config)
    ours, inputs = open_checkpoint(pair.row, mmaction2_code.save(theirs, config, tmp_path / "epoch_1.pth"))
    with torch.no_grad():
        said = ours(*pair.fed())
    assert difference(said, mmaction2_code.logits(theirs, pair.clip())) < 1e-4
    assert (inputs[0].mean, inputs[0].std) == FED[pair.name][-1]
