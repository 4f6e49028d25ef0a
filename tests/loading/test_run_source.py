"""The model and the clips of a run are found again: when files move, and when they don't."""

import json
import shutil

import numpy as np
import pytest

import sdmetrics as sd
from sdmetrics.clips.generated.world import APPEARANCES, MOTIONS, world_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.demo import demo_model, run_demo
from sdmetrics.errors import InputError
from sdmetrics.evaluation.class_files import read_classes
from sdmetrics.evaluation.labels import class_indices
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
        write_video(folder / f"{number}.mp4", 20 + number)
    return folder


def test_a_source_is_read_as_it_was_written_from_wherever(tmp_path, model, videos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val.txt").write_text("0.mp4")
    written = RunSource("model.onnx", ClipRequest("videos", 2, 3, "videos", "val.txt", "flow"))
    assert written.save("run").name == "source.json"
    monkeypatch.chdir("/")
    split, flow = str(tmp_path / "val.txt"), str(tmp_path / "flow")
    expected = RunSource(str(model), ClipRequest(str(videos), 2, 3, str(videos), split, flow))
    assert RunSource.load(tmp_path / "run") == expected


def test_a_split_may_be_a_name_and_belongs_to_its_clips(tmp_path, model, videos):
    RunSource(str(model), ClipRequest(str(videos), split="val", flow=str(videos))).save(tmp_path / "run")
    assert RunSource.load(tmp_path / "run").request.split == "val"
    other = RunSource.load(tmp_path / "run", clips=videos).request
    assert (other.split, other.flow) == (None, None)


def test_all_that_is_annotated_stays_all_that_is_annotated(tmp_path, model, videos):
    source = RunSource(str(model), ClipRequest(str(videos), clips_per_video=None))
    source.save(tmp_path / "run")
    assert RunSource.load(tmp_path / "run") == source
    assert RunSource.load(tmp_path / "run", clips="world:3").request == ClipRequest("world:3", clips_per_video=None)


def test_a_run_without_files_names_the_options_that_it_needs(tmp_path, model, videos):
    RunSource(None, None).save(tmp_path)
    with pytest.raises(InputError, match="was not made from a model file; pass the file with --model FILE"):
        RunSource.load(tmp_path)
    with pytest.raises(InputError, match="were not opened from a path; pass one with --clips CLIPS"):
        RunSource.load(tmp_path, model=model)
    runner = open_model(model, provider="cpu", threads=1)
    with pytest.raises(InputError, match="were not opened from a path; pass one with --clips CLIPS"):
        RunSource(str(model), None).open_clips(runner)
    assert RunSource.load(tmp_path, model=model, clips=videos) == RunSource(str(model), ClipRequest(str(videos)))


def test_a_run_of_an_older_schema_says_what_to_pass(tmp_path, model, videos):
    old = {"schema": 1, "model": str(model), "clips": str(videos), "layers": None, "clips_per_video": 0}
    (tmp_path / "source.json").write_text(json.dumps(old))
    with pytest.raises(InputError, match=r"its schema is not 2.*pass --model FILE and --clips CLIPS"):
        RunSource.load(tmp_path)


def test_the_clips_are_cut_as_in_the_run(tmp_path, model, videos):
    RunSource(str(model), ClipRequest(str(videos), clips_per_video=2, stride=2)).save(tmp_path / "run")
    runner = open_model(model, provider="cpu", threads=1)
    found = RunSource.load(tmp_path / "run").open_clips(runner)
    assert [c.id for c in found] == ["0.mp4#0", "0.mp4#1", "1.mp4#0", "1.mp4#1"]
    direct = open_clips(videos, frames=8, stride=2, size=(40, 40), clips_per_video=2)
    assert [c.stamp for c in found] == [c.stamp for c in direct]


def test_files_inside_the_folder_move_with_it(tmp_path, model):
    run = tmp_path / "run"
    run.mkdir()
    shutil.move(model, run / "model.onnx")
    RunSource(str(run / "model.onnx"), ClipRequest("world:4:1")).save(run)
    moved = shutil.move(run, tmp_path / "elsewhere")
    assert RunSource.load(moved) == RunSource(str(moved / "model.onnx"), ClipRequest("world:4:1"))


def test_what_has_moved_is_named_with_the_option_that_helps(tmp_path, model, videos):
    run = tmp_path / "run"
    RunSource(str(model), ClipRequest(str(videos))).save(run)
    gone = shutil.move(model, tmp_path / "moved.onnx")
    with pytest.raises(InputError, match=r"model of .* no longer at .*model\.onnx; .*--model FILE"):
        RunSource.load(run)
    assert RunSource.load(run, model=gone) == RunSource(str(gone), ClipRequest(str(videos)))
    shutil.rmtree(videos)
    with pytest.raises(InputError, match=r"clips of .* no longer at .*videos; .*--clips CLIPS"):
        RunSource.load(run, model=gone)
    assert RunSource.load(run, model=gone, clips="world:3") == RunSource(str(gone), ClipRequest("world:3"))


def test_other_clips_do_without_the_folder_of_the_first_ones(tmp_path, model, videos):
    RunSource(str(model), ClipRequest(str(videos), clips_per_video=3, videos=str(videos))).save(tmp_path)
    expected = RunSource(str(model), ClipRequest("other.csv", clips_per_video=3))
    assert RunSource.load(tmp_path, clips="other.csv") == expected


def test_a_run_without_a_source_needs_both_options(tmp_path):
    for given in ({}, {"model": "m.onnx"}, {"clips": "c.csv"}):
        with pytest.raises(InputError, match=r"has no source\.json.*--model FILE and --clips CLIPS"):
            RunSource.load(tmp_path, **given)
    assert RunSource.load(tmp_path, model="m.onnx", clips="c.csv") == RunSource("m.onnx", ClipRequest("c.csv"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2}',
        "{",
        "[" * 100_000,
        '{"schema": 2, "model": 3, "clips": null}',
        '{"schema": 2, "model": null, "clips": "videos"}',
        '{"schema": 2, "model": null, "clips": {"path": 3}}',
        '{"schema": 2, "model": null, "clips": {"path": "videos", "stride": "2"}}',
    ],
)
def test_a_damaged_source_is_an_error(tmp_path, text):
    (tmp_path / "source.json").write_text(text)
    with pytest.raises(InputError, match=r"source\.json cannot be read .*--model FILE"):
        RunSource.load(tmp_path)


def test_an_unknown_field_is_an_error(tmp_path, model):
    path = RunSource(str(model), ClipRequest("world:3")).save(tmp_path)
    document = json.loads(path.read_text())
    for damaged in ({**document, "speed": 2}, {**document, "clips": {**document["clips"], "speed": 2}}):
        path.write_text(json.dumps(damaged))
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


def test_analyze_records_its_model_and_clips(tmp_path, command, model, videos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--clips-per-video", 2, "--stride", 1, "-l", "stage1", "-o", "run", "--provider", "cpu", "--threads", 1)
    code, _, err = command("analyze", "model.onnx", "videos", *options)
    assert (code, err) == (0, "")
    expected = RunSource(str(model), ClipRequest(str(videos), clips_per_video=2, stride=1))
    assert RunSource.load("run") == expected
    code, _, err = command("analyze", "model.onnx", "world:9", "-o", "run", "--provider", "cpu", "--threads", 1)
    assert code == 2
    assert "different settings" in err
    assert RunSource.load("run") == expected, "an error leaves the folder as it was"


def test_clips_that_were_changed_after_opening_are_no_longer_those_of_their_request(model):
    runner = open_model(model, provider="cpu", threads=1)
    for change in (lambda c: c.pop(), lambda c: c.append(c[0]), lambda c: c.reverse(), lambda c: c.sort(key=id)):
        clips = sd.open_clips("world:5", runner)
        assert clips.request is not None
        before = [*clips]
        change(clips)
        assert (clips.request is None) == (clips != before)


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"stride": -3}, {"clips_per_video": 0}, {"clips_per_video": -1}])
def test_a_request_for_nothing_is_an_error(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=rf"{name} is {wrong[name]}; expected at least 1"):
        ClipRequest("world:9", **wrong)


def test_what_other_clips_leave_behind_is_known(tmp_path, model, videos):
    request = ClipRequest(str(videos), split="val", flow=str(videos))
    RunSource(str(model), request).save(tmp_path)
    assert RunSource.load(tmp_path, clips="world:3").dropped == ("split", "flow")
    assert RunSource.load(tmp_path).dropped == ()
