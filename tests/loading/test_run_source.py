"""What a run was made of is found again: when files move, and when they don't."""

import json
import shutil

import numpy as np
import pytest

from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, world_clips
from sdmetrics.demo import demo_model, run_demo
from sdmetrics.errors import InputError
from sdmetrics.evaluation.labels import class_indices, read_classes
from sdmetrics.loading.open import open_model
from sdmetrics.loading.run_source import RunSource
from tests.helpers.requests import open_clips
from tests.helpers.videos import write_video


@pytest.fixture
def model(tmp_path):
    with demo_model("motion") as path:
        return shutil.copy(path, tmp_path / "model.onnx")


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(2):
        write_video(folder / f"{number}.mp4", 20)
    return folder


def test_a_source_is_read_as_it_was_written_from_wherever(tmp_path, model, videos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val.txt").write_text("0.mp4")
    written = RunSource("model.onnx", "videos", ("stage1", "stage4"), 2, 3, "videos", "val.txt", "flow")
    assert written.save("run").name == "source.json"
    monkeypatch.chdir("/")
    split, flow = str(tmp_path / "val.txt"), str(tmp_path / "flow")
    expected = RunSource(str(model), str(videos), ("stage1", "stage4"), 2, 3, str(videos), split, flow)
    assert RunSource.load(tmp_path / "run") == expected


def test_a_split_may_be_a_name_and_belongs_to_its_clips(tmp_path, model, videos):
    RunSource(str(model), str(videos), split="val", flow=str(videos)).save(tmp_path / "run")
    assert RunSource.load(tmp_path / "run").split == "val"
    other = RunSource.load(tmp_path / "run", clips=videos)
    assert (other.split, other.flow) == (None, None)


def test_runs_of_before_had_neither_split_nor_flow(tmp_path, model, videos):
    path = RunSource(str(model), str(videos)).save(tmp_path / "run")
    document = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in document.items() if key not in ("split", "flow")}))
    assert RunSource.load(tmp_path / "run") == RunSource(str(model), str(videos))


def test_the_clips_are_cut_as_in_the_run(tmp_path, model, videos):
    RunSource(str(model), str(videos), clips_per_video=2, stride=2).save(tmp_path / "run")
    runner = open_model(model, provider="cpu", threads=1)
    found = RunSource.load(tmp_path / "run").open_clips(runner)
    assert [c.id for c in found] == ["0.mp4#0", "0.mp4#1", "1.mp4#0", "1.mp4#1"]
    direct = open_clips(videos, frames=8, stride=2, size=(40, 40), clips_per_video=2)
    assert [c.stamp for c in found] == [c.stamp for c in direct]


def test_files_inside_the_folder_move_with_it(tmp_path, model):
    run = tmp_path / "run"
    run.mkdir()
    shutil.move(model, run / "model.onnx")
    RunSource(str(run / "model.onnx"), "world:4:1").save(run)
    moved = shutil.move(run, tmp_path / "elsewhere")
    assert RunSource.load(moved) == RunSource(str(moved / "model.onnx"), "world:4:1")


def test_what_has_moved_is_named_with_the_option_that_helps(tmp_path, model, videos):
    run = tmp_path / "run"
    RunSource(str(model), str(videos)).save(run)
    gone = shutil.move(model, tmp_path / "moved.onnx")
    with pytest.raises(InputError, match=r"model of .* not at .*model\.onnx any more; .*--model FILE"):
        RunSource.load(run)
    assert RunSource.load(run, model=gone) == RunSource(str(gone), str(videos))
    shutil.rmtree(videos)
    with pytest.raises(InputError, match=r"clips of .* not at .*videos any more; .*--clips CLIPS"):
        RunSource.load(run, model=gone)
    assert RunSource.load(run, model=gone, clips="world:3") == RunSource(str(gone), "world:3")


def test_other_clips_do_without_the_folder_of_the_first_ones(tmp_path, model, videos):
    RunSource(str(model), str(videos), clips_per_video=3, videos=str(videos)).save(tmp_path)
    assert RunSource.load(tmp_path, clips="other.csv") == RunSource(str(model), "other.csv", clips_per_video=3)


def test_a_run_without_a_source_wants_both_options(tmp_path):
    for given in ({}, {"model": "m.onnx"}, {"clips": "c.csv"}):
        with pytest.raises(InputError, match=r"holds no source\.json.*--model FILE --clips CLIPS"):
            RunSource.load(tmp_path, **given)
    assert RunSource.load(tmp_path, model="m.onnx", clips="c.csv") == RunSource("m.onnx", "c.csv")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}', "{", '{"schema": 1, "model": 3, "clips": "a", "layers": null}'],
)
def test_a_damaged_source_is_refused(tmp_path, text):
    (tmp_path / "source.json").write_text(text)
    with pytest.raises(InputError, match=r"source\.json cannot be read .*--model FILE"):
        RunSource.load(tmp_path)


def test_a_field_that_is_not_known_is_refused(tmp_path, model):
    path = RunSource(str(model), "world:3").save(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "speed": 2}))
    with pytest.raises(InputError, match="speed"):
        RunSource.load(tmp_path)


def test_a_world_is_opened_by_its_name():
    opened = open_clips("world:5:3", frames=6, stride=4, size=(24, 24))
    assert [(c.id, c.label, c.stamp) for c in opened] == [
        (c.id, c.label, c.stamp) for c in world_clips(5, frames=6, size=24, seed=3)
    ]
    assert opened[4].frames.shape == (6, 24, 24, 3)
    first = open_clips("world:2", frames=6, stride=1, size=(24, 24))
    assert np.array_equal(first[1].frames, world_clips(2, frames=6, size=24)[1].frames)


@pytest.mark.parametrize("text", ["world:", "world:x", "world:0", "world:-3", "world:3:", "world:3:-1", "world:3:1:1"])
def test_a_malformed_world_says_how_to_write_one(text):
    with pytest.raises(InputError, match=rf"{text} is not a generated world; use world:N or world:N:SEED"):
        open_clips(text, frames=8, stride=1, size=(40, 40))


def test_a_world_has_no_parts_no_videos_and_no_width_of_its_own():
    for given in ({"clips_per_video": 2}, {"videos": "folder"}):
        with pytest.raises(InputError, match=r"world:4 is generated"):
            open_clips("world:4", frames=8, stride=1, size=(40, 40), **given)
    with pytest.raises(InputError, match=r"world:4 has square frames, but the model reads 40 × 60 pixels"):
        open_clips("world:4", frames=8, stride=1, size=(40, 60))


def test_the_demo_leaves_all_that_later_commands_need(tmp_path):
    run_demo(tmp_path, clips=4, seed=5)
    for name, classes in (("motion", MOTIONS), ("appearance", APPEARANCES)):
        run = tmp_path / name
        assert list(read_classes(run / "classes.txt")) == list(classes)
        source = RunSource.load(run)
        with demo_model(name) as shipped:
            runner = open_model(shipped, provider="cpu", threads=1)
            assert open_model(source.model, provider="cpu").identity["model_sha256"] == runner.identity["model_sha256"]
        clips = source.open_clips(runner)
        assert [c.label for c in clips] == [c.label for c in world_clips(4, seed=5)]
        labels = class_indices(clips, read_classes(run / "classes.txt"))
        assert [classes[index] in c.label for index, c in zip(labels, clips, strict=True)] == [True] * 4


def test_analyze_says_what_it_was_made_of(tmp_path, command, model, videos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--clips-per-video", 2, "--stride", 1, "-l", "stage1", "-o", "run", "--provider", "cpu", "--threads", 1)
    code, _, err = command("analyze", "model.onnx", "videos", *options)
    assert (code, err) == (0, "")
    assert RunSource.load("run") == RunSource(str(model), str(videos), ("stage1",), 2, 1)
    code, _, err = command("analyze", "model.onnx", "world:9", "-o", "run", "--provider", "cpu", "--threads", 1)
    assert code == 2
    assert "other settings" in err
    assert RunSource.load("run").clips == str(videos), "a run that was refused leaves the folder as it was"
