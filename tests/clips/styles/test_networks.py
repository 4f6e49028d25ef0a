"""Networks as styles: two small ones that were trained, in every convention, and hostile ones."""

from __future__ import annotations

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from onnx.version_converter import convert_version

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.clips.styles.networks import NetworkStyle, open_styles
from sdmetrics.clips.styles.steadiness import STEADY, STRONG, difference, texture_difference, warp_error, warps
from sdmetrics.errors import InputError
from tests.helpers.requests import open_clips
from tests.helpers.style_networks import FILES, IMITATED, network, wrapped


@pytest.fixture(scope="module")
def styles() -> dict[str, NetworkStyle]:
    return {name: NetworkStyle(path) for name, path in FILES.items()}


@pytest.fixture(scope="module")
def world() -> list[Frames]:
    """Clips of a world that the networks were not trained on, two of them of another size."""
    return [clip.frames for size in (96, 128) for clip in world_clips(2, size=size, seed=7)]


class TestTrainedNetworks:
    def test_they_imitate_the_style_that_they_learned(self, styles, world):
        for name, style in styles.items():
            for frames in world:
                apart = {other: difference(style(frames), STYLES[other](frames)) for other in STYLES}
                assert apart.pop(IMITATED[name]) < 0.3 * min(apart.values()), name

    def test_they_change_colour_and_texture(self, styles, world):
        ink, neon = styles.values()
        for frames in world:
            for one, other in itertools.combinations([frames, ink(frames), neon(frames)], 2):
                assert difference(one, other) >= STRONG
            assert texture_difference(ink(frames), neon(frames)) >= 0.3

    def test_they_are_steady(self, styles, world):
        for frames in world:
            steps = warps(frames)
            plain = warp_error(frames, steps)
            for name, style in styles.items():
                assert warp_error(style(frames), steps) <= STEADY * plain, name

    def test_they_are_strong_steady_and_leave_motion_on_real_video(self, styles, shared):
        path = shared / "clips" / "carphone.mp4"
        (clip,) = open_clips(path, frames=4, stride=1, size=(224, 224))
        steps = warps(clip.frames)
        ink, neon = styled = [style(clip.frames) for style in styles.values()]
        assert difference(ink, neon) >= STRONG
        assert texture_difference(ink, neon) >= 0.3
        for frames in styled:
            assert warp_error(frames, steps) <= STEADY * warp_error(clip.frames, steps)
            assert np.median(np.abs(warps(frames)[0][0] - steps[0][0])) < 1

    def test_a_frame_is_styled_by_itself_in_any_memory_layout_and_thread(self, styles):
        frames = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)
        for name, style in styles.items():
            styled = style(frames)
            assert (styled.dtype, styled.shape) == (np.uint8, frames.shape)
            np.testing.assert_array_equal(style(frames[::-1])[::-1], styled)
            np.testing.assert_array_equal(style(np.asfortranarray(frames)), styled)
            np.testing.assert_array_equal(NetworkStyle(FILES[name], threads=1)(frames), styled)
            with ThreadPoolExecutor(4) as pool:
                for result in pool.map(style, [frames] * 4):
                    np.testing.assert_array_equal(result, styled)

    def test_they_keep_within_the_repository(self):
        for path in FILES.values():
            assert path.stat().st_size < 150_000

    @pytest.mark.all
    @pytest.mark.filterwarnings("ignore::FutureWarning")
    def test_training_again_comes_near(self, tmp_path, world):
        from benchmarks.models.style_networks import StyleNetwork, export, held_out_loss, train

        trained = train("ink", 255.0, frames=128, epochs=6)
        assert held_out_loss(trained, "ink") < 0.5 * held_out_loss(StyleNetwork(255.0), "ink")
        style = NetworkStyle(export(trained, tmp_path / "again.onnx"))
        assert style.identity["values"] == "0..255"
        apart = {name: difference(style(world[0]), STYLES[name](world[0])) for name in STYLES}
        assert min(apart, key=apart.get) == "ink"


class TestConventions:
    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize(
        "convention",
        [
            {"values": "0..1"},
            {"values": "0..255"},
            {"values": "0..255", "layout": "NHWC"},
            {"values": "0..1", "reads": "half", "writes": "half"},
            {"values": "0..255", "reads": "half", "writes": "half", "layout": "NHWC", "shape": (1, "H", "W")},
            {"values": "0..255", "reads": "bytes", "writes": "bytes", "layout": "NHWC"},
            {"values": "0..255", "reads": "bytes"},
            {"values": "0..255", "writes": "bytes"},
            {"values": "0..1", "shape": (1, 48, 64)},
            {"values": "0..255", "layout": "NHWC", "shape": (1, 48, "W")},
        ],
        ids=lambda convention: " ".join(map(str, convention.values())),
    )
    def test_the_same_network_gives_the_same_images(self, name, convention, styles, tmp_path):
        frames = np.random.default_rng(0).integers(0, 256, (2, 12, 16, 3), np.uint8).repeat(4, 1).repeat(4, 2)
        style = NetworkStyle(wrapped(name, tmp_path, **convention))
        assert style.identity["values"] == convention["values"]
        assert np.abs(style(frames).astype(int) - styles[name](frames)).max() <= 2

    def test_values_from_minus_one_are_measured_where_they_can_be_told(self, styles, world, tmp_path):
        style = NetworkStyle(wrapped("learned-neon", tmp_path, values="-1..1"))
        assert style.identity["values"] == "-1..1"
        assert np.abs(style(world[0]).astype(int) - styles["learned-neon"](world[0])).max() <= 1

    def test_values_that_cannot_be_told_are_asked_for(self, styles, world, tmp_path):
        path = wrapped("learned-ink", tmp_path, values="-1..1")
        with pytest.raises(InputError, match=r"different images in .* 0..1 and -1..1; specify .*append :"):
            NetworkStyle(path)
        style = open_styles([f"{path}:-1..1"])[path.stem]
        assert np.abs(style(world[0]).astype(int) - styles["learned-ink"](world[0])).max() <= 1

    def test_values_that_make_no_difference_are_not_asked_for(self, world, tmp_path):
        swapped = [("Gather", ["x", "i"], ["y"], {"axis": 1})]
        style = NetworkStyle(network(tmp_path, swapped, {"i": np.array([2, 1, 0])}))
        np.testing.assert_array_equal(style(world[0]), world[0][..., ::-1])

    def test_frames_are_resized_to_a_fixed_size_and_back(self, styles, world, tmp_path):
        style = NetworkStyle(wrapped("learned-ink", tmp_path, shape=(1, 64, 80)))
        for frames in world:
            styled = style(frames)
            assert styled.shape == frames.shape
            assert difference(styled, styles["learned-ink"](frames)) < 0.05

    @pytest.mark.parametrize("pads", [[0, 0, 0, 0], [4, 4, 4, 4]], ids=["smaller", "larger"])
    def test_an_image_of_another_size_is_resized(self, pads, world, tmp_path):
        weights = {"w": np.eye(3, dtype=np.float32)[:, :, None, None] * np.full((5, 5), 0.04, np.float32)}
        style = NetworkStyle(network(tmp_path, [("Conv", ["x", "w"], ["y"], {"pads": pads})], weights), values="0..1")
        styled = style(world[0])
        assert styled.shape == world[0].shape
        assert difference(styled, world[0]) < 0.05

    def test_a_network_like_the_published_ones_of_fast_neural_style(self, world, tmp_path):
        """Opset 9, `[1, 3, 224, 224]`, instance norms, upsampling, values of 0 to 255 that are not cut."""
        rng = np.random.default_rng(1)
        weights = {
            "w1": rng.normal(size=(8, 3, 9, 9)), "w2": rng.normal(size=(8, 8, 3, 3)),
            "w3": rng.normal(size=(3, 8, 9, 9)), "b3": rng.uniform(90, 160, 3), "one": np.ones(8), "zero": np.zeros(8),
            "scales": np.array([1, 1, 2, 2]),
        }  # fmt: skip
        weights["w3"] *= 60 / np.sqrt((weights["w3"] ** 2).sum((1, 2, 3), keepdims=True))
        side = (48, 48)  # ONNX's reference implementation takes minutes for a whole frame
        pad = {"mode": "reflect", "pads": [0, 0, 4, 4, 0, 0, 4, 4]}
        nodes = [
            ("Pad", ["input1"], ["p1"], pad),
            ("Conv", ["p1", "w1"], ["c1"], {}),
            ("InstanceNormalization", ["c1", "one", "zero"], ["n1"], {}),
            ("Relu", ["n1"], ["r1"], {}),
            ("Conv", ["r1", "w2"], ["c2"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
            ("InstanceNormalization", ["c2", "one", "zero"], ["n2"], {}),
            ("Relu", ["n2"], ["r2"], {}),
            ("Upsample", ["r2", "scales"], ["u"], {"mode": "nearest"}),
            ("Pad", ["u"], ["p3"], pad),
            ("Conv", ["p3", "w3", "b3"], ["output1"], {}),
        ]
        path = network(
            tmp_path,
            nodes,
            {name: value.astype(np.float32) for name, value in weights.items()},
            (1, 3, *side),
            ["input1"],
            ["output1"],
            opset=9,
        )
        style = NetworkStyle(path)
        assert style.identity["values"] == "0..255"
        frame = cv2.resize(world[0][0], side)
        session = ReferenceEvaluator(convert_version(onnx.load(path), 13))
        (answer,) = session.run(None, {"input1": frame.transpose(2, 0, 1)[None].astype(np.float32)})
        assert answer.min() < 0
        assert answer.max() > 255
        expected = answer[0].transpose(1, 2, 0).clip(0, 255)
        assert np.abs(style(frame[None])[0] - expected).max() <= 1
        assert style(world[0]).shape == world[0].shape


RELU = [("Relu", ["x"], ["y"], {})]


def resized(by: str, value: float) -> dict[str, object]:
    """Describe a network that resizes images by factors, or to sizes."""
    target = np.array([1, 3, value, value] if by == "sizes" else [1, 1, value, value])
    inputs = ["x", "", "", "target"] if by == "sizes" else ["x", "", "target"]
    kind = np.int64 if by == "sizes" else np.float32
    return {"nodes": [("Resize", inputs, ["y"], {"mode": "nearest"})], "weights": {"target": target.astype(kind)}}


class TestHostileNetworks:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"nodes": [("Add", ["x", "b"], ["y"], {})], "inputs": ["x", "b"]}, "2 inputs and 1 outputs"),
            ({"nodes": [*RELU, ("Neg", ["x"], ["z"], {})], "outputs": ["y", "z"]}, "1 inputs and 2 outputs"),
            ({"nodes": RELU, "shape": ("N", 1, "H", "W")}, "expected [N, 3, H, W] or [N, H, W, 3]"),
            ({"nodes": RELU, "shape": ("N", 4, "H", "W")}, "expected [N, 3, H, W] or [N, H, W, 3]"),
            ({"nodes": RELU, "shape": ("N", 3, 8, "H", "W")}, "expected [N, 3, H, W] or [N, H, W, 3]"),
            ({"nodes": RELU, "shape": (4, 3, "H", "W")}, "with N 1 or free"),
            ({"nodes": RELU, "shape": None}, "expected [N, 3, H, W] or [N, H, W, 3]"),
            ({"nodes": [("Abs", ["x"], ["y"], {})], "dtype": TensorProto.INT64}, "reads tensor(int64)"),
            ({"nodes": [("ReduceMean", ["x"], ["y"], {"axes": [1]})]}, "writes [1, 1, 128, 128]"),
            ({"nodes": [("Flatten", ["x"], ["y"], {})]}, "writes [1, 49152]"),
            ({"nodes": [("ReduceMean", ["x"], ["y"], {"keepdims": 0})]}, "writes []"),
            ({"nodes": [("Concat", ["x", "x"], ["y"], {"axis": 0})]}, "writes [2, 3, 128, 128]"),
            ({"nodes": [("Sub", ["x", "x"], ["z"], {}), ("Div", ["z", "z"], ["y"], {})]}, "not finite"),
            ({"nodes": [("Sub", ["x", "x"], ["y"], {})]}, "does not return an image for a test image"),
            ({"nodes": [("MatMul", ["x", "w"], ["y"], {})], "weights": {"w": np.ones((5, 5), "f")}}, "of 128×128: "),
            ({"nodes": [("Nonsense", ["x"], ["y"], {})]}, "cannot be used: ONNX Runtime"),
            ({"nodes": RELU, "shape": (1, 3, 2**31, 2**31)}, "reads images of 2147483648 × 2147483648; allowed: 1 to"),
            ({"nodes": RELU, "shape": (1, 3, 30_000, 30_000)}, "reads images of 30000 × 30000; allowed: 1 to"),
            (
                resized("scales", 50.0),
                "makes an image of 6400 × 6400 of one of 128 × 128; allowed: 1 pixel to 16 times",
            ),
            (resized("scales", 1e-3), "makes an image of 0 × 0 of one of 128 × 128"),
            (resized("sizes", 30_000), "of 128×128: "),
        ],
    )
    def test_is_refused_in_one_line_that_names_the_file(self, arguments, words, tmp_path, capfd):
        path = network(tmp_path, **arguments)
        with pytest.raises(InputError) as caught:
            NetworkStyle(path)
        message = str(caught.value)
        assert "network.onnx" in message
        assert words in message
        assert "\n" not in message
        assert not capfd.readouterr().err

    def test_special_files_are_not_opened(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.onnx")
        with pytest.raises(InputError, match=r"pipe\.onnx.* is a FIFO, not a file, and was not opened"):
            NetworkStyle(tmp_path / "pipe.onnx")
        with pytest.raises(InputError, match=r"pipe\.onnx' is neither built in"):
            open_styles([tmp_path / "pipe.onnx"])

    def test_no_onnx_file(self, tmp_path):
        (tmp_path / "text.onnx").write_text("weights, honestly")
        with pytest.raises(InputError, match=r"text\.onnx is not an ONNX file"):
            NetworkStyle(tmp_path / "text.onnx")

    def test_values_that_become_infinite_on_a_clip_name_the_file(self, tmp_path):
        """Finite on the test image; a division by zero where a whole frame is black."""
        nodes = [("ReduceMax", ["x"], ["m"], {}), ("Div", ["x", "m"], ["y"], {})]
        style = NetworkStyle(network(tmp_path, nodes), values="0..1")
        with pytest.raises(InputError, match=r"network\.onnx returns values that are not finite"):
            style(np.zeros((2, 16, 16, 3), np.uint8))

    def test_unknown_values(self):
        with pytest.raises(InputError, match=r"values is '0-255'; allowed: 0..1, 0..255, -1..1"):
            NetworkStyle(FILES["learned-ink"], values="0-255")


class TestOpening:
    def test_built_in_styles_and_networks_by_name(self):
        styles = open_styles(["oil", FILES["learned-ink"], f"{FILES['learned-neon']}:0..255"])
        assert list(styles) == ["oil", "learned-ink", "learned-neon"]
        assert styles["oil"] is STYLES["oil"]

    @pytest.mark.parametrize("name", ["dusk", "no.onnx", f"{FILES['learned-ink']}:0-255", "oil:0..1"])
    def test_what_is_neither_says_what_there_is(self, name):
        with pytest.raises(InputError, match=r"neither built in \(ink, neon, oil, patina\) nor an ONNX file.*:0..255"):
            open_styles(["ink", name])

    def test_two_of_one_name(self, tmp_path):
        shutil.copy(FILES["learned-ink"], tmp_path / "ink.onnx")
        assert list(open_styles([tmp_path / "ink.onnx"])) == ["ink"]
        with pytest.raises(InputError, match="two styles are called 'ink'"):
            open_styles(["ink", tmp_path / "ink.onnx"])
