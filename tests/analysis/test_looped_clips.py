"""Clips whose frames are repeated are counted, from the shards to the report, and a resumed run counts the same."""

import json

import pytest

import sdmetrics as sd
from sdmetrics.analysis.stored import DamagedError, save_document
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.request import ClipRequest
from sdmetrics.demo import demo_model
from sdmetrics.errors import Note
from sdmetrics.loading.run_source import RunSource
from tests.helpers.fakes import NumpyRunner, colours, noise_clip
from tests.helpers.videos import write_video

SHORT, LONG = 5, 24
CPU = {"provider": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(3):
        write_video(folder / f"long{number}.mp4", LONG + number)
    for number in range(2):
        write_video(folder / f"short{number}.mp4", SHORT + number)
    return folder


def test_they_are_counted_and_said(videos, tmp_path, command):
    with demo_model("appearance") as model:
        asked = ("analyze", model, videos, "-o", tmp_path, "--stride", 1, "--provider", "cpu", "--threads", 1)
        code, out, err = command(*asked)
        assert code == 0
        assert "is shorter than the 8 frames that a clip spans" in " ".join((out + err).split())
        assert "2 looped (their videos are shorter than a clip)" in " ".join(out.split())
        counted = json.loads((tmp_path / "results.json").read_text())["clips"]
        assert counted == {"used": 5, "looped": 2, "skipped": []}
        page = " ".join((tmp_path / "report.html").read_text(encoding="utf-8").split())
        assert "5 clips used, 0 skipped. 2 of those used are looped: their videos are shorter than the clip" in page
        first = (tmp_path / "results.json").read_bytes()
        for shard in sorted((tmp_path / "shards").glob("*.npz"))[::2]:
            shard.unlink()
        assert command(*asked)[0] == 0
    again = json.loads((tmp_path / "results.json").read_bytes())
    assert again["clips"] == counted
    assert again["layers"] == json.loads(first)["layers"]


def test_no_clip_is_looped_where_none_repeats(videos, tmp_path):
    for clips in ([noise_clip(number) for number in range(4)], [noise_clip(0), Clip("own", noise_clip(1).load)]):
        made = sd.analyze(NumpyRunner({"colours": colours}), clips, out=tmp_path / str(len(clips)), progress=False)
        assert made.clips == {"used": len(clips), "looped": 0, "skipped": []}
    with demo_model("appearance") as model:
        runner = sd.open_model(model, **CPU)
        spread = sd.open_clips(videos, runner, sampling="spread")
        with pytest.warns(Note, match="is shorter"):
            shown = [(clip.frames.shape[0], clip.looped) for clip in spread]
        assert shown == [(8, False)] * 3 + [(8, True)] * 2


def test_what_was_asked_for_is_kept_and_decides(videos, tmp_path):
    with demo_model("appearance") as model:
        runner = sd.open_model(model, **CPU)
        slow = sd.open_clips(videos, runner, stride=1, fps=10)
        with pytest.warns(Note, match="at 10 frames per second is shorter than the 8 frames"):
            sd.analyze(runner, slow, out=tmp_path, progress=False)
        assert RunSource.load(tmp_path).request == ClipRequest(str(videos), stride=1, fps=10)
        opened = RunSource.load(tmp_path).open_clips(runner)
        assert [clip.stamp for clip in opened] == [clip.stamp for clip in slow]
        for other in ({"fps": 12}, {"sampling": "spread", "stride": None}, {}):
            clips = sd.open_clips(videos, runner, **{"stride": 1, **other})
            with pytest.raises(sd.InputError, match=r"different settings: clips.*clips are cut otherwise, or a file"):
                sd.analyze(runner, clips, out=tmp_path, progress=False)


def test_a_count_that_cannot_be_is_damage(tmp_path):
    runner = NumpyRunner({"colours": colours})
    sd.analyze(runner, [noise_clip(number) for number in range(4)], out=tmp_path, progress=False)
    path = tmp_path / "results.json"
    whole = json.loads(path.read_text())
    for looped, reason in ((5, "5 of 4 clips are looped"), (-1, "clips.looped is -1"), (None, "clips.looped is None")):
        document = {key: value for key, value in whole.items() if key not in ("schema", "sha256")}
        save_document(path, whole["schema"], {**document, "clips": {**document["clips"], "looped": looped}})
        with pytest.raises(DamagedError, match=reason):
            sd.Results.load(tmp_path)
