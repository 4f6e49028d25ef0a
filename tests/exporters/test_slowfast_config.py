"""The configuration that SlowFast stores beside the weights says how they are fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdmetrics.errors import InputError, Note
from sdmetrics.exporters._weights.checkpoints import open_checkpoint
from sdmetrics.exporters._weights.slowfast_config import fed_as_stated
from sdmetrics.exporters.catalogue import find_architecture
from sdmetrics.probes.inputs import ModelInput
from tests.exporters.test_checkpoints import TINY, network, same
from tests.helpers import slowfast_code
from tests.helpers.slowfast_pairs import PAIRS

VIDEO = ModelInput("video", frames=4, stride=3, fps=25)


def written(dataset: str = "kinetics", **data: object) -> str:
    """SlowFast's YAML, whose lists have an entry a line."""
    lines = []
    for name, value in {"NUM_FRAMES": 4, **data}.items():
        entries = (
            [f"  {name}:", *(f"  - {each}" for each in value)] if isinstance(value, list) else [f"  {name}: {value}"]
        )
        lines += entries
    return "\n".join(["BN:", "  MEAN: 7", "DATA:", *lines, "TRAIN:", "  BATCH_SIZE: 8", f"  DATASET: {dataset}", ""])


def fed(config: str, inputs: Sequence[ModelInput] = (VIDEO,)) -> tuple[ModelInput, ...]:
    return fed_as_stated({"cfg": config}, inputs, "my.pyth")


@pytest.mark.parametrize(
    ("dataset", "reverse", "colours"),
    [("ssv2", True, "rgb"), ("charades", True, "rgb"), ("kinetics", False, "rgb"),
     ("ssv2", False, "bgr"), ("charades", False, "bgr"), ("kinetics", True, "bgr")],
)  # fmt: skip
def test_the_colours_that_it_feeds(dataset: str, reverse: bool, colours: str, tmp_path: Path) -> None:
    config = written(dataset, REVERSE_INPUT_CHANNEL=str(reverse).lower())
    state = network().state_dict()
    torch.save({"model_state": state, "cfg": config}, tmp_path / "my.pyth")
    module, (video,) = open_checkpoint(TINY, tmp_path / "my.pyth")
    assert same(module, state)
    assert video.colours == colours


def test_mean_deviation_stride_and_rate_are_its_own() -> None:
    (video,) = fed(written(MEAN=[0.1, 0.2, 0.3], STD=[0.4, 0.5, 0.6], SAMPLING_RATE=6, TARGET_FPS=15))
    assert (video.mean, video.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (video.stride, video.fps, video.sampling) == (6, 15, "window")


def test_something_something_is_spread_over_the_video_and_charades_has_the_rate_of_its_images() -> None:
    (spread,), (charades,) = fed(written("ssv2", TARGET_FPS=30)), fed(written("charades", TARGET_FPS=30))
    assert (spread.sampling, spread.fps) == ("spread", None)
    assert (charades.sampling, charades.fps) == ("window", None)


def test_the_slow_pathway_takes_every_so_many_frames_of_the_fast_one() -> None:
    inputs = find_architecture("slowfast_r50_8x8").inputs
    assert [item.stride for item in fed(written(NUM_FRAMES=32, SAMPLING_RATE=3), inputs)] == [12, 3]


def test_another_number_of_frames_is_said() -> None:
    with pytest.warns(Note, match="my.pyth: its configuration feeds 8 frames, this architecture reads 4"):
        fed(written(NUM_FRAMES=8))


@pytest.mark.parametrize("config", [None, 3, "", "A: 1", "DATA:\n", "DATA:\n  MEAN: x\n  STD:\n  - 0\n  - 1\n  - 1\n"])
def test_what_says_nothing_changes_nothing(config: object) -> None:
    assert fed_as_stated({"cfg": config}, [VIDEO], "my.pyth") == (VIDEO,)


def test_what_cannot_be_followed_is_one_line() -> None:
    with pytest.raises(InputError, match=r"the configuration in my\.pyth cannot be followed: .* fps 1000000000.0;"):
        fed(written(TARGET_FPS="1e9"))


@pytest.mark.skipif(not slowfast_code.available(), reason="no SlowFast on the path: see tests/helpers/slowfast_code.py")
@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.name != "fastonly_r50"], ids=lambda pair: pair.name)
def test_its_own_configurations_feed_as_the_catalogue_does(pair: object) -> None:
    row = find_architecture(pair.name)  # type: ignore[attr-defined]
    config = slowfast_code.configuration(pair)  # type: ignore[arg-type]
    config.DATA.NUM_FRAMES = max(item.frames for item in row.inputs)
    spread = config.TRAIN.DATASET == "ssv2"
    for ours, theirs in zip(row.inputs, fed(config.dump(), row.inputs), strict=True):
        assert theirs.sampling == ("spread" if spread else "window")
        assert spread or ours.stride / (ours.fps or 30) == pytest.approx(theirs.stride / (theirs.fps or 30))
        assert replace(theirs, sampling=ours.sampling, fps=ours.fps, stride=ours.stride) == ours
