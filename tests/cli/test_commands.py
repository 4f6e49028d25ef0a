"""The command as a person meets it: what it prints, where, and with which exit code."""

import json
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import onnx
import pytest

from sdmetrics.analysis.results import Results
from sdmetrics.demo import demo_model
from tests.helpers import videos

NEVER_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path_factory.mktemp("model") / "motion.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of six good videos."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        rng = np.random.default_rng(number)
        scene = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
        videos.write_video(folder / f"{number}.mp4", [np.roll(scene, 3 * t, axis=1) for t in range(20 + number)])
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, model, folder):
    run = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sdmetrics",
            "analyze",
            model,
            folder,
            "--out",
            run,
            "--clips-per-video",
            "2",
            "--provider",
            "cpu",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert "stage4" in done.stdout
    assert "running on cpu" in done.stdout
    assert not done.stderr
    return run


def failed(outcome, *words):
    """Return whether a command failed with a one-line error that contains the words."""
    code, _, err = outcome
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err
    return True


def test_a_run_holds_results_units_and_report(run_folder):
    results = Results.load(run_folder)
    assert [row["name"] for row in results.layers] == ["stem", "stage1", "stage2", "stage3", "stage4"]
    assert results.clips == {"used": 12, "looped": 0, "skipped": []}
    assert (run_folder / "report.html").read_text().startswith("<!doctype html>")


def test_an_interrupted_run_prints_how_to_resume(command, model, folder, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sdmetrics.analysis.measurement.save_shard", interrupt)
    code, out, _ = command("analyze", model, folder, "-o", tmp_path / "run")
    assert code == 130
    assert "Interrupted. Run the same command again to resume." in out


def test_a_run_without_a_name_goes_by_the_model(command, model, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("analyze", model, folder)[0] == 0
    assert Results.load(tmp_path / "runs" / "motion").clips["used"] == 6


def test_help_is_worth_reading(command):
    code, out, _ = command("--help")
    assert code == 0
    for name in ("demo", "layers", "probe", "export", "sample", "analyze", "report", "check", "doctor"):
        assert name in out
        assert command(name, "--help")[0] == 0


def test_layers_are_listed(command, model):
    code, out, _ = command("layers", model)
    assert code == 0
    assert "stage4" in out


def test_a_sample_is_drawn(command, folder, tmp_path):
    code, out, _ = command("sample", folder, "-o", tmp_path / "pairs.png", "--size", 64, "--stride", 1, "--count", 2)
    assert code == 0
    assert "pairs.png" in out
    assert (tmp_path / "pairs.png").read_bytes().startswith(b"\x89PNG")


def test_a_sample_shows_each_manipulation(command, tmp_path):
    names = "shuffle,reverse,freeze,loop,appearance-free"
    heights = []
    for chosen in ("reverse", names):
        file = tmp_path / "m.png"
        code, out, err = command("sample", "world:4", "-o", file, "--size", 40, "--count", 2, "--manipulate", chosen)
        assert (code, err) == (0, "")
        assert f"image: {file}" in out
        heights.append(cv2.imread(str(file)).shape[0])
    strip = (heights[1] - heights[0]) / 2 / 4
    assert heights[0] == 2 * (30 + 2 * strip + 24), "a strip for each view of both clips"
    for options, words in (
        (("--manipulate", "sideways"), "manipulation 'sideways' is not known; allowed: shuffle"),
        (("--manipulate", "loop", "--with-flow"), "--with-flow was passed, too"),
    ):
        code, _, err = command("sample", "world:4", "-o", tmp_path / "m.png", *options)
        assert code == 2
        assert words in err


def test_a_sample_is_drawn_as_it_is_cut(command, folder, tmp_path):
    images = []
    for options in ((), ("--stride", 1), ("--fps", 5), ("--sampling", "spread")):
        code, _, _ = command("sample", folder, "-o", tmp_path / "p.png", "--size", 32, "--count", 1, *options)
        assert code == 0
        images.append((tmp_path / "p.png").read_bytes())
    assert len(set(images)) == 4
    for options, reason in (
        (("--fps", 0), "fps 0.0; expected frames per second"),
        (("--sampling", "all"), "sampling 'all'; allowed: window, spread"),
        (("--sampling", "spread", "--fps", 5), "leave fps out"),
        (("--sampling", "spread", "--stride", 2), "stride is 2, but frames are read from the whole video"),
    ):
        code, _, err = command("sample", folder, "-o", tmp_path / "p.png", *options)
        assert code == 2
        assert reason in err
        assert err.count("\n") == 1


def test_a_probe_is_built_and_analysed_like_its_model(command, model, folder, run_folder, tmp_path):
    probe = tmp_path / "motion.onnx"
    assert command("probe", model, "-o", probe, "--masks")[0] == 0
    assert command("analyze", probe, folder, "-o", tmp_path / "run", "--clips-per-video", 2)[0] == 0
    one, two = Results.load(run_folder), Results.load(tmp_path / "run")
    for a, b in zip(one.units, two.units, strict=True):
        assert a["label"] == b["label"]
        assert a["dynamic"] == pytest.approx(b["dynamic"], abs=1e-5)


def test_a_file_without_metadata_is_probed_by_its_layer_and_layout(command, model, folder, tmp_path):
    plain = onnx.load(model)
    tensor = next(output.name for output in plain.graph.output if "stage4" in output.name)
    del plain.metadata_props[:]
    onnx.save(plain, tmp_path / "plain.onnx")
    probe = tmp_path / "probe.onnx"
    assert command("probe", tmp_path / "plain.onnx", "-o", probe, "-l", tensor, "--stride", 1)[0] == 0
    assert command("analyze", probe, folder, "-o", tmp_path / "run")[0] == 0
    assert [row["name"] for row in Results.load(tmp_path / "run").layers] == [tensor]


def test_published_annotations_are_analysed_and_a_missing_video_is_listed(command, model, folder, tmp_path):
    records = [{"vid_name": name, "label": 1, "start_frame": 0, "end_frame": 20} for name in ("0", "1", "2", "gone")]
    (tmp_path / "Diving48_V2_test.json").write_text(json.dumps(records))
    outcome = command("analyze", model, tmp_path / "Diving48_V2_test.json", "-o", tmp_path / "run", "--videos", folder)
    assert outcome[0] == 0
    clips = Results.load(tmp_path / "run").clips
    assert clips["used"] == 3
    assert ["gone" in row["id"] for row in clips["skipped"]] == [True]


def test_the_reports_of_several_runs_are_one_page(command, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "again")
    page = tmp_path / "both.html"
    code, _, _ = command("report", run_folder, tmp_path / "again", "-o", page, "--figures", tmp_path / "figures")
    assert code == 0
    assert page.exists()
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".png", ".svg"}
    assert failed(command("report", run_folder, run_folder), "same folder name")


def test_a_requirement_gates_a_release(command, run_folder):
    assert command("check", run_folder, "--require", "stage4.dynamic >= 1")[0] == 0
    code, out, _ = command("check", run_folder, "--require", "stage4.dynamic >= 1", "--require", "stem.dynamic > 99")
    assert code == 1
    assert "breach: stem.dynamic > 99" in out
    assert "holds: stage4.dynamic >= 1" in out
    assert failed(command("check", run_folder, "--require", "stage9.dynamic >= 1"), "stage9", "stage4")
    assert failed(command("check", run_folder, "--require", "nonsense"), "nonsense", "LAYER.MEASURE")


def test_doctor_finds_this_environment_well(command):
    code, out, _ = command("doctor")
    assert code == 0
    assert "onnxruntime" in out


def test_doctor_sees_cuda_that_does_not_load(command, monkeypatch):
    from sdmetrics.runners import onnxruntime as runner

    if runner.CUDA in runner.loadable_providers():
        pytest.skip("CUDA loads here")
    monkeypatch.setattr(runner, "available_providers", lambda: [runner.CUDA, runner.CPU])
    code, out, _ = command("doctor")
    assert code == 1
    assert "CUDA does not load: install" in out


def test_doctor_sees_two_wheels_that_clash(command, monkeypatch):
    import sdmetrics.cli.doctor as doctor

    installed = doctor.installed_version
    monkeypatch.setattr(
        doctor, "installed_version", lambda name: "1.0" if name in (*doctor.RUNTIMES, "sdmetrics") else installed(name)
    )
    code, out, _ = command("doctor")
    assert code == 1
    assert "overwrite each other" in out
    assert "pip uninstall sdmetrics" in out


class TestBadInput:
    def test_missing_model(self, command, folder, tmp_path):
        assert failed(command("analyze", tmp_path / "no.onnx", folder, "-o", tmp_path / "run"), "no.onnx")

    def test_text_file_as_model(self, command, folder, tmp_path):
        (tmp_path / "text.onnx").write_text("weights, honestly")
        assert failed(command("analyze", tmp_path / "text.onnx", folder, "-o", tmp_path / "run"), "text.onnx")
        assert failed(command("layers", tmp_path / "text.onnx"), "text.onnx")

    def test_unknown_layer(self, command, model, folder, tmp_path):
        outcome = command("analyze", model, folder, "-o", tmp_path / "run", "-l", "stag4")
        assert failed(outcome, "stag4", "stage4")

    def test_empty_folder(self, command, model, tmp_path):
        (tmp_path / "empty").mkdir()
        assert failed(command("analyze", model, tmp_path / "empty", "-o", tmp_path / "run"), "empty", "use another")

    def test_the_good_video_is_used_and_the_others_are_listed(self, command, model, folder, tmp_path):
        mixed = tmp_path / "mixed"
        mixed.mkdir()
        good = shutil.copy(folder / "0.mp4", mixed / "good.mp4")
        (mixed / "zero.mp4").touch()
        videos.truncated(good, mixed / "truncated.mp4", 0.5)
        videos.write_audio(mixed / "audio.mp4")
        code, out, err = command("analyze", model, mixed, "-o", tmp_path / "run", "--clips-per-video", 3)
        assert code == 0, err
        results = Results.load(tmp_path / "run")
        assert results.clips["used"] == 3
        reasons = {row["id"].split("#")[0]: row["reason"] for row in results.clips["skipped"]}
        assert reasons.keys() == {"zero.mp4", "truncated.mp4", "audio.mp4"}
        assert "no video stream" in reasons["audio.mp4"]
        for name in reasons:
            assert f"skipped {name}" in out
            assert name in (tmp_path / "run" / "report.html").read_text()

    def test_one_usable_pair(self, command, model, folder, tmp_path):
        outcome = command("analyze", model, folder / "0.mp4", "-o", tmp_path / "run")
        assert failed(outcome, "1 of 1 clips could be used", "expected at least 2")

    def test_activations_that_are_not_numbers(self, command, model, folder, tmp_path):
        poisoned = onnx.load(model)
        for weight in poisoned.graph.initializer:
            values = onnx.numpy_helper.to_array(weight)
            if values.dtype == np.float32 and values.ndim == 5:
                values = values.copy()
                values[1] = np.nan
                weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
                break
        onnx.save(poisoned, tmp_path / "nan.onnx")
        outcome = command("analyze", tmp_path / "nan.onnx", folder, "-o", tmp_path / "run")
        assert failed(outcome, "layer 'stem'", "not finite")

    def test_cuda_without_cuda(self, command, model, folder, tmp_path):
        from sdmetrics.runners.onnxruntime import loadable_providers

        if any("cuda" in name.lower() for name in loadable_providers()):
            pytest.skip("CUDA loads here")
        outcome = command("analyze", model, folder, "-o", tmp_path / "run", "--provider", "cuda")
        assert failed(outcome, "cuda", "onnxruntime-gpu")

    @NEVER_ROOT
    def test_read_only_output_folder(self, command, model, folder, tmp_path):
        tmp_path.chmod(0o555)
        assert failed(command("analyze", model, folder, "-o", tmp_path / "run"), "cannot write", "write permission")

    def test_output_folder_on_a_read_only_file_system(self, command, model, folder, tmp_path, monkeypatch):
        def refuse(**_):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr("sdmetrics._files.tempfile.TemporaryFile", refuse)
        outcome = command("analyze", model, folder, "-o", tmp_path / "run")
        assert failed(outcome, "cannot write", "Read-only file system", "write permission")

    def test_an_output_folder_that_is_none(self, command, model, folder, tmp_path):
        (tmp_path / "run").write_text("a file")
        assert failed(command("analyze", model, folder, "-o", tmp_path / "run"), "cannot write", "it is a file")

    def test_another_seed_under_the_same_run(self, command, model, folder, run_folder):
        before = (run_folder / "results.json").read_bytes()
        outcome = command("analyze", model, folder, "-o", run_folder, "--clips-per-video", 2, "--seed", 1)
        assert failed(outcome, "seed was 0, is 1")
        assert (run_folder / "results.json").read_bytes() == before

    def test_a_folder_that_is_no_run(self, command, tmp_path):
        assert failed(command("report", tmp_path), "results.json")
        assert failed(command("check", tmp_path, "--require", "a.dynamic > 1"), "results.json")
