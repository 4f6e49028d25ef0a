"""Analyses and samples in styles that were asked for: networks, functions, built-in ones by name."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sdmetrics.analysis.measure import measure_biases
from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.render import render
from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.clips.styles.networks import NetworkStyle, open_styles
from sdmetrics.demo import demo_model
from sdmetrics.errors import InputError
from tests.helpers.fakes import NumpyRunner, changes, colours, noise_clip
from tests.helpers.style_networks import FILES, network, wrapped
from tests.helpers.videos import write_video

CLIPS = [noise_clip(i, video=f"video {i // 2}") for i in range(40)]


@pytest.fixture(scope="module")
def styles() -> dict[str, NetworkStyle]:
    return {name: NetworkStyle(path) for name, path in FILES.items()}


@pytest.fixture(scope="module")
def results(styles, tmp_path_factory):
    return measure_biases(both(), CLIPS, styles=styles, out=tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        scene = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        write_video(folder / f"{number}.mp4", [np.roll(scene, 3 * t, axis=1) for t in range(16)])
    return folder


def both() -> NumpyRunner:
    return NumpyRunner({"colours": colours, "changes": changes})


def negative(frames: Frames) -> Frames:
    return 255 - frames


class TestAnalysis:
    def test_the_controls_are_exact(self, results):
        """Blind to the order of frames: static. Blind to the values of pixels: dynamic."""
        assert results.clips["used"] == len(CLIPS)
        assert results.layer("colours")["scores"]["static"] == 1
        assert results.layer("colours")["scores"]["dynamic"] < 0.9
        assert results.layer("changes")["scores"]["dynamic"] == 1
        assert results.layer("changes")["scores"]["static"] < 0.9

    def test_the_styles_are_those_asked_for(self, results, styles):
        assert results.layers != measure_biases(both(), CLIPS).layers
        drawn = {view.style for clip in CLIPS for view in render(clip, 0, both().inputs, styles)[0]}
        assert drawn == set(styles)
        assert results.settings["styles"] == {name: dict(style.identity) for name, style in styles.items()}

    def test_the_order_in_which_styles_are_given_changes_no_number(self, results, styles):
        assert measure_biases(both(), CLIPS, styles=dict(reversed(styles.items()))).units == results.units

    def test_a_run_resumes_with_the_same_styles_and_with_no_others(self, styles, tmp_path):
        measure_biases(both(), CLIPS, styles=styles, out=tmp_path)
        before = (tmp_path / "results.json").read_bytes()
        next((tmp_path / "shards").glob("*.npz")).unlink()
        runner = both()
        measure_biases(runner, CLIPS, styles=open_styles(FILES.values()), out=tmp_path)
        assert 0 < sum(runner.batches) < 3 * len(CLIPS)
        assert (tmp_path / "results.json").read_bytes() == before
        other = {**styles, "learned-neon": NetworkStyle(wrapped("learned-neon", tmp_path))}
        for changed, words in [
            (other, r"styles\.learned-neon\.sha256 was"),
            ({**styles, "oil": STYLES["oil"]}, r"styles\.oil was null"),
            (None, r"styles\.ink was null"),
        ]:
            with pytest.raises(InputError, match=rf"different settings: .*{words}"):
                measure_biases(both(), CLIPS, styles=changed, out=tmp_path)

    def test_functions_are_styles_told_by_their_names(self):
        styles = {"negative": negative, "plain": np.copy, "swapped": partial(np.flip, axis=-1)}
        found = measure_biases(both(), CLIPS, styles=styles)
        assert found.layer("changes")["scores"]["dynamic"] == 1
        names = {name: identity["function"] for name, identity in found.settings["styles"].items()}
        assert names == {"negative": f"{__name__}.negative", "plain": "numpy.copy", "swapped": "numpy.flip"}
        assert found.settings["styles"]["swapped"]["arguments"] == "((), [('axis', -1)])"

    @pytest.mark.parametrize("wrong", [lambda f: f / 255, lambda f: f[..., :1], lambda f: f[:3]])
    def test_a_function_that_gives_no_frames_is_refused_before_any_work(self, wrong):
        runner = both()
        with pytest.raises(InputError, match=r"style 'wrong' returns .*; expected .* uint8 of shape \(6, 16, 16, 3\)"):
            measure_biases(runner, CLIPS, styles={"wrong": wrong, "negative": negative})
        assert not runner.batches

    def test_a_network_that_fails_at_the_size_of_the_clips_is_refused_before_any_work(self, styles, tmp_path):
        """It halves and doubles the size and adds its input, as U-nets do, and 15 is odd."""
        scales = {"down": np.array([1, 1, 0.5, 0.5], "f"), "up": np.array([1, 1, 2, 2], "f"), "half": np.float32(0.5)}
        nodes = [
            ("Resize", ["x", "", "down"], ["small"], {}),
            ("Resize", ["small", "", "up"], ["large"], {}),
            ("Add", ["x", "large"], ["sum"], {}),
            ("Mul", ["sum", "half"], ["y"], {}),
        ]
        asked = {**styles, "halving": NetworkStyle(network(tmp_path, nodes, scales))}
        assert measure_biases(both(), CLIPS[:4], styles=asked).clips["used"] == 4
        runner = NumpyRunner({"colours": colours}, size=15)
        with pytest.raises(InputError, match=r"network\.onnx fails on a frame of 15×15: .* frames are then resized"):
            measure_biases(runner, [noise_clip(i, size=15) for i in range(4)], styles=asked)
        assert not runner.batches

    def test_a_function_may_work_in_place(self):
        def darkened(frames):
            frames //= 2
            return frames

        def dimmed(frames):
            return frames // 2

        one, two = (measure_biases(both(), CLIPS, styles={"a": negative, "b": style}) for style in (darkened, dimmed))
        assert one.units == two.units

    def test_one_style_is_too_few(self):
        with pytest.raises(InputError, match=r"styles are \['negative'\]; .* at least two"):
            measure_biases(both(), CLIPS, styles={"negative": negative})

    def test_clips_that_come_in_styles_take_no_others(self, styles):
        own = {"dim": lambda: CLIPS[0].frames // 2, "dark": lambda: CLIPS[0].frames // 4}
        clips = [*CLIPS, Clip("styled", CLIPS[0].load, styled=own)]
        with pytest.raises(InputError, match=r"clip 'styled' comes in styles of its own \(dark, dim\)"):
            measure_biases(both(), clips, styles=styles)
        settings = measure_biases(both(), clips).settings["styles"]
        assert settings.keys() == {*STYLES, "dark", "dim"}
        only = measure_biases(both(), [Clip(f"styled {i}", CLIPS[0].load, styled=own) for i in range(2)])
        assert only.settings["styles"].keys() == {"dark", "dim"}


class TestCommandLine:
    def test_an_analysis_in_networks_and_a_built_in_style(self, command, folder, tmp_path):
        asked = [word for style in (*FILES.values(), "oil") for word in ("--styles", style)]
        with demo_model("motion") as model:
            code, _, errors = command("analyze", model, folder, "-o", tmp_path, "--stride", 1, *asked)
            assert (code, errors) == (0, "")
            assert Results.load(tmp_path).settings["styles"].keys() == {*FILES, "oil"}
            code, _, errors = command("analyze", model, folder, "-o", tmp_path, "--stride", 1)
        assert code == 2
        assert "styles.learned-ink was" in errors
        assert errors.count("\n") == 1

    def test_a_sample_shows_them(self, command, folder, tmp_path):
        plain, styled = tmp_path / "plain.png", tmp_path / "styled.png"
        arguments = ("sample", folder, "--size", 48, "--stride", 1, "--count", 1, "-o")
        asked = [word for style in FILES.values() for word in ("--styles", style)]
        assert command(*arguments, plain)[0] == 0
        assert command(*arguments, styled, *asked)[0] == 0
        assert plain.read_bytes() != styled.read_bytes()

    def test_mistakes_are_one_line(self, command, folder, tmp_path):
        (tmp_path / "text.onnx").write_text("weights, honestly")
        for asked, words in [
            (["dusk", "oil"], "'dusk'"),
            (["oil"], "at least two"),
            (["oil", tmp_path / "text.onnx"], "text.onnx"),
        ]:
            styles = [word for style in asked for word in ("--styles", style)]
            code, _, errors = command("sample", folder, "-o", tmp_path / "pairs.png", *styles)
            assert code == 2
            assert words in errors
            assert errors.count("\n") == 1
