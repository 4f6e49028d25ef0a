"""`sdmetrics style train` and `style check` as a person meets them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.helpers.videos import write_video


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.mp4"
    write_video(path, 12)
    return path


def painting(path, video):
    """Paint the first frame of a video: its colours change places."""
    reader = cv2.VideoCapture(str(video))
    found, frame = reader.read()
    assert found
    cv2.imwrite(str(path), frame[..., [1, 2, 0]] // 2 + 90)
    return path


def test_a_style_is_learnt_checked_and_used(command, video, tmp_path):
    image = painting(tmp_path / "painted.png", video)
    out = tmp_path / "style.onnx"
    options = ("--short-side", 32, "--steps", 3, "--device", "cpu", "-o", out)
    code, printed, err = command("style", "train", video, "--painted", f"0={image}", *options)
    assert (code, err) == (0, "")
    assert "1 painted, at " in printed
    assert f"{out}.training/" in printed
    assert f"style: {out}" in printed
    code, printed, err = command("style", "check", video, "--styles", out, "--styles", "ink", "--size", 32)
    assert (code, err) == (0, "")
    assert "warp error relative to the unstyled clip, 8 frames of 32 × 32" in printed
    assert "difference in value / in texture" in printed
    assert "ms a frame" in printed
    code, _, err = command(
        "sample", video, "--styles", out, "--styles", "ink", "-o", tmp_path / "pairs.png", "--count", 1
    )
    assert (code, err) == (0, "")


def test_built_in_styles_are_checked_by_default(command, video):
    code, out, err = command("style", "check", video)
    assert (code, err) == (0, "")
    for name in ("ink", "neon", "oil", "patina"):
        assert name in out


def test_a_style_that_flickers_is_marked(command, video, monkeypatch):
    def flicker(frames):
        return frames ^ np.arange(len(frames), dtype=np.uint8)[:, None, None, None] % 2 * 255

    monkeypatch.setattr("sdmetrics.clips.styles.networks.open_styles", lambda _: {"flicker": flicker})
    code, out, err = command("style", "check", video)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.strip().startswith("video"))
    assert row.rstrip().endswith("!")


def test_what_is_wrong_is_one_line(command, video, tmp_path):
    image = painting(tmp_path / "painted.png", video)
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((30, 40, 3), 9, np.uint8))
    (tmp_path / "damaged.mp4").write_bytes(b"none")
    for arguments, words in (
        (("train", video, "--painted", image), "expected the number of a frame and an image, e.g. 12=painted.png"),
        (("train", video, "--painted", f"0={image}", "--painted", f"0={image}"), "--painted names frame 0 twice"),
        (("train", video, "--painted", f"99={image}"), "frame 99 is painted, and"),
        (("train", video, "--painted", f"0={tmp_path / 'flat.png'}"), "flat.png"),
        (("train", video, "--painted", f"0={tmp_path / 'none.png'}"), "none.png"),
        (("train", tmp_path / "damaged.mp4", "--painted", f"0={image}"), "damaged.mp4"),
        (("train", tmp_path / "none.mp4", "--painted", f"0={image}"), "none.mp4 does not exist"),
        (("check", tmp_path / "none.mp4"), "none.mp4 does not exist"),
        (("check", tmp_path / "damaged.mp4"), "no clip can be used"),
        (("check", video, "--styles", "crayon"), "style 'crayon' is neither built in"),
    ):
        code, _, err = command("style", *arguments, *(("-o", tmp_path / "s.onnx") if arguments[0] == "train" else ()))
        assert code == 2, arguments
        assert words in err
        assert err.count("\n") == 1
    assert not (tmp_path / "s.onnx").exists()


def test_an_interrupted_training_says_how_to_resume(command, video, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sdmetrics.torch.styling.train.train_style", interrupted)
    image = painting(tmp_path / "painted.png", video)
    code, out, err = command("style", "train", video, "--painted", f"0={image}", "-o", tmp_path / "s.onnx")
    assert (code, err) == (130, "")
    assert "Interrupted. Run the same command again to resume." in out


def test_help(command):
    code, out, _ = command("style", "--help")
    assert code == 0
    assert "train" in out
    assert "check" in out
    assert "--painted" in command("style", "train", "--help")[1]
