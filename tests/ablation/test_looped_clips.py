"""Clips whose frames are repeated are counted in an ablation, too: in its file, in parts, printed, in the report."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from sdmetrics.ablation.ablate import ablate
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.stored import DamagedError, save_document
from sdmetrics.demo import demo_model
from tests.helpers.removable import CLASS_INDICES, Linear, clips_of, results_of
from tests.helpers.videos import write_video

LOOPED = 7


class Loop:
    """Loads a clip that repeats frames."""

    looped = True

    def __init__(self, load):
        self.load = load

    def __call__(self):
        return self.load()


def clips():
    whole = clips_of(24)
    looped = [dataclasses.replace(clip, load=Loop(clip.load)) for clip in whole[:LOOPED]]
    return [*looped, *whole[LOOPED:]]


def ablated(**more):
    options = {"classes": CLASS_INDICES, "fractions": [0.5], "repeats": 1, "progress": False}
    return ablate(Linear(), clips(), results_of(), **options, **more)


def test_they_are_counted_whether_scored_now_before_or_in_parts(tmp_path):
    assert ablated().clips == {"used": 24, "looped": LOOPED, "skipped": []}
    for folder, again in (("run", None), ("run", None), ("parts", "1/2"), ("parts", "2/2"), ("parts", None)):
        made = ablated(out=tmp_path / folder, part=again)
        assert made.clips["looped"] == LOOPED or again
    assert sum(ablated(out=tmp_path / "parts", part=f"{i}/2").clips["looped"] for i in (1, 2)) == LOOPED
    assert Ablation.load(tmp_path / "parts").clips == Ablation.load(tmp_path / "run").clips == made.clips


def test_a_count_that_cannot_be_is_damage(tmp_path):
    ablated(out=tmp_path)
    path = tmp_path / "ablation.json"
    whole = json.loads(path.read_text())
    document = {name: value for name, value in whole.items() if name not in ("schema", "sha256")}
    save_document(path, whole["schema"], {**document, "clips": {**document["clips"], "looped": 25}})
    with pytest.raises(DamagedError, match="25 of 24 clips are looped"):
        Ablation.load(tmp_path)


def test_they_are_printed_and_in_the_report(tmp_path, command):
    for number, frames in enumerate((24, 25, 26, 5, 6)):
        folder = tmp_path / "videos" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"{number}.mp4", frames)
    with demo_model("motion") as path:
        model = shutil.copy(path, tmp_path / "model.onnx")
    run = tmp_path / "run"
    cpu = ("--provider", "cpu")
    assert command("analyze", model, tmp_path / "videos", "-o", run, "--stride", 1, *cpu)[0] == 0
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{number}\n" for number in range(8)))
    code, out, err = command("ablate", run, "--labels", names, "--fraction", 0.5, "--repeats", 1, *cpu)
    assert code == 0, err
    text = " ".join(out.split())
    assert "stage4, top-1: 5 clips used, 0 skipped, 2 looped (their videos are shorter than a clip)" in text
    page = " ".join((run / "report.html").read_text(encoding="utf-8").split())
    assert "Clips: 5 used (2 looped: their videos are shorter than the clip), 0 skipped." in page
