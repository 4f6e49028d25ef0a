"""`sdmetrics evaluate` as a person meets it."""

import json
import shutil

import numpy as np
import onnx
import pytest

from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, world_clips
from sdmetrics.demo import demo_model
from tests.helpers.videos import write_video

CPU = ("--provider", "cpu", "--threads", 1)


@pytest.fixture
def model(tmp_path):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path / "motion.onnx")


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(MOTIONS))
    return path


def test_the_table_says_what_the_file_says(command, model, labels, tmp_path):
    file = tmp_path / "new" / "evaluation.json"
    options = ("--labels", labels, "--shuffle", "--seed", 3, "--batch", 16, "-o", file, *CPU)
    code, out, err = command("evaluate", model, "world:30:2", *options)
    assert (code, err) == (0, "")
    assert "motion: 30 clips used, 0 skipped" in out
    assert "scores: output output, 8 classes" in out
    document = json.loads(file.read_text())
    assert document["seed"] == 3
    assert len(document["clips"]) == 30
    for row, order in (("in order", "in_order"), ("shuffled", "shuffled"), ("shuffled / in order", "ratio")):
        line = next(line for line in out.splitlines() if line.strip().startswith(f"{row}  "))
        for score in document["scores"][order].values():
            low, high = score["ci95"]
            assert f"{100 * score['value']:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in line
    assert f"evaluation: {file}" in out


def test_manipulations_are_a_table_of_what_is_kept(command, model, labels, tmp_path):
    file = tmp_path / "evaluation.json"
    names = "reverse, freeze,appearance-free"
    code, out, err = command("evaluate", model, "world:30", "--labels", labels, "--manipulate", names, "-o", file, *CPU)
    assert (code, err) == (0, "")
    document = json.loads(file.read_text())
    assert list(document["manipulated"]) == ["reverse", "freeze", "appearance-free"]
    assert "manipulated clips, relative to the clips as they are" in out
    for name, scores in document["manipulated"].items():
        line = next(line for line in out.splitlines() if line.strip().startswith(f"{name} "))
        for score in ("top1", "top1_ratio", "top5", "top5_ratio"):
            assert f"{100 * scores[score]['value']:.1f}" in line
    code, out, err = command("evaluate", model, "world:30", "--manipulate", "reverse", *CPU)
    assert (code, err) == (0, "")
    assert "note: 30 of 30 clips have labels" in out
    assert "30 clips used, 0 skipped" in out
    assert "prediction %" in out
    line = next(line for line in out.splitlines() if line.strip().startswith("reverse "))
    assert "0.0 [0.0, 0.0]" in line
    assert "−0." in line
    code, _, err = command("evaluate", model, "world:30", "--manipulate", "reverse,", *CPU)
    assert code == 2
    assert "manipulation '' is not known; allowed: shuffle, reverse" in err


def test_without_shuffling_there_is_one_row_and_without_groups_no_interval(command, model, labels):
    code, out, _ = command("evaluate", model, "world:2", "--labels", labels, *CPU)
    assert code == 0
    assert "shuffled" not in out
    assert "[" not in out


def test_labels_of_a_manifest_are_numbers_or_names_and_broken_videos_are_listed(command, model, tmp_path):
    lines = ["path,label"]
    for number, clip in enumerate(world_clips(4)):
        frames = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in clip.frames]
        write_video(tmp_path / f"{number}.mp4", frames[: 5 if number == 0 else None])
        lines.append(f"{number}.mp4,{MOTIONS.index(clip.label.split('/')[0])}")
    (tmp_path / "torn.mp4").write_bytes(b"")
    (tmp_path / "list.csv").write_text("\n".join([*lines, "torn.mp4,3"]))
    code, out, err = command("evaluate", model, tmp_path / "list.csv", "--shuffle", *CPU)
    assert (code, err) == (0, "")
    assert "4 clips used, 1 skipped, 1 looped (their videos are shorter than a clip)" in out
    assert "skipped torn.mp4: " in out
    names = "\n".join(f"number {k}" for k in range(8))
    (tmp_path / "names.txt").write_text(names)
    code, _, err = command("evaluate", model, tmp_path / "list.csv", "--labels", tmp_path / "names.txt", *CPU)
    assert (code, err) == (0, "")
    (tmp_path / "list.csv").write_text("\n".join([*lines, "torn.mp4,up"]))
    code, _, err = command("evaluate", model, tmp_path / "list.csv", "--labels", tmp_path / "names.txt", *CPU)
    assert code == 2
    assert "has the label 'up'" in err
    assert "'number 0', 'number 1'" in err
    (tmp_path / "list.csv").write_text("\n".join([*lines, "torn.mp4,8"]))
    code, _, err = command("evaluate", model, tmp_path / "list.csv", "--labels", tmp_path / "names.txt", *CPU)
    assert code == 2
    assert "a label is class 8, and the labels name 8 classes, 0 to 7" in err


def test_videos_in_a_folder_per_class_and_lists_of_them_score_alike(command, model, labels, tmp_path):
    listed, numbered, folders = ["path,label"], [], tmp_path / "videos"
    for number, clip in enumerate(world_clips(6)):
        name = clip.label.split("/")[0]
        (folders / name.upper()).mkdir(parents=True, exist_ok=True)
        frames = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in clip.frames]
        write_video(folders / name.upper() / f"{number}.mp4", frames)
        listed.append(f"videos/{name.upper()}/{number}.mp4,{name}")
        numbered.append(f"{name.upper()}/{number}.mp4 {MOTIONS.index(name)}")
    (tmp_path / "list.csv").write_text("\n".join(listed))
    (tmp_path / "list.txt").write_text("\n".join(sorted(numbered)))
    found = []
    for clips, more in ((folders, ()), (tmp_path / "list.csv", ()), (tmp_path / "list.txt", ("--videos", folders))):
        file = tmp_path / "evaluation.json"
        code, out, err = command("evaluate", model, clips, "--labels", labels, "-o", file, *more, *CPU)
        assert (code, err) == (0, "")
        assert ("note: " in out) == (clips == folders), "only the folders' names differ from the classes"
        rows = json.loads(file.read_text())["clips"]
        found.append(sorted((row["id"].removeprefix("videos/"), row["label"], row["in_order"]["top1"]) for row in rows))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("axes", "frames"), [((2, 3, 4), 1), ((1,), 4)])
def test_heads_of_other_shapes_are_read_and_it_is_said(command, model, labels, tmp_path, axes, frames):
    plain = onnx.load(model)
    del plain.metadata_props[:]
    del plain.graph.output[1:]
    make, old = onnx.helper, plain.graph.output[0].name
    repeats = [1] * (2 + len(axes))
    repeats[axes[0]] = frames
    for name, values in (("axes", axes), ("repeats", repeats)):
        plain.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values), name))
    plain.graph.node.append(make.make_node("Unsqueeze", [old, "axes"], ["wide"]))
    plain.graph.node.append(make.make_node("Tile", ["wide", "repeats"], ["head"]))
    shape = ["N", 8, 1, 1, 1] if frames == 1 else ["N", frames, 8]
    plain.graph.output[0].CopyFrom(make.make_tensor_value_info("head", onnx.TensorProto.FLOAT, shape))
    onnx.save(plain, tmp_path / "head.onnx")
    rows = []
    for name in ("motion", "head"):
        file = tmp_path / f"{name}.json"
        code, out, err = command(
            "evaluate", tmp_path / f"{name}.onnx", "world:12", "--labels", labels, "-o", file, *CPU
        )
        assert (code, err) == (0, "")
        rows.append(json.loads(file.read_text())["clips"])
    assert rows[0] == rows[1]
    assert json.loads(file.read_text())["scored"] == {"output": "head", "classes": 8, "frames": frames}
    assert ("mean over 4 frames" in out) == (frames == 4)


def test_a_probe_and_a_file_that_says_nothing_of_itself_are_evaluated_alike(command, model, labels, tmp_path):
    assert command("probe", model, "-o", tmp_path / "probe.onnx", "--masks")[0] == 0
    plain = onnx.load(model)
    del plain.metadata_props[:]
    del plain.graph.output[1:]
    assert [output.name for output in plain.graph.output] == ["output"]
    onnx.save(plain, tmp_path / "plain.onnx")
    tables = []
    for name in ("motion", "probe", "plain"):
        file = tmp_path / f"{name}.json"
        path = tmp_path / f"{name}.onnx"
        code, _, err = command("evaluate", path, "world:12", "--labels", labels, "--shuffle", "-o", file, *CPU)
        assert (code, err) == (0, "")
        tables.append(json.loads(file.read_text())["clips"])
    assert tables[0] == tables[1] == tables[2]


def test_what_is_wrong_is_said_in_one_line(command, model, labels, tmp_path):
    (tmp_path / "few.txt").write_text("\n".join(MOTIONS[:3]))
    (tmp_path / "many.txt").write_text("\n".join([*(f"class {k}" for k in range(8)), *MOTIONS]))
    (tmp_path / "looks.txt").write_text("\n".join(MOTIONS + APPEARANCES))
    for words, arguments in (
        ("cannot be read", ("--labels", tmp_path / "gone.txt")),
        ("only numbers are allowed", ()),
        ("not one of the 3 classes: 'right', 'left', 'down'", ("--labels", tmp_path / "few.txt")),
        ("name 16 classes, and output 'output' has 8 scores", ("--labels", tmp_path / "many.txt")),
        ("are classes; expected exactly one", ("--labels", tmp_path / "looks.txt")),
        ("the model has no output 'logits'; allowed: output", ("--labels", labels, "--model-output", "logits")),
        ("TF32 requires CUDA", ("--labels", labels, "--tf32")),
    ):
        code, _, err = command("evaluate", model, "world:9", *arguments, *CPU)
        assert code == 2
        assert words in err
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_counterfactual_predictions_are_two_rows_and_a_figure(command, model, labels, tmp_path):
    file, figures = tmp_path / "evaluation.json", tmp_path / "figures"
    run = ("evaluate", model, "world:30", "--labels", labels, "-o", file, *CPU)
    code, out, err = command(*run, "--counterfactual", 0.5, "--shuffles", 2, "--figures", figures)
    assert (code, err) == (0, "")
    found = json.loads(file.read_text())["counterfactual"]
    assert (found["alpha"], found["shuffles"]) == (0.5, 2)
    line = next(line for line in out.splitlines() if line.strip().startswith("in order − 0.5 · shuffled"))
    assert f"{100 * found['top1']['value']:.1f}" in line
    assert "gain, points" in out
    assert "8 classes, read as logits" in out
    assert {path.name for path in figures.iterdir()} == {"counterfactual.png", "counterfactual.svg"}
    for arguments, words in (
        (("--shuffles", 2), "--shuffles requires --counterfactual"),
        (("--figures", figures), "--figures requires --counterfactual"),
        (("--counterfactual", 0.5, "--figures", figures, "--part", "1/2"), "--figures draws the whole evaluation"),
        (("--counterfactual", -1), "alpha is -1.0; expected: 0 to 10"),
        (("--logits",), "--logits/--probabilities requires clips with segmentation masks"),
    ):
        code, _, err = command(*run, *arguments)
        assert code == 2
        assert words in err


def test_help_says_what_is_counted_and_how_worlds_are_named(command):
    assert "evaluate" in command("--help")[1]
    code, out, _ = command("evaluate", "--help")
    assert code == 0
    for word in ("--shuffle", "--labels", "world:N", "--model-output", "needs frame order"):
        assert word in out


@pytest.mark.parametrize("parts", [(), ("1/2", "2/2")])
def test_beside_an_analysis_each_video_is_decoded_once(command, model, labels, tmp_path, monkeypatch, parts):
    """Both write what they write by themselves, to the last byte."""
    from sdmetrics.clips.videos import footage

    videos = tmp_path / "videos"
    for number in range(6):
        for name in ("left", "right"):
            (videos / name).mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng([number, name == "left"])
            write_video(videos / name / f"{number}.mp4", rng.integers(0, 256, (24, 48, 48, 3), np.uint8))
    decoded = []
    read = footage.read_video
    monkeypatch.setattr(footage, "read_video", lambda path, *given: decoded.append(path) or read(path, *given))
    run = tmp_path / "both"
    options = ("analyze", model, videos, "-o", run, "--evaluate", "--labels", labels, "--seed", 3, *CPU)
    for part in parts:
        code, out, err = command(*options, "--part", part)
        assert (code, err) == (0, "")
        assert "once all parts are done: repeat the command without --part" in out
    code, out, err = command(*options)
    assert (code, err) == (0, "")
    assert sorted(decoded) == sorted(videos.rglob("*.mp4"))
    assert "shuffled / in order" in out
    assert f"evaluation: {run / 'evaluation.json'}" in out
    assert command("analyze", model, videos, "-o", tmp_path / "alone", "--seed", 3, *CPU)[0] == 0
    scores = tmp_path / "alone/evaluation.json"
    assert command("evaluate", model, videos, "--labels", labels, "--shuffle", "--seed", 3, "-o", scores, *CPU)[0] == 0
    for name in ("results.json", "units.csv", "evaluation.json", "source.json"):
        assert (run / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--labels", "LABELS"), "--labels goes with --evaluate"),
        (("--model-output", "scores"), "--model-output goes with --evaluate"),
        (("--evaluate", "--dask", "local:2"), "--evaluate does not go with --dask"),
    ],
)
def test_what_does_not_go_with_an_analysis(command, model, labels, tmp_path, options, message):
    given = [labels if option == "LABELS" else option for option in options]
    code, _, err = command("analyze", model, "world:4", "-o", tmp_path / "run", *given)
    assert code == 2
    assert message in err
