"""`sdmetrics evaluate` and `sdmetrics centre-bias` on published layouts with masks, as a person meets them."""

import json

import pytest
import torch
from torch import nn

from sdmetrics.exporters.torch import export
from sdmetrics.probes.inputs import ModelInput
from tests.helpers.segmentation_files import HEIGHT, WIDTH, write_davis, write_youtube_vos

CPU = ("--provider", "cpu", "--threads", 1)
SHARE = 12 * 20 / (HEIGHT * WIDTH)
"""Of the frame: the square that is annotated in every image of the miniature DAVIS."""


class Everywhere(nn.Module):
    """Marks the upper half of the frame, whatever it shows; gives logits."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1)
        self.register_buffer("upper", torch.linspace(1, -1, 16)[:, None].sign() * 9)

    def forward(self, image):
        return 0 * self.conv(image) + self.upper


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "upper.onnx"
    image = ModelInput("image", frames=1, stride=1, size=(16, 16), layout="NCHW")
    return export(Everywhere().eval(), [image], ["conv"], path)


@pytest.fixture
def davis(tmp_path):
    return write_davis(tmp_path / "DAVIS", {"bear": 5, "camel": 3})


def evaluated(command, tmp_path, *arguments):
    file = tmp_path / "new" / "scores.json"
    code, out, err = command("evaluate", *arguments, "--model-output", "output", "-o", file, *CPU)
    assert (code, err) == (0, "")
    return " ".join(out.split()), json.loads(file.read_text())


def test_every_annotated_frame_is_scored_and_the_table_says_what_the_file_says(command, model, davis, tmp_path):
    out, document = evaluated(command, tmp_path, model, davis)
    assert "upper: 8 clips used, 0 skipped" in out
    assert [row["video"] for row in document["clips"]] == ["bear"] * 5 + ["camel"] * 3
    assert {overlap for row in document["clips"] for overlap in row["overlaps"]} == {2 * SHARE}
    assert document["scores"]["miou"] == {"value": pytest.approx(2 * SHARE), "ci95": [None, None]}
    assert f"mean IoU {200 * SHARE:.1f}" in out
    assert "success" not in out


def test_options_reach_the_scores(command, model, davis, tmp_path):
    options = ("--protocol", "moca", "--flip", "--threshold", 0.3, "--logits")
    out, document = evaluated(command, tmp_path, model, davis, *options)
    assert document["settings"] == {"protocol": "moca", "threshold": 0.3, "flip": True, "skip_ends": False}
    for row in ("mean IoU", "success, IoU > 0.5", "success, IoU > 0.9", "success, mean"):
        assert row in out
    _, document = evaluated(command, tmp_path, model, davis, "--skip-ends")
    scored = [row["video"] for row in document["clips"] if row["overlaps"] != [None]]
    assert scored == ["bear"] * 3 + ["camel"]
    _, document = evaluated(command, tmp_path, model, davis, "--clips-per-video", 1)
    assert [row["id"] for row in document["clips"]] == ["bear", "camel"]


def test_a_damaged_mask_is_listed(command, model, davis, tmp_path):
    (davis / "Annotations" / "480p" / "bear" / "00002.png").write_bytes(b"")
    out, document = evaluated(command, tmp_path, model, davis)
    assert "7 clips used, 1 skipped" in out
    assert document["skipped"][0]["id"] == "bear#2"
    assert "skipped bear#2: " in out


def test_options_that_do_not_fit_the_clips_are_one_line_errors(command, model, davis, tmp_path):
    classes = tmp_path / "classes.txt"
    classes.write_text("bear\ncamel\n")
    bare = davis / "JPEGImages" / "480p"
    for words, arguments in (
        ("--shuffle requires clips without segmentation masks; drop the option", (davis, "--shuffle")),
        ("--labels requires clips without segmentation masks", (davis, "--labels", classes)),
        ("--skip-ends requires all clips of every video", (davis, "--skip-ends", "--clips-per-video", 2)),
        ("--flip requires clips with segmentation masks; drop the option or pass an", (bare, "--flip")),
        ("--logits/--probabilities requires clips with", (bare, "--probabilities")),
        (
            "--protocol, --threshold require clips with segmentation masks; drop the options",
            (bare, "--protocol", "moca", "--threshold", 0.1),
        ),
        ("protocol is 'davis'; allowed: region, moca", (davis, "--protocol", "davis")),
        ("threshold is 20.0; expected at least 0 and below 1", (davis, "--threshold", 20)),
        ("the model has no output 'mask'; allowed: ", (davis, "--model-output", "mask")),
    ):
        code, _, err = command("evaluate", model, *arguments, *CPU)
        assert code == 2
        assert words in err
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_centre_biases_stand_side_by_side(command, davis, tmp_path):
    youtube = write_youtube_vos(tmp_path / "YouTube", {"zoo": ["bear", "cat"]})
    folder = tmp_path / "new" / "figures"
    code, out, err = command("centre-bias", davis, youtube, "--out", folder)
    assert (code, err) == (0, "")
    document = json.loads((folder / "centre-bias.json").read_text(), parse_constant=pytest.fail)
    assert list(document["datasets"]) == ["DAVIS", "YouTube"]
    assert [row["frames"] for row in document["datasets"].values()] == [8, 3]
    for name, row in document["datasets"].items():
        assert f"{row['number']:.2f}" in next(line for line in out.splitlines() if line.strip().startswith(name))
    assert document["datasets"]["DAVIS"]["number"] == 0, "its square is above the box"
    # Of the second object two columns reach into the box, in the last of three frames.
    expected = (12 * 2 / (HEIGHT * WIDTH / 4)) / (3 * 2 * 12 * 20 / (HEIGHT * WIDTH))
    assert document["datasets"]["YouTube"]["number"] == pytest.approx(expected, rel=0.05)
    drawn = (folder / "centre-bias.svg").read_text(encoding="utf-8")
    assert "DAVIS" in drawn
    assert "YouTube" in drawn
    assert f"figure: {folder / 'centre-bias.png'}" in out
    code, out, _ = command("centre-bias", davis, "--clips-per-video", 1, "-o", folder)
    assert code == 0
    assert json.loads((folder / "centre-bias.json").read_text())["datasets"]["DAVIS"]["frames"] == 2


def test_data_sets_without_masks_or_of_one_name_have_no_centre_bias(command, davis, tmp_path):
    for words, arguments in (
        ("480p has no segmentation masks; use an annotated data set", (davis / "JPEGImages" / "480p",)),
        ("two data sets have the same name, 'DAVIS'", (davis, davis)),
        ("does not exist", (tmp_path / "gone",)),
    ):
        code, _, err = command("centre-bias", *arguments, "-o", tmp_path / "out")
        assert code == 2
        assert words in err
        assert err.count("\n") == 1
